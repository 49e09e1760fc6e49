/* SPDX-License-Identifier: MIT */
/*
 * The guests of one CPU of the storm: made once with everything that a VMCS can point to in place, so that
 * any control may be turned on; made right again field by field, or as a whole. What L2 may write is one
 * block of 2 MiB of its CPU's; EPT12 shows it the rest of L1's memory for reading only.
 */
#include "tests/guest/storm.h"

enum { BLOCK = 2 << 20, RAM_SHOWN = 128 << 20, SMALL_TABLE = 6 };

const u16 storm_fields[] = {
#define FIELD(encoding, name) encoding,
#include "tests/guest/lib/fields.def"
#undef FIELD
};
const u32 storm_field_count = ARRAY_SIZE(storm_fields);
_Static_assert(ARRAY_SIZE(storm_fields) <= STORM_FIELDS, "struct storm_vm");

static const struct {
	enum vm_mode mode;
	u32 flags;
} kinds[STORM_VMS] = {
	{ VM_64, VM_EPT }, { VM_64, 0 },	{ VM_PAE, VM_EPT | VM_VPID },
	{ VM_32, VM_EPT }, { VM_REAL, VM_EPT }, { VM_64, VM_EPT | VM_VPID },
};
enum { AD_AND_LOG = 5 };

GUEST_CODE(storm_code, 64, "vmcall; jmp storm_code");
extern u8 guest_code_begin[], guest_code_end[];
#define CODE_PAGES ((u32)((addr_of(guest_code_end) - addr_of(guest_code_begin)) / PAGE_SIZE))

static u32 kind_of(u16 field)
{
	return field >> 10 & 3; /* 0 control, 1 read-only, 2 guest, 3 host */
}

static u64 next_page(void)
{
	return addr_of(page_alloc());
}

static void align_pool(void)
{
	u64 at = next_page() + PAGE_SIZE;

	if (at & (BLOCK - 1))
		page_alloc_contig((BLOCK - (at & (BLOCK - 1))) / PAGE_SIZE);
}

static void copy_words(u64 to, u64 from, u32 pages)
{
	u64 *d = ptr_of(to);
	const u64 *s = ptr_of(from);
	u64 count = pages * 512ull;

	asm volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
}

/*
 * L2 without EPT has nothing between it and L1's memory but its own tables, and CR0.WP is its own: it finds
 * its block, absent memory and a copy of its programs there, and no page that L1 lives by. One table more
 * than others have, for the small pages of the programs.
 */
static void restrict_tables(struct storm_vm *v, u64 block)
{
	u64 *pd = ptr_of(v->paging + 2 * PAGE_SIZE), small = next_page(), code = addr_of(guest_code_begin),
	    kept, i;

	CHECK(small == v->paging + SMALL_TABLE * PAGE_SIZE);
	v->paging_pages = SMALL_TABLE + 1;
	for (i = 0; i < 2048; i++) {
		kept = pd[i];
		pd[i] = i * 2 * MIB == block ? kept : 0;
	}
	for (i = 0; i < STORM_WINDOW; i++)
		if (storm_targets[i] < 4 * GIB)
			pd[storm_targets[i] / (2 * MIB)] =
				(storm_targets[i] & ~(2 * MIB - 1)) | PTE_P | PTE_W | PTE_PS | PTE_A | PTE_D;
	pd[code / (2 * MIB)] = small | PTE_P | PTE_W | PTE_U;
	for (i = 0; i < CODE_PAGES; i++)
		((u64 *)ptr_of(small))[(code / PAGE_SIZE + i) & 511] =
			(v->programs + i * PAGE_SIZE) | PTE_P | PTE_U | PTE_A | PTE_D;
}

static void make_paging(struct storm_vm *v)
{
	v->paging_pages = v->vm.mode == VM_64 ? 6 : v->vm.mode == VM_PAE ? 5 : v->vm.mode == VM_32 ? 1 : 0;
	if (v->vm.mode == VM_64)
		vmwrite(F_GUEST_CR3, paging_create64());
	v->paging = v->paging_pages ? vmread(F_GUEST_CR3) : 0;
}

static u64 low_permissions(u64 gpa)
{
	if (gpa == LOW_STACK)
		return EPT_RWX;
	/* programs and handlers; of the image only the pages with code of guests */
	if (gpa == LOW_CODE || gpa == LOW_STUBS || gpa - addr_of(guest_code_begin) < CODE_PAGES * PAGE_SIZE)
		return EPT_R | EPT_X;
	return EPT_R;
}

static void make_ept(struct storm_cpu *c, struct storm_vm *v, u64 block)
{
	u64 root = next_page(), gpa, i, target;

	for (gpa = 0; gpa < RAM_SHOWN; gpa += 2 * MIB)
		ept_map(root, gpa, gpa, 2, EPT_R | EPT_WB);
	for (i = 0; i < 512; i++) {
		gpa = i * PAGE_SIZE;
		ept_map(root, gpa, gpa, 1, low_permissions(gpa) | EPT_WB);
		gpa += block;
		ept_map(root, gpa, gpa, 1, EPT_RWX | EPT_WB);
		target = i % STORM_STRIDE < STORM_TARGETS ? storm_targets[i % STORM_STRIDE]
							  : c->data + (i % 8) * PAGE_SIZE;
		ept_map(root, STORM_ALIAS + i * PAGE_SIZE, target, 1, storm_permissions(target) | EPT_WB);
	}
	if (caps.ept_vpid & EPT_CAP_2M)
		ept_map(root, STORM_ALIAS + 2 * MIB, (storm_targets[0] + 2 * MIB - 1) & ~(2 * MIB - 1), 2,
			storm_permissions(storm_targets[0]) | EPT_WB);
	v->ept = root;
	v->vm.ept = root;
	v->alias_table = addr_of(ept_entry(root, STORM_ALIAS, 1));
	v->block_table = addr_of(ept_entry(root, block, 1));
	v->ept_pages = (u32)((next_page() - root) / PAGE_SIZE);
}

static void memset8(u64 page, u64 value)
{
	u64 *d = ptr_of(page);
	u64 count = 512;

	asm volatile("rep stosq" : "+D"(d), "+c"(count) : "a"(value) : "memory");
}

void storm_tables_restore(struct storm_vm *v)
{
	v->tables_changed = false;
	copy_words(v->paging, v->copy, v->paging_pages);
	copy_words(v->ept, v->copy + v->paging_pages * PAGE_SIZE, v->ept_pages);
}

static void set_if_there(u32 field, u64 value)
{
	vmwrite_checked(field, value);
}

static void fill_lists(struct storm_vm *v)
{
	static const u32 msrs[] = { STORM_EXIT_MSRS };
	u64 *entry = ptr_of(v->page[PAGE_ENTRY_LIST]), *leave = ptr_of(v->page[PAGE_EXIT_LIST]), i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		entry[2 * i] = leave[2 * i] = msrs[i];
		entry[2 * i + 1] = leave[2 * i + 1] = 0x1000 * i;
	}
	for (i = 0; i < 512; i++)
		((u64 *)ptr_of(v->page[PAGE_EPTP_LIST]))[i] =
			i % 5 ? storm_targets[i % STORM_TARGETS] : v->ept | EPTP_FLAGS;
	*(u32 *)ptr_of(v->page[PAGE_SHADOW]) = ((u32)caps.basic & 0x7fffffff) | 0x80000000;
	*(volatile u32 *)ptr_of(v->page[PAGE_VAPIC] + 0x80) = 0xf0;
}

void storm_vm_fresh(struct storm_vm *v)
{
	u32 i;

	for (i = 0; i < PAGE_COUNT; i++)
		memset8(v->page[i], 0);
	memcpy(ptr_of(v->page[PAGE_GDT]), this_cpu()->gdt, sizeof(this_cpu()->gdt));
	fill_lists(v);
	storm_tables_restore(v);
	if (v->programs)
		copy_words(v->programs, addr_of(guest_code_begin), CODE_PAGES);
	v->fixed_epoch = ~0u;
	v->vm.launched = false;
}

/* Everything that a control may need has an address, whether the control is on or not. */
static void point(struct storm_vm *v)
{
	static const struct {
		u32 field;
		enum storm_page page;
	} list[] = {
		{ F_MSR_BITMAP, PAGE_MSR_BITMAP },   { F_IO_BITMAP_A, PAGE_IO_A },
		{ F_IO_BITMAP_B, PAGE_IO_B },	     { F_ENTRY_MSR_LOAD, PAGE_ENTRY_LIST },
		{ F_EXIT_MSR_LOAD, PAGE_EXIT_LIST }, { F_EXIT_MSR_STORE, PAGE_EXIT_LIST },
		{ F_VMREAD_BITMAP, PAGE_VMREAD },    { F_VMWRITE_BITMAP, PAGE_VMWRITE },
		{ F_EPTP_LIST, PAGE_EPTP_LIST },     { F_PML_ADDRESS, PAGE_PML },
		{ F_VE_ADDRESS, PAGE_VE },	     { F_POSTED_DESCRIPTOR, PAGE_POSTED },
		{ F_VIRTUAL_APIC, PAGE_VAPIC },	     { F_APIC_ACCESS, PAGE_APIC_ACCESS },
		{ F_VMCS_LINK, PAGE_SHADOW },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		if (list[i].page != PAGE_SHADOW)
			set_if_there(list[i].field, v->page[list[i].page]);
	vmwrite(F_GUEST_GDTR_BASE, v->page[PAGE_GDT]);
	set_if_there(F_GUEST_PML_INDEX, 511);
	set_if_there(F_POSTED_VECTOR, STORM_IRQ);
	set_if_there(F_VPID, 1 + ((v->page[PAGE_VAPIC] >> 12) & 7));
	set_if_there(F_TSC_MULTIPLIER, 1ull << 48);
	set_if_there(F_GUEST_TIMER, 2000);
}

static void note_fields(struct storm_vm *v)
{
	u32 i;

	for (i = 0; i < storm_field_count; i++) {
		u64 value = 0;

		v->fields[i] = 0;
		if (kind_of(storm_fields[i]) != 1 && vmread_checked(storm_fields[i], &value) == VMX_OK)
			v->fields[i] = value;
	}
}

static void pages_for_l2(struct storm_vm *v, u32 kind)
{
	u32 i;

	for (i = PAGE_VAPIC; i < PAGE_COUNT; i++)
		v->page[i] = next_page();
	memcpy(ptr_of(v->page[PAGE_GDT]), this_cpu()->gdt, sizeof(this_cpu()->gdt));
	if (kind != STORM_NO_EPT)
		make_paging(v);
	else
		v->programs = addr_of(page_alloc_contig(CODE_PAGES));
}

/* What each guest has on from the start, as far as the processor has it. */
static void turn_on(u32 kind)
{
	static const struct {
		u32 pin, proc, proc2, exit;
	} extras[STORM_VMS] = {
		{ 0, 0, PROC2_SHADOW | PROC2_VMFUNC | PROC2_VE, 0 },
		{ 0, PROC_TPR_SHADOW | PROC_MSR_BITMAPS | PROC_IO_BITMAPS, PROC2_APIC_ACCESS, 0 },
		{ PIN_NMI | PIN_VNMI, PROC_MSR_BITMAPS, PROC2_VE, 0 },
		{ 0, PROC_TPR_SHADOW | PROC_IO_BITMAPS, PROC2_APIC_ACCESS, 0 },
		{ 0, 0, 0, 0 },
		{ PIN_EXTINT | PIN_POSTED, PROC_TPR_SHADOW, PROC2_PML | PROC2_VINTR | PROC2_APIC_REGISTER,
		  EXIT_ACK },
	};

	/* posted interrupts are for virtual ones */
	if (caps_pin(PIN_POSTED) || !(extras[kind].pin & PIN_POSTED)) {
		vmset(F_PIN, extras[kind].pin & caps.pin >> 32);
		vmset(F_PROC2, extras[kind].proc2 & caps.proc2 >> 32);
	} else {
		vmset(F_PROC2, PROC2_PML & caps.proc2 >> 32);
	}
	vmset(F_PROC, extras[kind].proc & caps.proc >> 32);
	vmset(F_EXIT, extras[kind].exit & caps.exit >> 32);
	set_if_there(F_VMFUNC_CONTROLS, 1);
}

/* The VMCS is current; EPT12 of `v` or, for a guest without, somebody's in case it is turned on. */
static void finish_vm(struct storm_cpu *c, struct storm_vm *v, u32 kind, u64 block)
{
	u32 i;

	for (i = 0; i < PAGE_VAPIC; i++)
		v->page[i] = next_page();
	make_ept(c, v, block);
	fill_lists(v);
	vm_current(&v->vm);
	if (kind == STORM_NO_EPT) {
		make_paging(v);
		restrict_tables(v, block);
	}
	point(v);
	set_if_there(F_EPTP,
		     v->ept | EPTP_FLAGS | (kind == AD_AND_LOG && caps.ept_vpid & EPT_CAP_AD ? EPTP_AD : 0));
	vmset(F_PROC, PROC_SECONDARY);
	vmset(F_PROC2, kind != STORM_NO_EPT ? PROC2_EPT : 0);
	turn_on(kind);
	if (caps_pin(PIN_TIMER))
		vmset(F_PIN, PIN_TIMER);
	note_fields(v);
	if (v->programs)
		copy_words(v->programs, addr_of(guest_code_begin), CODE_PAGES);
	v->copy = addr_of(page_alloc_contig(v->paging_pages + v->ept_pages));
	copy_words(v->copy, v->paging, v->paging_pages);
	copy_words(v->copy + v->paging_pages * PAGE_SIZE, v->ept, v->ept_pages);
}

void storm_vm_setup(struct storm_cpu *c)
{
	u64 block, i;

	/* what L1 lives by is not in the block: its regions with the host state too */
	vmx_region_area = addr_of(page_alloc_contig(STORM_VMS));
	align_pool();
	block = c->data = addr_of(page_alloc_contig(STORM_DATA));
	for (i = 0; i < STORM_VMS; i++) {
		struct storm_vm *v = &c->vms[i];
		enum vm_mode mode = vm_mode_possible(kinds[i].mode) ? kinds[i].mode : VM_64;

		/* EPT12 comes later, from pages that L2 may not write; where the lib insists, it makes one
		 * more */
		vm_create(&v->vm, mode, kinds[i].flags & ~(u32)VM_EPT, storm_code);
		pages_for_l2(v, (u32)i);
	}
	vmx_region_area = 0;
	align_pool();
	for (i = 0; i < STORM_VMS; i++)
		finish_vm(c, &c->vms[i], (u32)i, block);
	c->regions = addr_of(page_alloc_contig(STORM_REGIONS));
	for (i = 0; i < STORM_REGIONS; i++)
		*(u32 *)ptr_of(c->regions + i * PAGE_SIZE) = (u32)caps.basic & 0x7fffffff;
}
