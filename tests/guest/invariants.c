/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants": the five invariants that Socle was founded on, seen from inside a guest: PDPTEs
 * across a reflected exit, PDPTEs only where they mean something, GUEST_CR3 in an entry to HLT, the paging
 * role, and #PF as one value. Worth running with L0's intercept=cr and intercept=pf too: nothing may change.
 */
#include "tests/guest/invariants.h"

static u64 *directory_to(u32 mark)
{
	u64 *pd = page_alloc();
	u64 *pt = page_alloc();
	u32 *page = page_alloc();

	*page = mark;
	pt[0] = addr_of(page) | PTE_P | PTE_W | PTE_A | PTE_D;
	pd[0] = addr_of(pt) | PTE_P | PTE_W | PTE_A;
	return pd;
}

void pae_make(struct pae_tables *t)
{
	u32 i;

	t->pdpt = page_alloc();
	t->pd = page_alloc();
	t->pd_a = directory_to(MARK_A);
	t->pd_b = directory_to(MARK_B);
	t->pdpt[0] = t->pdpt[1] = addr_of(t->pd) | PTE_P;
	t->pdpt[3] = addr_of(t->pd_a) | PTE_P;
	for (i = 0; i < 16; i++)
		t->pd[i] = i * 2 * MIB | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS;
	for (i = 0; i < 8; i++)
		((u32 *)t->pdpt)[(ALIAS >> 22) + i] = (u32)(i << 22 | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
}

void pae_guest(struct vm *vm, const struct pae_tables *t, u64 flags, const void *code)
{
	u64 stack = addr_of(page_alloc());
	u32 i;

	vm_create(vm, VM_PAE, flags, code);
	vmwrite(F_GUEST_CR3, addr_of(t->pdpt));
	vmset(F_GUEST_CR4, CR4_PSE);
	vmwrite(F_GUEST_RSP, stack + 2048);
	if (caps_proc2(PROC2_EPT))
		for (i = 0; i < 4; i++)
			vmwrite(F_GUEST_PDPTE0 + 2 * i, t->pdpt[i]);
}

static const char *which(const struct pae_tables *t, u64 pdpte)
{
	return pdpte == (addr_of(t->pd_a) | PTE_P)   ? "A"
	       : pdpte == (addr_of(t->pd_b) | PTE_P) ? "B"
						     : "other";
}

#define ROUTE(name, prepare, instruction)                                                                    \
	GUEST_CODE(name, 32, prepare "; vmcall; " instruction "; nop; movl 0xc0000000, %ecx; vmcall")

ROUTE(r_cr3, "mov %cr3, %eax", "mov %eax, %cr3");
ROUTE(r_cd, "mov %cr0, %eax; xor $0x40000000, %eax", "mov %eax, %cr0");
ROUTE(r_nw, "mov %cr0, %eax; or $0x40000000, %eax; mov %eax, %cr0; xor $0x20000000, %eax", "mov %eax, %cr0");
ROUTE(r_pg, "mov %cr0, %eax; mov %eax, %edx; and $0x7fffffff, %edx; mov %edx, %cr0", "mov %eax, %cr0");
ROUTE(r_pae, "mov %cr4, %eax; or $0x20, %eax", "mov %eax, %cr4");
ROUTE(r_pge, "mov %cr4, %eax; xor $0x80, %eax", "mov %eax, %cr4");
ROUTE(r_pse, "mov %cr4, %eax; xor $0x10, %eax", "mov %eax, %cr4");
ROUTE(r_smep, "mov %cr4, %eax; xor $0x100000, %eax", "mov %eax, %cr4");
ROUTE(r_nxe, "mov $0xc0000080, %ecx; rdmsr; xor $0x800, %eax", "wrmsr");
ROUTE(r_tsd, "mov %cr4, %eax; xor $4, %eax", "mov %eax, %cr4");
ROUTE(r_wp, "mov %cr0, %eax; xor $0x10000, %eax", "mov %eax, %cr0");
ROUTE(r_ts, "mov %cr0, %eax; xor $8, %eax", "mov %eax, %cr0");
ROUTE(r_clts, "nop", "clts");
ROUTE(r_lmsw, "smsw %eax", "lmsw %ax");
ROUTE(r_invlpg, "nop", "invlpg 0xc0000000");

static const struct route {
	const char *name;
	const u8 *code;
	bool loads;
} routes[] = {
	{ "cr3", r_cr3, true },	   { "cd", r_cd, true },	  { "nw", r_nw, true },
	{ "pg", r_pg, true },	   { "pae", r_pae, true },	  { "pge", r_pge, true },
	{ "pse", r_pse, true },	   { "smep", r_smep, true },	  { "tsd", r_tsd, false },
	{ "wp", r_wp, false },	   { "ts", r_ts, false },	  { "clts", r_clts, false },
	{ "lmsw", r_lmsw, false }, { "invlpg", r_invlpg, false }, { "nxe", r_nxe, false },
};

void pae_use_alias(struct vm *vm)
{
	vm->regs.rsp += ALIAS;
	vmwrite(F_GUEST_RIP, vmread(F_GUEST_RIP) + ALIAS);
	vmwrite(F_GUEST_RSP, vmread(F_GUEST_RSP) + ALIAS);
}

/* Runs the route's preparation up to the instruction that may load; false where this processor cannot. */
static bool start_route(struct vm *vm, struct pae_tables *t, const struct route *r, u64 flags)
{
	if (r->code == r_smep && !(cpuid(0, 0).eax >= 7 && cpuid(7, 0).ebx & BIT(7)))
		return false;
	if (r->code == r_pg && (!caps_proc2(PROC2_UNRESTRICTED) || !(flags & VM_EPT)))
		return false;
	pae_make(t);
	pae_guest(vm, t, flags, r->code);
	vm_use_msr_bitmap(vm);
	if (r->code == r_pae) {
		vmunset(F_GUEST_CR4, CR4_PAE);
		pae_use_alias(vm);
	}
	if (r->code == r_pg) {
		vmset(F_PROC, PROC_SECONDARY);
		vmset(F_PROC2, PROC2_UNRESTRICTED);
	}
	CHECK(vm_run(vm) == REASON_VMCALL);
	vm_skip(vm);
	return true;
}

const char *const intervener_names[INTERVENERS] = { "nothing",	  "mtf",       "tf", "sti_window",
						    "nmi_window", "interrupt", "nmi" };

bool intervener_set(struct vm *vm, enum intervener what)
{
	switch (what) {
	case MTF:
		if (!caps_proc(PROC_MTF))
			return false;
		vmset(F_PROC, PROC_MTF);
		break;
	case TRAP_FLAG:
		vmset(F_GUEST_RFLAGS, RFLAGS_TF);
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
		break;
	case STI_WINDOW:
		vmset(F_PROC, PROC_INTR_WINDOW);
		vmset(F_GUEST_RFLAGS, RFLAGS_IF);
		vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_STI);
		break;
	case NMI_WINDOW:
		if (!caps_pin(PIN_NMI | PIN_VNMI) || !caps_proc(PROC_NMI_WINDOW))
			return false;
		vmset(F_PIN, PIN_NMI | PIN_VNMI);
		vmset(F_PROC, PROC_NMI_WINDOW);
		vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
		break;
	case INTERRUPT:
		vmset(F_PIN, PIN_EXTINT);
		vmset(F_GUEST_RFLAGS, RFLAGS_IF);
		vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_STI);
		apic_self(IRQ);
		delay(100);
		break;
	case NMI:
		if (!caps_pin(PIN_NMI | PIN_VNMI))
			return false;
		nmi_block_and_hold();
		vm_current(vm);
		vmset(F_PIN, PIN_NMI | PIN_VNMI);
		vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
		break;
	default: break;
	}
	return true;
}

void intervener_clear(enum intervener what)
{
	if (what == NMI)
		nmi_unblock();
	vmunset(F_PROC, PROC_MTF | PROC_INTR_WINDOW | PROC_NMI_WINDOW);
	vmunset(F_PIN, PIN_EXTINT | PIN_NMI | PIN_VNMI | PIN_TIMER);
	vmunset(F_GUEST_RFLAGS, RFLAGS_TF);
	vmwrite(F_EXCEPTION_BITMAP, 0);
	vmwrite(F_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(F_GUEST_PENDING_DEBUG, 0);
	cpu_sti();
	delay(50);
	cpu_cli();
}

/*
 * 1. L2 loads new PDPTEs by each route; the exit after that instruction already shows them in the VMCS, and
 * L2, resumed without a touch of L1's, reads through them. What must not load does not.
 */
static void pdpte_routes(u64 flags)
{
	u32 i;
	enum intervener what;

	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct route *r = &routes[i];

		for (what = 0; what < INTERVENERS; what++) {
			struct pae_tables t;
			struct vm vm;
			u32 reason;
			const char *seen;

			if (!start_route(&vm, &t, r, flags))
				break;
			t.pdpt[3] = addr_of(t.pd_b) | PTE_P;
			if (!intervener_set(&vm, what))
				continue;
			reason = vm_run(&vm);
			seen = flags & VM_EPT ? which(&t, vmread(F_GUEST_PDPTE3)) : "-";
			print("RESULT %s %s %s exit=%u pc=%lx pdpte3=%s", test_name(), r->name,
			      intervener_names[what], reason, vm_pc(&vm), seen);
			if (flags & VM_EPT)
				CHECK(seen[0] == (r->loads ? 'B' : 'A'));
			if (what != NOTHING) {
				intervener_clear(what);
				reason = vm_run(&vm);
			}
			print(" then=%u read=%x\n", reason, (u32)vm.regs.rcx);
			/* without EPT each VM entry loads them */
			CHECK(reason == REASON_VMCALL &&
			      (u32)vm.regs.rcx == (r->loads || !(flags & VM_EPT) ? MARK_B : MARK_A));
		}
	}
}

TEST_VMX(pdpte_update_ept)
{
	NEED(caps_proc2(PROC2_EPT));
	pdpte_routes(VM_EPT);
}

TEST_VMX(pdpte_update_no_ept)
{
	pdpte_routes(0);
}

/*
 * 1 and 5 at once: L0's wish for page faults changes, in vmcs01 too, while what L2 has loaded by an exit that
 * L0 handles is still on its way to vmcs02.
 */
static void pdpte_routes_under_wishes(u64 flags)
{
	static const struct triple none = { 0, 0, 0 }, all = { 1, 0, 0 };

	l0_wish(&none, false);
	l0_wish(&all, true);
	pdpte_routes(flags);
	l0_wish(&none, false);
}

TEST_VMX(pdpte_update_wish_ept)
{
	NEED(caps_proc2(PROC2_EPT));
	pdpte_routes_under_wishes(VM_EPT);
}

TEST_VMX(pdpte_update_wish_no_ept)
{
	pdpte_routes_under_wishes(0);
}

/* The preemption timer at any instruction: the VMCS has what the instructions before it loaded. */
TEST_VMX(pdpte_update_timer)
{
	u32 i, ticks;

	NEED(caps_proc2(PROC2_EPT) && caps_pin(PIN_TIMER));
	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		u32 wrong = 0;

		for (ticks = 0; ticks < 6; ticks++) {
			struct pae_tables t;
			struct vm vm;
			u64 at, mark = page_mark();
			u32 reason;

			if (!start_route(&vm, &t, &routes[i], VM_EPT))
				break;
			at = vm_pc(&vm);
			t.pdpt[3] = addr_of(t.pd_b) | PTE_P;
			vmset(F_PIN, PIN_TIMER);
			vmwrite(F_GUEST_TIMER, ticks);
			reason = vm_run(&vm);
			if (routes[i].code != r_pae && routes[i].code != r_pg &&
			    which(&t, vmread(F_GUEST_PDPTE3))[0] !=
				    (vm_pc(&vm) > at && routes[i].loads ? 'B' : 'A'))
				wrong++;
			if (reason == REASON_TIMER) {
				vmunset(F_PIN, PIN_TIMER);
				reason = vm_run(&vm);
			}
			if (reason != REASON_VMCALL ||
			    (u32)vm.regs.rcx != (routes[i].loads ? MARK_B : MARK_A))
				wrong++;
			page_release(mark);
		}
		result("%s wrong=%u", routes[i].name, wrong);
		CHECK(!wrong);
	}
}

/* A reserved bit: #GP(0), nothing changed. A missing or unreadable page of EPT: L1's violation, and then it
 * goes on. */
TEST_VMX(pdpte_bad)
{
	u32 i, k;

	NEED(caps_proc2(PROC2_EPT));
	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		struct pae_tables t;
		struct vm vm;
		u32 reason;

		if (!routes[i].loads || !start_route(&vm, &t, &routes[i], VM_EPT))
			continue;
		t.pdpt[3] = addr_of(t.pd_b) | PTE_P | PTE_W; /* reserved */
		t.pdpt[1] = PTE_W | BIT(62);		     /* not present: ignored */
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
		reason = vm_run(&vm);
		vm_report(&vm, reason, routes[i].name);
		result("%s pdpte3=%s pg=%u", routes[i].name, which(&t, vmread(F_GUEST_PDPTE3)),
		       !!(vmread(F_GUEST_CR0) & CR0_PG));
		t.pdpt[3] = addr_of(t.pd_b) | PTE_P;
		reason = vm_run(&vm);
		result("%s then=%u pdpte3=%s read=%x", routes[i].name, reason,
		       which(&t, vmread(F_GUEST_PDPTE3)), (u32)vm.regs.rcx);
		for (k = 0; k < 2; k++) {
			if (routes[i].code == r_pae)
				continue; /* the code itself needs that page */
			start_route(&vm, &t, &routes[i], VM_EPT);
			t.pdpt[3] = addr_of(t.pd_b) | PTE_P;
			ept_map(vm.ept, addr_of(t.pdpt), addr_of(t.pdpt), 1,
				k && caps.ept_vpid & EPT_CAP_EXEC_ONLY ? EPT_X | EPT_WB : 0);
			invept(1, vmread(F_EPTP));
			reason = vm_run(&vm);
			vm_report(&vm, reason, routes[i].name);
			ept_map(vm.ept, addr_of(t.pdpt), addr_of(t.pdpt), 1, EPT_RWX | EPT_WB);
			if (reason == REASON_EPT_VIOLATION)
				reason = vm_run(&vm);
			result("%s hole=%u then=%u pdpte3=%s read=%x", routes[i].name, k, reason,
			       which(&t, vmread(F_GUEST_PDPTE3)), (u32)vm.regs.rcx);
		}
	}
}
