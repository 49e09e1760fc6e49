/* SPDX-License-Identifier: MIT */
/*
 * EPT01 as one CPU alone has it, while it steps over memory that is not there:
 * a root and the few tables on the way to those pages, copied from EPT01 for
 * each step; all other links lead to EPT01's own tables. When to step is
 * absent.c's and nested/ept02_absent.c's.
 * SDM: "The Extended Page Table Mechanism (EPT)", "Information That May Be Cached", "Operations that
 * Invalidate Cached Mappings".
 *
 * Were the scratch page put into EPT01 itself, the other CPUs would find it there, and might keep it in their
 * TLBs when it is gone: INVEPT is this CPU's alone. They would go on reading and writing it with no exit.
 * This root is in no other CPU's VMCS, so this CPU's INVEPT of it is complete.
 *
 * So EPT01 holds for good that a leaf leads to its own address, and that nothing is ever taken out of it: a
 * translation that some CPU still has, whatever another does meanwhile, can be wrong in its memory type only,
 * and no table is ever another's.
 */
#include "vmx/l1/ept01_step.h"

#include "kernel/hw/phys.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "mm/ptab.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/ept01_types.h"
#include "vmx/hw/tlb.h"
#include "vmx/guest/vcpu.h"
#include "vmx/l1/vm.h"

#define ENTRIES (PAGE_SIZE / sizeof(u64))

void ept01_step_init(struct ept01_step *step)
{
	step->root = page_alloc_contig(1 + EPT01_STEP_TABLES);
}

static u64 pointer_of(const struct ept01_step *step)
{
	return ptr_to_phys(step->root).v | (vm.ept01_pointer & ~(u64)PTE_ADDR);
}

static bool is_own(const struct ept01_step *step, u64 link)
{
	return (link & PTE_ADDR) - ptr_to_phys(step->root).v <= EPT01_STEP_TABLES * PAGE_SIZE;
}

/* A table of our own below `entry`, with what EPT01 has there. NULL: none is left. */
static u64 *own_table(struct ept01_step *step, u64 *entry)
{
	u64 *table;

	if (*entry && is_own(step, *entry))
		return phys_to_ptr(HPA(*entry & PTE_ADDR));
	if (step->tables == EPT01_STEP_TABLES)
		return NULL;
	table = step->root + ++step->tables * ENTRIES;
	if (*entry)
		memcpy(table, phys_to_ptr(HPA(*entry & PTE_ADDR)), PAGE_SIZE);
	else
		memset(table, 0, PAGE_SIZE);
	*entry = ptr_to_phys(table).v | EPT_RWX;
	return table;
}

/*
 * False: too few tables. A closed page (closed.h) is open here, as it is. What another CPU has mapped
 * meanwhile is memory; a page that is there, but only to be read, is a sleep register's (sleep_page.h), and
 * what steps at it finds absent memory.
 */
static bool add_page(struct ept01_step *step, u64 page)
{
	u64 *table = step->root;
	unsigned int level;

	for (level = ptab_ept.levels; level > 1; level--) {
		u64 *entry = &table[page / ptab_level_size(level) % ENTRIES];

		if (*entry & EPT_LEAF)
			return true;
		table = own_table(step, entry);
		if (!table)
			return false;
	}
	if (closed_bits(page))
		table[page / PAGE_SIZE % ENTRIES] |= EPT_RWX;
	else if (!(table[page / PAGE_SIZE % ENTRIES] & EPT_WRITE))
		table[page / PAGE_SIZE % ENTRIES] = step->scratch.v | ept01_leaf_bits(MEMTYPE_WB);
	return true;
}

static bool build_tables(struct ept01_step *step, const u64 *root)
{
	memcpy(step->root, root, PAGE_SIZE);
	step->tables = 0;
	for (u32 i = 0; i < step->count; i++)
		if (!add_page(step, step->pages[i]))
			return false;
	return true;
}

static void forget_oldest(struct ept01_step *step)
{
	memmove(&step->pages[0], &step->pages[1], sizeof(step->pages[0]) * --step->count);
}

/* No instruction touches so many pages; should one, it starts again with the oldest taken away. */
static void build(struct ept01_step *step)
{
	while (!passthru_build_step(step, build_tables))
		forget_oldest(step);
	tlb_flush_ept(pointer_of(step));
}

bool ept01_step_add(struct vcpu *vcpu, gpa_t page, hpa_t scratch)
{
	struct ept01_step *step = &vcpu->l1.ept01_step;

	if (!passthru_is_covered(page))
		return false;
	if (step->count == EPT01_STEP_PAGES)
		forget_oldest(step);
	step->scratch = scratch;
	step->pages[step->count++] = page.v;
	build(step);
	vmcs_write(VMCS_ept_pointer, pointer_of(step));
	return true;
}

void ept01_step_follow(struct vcpu *vcpu)
{
	if (vcpu->l1.ept01_step.count)
		build(&vcpu->l1.ept01_step);
}

void ept01_step_end(struct vcpu *vcpu)
{
	struct ept01_step *step = &vcpu->l1.ept01_step;

	if (!step->count)
		return;
	step->count = 0;
	vmcs_write(VMCS_ept_pointer, vm.ept01_pointer);
	tlb_flush_ept(pointer_of(step));
}
