/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants", the fifth: #PF exits iff (((error & mask) == match) == bit 14 of the exception
 * bitmap), for errors of all kinds and whatever L0 itself wants of page faults, also where L0 changes its
 * mind while L2 runs. SDM: "Exception Bitmap".
 */
#include "tests/guest/invariants.h"

GUEST_CODE(i_pf, 64,
	   "cmp $1, %edx; je 1f; ja 2f; mov (%rbx), %rax; vmcall; 1: mov %rax, (%rbx); vmcall; 2: jmp *%rbx");
/* An exit that L1 does not want and L0 handles, then on by IRET. */
GUEST_CODE(i_pf_later, 64, "mov %edx, %r8d; mov $0x3a, %ecx; rdmsr; mov %r8d, %edx; iretq");

struct pf_case {
	const char *name;
	u64 flags; /* of the page; 0: not present */
	u32 kind;  /* 0 read, 1 write, 2 fetch */
	bool user;
	u32 error;
};

#define PTE_KEY(n) ((u64)(n) << 59)

static const struct pf_case pf_cases[] = {
	{ "read", 0, 0, false, 0 },
	{ "write", 0, 1, false, 2 },
	{ "fetch", 0, 2, false, 0x10 },
	{ "write_ro", PTE_P, 1, false, 3 },
	{ "fetch_nx", PTE_P | PTE_XD, 2, false, 0x11 },
	{ "read_reserved", PTE_P | PTE_W | BIT(51), 0, false, 9 },
	{ "user_read", 0, 0, true, 4 },
	{ "user_write_super", PTE_P | PTE_W, 1, true, 7 },
	{ "user_read_super", PTE_P, 0, true, 5 },
	{ "user_write", 0, 1, true, 6 },
	{ "user_fetch", 0, 2, true, 0x14 },
	{ "key_read", PTE_P | PTE_W | PTE_U | PTE_KEY(1), 0, true, 0x25 },
	{ "key_write", PTE_P | PTE_W | PTE_U | PTE_KEY(2), 1, true, 0x27 },
};
enum { FIRST_KEY_CASE = 11, PKRU = 0x24 }; /* key 1: no access; key 2: no write */

static u64 stack;

static u64 case_address(u32 c)
{
	return TEST_VA + 0x40000 + c * PAGE_SIZE;
}

static bool has_keys(void)
{
	return cpuid(0, 0).eax >= 7 && cpuid(7, 0).ecx & BIT(3) && caps.cr4_fixed1 & CR4_PKE;
}

static void set_pkru(u32 v)
{
	asm volatile(".byte 0x0f, 0x01, 0xef" : : "a"(v), "c"(0), "d"(0) : "memory");
}

/* The pages, and protection keys where the processor has them; returns how many cases there are. */
static u32 pf_begin(void)
{
	u32 c;

	stack = addr_of(page_alloc());
	*paging_entry(cr3_read(), stack, 1) |= PTE_U;
	*paging_entry(cr3_read(), addr_of(i_pf), 1) |= PTE_U;
	cr3_write(cr3_read());
	for (c = 0; c < ARRAY_SIZE(pf_cases); c++)
		paging_map(case_address(c), pf_cases[c].flags ? stack : 0, pf_cases[c].flags);
	if (!has_keys())
		return FIRST_KEY_CASE;
	cr4_write(cr4_read() | CR4_PKE);
	set_pkru(PKRU);
	return ARRAY_SIZE(pf_cases);
}

static void pf_end(void)
{
	if (!has_keys())
		return;
	set_pkru(0);
	cr4_write(cr4_read() & ~CR4_PKE);
}

static void pf_vm(struct vm *vm, u64 flags)
{
	vm_create(vm, VM_64, flags, i_pf);
	vm_use_msr_bitmap(vm);
	if (has_keys())
		vmset(F_GUEST_CR4, CR4_PKE);
}

static void set_triple(const struct triple *t)
{
	vmwrite(F_EXCEPTION_BITMAP, (u64)t->eb << 14);
	vmwrite(F_PFEC_MASK, t->mask);
	vmwrite(F_PFEC_MATCH, t->match);
}

static void start_at(const struct pf_case *p, bool later)
{
	u64 *frame = ptr_of(stack + 2048 - 40);
	bool user = p->user && !later;

	vmwrite(F_GUEST_RIP, addr_of(later ? i_pf_later : i_pf));
	vmwrite(F_GUEST_RSP, later ? stack + 2048 - 40 : stack + 2048);
	vmwrite(F_GUEST_CS, user ? SEL_USER64 : SEL_CODE64);
	vmwrite(F_GUEST_CS_RIGHTS, user ? 0xa0fb : 0xa09b);
	vmwrite(F_GUEST_SS, user ? SEL_USER_DATA : SEL_DATA);
	vmwrite(F_GUEST_SS_RIGHTS, user ? 0xc0f3 : 0xc093);
	vmwrite(F_GUEST_SS_LIMIT, 0xffffffff);
	vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED);
	frame[0] = addr_of(i_pf);
	frame[1] = p->user ? SEL_USER64 : SEL_CODE64;
	frame[2] = RFLAGS_FIXED;
	frame[3] = stack + 2048;
	frame[4] = p->user ? SEL_USER_DATA : SEL_DATA;
}

/* One page fault of L2's: true if it exited. What L1 or L2's handler must find is checked. */
static bool pf_one(struct vm *vm, u32 c, const struct triple *t, bool later)
{
	const struct pf_case *p = &pf_cases[c];
	u64 va = case_address(c) + 8;
	bool exit, want = ((p->error & t->mask) == t->match) == t->eb;
	u32 reason;

	start_at(p, later);
	vm->regs.rbx = va;
	vm->regs.rdx = p->kind;
	cr2_write(0);
	reason = vm_run(vm);
	exit = reason == REASON_EXCEPTION;
	if (exit == want &&
	    (exit ? vmread(F_QUALIFICATION) == va && vmread(F_EXIT_ERROR_CODE) == p->error && !cr2_read()
		  : vm_vector(vm) == VEC_PF && cr2_read() == va && vm_stack(vm, 0) == p->error))
		return exit;
	print("FAIL %s %s bit=%u mask=%x match=%x exit=%u qual=%lx cr2=%lx\n", test_name(), p->name, t->eb,
	      t->mask, t->match, reason, vmread(F_QUALIFICATION), cr2_read());
	test_failed();
	return exit;
}

/* L1's own faults are L1's, in the middle of all this. */
static void own_fault(void)
{
	struct fault f;

	guard_call(&f, (u64(*)(u64, u64, u64))(void *)memcpy, case_address(0) + 8, stack, 8);
	CHECK(f.vector == VEC_PF && f.cr2 == case_address(0) + 8 && f.error == 2);
}

TEST_VMX(page_fault_value)
{
	static const u32 masks[] = { 0, 1, 2, 4, 0x10, 3, 0x1f, 0x20, 0xffffffff };
	static const u32 matches[] = { 0, 1, 2, 4, 0x10, 3, 7, 0x11, 9, 0x20, 0x25 };
	u32 c, m, x, ept, cases = pf_begin();
	struct vm vm;

	for (ept = 0; ept < 2; ept++) {
		u64 total = 0;

		if (ept && !caps_proc2(PROC2_EPT))
			continue;
		pf_vm(&vm, ept ? VM_EPT : 0);
		for (m = 0; m < ARRAY_SIZE(masks); m++) {
			for (x = 0; x < ARRAY_SIZE(matches); x++) {
				struct triple t = { 0, masks[m], matches[x] };
				u64 exits = 0;

				for (t.eb = 0; t.eb < 2; t.eb++) {
					set_triple(&t);
					for (c = 0; c < cases; c++) {
						exits |= (u64)pf_one(&vm, c, &t, false) << (t.eb * 16 + c);
						total++;
					}
					own_fault();
				}
				result("ept=%u mask=%x match=%x exits=%lx", ept, masks[m], matches[x], exits);
			}
		}
		result("ept=%u faults=%lu", ept, total);
	}
	pf_end();
}

void l0_wish(const struct triple *t, bool by_turns)
{
	u32 eax = 0x50434c53;

	if (under_socle())
		asm volatile("vmcall"
			     : "+a"(eax)
			     : "b"(4), "c"(t->eb | (by_turns ? 2u : 0)), "S"(t->mask), "D"(t->match)
			     : "memory", "cc");
}

/* L0 wants none, the same, others or all, and changes from one to the next; L1 and L2 do not notice. */
TEST_VMX(page_fault_wish)
{
	static const struct triple none = { 0, 0, 0 };
	static const struct triple triples[] = {
		{ 0, 0, 0 }, { 1, 0, 0 }, { 1, 2, 2 }, { 0, 2, 2 }, { 1, 4, 0 }, { 1, 0, 1 }, { 0, 0x15, 5 },
	};
	static const struct triple wishes[] = {
		{ 0, 0, 0 }, { 1, 0, 0 }, { 1, 2, 2 }, { 0, 2, 2 }, { 0, 4, 4 }, { 1, 1, 1 },
	};
	u32 i, k, how, c, ept, cases = pf_begin();
	struct vm vm;

	for (ept = 0; ept < 2; ept++) {
		if (ept && !caps_proc2(PROC2_EPT))
			continue;
		pf_vm(&vm, ept ? VM_EPT : 0);
		for (i = 0; i < ARRAY_SIZE(triples); i++) {
			const struct triple *t = &triples[i];
			u64 hash = 0;

			set_triple(t);
			for (k = 0; k < ARRAY_SIZE(wishes); k++) {
				for (how = 0; how < 3; how++) {
					/* at once; by turns, in L2; and by turns with "all" */
					l0_wish(how == 2 ? &wishes[1] : &none, false);
					l0_wish(&wishes[k], how != 0);
					for (c = 0; c < cases; c++)
						hash = hash_add(hash, pf_one(&vm, c, t, how != 0));
					own_fault();
				}
			}
			result("ept=%u bit=%u mask=%x match=%x hash=%lx", ept, t->eb, t->mask, t->match,
			       hash);
		}
	}
	l0_wish(&none, false);
	pf_end();
}
