/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ept": an L2 for which L1 has no EPT but shadows its page tables, in each paging mode, with
 * CR3-load, CR3-store, INVLPG and page-fault exiting; and with EPT an unrestricted L2 that turns paging on
 * and off.
 */
#include "tests/guest/ept.h"

#define SHADOW_VA 0xc0001000u /* for the modes of 32 bits */
#define VIRTUAL_CR3 0x1000000u

GUEST_CODE(none_32, 32,
	   "mov %ebx, %cr3; mov %cr3, %ecx; mov (%edi), %eax; invlpg (%edi); mov (%edi), %edx; movl $7, "
	   "(%edi); vmcall");
GUEST_CODE(none_64, 64,
	   "mov %rbx, %cr3; mov %cr3, %rcx; mov (%rdi), %rax; invlpg (%rdi); mov (%rdi), %rdx; movl $7, "
	   "(%rdi); vmcall");
GUEST_CODE(toggle_32, 32,
	   "mov %ebx, %cr3; mov %esi, %cr0; mov (%edi), %eax; mov %ebp, %cr0; mov (%edi), %edx; vmcall");

struct shadow {
	struct vm vm;
	u64 root[2], va, virtual_cr3;
	u64 pages[2][2]; /* of each root: before and after INVLPG */
	bool vpid;
};

/* Makes the 32-bit or 64-bit entry of `va` in tables with large pages, a new table behind the directory's
 * entry. */
static void set_pte(enum vm_mode mode, u64 root, u64 va, u64 pte)
{
	u64 *pdpt, *pde, table;
	u32 *pde32;

	if (mode == VM_64) {
		*paging_entry(root, va, 1) = pte;
		return;
	}
	if (mode == VM_32) {
		pde32 = (u32 *)ptr_of(root) + (va >> 22);
		if (*pde32 & PTE_PS)
			*pde32 = (u32)(addr_of(page_alloc()) | PTE_P | PTE_W | PTE_U);
		((u32 *)ptr_of(*pde32 & ~0xfffu))[va >> 12 & 1023] = (u32)pte;
		return;
	}
	pdpt = ptr_of(root);
	pde = (u64 *)ptr_of(pdpt[va >> 30] & PTE_ADDR) + (va >> 21 & 511);
	if (*pde & PTE_PS)
		*pde = addr_of(page_alloc()) | PTE_P | PTE_W | PTE_U;
	table = *pde & PTE_ADDR;
	((u64 *)ptr_of(table))[va >> 12 & 511] = pte;
}

static u64 new_root(enum vm_mode mode)
{
	return mode == VM_32 ? paging_create32() : mode == VM_PAE ? paging_create_pae() : paging_create64();
}

static void create_shadowed(struct shadow *s, enum vm_mode mode, bool vpid)
{
	u32 i, k;

	vm_create(&s->vm, mode, vpid ? VM_VPID : 0, mode == VM_64 ? none_64 : none_32);
	s->va = mode == VM_64 ? TEST_VA : SHADOW_VA;
	s->vpid = vpid;
	s->virtual_cr3 = 0;
	if (vpid)
		vmwrite(F_VPID, 11);
	for (i = 0; i < 2; i++) {
		s->root[i] = new_root(mode);
		set_pte(mode, s->root[i], s->va, 0);
		for (k = 0; k < 2; k++) {
			u64 *page = page_alloc();

			*page = 0x100 + i * 16 + k;
			s->pages[i][k] = addr_of(page);
		}
	}
	vmset(F_PROC, PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE);
	vmwrite(F_EXCEPTION_BITMAP, BIT(14));
}

/* L1's side of one exit. False: L2 is done. */
static bool emulate(struct shadow *s, u32 reason)
{
	enum vm_mode mode = s->vm.mode;
	u32 which = s->virtual_cr3 & 0x1000 ? 1 : 0;

	switch (reason) {
	case REASON_CR:
		print(" cr:%lx", vmread(F_QUALIFICATION));
		if (vmread(F_QUALIFICATION) >> 4 & 3) {
			s->vm.regs.rcx = s->virtual_cr3;
		} else {
			s->virtual_cr3 = s->vm.regs.rbx;
			vmwrite(F_GUEST_CR3, s->root[s->virtual_cr3 & 0x1000 ? 1 : 0]);
			if (s->vpid)
				CHECK(invvpid(1, 11, 0) == VMX_OK);
		}
		break;
	case REASON_EXCEPTION:
		print(" pf:%lx/%lx", vmread(F_EXIT_ERROR_CODE), vmread(F_QUALIFICATION) - s->va);
		/* Writable at the second fault. */
		set_pte(mode, s->root[which], s->va,
			s->pages[which][vmread(F_EXIT_ERROR_CODE) >> 1 & 1] | PTE_P | PTE_A | PTE_D |
				(vmread(F_EXIT_ERROR_CODE) & 2 ? PTE_W : 0));
		return true;
	case REASON_INVLPG:
		print(" invlpg:%lx", vmread(F_QUALIFICATION) - s->va);
		set_pte(mode, s->root[which], s->va, s->pages[which][1] | PTE_P | PTE_A | PTE_D);
		if (s->vpid)
			CHECK(invvpid(0, 11, s->va) == VMX_OK);
		break;
	default: return false;
	}
	vm_skip(&s->vm);
	return true;
}

static void shadow_paging(enum vm_mode mode, bool vpid)
{
	struct shadow s;
	u32 round, steps, i;
	u32 reason;

	create_shadowed(&s, mode, vpid);
	for (round = 0; round < 4; round++) {
		i = round & 1;
		/* The page is taken away again. */
		set_pte(mode, s.root[i], s.va, 0);
		if (vpid)
			CHECK(invvpid(2, 0, 0) == VMX_OK);
		vm_set_code(&s.vm, mode == VM_64 ? none_64 : none_32);
		s.vm.regs.rbx = VIRTUAL_CR3 + i * 0x1000u;
		s.vm.regs.rdi = s.va;
		s.vm.regs.rax = s.vm.regs.rcx = s.vm.regs.rdx = 0;
		print("RESULT %s %s vpid=%u round=%u", test_name(), vm_mode_names[mode], vpid, round);
		reason = vm_run(&s.vm);
		for (steps = 0; steps < 10 && emulate(&s, reason); steps++)
			reason = vm_run(&s.vm);
		print(" end:%u %lx %lx %lx memory=%lx,%lx\n", reason, s.vm.regs.rax, s.vm.regs.rcx,
		      s.vm.regs.rdx, *(u64 *)ptr_of(s.pages[i][0]), *(u64 *)ptr_of(s.pages[i][1]));
		*(u64 *)ptr_of(s.pages[i][1]) = 0x101 + i * 16;
	}
}

TEST_VMX(shadow_paging)
{
	static const enum vm_mode modes[] = { VM_32, VM_PAE, VM_64 };
	u32 i, vpid;

	for (i = 0; i < ARRAY_SIZE(modes); i++)
		for (vpid = 0; vpid <= (caps_proc2(PROC2_VPID) && caps.ept_vpid & BIT(40) ? 1 : 0); vpid++)
			shadow_paging(modes[i], vpid);
}

/* The same address with paging on and off; L1 takes the page table and the page away meanwhile. */
TEST_VMX(unrestricted_paging)
{
	u64 cr0, root, pages[2], *missing[4];
	struct vm vm;
	u32 ad, i, reason;

	NEED(caps_proc2(PROC2_EPT | PROC2_UNRESTRICTED));
	for (ad = 0; ad <= !!(caps.ept_vpid & EPT_CAP_AD); ad++) {
		vm_create(&vm, VM_PROTECTED, VM_EPT, toggle_32);
		vmset(F_PROC2, PROC2_UNRESTRICTED);
		if (ad)
			vmwrite(F_EPTP, vm.ept | EPTP_FLAGS | EPTP_AD);
		vmset(F_GUEST_CR4, CR4_PSE);
		root = paging_create32();
		for (i = 0; i < 2; i++) {
			u64 *page = page_alloc();

			*page = 0x200 + i;
			pages[i] = addr_of(page);
		}
		/* Linear pages[0] is pages[1] with paging, itself without. */
		for (i = 0; i < 1024; i++)
			set_pte(VM_32, root, (pages[0] & ~0x3fffffull) + i * PAGE_SIZE,
				((pages[0] & ~0x3fffffull) + i * PAGE_SIZE) | PTE_P | PTE_W | PTE_A | PTE_D);
		set_pte(VM_32, root, pages[0], pages[1] | PTE_P | PTE_W | PTE_A | PTE_D);
		missing[0] = ept_entry(vm.ept, root, 1);
		missing[1] = ept_entry(vm.ept, ((u32 *)ptr_of(root))[pages[0] >> 22] & ~0xfffu, 1);
		missing[2] = ept_entry(vm.ept, pages[1], 1);
		missing[3] = ept_entry(vm.ept, pages[0], 1);
		for (i = 0; i < ARRAY_SIZE(missing); i++)
			*missing[i] &= ~EPT_RWX;
		cr0 = vmread(F_GUEST_CR0);
		vm.regs.rbx = root;
		vm.regs.rdi = pages[0];
		vm.regs.rbp = cr0;
		vm.regs.rsi = cr0 | CR0_PG;
		print("RESULT %s ad=%u", test_name(), ad);
		for (i = 0; i < 8; i++) {
			u32 k;

			reason = vm_run(&vm);
			if (reason != REASON_EPT_VIOLATION)
				break;
			for (k = 0; k < ARRAY_SIZE(missing); k++)
				if (ept_entry(vm.ept, vmread(F_GUEST_PHYSICAL), 1) == missing[k])
					break;
			print(" %u:%lx", k, vmread(F_QUALIFICATION) & 0x1ff);
			if (k == ARRAY_SIZE(missing))
				break;
			*missing[k] |= EPT_RWX;
		}
		print(" end:%u %lx %lx\n", reason, vm.regs.rax, vm.regs.rdx);
	}
}
