/* SPDX-License-Identifier: MIT */
/*
 * Memory that is rewritten while a CPU, its Socle or its L2 uses it: VMCS regions, EPT12, L2's page tables
 * and descriptors, MSR lists, bitmaps, the virtual-APIC page and whatever else a VMCS points to.
 */
#include "tests/guest/storm.h"

static void vmcs_region(struct storm_cpu *c, struct storm_vm *v)
{
	volatile u32 *words = ptr_of(v->vm.vmcs);
	u32 times = 1 + (u32)storm_choose(c, 40);

	/* The bare processor has its own form there, the host state in it: nothing would come back. */
	if (!storm_in_socle)
		return;
	__atomic_fetch_add(&v->epoch, 1, __ATOMIC_SEQ_CST);
	if (storm_chance(c, 6))
		words[0] = (u32)storm_wild(c);
	while (times--)
		words[2 + storm_choose(c, 1022)] = (u32)(storm_chance(c, 3) ? ~0u : storm_wild(c));
	__atomic_fetch_add(&v->epoch, 1, __ATOMIC_SEQ_CST);
}

/* Entries of EPT12 of each kind; large pages only over the window, so that L1 itself is never below one. */
static u64 ept_value(struct storm_cpu *c, const struct storm_vm *v)
{
	u64 at = storm_target(c) & PTE_ADDR, all = storm_permissions(at);

	switch (storm_choose(c, 8)) {
	case 0: return 0;
	case 1: return at | EPT_W | EPT_WB;					       /* misconfigured */
	case 2: return (v->ept + storm_choose(c, v->ept_pages) * PAGE_SIZE) | EPT_RWX; /* itself */
	case 3:									       /* large */
		return ((storm_targets[0] & ~(2 * MIB - 1)) + 2 * MIB * storm_choose(c, 2)) | 0xb0 |
		       storm_permissions(storm_targets[0]);
	case 4: return at | EPT_R | storm_choose(c, 8) << 3;
	case 5: return at | all | EPT_WB | BIT(52 + storm_choose(c, 12));
	default: return at | all | EPT_WB | (storm_choose(c, 4) << 8);
	}
}

static void ept12(struct storm_cpu *c, struct storm_vm *v)
{
	u64 table = storm_chance(c, 4)	 ? v->ept + storm_choose(c, v->ept_pages) * PAGE_SIZE
		    : storm_chance(c, 2) ? v->block_table
					 : v->alias_table;
	u32 times = 1 + (u32)storm_choose(c, 20), i;

	v->tables_changed = true;
	while (times--) {
		i = (u32)storm_choose(c, storm_chance(c, 2) ? 512 : 8);
		WRITE_ONCE(((u64 *)ptr_of(table))[i], ept_value(c, v));
	}
}

/*
 * Where an entry of L2's tables may lead. Without EPT that is where L2 gets: to its block and to absent
 * memory, and by no table that it could write itself.
 */
static u64 led_to(struct storm_cpu *c, const struct storm_vm *v, u64 index)
{
	if (!v->programs)
		return storm_target(c) & PTE_ADDR & 0xfffff000;
	if (index >= (v->paging_pages - 1) * 512 && storm_chance(c, 2))
		return c->data + storm_choose(c, STORM_DATA) * PAGE_SIZE;
	return storm_targets[storm_choose(c, STORM_WINDOW)] & 0xfffff000;
}

static void page_tables(struct storm_cpu *c, struct storm_vm *v)
{
	u64 *entries = ptr_of(v->paging);
	u64 flags, index;

	if (!v->paging_pages)
		return;
	v->tables_changed = true;
	flags = storm_choose(c, 0x1000) & ~PTE_PS;
	if (v->vm.mode != VM_32)
		flags |= storm_chance(c, 6) ? BIT(storm_choose(c, 64)) & ~PTE_PS : 0;
	index = storm_choose(c, v->paging_pages * 512);
	WRITE_ONCE(entries[index], storm_chance(c, 4) ? 0 : led_to(c, v, index) | flags);
}

static void entry_list(struct storm_cpu *c, struct storm_vm *v)
{
	static const u32 list[] = { MSR_SYSENTER_CS,
				    MSR_STAR,
				    MSR_LSTAR,
				    MSR_KERNEL_GS_BASE,
				    MSR_TSC_AUX,
				    0x12345,
				    MSR_FS_BASE,
				    0x808,
				    MSR_APIC_BASE,
				    MSR_VMX_BASIC,
				    MSR_DEBUGCTL,
				    MSR_SYSENTER_EIP,
				    0x79,
				    0x9b,
				    0x40000000 };
	u64 *entry = ptr_of(v->page[PAGE_ENTRY_LIST] + 16 * storm_choose(c, 16));
	u32 msr = list[storm_choose(c, ARRAY_SIZE(list))];

	if (msr == MSR_APIC_BASE && !storm_in_socle)
		return;

	WRITE_ONCE(entry[0], msr | (storm_chance(c, 10) ? storm_wild(c) << 32 : 0));
	/* the APIC may lie nowhere else than it does: only over the window, where it is refused */
	WRITE_ONCE(entry[1], msr == MSR_APIC_BASE ? storm_targets[1] | 0x900 : storm_wild(c));
}

static void exit_list(struct storm_cpu *c, struct storm_vm *v)
{
	static const u32 list[] = { STORM_EXIT_MSRS };
	u64 *entry = ptr_of(v->page[PAGE_EXIT_LIST] + 16 * storm_choose(c, 4));

	WRITE_ONCE(entry[1], storm_choose(c, 0x10000));
	WRITE_ONCE(entry[0], list[storm_choose(c, ARRAY_SIZE(list))]);
}

static void words_of(struct storm_cpu *c, u64 page, u64 mask)
{
	u32 times = 1 + (u32)storm_choose(c, 16);

	while (times--)
		WRITE_ONCE(((u64 *)ptr_of(page))[storm_choose(c, 512)],
			   storm_chance(c, 3) ? mask : storm_wild(c) & mask);
}

static void other_pages(struct storm_cpu *c, struct storm_vm *v)
{
	static const u8 pages[] = { PAGE_MSR_BITMAP, PAGE_IO_A,	       PAGE_IO_B, PAGE_VMREAD,
				    PAGE_VMWRITE,    PAGE_PML,	       PAGE_VE,	  PAGE_POSTED,
				    PAGE_VAPIC,	     PAGE_APIC_ACCESS, PAGE_GDT };

	words_of(c, v->page[pages[storm_choose(c, ARRAY_SIZE(pages))]], ~0ul);
}

static void priority(struct storm_cpu *c, struct storm_vm *v)
{
	u32 times = 1 + (u32)storm_choose(c, 30);

	while (times--) {
		WRITE_ONCE(*(u8 *)ptr_of(v->page[PAGE_VAPIC] + 0x80), (u8)storm_choose(c, 256));
		cpu_pause();
	}
}

static void pointer_list(struct storm_cpu *c, struct storm_vm *v)
{
	u64 *entry = ptr_of(v->page[PAGE_EPTP_LIST] + 8 * storm_choose(c, 4));

	WRITE_ONCE(*entry,
		   storm_chance(c, 2) ? v->ept | EPTP_FLAGS : storm_target(c) | storm_choose(c, 0x80));
}

static void descriptors(struct storm_cpu *c, struct storm_vm *v)
{
	u64 *gdt = ptr_of(v->page[PAGE_GDT]);

	WRITE_ONCE(gdt[storm_choose(c, SEL_COUNT)],
		   storm_chance(c, 2) ? this_cpu()->gdt[storm_choose(c, SEL_COUNT)] ^ BIT(storm_choose(c, 64))
				      : storm_wild(c));
}

void storm_meddle(struct storm_cpu *c)
{
	static void (*const ways[])(struct storm_cpu *, struct storm_vm *) = {
		ept12,	  ept12,       page_tables, page_tables,  entry_list,  exit_list,
		priority, other_pages, other_pages, pointer_list, descriptors,
	};
	struct storm_cpu *victim = &storm_cpus[storm_choose(c, storm_count)];
	struct storm_vm *v = &victim->vms[storm_choose(c, STORM_VMS)];

	if (storm_chance(c, 20))
		vmcs_region(c, v);
	else
		ways[storm_choose(c, ARRAY_SIZE(ways))](c, v);
}
