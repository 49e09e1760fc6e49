/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzentry": a valid guest in each mode from which cases start. It can reach only its own few
 * pages, through its own page tables and through EPT, so that whatever state it is entered in, it comes back.
 */
#include "tests/guest/fuzz.h"

/* Code of L2: nothing but VMCALLs; real mode and v86 have a copy. */
GUEST_CODE(f_code, 64, ".balign 4096; .rept 1365; vmcall; .endr; hlt; .balign 4096");

static bool ept_tables[MIB / PAGE_SIZE];

bool fuzz_is_ept_table(u64 address)
{
	return address >= fuzz_pool && address < fuzz_pool + MIB &&
	       ept_tables[(address - fuzz_pool) / PAGE_SIZE];
}

static void note_ept_tables(u64 table, int level)
{
	const u64 *entries = ptr_of(table);
	u32 i;

	/* what lies beyond no value of a case names */
	if (table >= fuzz_pool && table < fuzz_pool + MIB)
		ept_tables[(table - fuzz_pool) / PAGE_SIZE] = true;
	for (i = 0; level > 1 && i < 512; i++)
		if ((entries[i] & EPT_RWX) && !(entries[i] & EPT_PS))
			note_ept_tables(entries[i] & PTE_ADDR, level - 1);
}

static void map32(u64 root, u64 va)
{
	u32 *pd = ptr_of(root);
	u32 *pt;

	if (!(pd[va >> 22] & PTE_P))
		pd[va >> 22] = (u32)(addr_of(page_alloc()) | PTE_P | PTE_W | PTE_U | PTE_A);
	pt = ptr_of(pd[va >> 22] & 0xfffff000);
	pt[va >> 12 & 1023] = (u32)(va | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
}

static void map_pae(u64 root, u64 va)
{
	u64 *pdpt = ptr_of(root);
	u64 *pd, *pt;

	if (!(pdpt[va >> 30] & PTE_P))
		pdpt[va >> 30] = addr_of(page_alloc()) | PTE_P;
	pd = ptr_of(pdpt[va >> 30] & PTE_ADDR);
	if (!(pd[va >> 21 & 511] & PTE_P))
		pd[va >> 21 & 511] = addr_of(page_alloc()) | PTE_P | PTE_W | PTE_U | PTE_A;
	pt = ptr_of(pd[va >> 21 & 511] & PTE_ADDR);
	pt[va >> 12 & 511] = va | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
}

/* Replaces identity paging and EPT by tables in which only the guest's own pages are present. */
static void confine(struct template *t)
{
	struct vm *vm = &t->vm;
	u64 gdt = addr_of(page_alloc());
	u64 pages[8], root = 0;
	u32 i, n = 0;
	u64 mark = page_mark();
	u64 first = addr_of(page_alloc());

	memcpy(ptr_of(gdt), this_cpu()->gdt, sizeof(this_cpu()->gdt));
	vmwrite(F_GUEST_GDTR_BASE, gdt);
	pages[n++] = gdt;
	pages[n++] = vmread(F_GUEST_IDTR_BASE) & ~0xffful;
	pages[n++] = vm->stubs & ~0xffful;
	pages[n++] = vmread(F_GUEST_TR_BASE) & ~0xffful;
	pages[n++] = (*(u64 *)ptr_of(vmread(F_GUEST_TR_BASE) + 4) & 0xffffffff) & ~0xffful;
	pages[n++] = (vmread(F_GUEST_SS_BASE) + vmread(F_GUEST_RSP)) & ~0xffful;
	pages[n++] = (vmread(F_GUEST_CS_BASE) + vmread(F_GUEST_RIP)) & ~0xffful;
	page_release(mark);
	if (vm->mode == VM_64 || vm->mode == VM_COMPAT || vm->mode == VM_PAE || vm->mode == VM_32 ||
	    vm->mode == VM_V86) {
		root = addr_of(page_alloc());
		for (i = 0; i < n; i++) {
			if (vm->mode == VM_64 || vm->mode == VM_COMPAT)
				*paging_entry(root, pages[i], 1) =
					pages[i] | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
			else if (vm->mode == VM_PAE)
				map_pae(root, pages[i]);
			else
				map32(root, pages[i]);
		}
		vmwrite(F_GUEST_CR3, root);
		if (caps_proc2(PROC2_EPT))
			for (i = 0; i < 4; i++)
				vmwrite(F_GUEST_PDPTE0 + 2 * i,
					vm->mode == VM_PAE ? ((u64 *)ptr_of(root))[i] : 0);
	}
	if (vm->ept) {
		u64 ept = addr_of(page_alloc());
		u64 end;

		for (i = 0; i < n; i++)
			ept_map(ept, pages[i], pages[i], 1, EPT_RWX | EPT_WB);
		end = addr_of(page_alloc());
		for (; first < end; first += PAGE_SIZE) /* the tables themselves */
			ept_map(ept, first, first, 1, EPT_RWX | EPT_WB);
		note_ept_tables(ept, 4);
		vm->ept = ept;
		vmwrite(F_EPTP, ept | EPTP_FLAGS);
	}
}

/* PAE without EPT: PDPTEs come from memory, so a case may choose among many sets of them. */
static u64 copies_of_pdptes(const struct vm *vm)
{
	u64 root = vmread(F_GUEST_CR3);
	u64 page = addr_of(page_alloc());
	u32 i;

	if (vm->mode != VM_PAE || vm->ept)
		return 0;
	for (i = 0; i < 128; i++)
		memcpy(ptr_of(page + i * 32), ptr_of(root), 32);
	return page;
}

/* Pages behind every address, so that a control that is switched on finds something there. */
static u64 control_address(u32 field, u64 spare, u64 lists)
{
	switch (field) {
	case F_EXIT_MSR_STORE:
	case F_EXIT_MSR_LOAD:
	case F_ENTRY_MSR_LOAD: return lists + (field - F_EXIT_MSR_STORE) * 512;
	case F_APIC_ACCESS: return FUZZ_FAR - PAGE_SIZE;
	case F_IO_BITMAP_A:
	case F_IO_BITMAP_B:
	case F_MSR_BITMAP:
	case F_PML_ADDRESS:
	case F_VIRTUAL_APIC:
	case F_POSTED_DESCRIPTOR:
	case F_EPTP_LIST:
	case F_VMREAD_BITMAP:
	case F_VMWRITE_BITMAP:
	case F_VE_ADDRESS: return spare + (field & 0x3e) * PAGE_SIZE;
	}
	return 0;
}

void fuzz_make_template(struct template *t, enum vm_mode mode, bool ept, u64 spare, u64 lists)
{
	u32 i;

	vm_create(&t->vm, mode, ept ? VM_EPT : 0, f_code);
	t->ept = t->vm.ept != 0;
	confine(t);
	t->pdptes = copies_of_pdptes(&t->vm);
	vmset(F_PROC, PROC_HLT);
	vmwrite(F_EXCEPTION_BITMAP, 0xffffffff);
	if (caps_pin(PIN_TIMER)) {
		vmset(F_PIN, PIN_TIMER);
		vmwrite(F_GUEST_TIMER, 20000);
	}
	for (i = 0; i < FIELDS; i++) {
		u32 f = all_fields[i];
		u64 v = 0;

		exists[i] = vmread_checked(f, &v) == VMX_OK;
		if (control_address(f, spare, lists))
			v = control_address(f, spare, lists);
		if (f == F_TSC_MULTIPLIER)
			v = 1ul << 48;
		if (f == F_HOST_PAT || f == F_GUEST_PAT)
			v = 0x0007040600070406;
		t->values[i] = v;
		t->known[i] = false;
	}
	t->intr = vmread(F_EXIT_INTR_INFO);
	t->idt = vmread(F_IDT_INFO);
	t->length = vmread(F_EXIT_LENGTH);
	t->made = true;
}
