/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants", the others than the first: what PDPTEs mean, CR3 in an entry to HLT, the paging
 * role, #PF.
 */
#include "tests/guest/invariants.h"

GUEST_CODE(i_vmcall, 64, "vmcall");
GUEST_CODE(i_vmcall16, 16, "vmcall");
GUEST_CODE(i_read_mark, 32, "movl 0xc0000000, %ecx; vmcall");

/* 2. The PDPTE fields are read with EPT and PAE only; other guests neither fail by them nor spoil them. */
TEST_VMX(pdpte_meaning)
{
	static const enum vm_mode modes[] = { VM_64, VM_COMPAT, VM_32, VM_PROTECTED, VM_REAL, VM_V86 };
	struct pae_tables t;
	struct vm vm;
	u32 i, k, ept;

	NEED(caps_proc2(PROC2_EPT));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		for (ept = 0; ept < 2; ept++) {
			u32 reason;

			if (!vm_mode_possible(modes[i]))
				continue;
			vm_create(&vm, modes[i], ept ? VM_EPT : 0,
				  modes[i] >= VM_REAL ? i_vmcall16 : i_vmcall);
			for (k = 0; k < 4; k++)
				vmwrite(F_GUEST_PDPTE0 + 2 * k, 0xfff0000000000fffull + k);
			reason = vm_run(&vm);
			result("%s ept=%u exit=%u kept=%u", vm_mode_names[modes[i]], ept, reason,
			       vmread(F_GUEST_PDPTE0) == 0xfff0000000000fffull &&
				       vmread(F_GUEST_PDPTE3) == 0xfff0000000001002ull);
			CHECK(reason == REASON_VMCALL);
		}
	}
	/* with EPT the fields decide, whatever memory says */
	pae_make(&t);
	pae_guest(&vm, &t, VM_EPT, i_read_mark);
	vmwrite(F_GUEST_PDPTE3, addr_of(t.pd_b) | PTE_P);
	vm_report(&vm, vm_run(&vm), "fields_win");
	result("read=%x", (u32)vm.regs.rcx);
	CHECK((u32)vm.regs.rcx == MARK_B);
	for (k = 0; k < 4; k++) {
		static const u64 bad[] = { PTE_P | PTE_W, PTE_P | BIT(8), PTE_P | BIT(63), PTE_P | BIT(51) };

		pae_guest(&vm, &t, VM_EPT, i_read_mark);
		vmwrite(F_GUEST_PDPTE2, bad[k]);
		vm_report(&vm, vm_run(&vm), "field_reserved");
		vmwrite(F_GUEST_PDPTE2, bad[k] & ~PTE_P);
		vm_report(&vm, vm_run(&vm), "field_not_present");
	}
	/* without EPT memory decides, whatever the fields say */
	pae_guest(&vm, &t, 0, i_read_mark);
	for (k = 0; k < 4; k++)
		vmwrite(F_GUEST_PDPTE0 + 2 * k, 0xfff0000000000fffull);
	vm_report(&vm, vm_run(&vm), "memory_wins");
	result("read=%x", (u32)vm.regs.rcx);
	CHECK((u32)vm.regs.rcx == MARK_A);
	t.pdpt[2] = PTE_P | PTE_W;
	pae_guest(&vm, &t, 0, i_read_mark);
	vm_report(&vm, vm_run(&vm), "memory_reserved");
	CHECK(vmread(F_QUALIFICATION) == 2);
	t.pdpt[2] = PTE_W | BIT(63);
	vm_report(&vm, vm_run(&vm), "memory_not_present");
	t.pdpt[2] = 0;
	/* CR3's low five bits and the table in the middle of a page */
	pae_guest(&vm, &t, 0, i_read_mark);
	memcpy((u8 *)t.pdpt + 0x7e0, t.pdpt, 32);
	vmwrite(F_GUEST_CR3, (addr_of(t.pdpt) + 0x7e0) | 0x1f);
	vm_report(&vm, vm_run(&vm), "cr3_offset");
	result("read=%x cr3=%lx", (u32)vm.regs.rcx, vmread(F_GUEST_CR3) & 0xfff);
}

GUEST_CODE(i_toggle, 32,
	   "mov $200, %edi; 1: mov %cr4, %eax; xor $0x20, %eax; mov %eax, %cr4; movl (%esi), %ebx; "
	   "mov %eax, %ebp; and $0x20, %ebp; jz 2f; movl 0xc0000000, %ecx; 2: dec %edi; jnz 1b; vmcall");

/* 4. L2 switches CR4.PAE with paging on, with tables that are valid in both formats. */
TEST_VMX(paging_role)
{
	u32 ept;

	for (ept = 0; ept < 2; ept++) {
		struct pae_tables t;
		struct vm vm;
		u32 reason;

		if (ept && !caps_proc2(PROC2_EPT))
			continue;
		pae_make(&t);
		pae_guest(&vm, &t, ept ? VM_EPT : 0, i_toggle);
		pae_use_alias(&vm);
		vm.regs.rsi = (addr_of(i_vmcall) & ~7ull) + ALIAS;
		reason = vm_run(&vm);
		result("ept=%u exit=%u mark=%x same=%u left=%lu", ept, reason, (u32)vm.regs.rcx,
		       (u32)vm.regs.rbx == *(u32 *)ptr_of(addr_of(i_vmcall) & ~7ull), vm.regs.rdi);
		CHECK(reason == REASON_VMCALL && (u32)vm.regs.rcx == MARK_A);
		/* the same in single steps by L1, each exit with the paging that it was in */
		if (!caps_proc(PROC_MTF))
			continue;
		pae_guest(&vm, &t, ept ? VM_EPT : 0, i_toggle);
		pae_use_alias(&vm);
		vm.regs.rsi = (addr_of(i_vmcall) & ~7ull) + ALIAS;
		vmset(F_PROC, PROC_MTF);
		{
			u64 hash = 0;
			u32 steps;

			for (steps = 0; steps < 100; steps++) {
				if (vm_run(&vm) != REASON_MTF)
					break;
				hash = hash_add(hash, vmread(F_GUEST_CR4));
				hash = hash_add(hash, vm_pc(&vm));
			}
			result("ept=%u steps=%u hash=%lx", ept, steps, hash);
		}
	}
}

GUEST_CODE(i_pae_on, 32,
	   "1: vmcall; dec %edi; jnz 1b; mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4; vmcall; "
	   "movl 0xc0000000, %ecx; vmcall");

/*
 * L2 without EPT turns CR4.PAE on by itself, between entries for which L1 changes RIP only: from then on each
 * of them loads the PDPTEs, with what L1 has made of them since.
 */
TEST_VMX(pae_since_the_entry)
{
	struct pae_tables t;
	struct vm vm;
	u32 reason, exits = 0;

	pae_make(&t);
	pae_guest(&vm, &t, 0, i_pae_on);
	pae_use_alias(&vm);
	vmwrite(F_GUEST_CR4, vmread(F_GUEST_CR4) & ~CR4_PAE);
	vm.regs.rdi = 4;
	while ((reason = vm_run(&vm)) == REASON_VMCALL && !(vmread(F_GUEST_CR4) & CR4_PAE) && exits++ < 10)
		vm_skip(&vm);
	t.pdpt[3] = addr_of(t.pd_b) | PTE_P;
	vm_skip(&vm);
	reason = vm_run(&vm);
	result("exits=%u then=%u read=%x", exits, reason, (u32)vm.regs.rcx);
	CHECK(exits == 4 && reason == REASON_VMCALL && (u32)vm.regs.rcx == MARK_B);
	/* a reserved bit: the entry fails, which is no exit of L2's */
	t.pdpt[3] = addr_of(t.pd_b) | PTE_P | PTE_W;
	vm_skip(&vm);
	vm_report(&vm, vm_run(&vm), "reserved");
	CHECK(vmread(F_QUALIFICATION) == 2);
}

#define TOGGLE(access)                                                                                       \
	"mov %cr4, %eax; xor $0x20, %eax; mov %eax, %cr4; " access "; mov %eax, (%ebp); add $4, %ebp; "
#define TOGGLES(name, access)                                                                                \
	GUEST_CODE(name, 32, TOGGLE(access) TOGGLE(access) TOGGLE(access) TOGGLE(access) "vmcall")

TOGGLES(i_load, "mov (%esi), %eax");
TOGGLES(i_store, "mov %ebp, (%esi)");
TOGGLES(i_outs, "outsl");
TOGGLES(i_ins, "insl");
TOGGLES(i_vmptrld, "vmptrld (%esi)");

static const struct {
	const char *name;
	const u8 *code;
} toggles[] = { { "load", i_load },
		{ "store", i_store },
		{ "outs", i_outs },
		{ "ins", i_ins },
		{ "vmptrld", i_vmptrld } };

/* L1 owns CR4.PAE and does what the processor would, or reaches an operand for L2: into EAX. */
static void emulate_toggle(struct vm *vm, const struct pae_tables *t, u32 reason, bool ept)
{
	struct paging p;
	u64 pa;
	u32 i;

	if (reason == REASON_CR) {
		CHECK(vmread(F_QUALIFICATION) == 4);
		vmwrite(F_GUEST_CR4, vm->regs.rax);
		vmwrite(F_CR4_SHADOW, vm->regs.rax);
		for (i = 0; ept && vm->regs.rax & CR4_PAE && i < 4; i++)
			vmwrite(F_GUEST_PDPTE0 + 2 * i, t->pdpt[i]);
	} else {
		paging_of_l2(&p);
		CHECK(exit_operand(vm, reason) == 0xc0000000);
		CHECK(l2_walk(&p, 0xc0000000, 0, &pa) == WALK_OK);
		vm->regs.rax = *(u32 *)ptr_of(pa);
	}
	vm_skip(vm);
}

static void toggle_and_access(u32 which, bool ept, bool by_l1)
{
	static u32 seen[4];
	u32 *page = page_alloc(), *table = page_alloc(), *page_pae, reason, i;
	bool store = toggles[which].code == i_store, good = true;
	struct pae_tables t;
	struct vm vm;

	pae_make(&t);
	page_pae = ptr_of(*(u64 *)ptr_of(t.pd_a[0] & PTE_ADDR) & PTE_ADDR);
	*page = MARK_B;
	table[0] = (u32)(addr_of(page) | PTE_P | PTE_W | PTE_A | PTE_D);
	((u32 *)t.pdpt)[0xc0000000 >> 22] = (u32)(addr_of(table) | PTE_P | PTE_W | PTE_A);
	pae_guest(&vm, &t, ept ? VM_EPT : 0, toggles[which].code);
	pae_use_alias(&vm);
	if (ept) /* until the first switch back loads it */
		vmwrite(F_GUEST_PDPTE3, 0);
	vmset(F_PROC, PROC_IO);
	vmwrite(F_CR4_MASK, by_l1 ? CR4_PAE : 0);
	vmwrite(F_CR4_SHADOW, CR4_PAE);
	vm.regs.rsi = vm.regs.rdi = 0xc0000000;
	vm.regs.rbp = addr_of(seen) + ALIAS;
	for (;;) {
		reason = vm_run(&vm);
		if (reason != REASON_CR && reason != REASON_IO && reason != 21)
			break;
		emulate_toggle(&vm, &t, reason, ept);
	}
	CHECK(reason == REASON_VMCALL);
	for (i = 0; i < 4; i++) /* a store leaves where it was made from */
		good = good && (store || seen[i] == (i & 1 ? MARK_A : MARK_B));
	if (store)
		good = *page_pae == addr_of(&seen[3]) + ALIAS && *page == addr_of(&seen[2]) + ALIAS;
	result("%s ept=%u by=%s exit=%u pae=%u right=%u", toggles[which].name, ept, by_l1 ? "l1" : "l2",
	       reason, !!(vmread(F_GUEST_CR4) & CR4_PAE), good);
	CHECK(good);
}

/* The same switch and accesses of each kind; L1 may own the bit. */
TEST_VMX(l2_toggles_pae)
{
	u32 i, ept, by_l1;

	for (ept = 0; ept <= caps_proc2(PROC2_EPT); ept++)
		for (by_l1 = 0; by_l1 < 2; by_l1++)
			for (i = 0; i < ARRAY_SIZE(toggles); i++)
				toggle_and_access(i, ept, by_l1);
}
