/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants", the fourth: L2 goes from 32-bit paging to none, to PAE, to compatibility and
 * 64-bit mode, and back, and in each reaches one page of linear memory that every format maps elsewhere. It
 * does so by itself (with EPT and "unrestricted guest"), or L1 owns CR0.PG, CR4.PAE and EFER and does it for
 * it. SDM: "Initializing IA-32e Mode", "Guest/Host Masks and Read Shadows for CR0 and CR4", "Unrestricted
 * Guests".
 */
#include "tests/guest/invariants.h"

/* At `ebx`: CR3 for each format. ESI and EDI go on by 4 with each access, which leaves in EAX what it saw. */
#define SET_PG "mov %eax, %cr3; mov %cr0, %eax; bts $31, %eax; mov %eax, %cr0; "
#define CLEAR_PG "mov %cr0, %eax; btr $31, %eax; mov %eax, %cr0; "
#define SET_PAE "mov %cr4, %eax; bts $5, %eax; mov %eax, %cr4; "
#define CLEAR_PAE "mov %cr4, %eax; btr $5, %eax; mov %eax, %cr4; "
#define SET_LME "mov $0xc0000080, %ecx; rdmsr; bts $8, %eax; wrmsr; "
#define CLEAR_LME "mov $0xc0000080, %ecx; rdmsr; btr $8, %eax; wrmsr; "
#define TO_64 "ljmp $0x18, $1f; .code64; 1: bts $39, %rsi; bts $39, %rdi; "
#define TO_32 "btr $39, %rsi; btr $39, %rdi; pushq $8; lea 1f(%rip), %rax; push %rax; lretq; .code32; 1: "
#define KEEP "mov %eax, (%ebp); add $4, %ebp; "

/* 32-bit, unpaged, PAE, compatibility mode, 64-bit mode, and back. */
#define TRIP(name, access, compat)                                                                           \
	GUEST_CODE(name, 32,                                                                                 \
		   access KEEP CLEAR_PG access KEEP SET_PAE                                                  \
		   "mov 4(%ebx), %eax; " SET_PG access KEEP CLEAR_PG SET_LME                                 \
		   "mov 8(%ebx), %eax; " SET_PG compat KEEP TO_64 access KEEP TO_32 compat KEEP CLEAR_PG     \
			   access KEEP CLEAR_LME "mov 4(%ebx), %eax; " SET_PG access KEEP CLEAR_PG CLEAR_PAE \
		   "mov (%ebx), %eax; " SET_PG access KEEP "vmcall")

/* Bytes that mean the same in each mode. */
#define ON "; add $4, %esi; add $4, %edi; "
TRIP(g_load, ".byte 0x8b, 0x06" ON, ".byte 0x8b, 0x06" ON);
TRIP(g_store, "mov %ebp, %eax; .byte 0x89, 0x06" ON, "mov %ebp, %eax; .byte 0x89, 0x06" ON);
TRIP(g_fetch, "xor %eax, %eax; .byte 0xff, 0xd6; shl $8, %eax" ON,
     "xor %eax, %eax; .byte 0xff, 0xd6; shl $8, %eax" ON);
TRIP(g_outs, ".byte 0x6f; add $4, %edi; ", ".byte 0x6f; add $4, %edi; ");
TRIP(g_ins, ".byte 0x6d; add $4, %esi; ", ".byte 0x6d; add $4, %esi; ");
/* VMPTRLD, which compatibility mode does not have */
TRIP(g_vmptrld, ".byte 0x0f, 0xc7, 0x36" ON, ".byte 0x6f; add $4, %edi; ");

static const struct {
	const char *name;
	const u8 *code;
} trips[] = { { "load", g_load }, { "store", g_store }, { "fetch", g_fetch },
	      { "outs", g_outs }, { "ins", g_ins },	{ "vmptrld", g_vmptrld } };

/* The page that each stop of the way must reach: 32-bit, unpaged, PAE, compatibility, 64-bit above 4 GiB...
 */
enum page { UNPAGED, LEGACY, PAE, LONG, HIGH, PAGES };
static const char letters[PAGES] = { 'U', 'L', 'P', '6', 'H' };
static const u8 stops[] = { LEGACY, UNPAGED, PAE, LONG, HIGH, LONG, UNPAGED, PAE, LEGACY };
enum { STOPS = ARRAY_SIZE(stops) };

struct trip {
	struct vm vm;
	u32 cr3[3], seen[STOPS];  /* L2's data */
	u32 *pages[PAGES], *flat; /* `flat`: what L2 without paging has if L1 owns CR0.PG */
	struct paging own;	  /* then what L2 takes its registers for */
	bool ept, by_l1;
	u32 stop;
	u64 hash;
};

static void make_tables(struct trip *t)
{
	u32 *root = identity32(), i, k;
	u64 *pd = identity_wide(), *pd_pae = identity_wide(), *pdpt = page_alloc(), *pml4 = page_alloc(),
	    *pdpt64 = page_alloc(), *high = page_alloc_contig(3);
	u64 window;

	for (i = 0; i < PAGES; i++) {
		t->pages[i] = page_alloc();
		for (k = 0; k < STOPS; k++) /* a number for AL and RET, as code */
			t->pages[i][k] = 0x90c300b0 | (u32)letters[i] << 8;
	}
	window = addr_of(t->pages[UNPAGED]);
	((u32 *)ptr_of(root[window >> 22] & 0xfffff000))[window >> 12 & 1023] +=
		(u32)(addr_of(t->pages[LEGACY]) - window);
	*pte_wide(pd_pae, window) += addr_of(t->pages[PAE]) - window;
	*pte_wide(pd, window) += addr_of(t->pages[LONG]) - window;
	pdpt[0] = addr_of(pd_pae) | PTE_P;
	pdpt64[0] = addr_of(pd) | PTE_P | PTE_W | PTE_A;
	pml4[0] = addr_of(pdpt64) | PTE_P | PTE_W | PTE_A;
	pml4[1] = addr_of(high) | PTE_P | PTE_W | PTE_A;
	high[0] = addr_of(high + 512) | PTE_P | PTE_W | PTE_A;
	high[512 + (window >> 21)] = addr_of(high + 1024) | PTE_P | PTE_W | PTE_A;
	high[1024 + (window >> 12 & 511)] = addr_of(t->pages[HIGH]) | PTE_P | PTE_W | PTE_A | PTE_D;
	t->cr3[0] = (u32)addr_of(root);
	t->cr3[1] = (u32)addr_of(pdpt);
	t->cr3[2] = (u32)addr_of(pml4);
	t->flat = identity32();
}

/* L1 owns what decides the mode: the registers' real values for those that L2 believes in. */
static void apply(struct trip *t)
{
	const struct paging *own = &t->own;
	bool paging = own->cr0 & CR0_PG, long_mode = paging && own->efer & EFER_LME;
	const u64 *table = ptr_of(own->cr3 & 0xffffffe0);
	u32 i;

	vmwrite(F_GUEST_CR0, own->cr0 | CR0_PG);
	vmwrite(F_CR0_SHADOW, own->cr0);
	vmwrite(F_GUEST_CR3, paging ? own->cr3 : addr_of(t->flat));
	vmwrite(F_GUEST_CR4, paging ? own->cr4 : own->cr4 & ~CR4_PAE);
	vmwrite(F_CR4_SHADOW, own->cr4);
	vmwrite(F_GUEST_EFER, long_mode ? EFER_LME | EFER_LMA : 0);
	if (long_mode)
		vmset(F_ENTRY, ENTRY_IA32E);
	else
		vmunset(F_ENTRY, ENTRY_IA32E);
	for (i = 0; t->ept && paging && own->cr4 & CR4_PAE && !long_mode && i < 4; i++)
		vmwrite(F_GUEST_PDPTE0 + 2 * i, table[i]);
}

static void emulate_register(struct trip *t, u32 reason)
{
	struct vm *vm = &t->vm;
	u64 qualification = vmread(F_QUALIFICATION);

	if (reason == REASON_RDMSR) {
		vm->regs.rax = t->own.efer;
		vm->regs.rdx = 0;
	} else if (reason == REASON_WRMSR) {
		t->own.efer = (u32)vm->regs.rax;
	} else if (qualification == 0) {
		t->own.cr0 = (u32)vm->regs.rax;
	} else if (qualification == 3) {
		t->own.cr3 = (u32)vm->regs.rax;
	} else {
		CHECK(qualification == 4);
		t->own.cr4 = (u32)vm->regs.rax;
	}
	apply(t);
	vm_skip(vm);
}

/* OUTS, INS and VMPTRLD: EAX gets what L1 finds where the exit says that the operand is. */
static void emulate_access(struct trip *t, u32 reason)
{
	struct vm *vm = &t->vm;
	u64 linear = exit_operand(vm, reason), qualification = vmread(F_QUALIFICATION), pa;
	u64 start = addr_of(t->pages[UNPAGED]) + (t->stop < STOPS && stops[t->stop] == HIGH ? BIT(39) : 0);
	struct paging p;

	paging_of_l2(&p);
	CHECK(linear == start + 4 * t->stop);
	CHECK(l2_walk(&p, linear, 0, &pa) == WALK_OK);
	vm->regs.rax = *(u32 *)ptr_of(pa);
	if (reason == REASON_IO)
		*(qualification & BIT(3) ? &vm->regs.rdi : &vm->regs.rsi) += 4;
	t->hash = hash_add(t->hash, qualification);
	if (reason != REASON_IO || caps.basic & BIT(54))
		t->hash = hash_add(t->hash, vmread(F_INSTRUCTION_INFO));
	t->hash = hash_add(t->hash, p.efer);
	t->hash = hash_add(t->hash, p.cr4);
	t->hash = hash_add(t->hash, p.cr0);
	t->hash = hash_add(t->hash, vmread(F_GUEST_CS_RIGHTS));
	t->hash = hash_add(t->hash, vmread(F_ENTRY));
	t->stop++;
	vm_skip(vm);
}

static void go(struct trip *t, u32 which)
{
	struct vm *vm = &t->vm;
	u32 reason;

	vmwrite(F_GUEST_RIP, addr_of(trips[which].code));
	vmwrite(F_GUEST_RSP, vm->stack);
	vm->regs = (struct gprs){ .rsp = addr_of(trips[which].code),
				  .rbx = addr_of(t->cr3),
				  .rbp = addr_of(t->seen),
				  .rsi = addr_of(t->pages[UNPAGED]),
				  .rdi = addr_of(t->pages[UNPAGED]) };
	memset(t->seen, 0, sizeof(t->seen));
	t->stop = 0;
	for (;;) {
		reason = vm_run(vm);
		if (reason == REASON_CR || reason == REASON_RDMSR || reason == REASON_WRMSR)
			emulate_register(t, reason);
		else if (reason == REASON_IO || reason == 21)
			emulate_access(t, reason);
		else
			break;
	}
	if (reason != REASON_VMCALL || vm_vector(vm) < 256)
		vm_report(vm, reason, trips[which].name);
	CHECK(reason == REASON_VMCALL && vm_vector(vm) == 256);
}

/* The letter of the page that a stop has reached. */
static char reached(struct trip *t, u32 stop, bool store)
{
	char letter = (char)(t->seen[stop] >> 8);
	u32 i;

	for (i = 0; store && i < PAGES; i++) {
		u32 was = 0x90c300b0 | (u32)letters[i] << 8;

		if (t->pages[i][stop] != was)
			letter = letters[i];
		t->pages[i][stop] = was;
	}
	return letter;
}

static void both_ways(struct trip *t, u32 which)
{
	char text[2][STOPS + 1] = { { 0 } };
	u32 round, i;

	t->hash = 0;
	for (round = 0; round < 2; round++) {
		go(t, which);
		for (i = 0; i < STOPS; i++) {
			text[round][i] = reached(t, i, trips[which].code == g_store);
			CHECK(text[round][i] == letters[stops[i]]);
		}
	}
	result("ept=%u by=%s %s %s %s hash=%lx", t->ept, t->by_l1 ? "l1" : "l2", trips[which].name, text[0],
	       text[1], t->hash);
}

TEST_VMX(l2_trip)
{
	static struct trip t;
	u32 ept, by_l1, i;

	NEED(caps_entry(ENTRY_LOAD_EFER) && caps_exit(EXIT_SAVE_EFER));
	make_tables(&t);
	for (ept = 0; ept <= caps_proc2(PROC2_EPT); ept++) {
		for (by_l1 = 0; by_l1 < 2; by_l1++) {
			if (!by_l1 && (!ept || !caps_proc2(PROC2_UNRESTRICTED)))
				continue;
			t.ept = ept;
			t.by_l1 = by_l1;
			vm_create(&t.vm, VM_32, ept ? VM_EPT : 0, g_load);
			vmset(F_PROC, PROC_IO);
			vmwrite(F_GUEST_CR3, t.cr3[0]);
			t.own = (struct paging){
				vmread(F_GUEST_CR0), t.cr3[0], vmread(F_GUEST_CR4), 0, { 0 }
			};
			if (by_l1) {
				vmset(F_PROC, PROC_CR3_LOAD | PROC_CR3_STORE);
				vmwrite(F_CR0_MASK, CR0_PG);
				vmwrite(F_CR4_MASK, CR4_PAE);
				apply(&t);
			} else {
				vmset(F_PROC, PROC_SECONDARY);
				vmset(F_PROC2, PROC2_UNRESTRICTED);
				vm_use_msr_bitmap(&t.vm);
			}
			for (i = 0; i < ARRAY_SIZE(trips); i++)
				both_ways(&t, i);
		}
	}
}
