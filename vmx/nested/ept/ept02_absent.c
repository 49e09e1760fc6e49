/* SPDX-License-Identifier: MIT */
/*
 * L2 at memory that is not there: EPT12 (or L1's shadow paging) leads to L0's
 * window. Reads find a page of ones; an instruction that writes is stepped
 * over that page by the monitor trap flag, then the page is made anew. Closed
 * pages (vmx/l1/closed.h) are passed in the same way. L1's own accesses are vmx/l1/absent.c's.
 * SDM: "Monitor Trap Flag".
 */
#include "kernel/panic.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/hw/tlb.h"
#include "kernel/x86.h"
#include "mm/addr.h"
#include "vmx/guest/event.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/vmcs12/vmcs12.h"

void ept02_absent_init(struct ept02_cache *cache)
{
	cache->absent = page_alloc();
	memset(cache->absent, 0xff, PAGE_SIZE);
}

/* Takes the leaf for the address out, whatever it leads to by now. The next access makes it anew. */
static void drop_leaf(struct ept02_cache *cache, const struct ept02_root *root, u64 l2gpa)
{
	u32 table;

	for (table = root->table; table != EPT02_NONE;) {
		const struct ept02_table *t = &cache->tables[table];
		unsigned int index = ept_index(l2gpa, t->level);
		u64 entry = ept02_entries(cache, table)[index];

		if (!ept02_is_filled(t, index))
			return;
		if (ept_is_leaf(entry, t->level)) {
			ept02_drop_entry(cache, table, index);
			return;
		}
		table = ept02_child(cache, entry);
	}
}

/* The tables that the step changed, which need not be those that L2 runs on now. */
static void undo(struct vcpu *vcpu, const struct ept02_step *step)
{
	/* EPT01 has not changed (vmx/l1/ept01_step.c). */
	if (!step->root)
		return;
	drop_leaf(vcpu->nested.ept, step->root, step->address);
	tlb_flush_ept(step->root->pointer);
}

/* No instruction writes to so many pages; should one, it starts again with the oldest taken away. */
static void remember(struct vcpu *vcpu, u64 l2gpa)
{
	struct ept02_cache *cache = vcpu->nested.ept;

	if (cache->step_count == EPT02_STEP_MAX) {
		undo(vcpu, &cache->steps[0]);
		memmove(&cache->steps[0], &cache->steps[1], sizeof(cache->steps[0]) * (EPT02_STEP_MAX - 1));
		cache->step_count--;
	}
	event_set_step(vcpu, STEP_ABSENT, true);
	cache->steps[cache->step_count++] =
		(struct ept02_step){ ALIGN_DOWN(l2gpa, PAGE_SIZE), cache->active };
}

struct ept01_mapping ept02_absent_map(struct vcpu *vcpu, u64 l2gpa, bool write)
{
	struct ept01_mapping under = {
		.hpa = page_phys(vcpu->nested.ept->absent).v,
		.size = PAGE_SIZE,
		.rwx = EPT_READ | EPT_EXEC,
		.memory_type = MEMTYPE_WB,
		.ignore_pat = true,
	};

	vcpu->counters.window_accesses++;
	if (write) {
		under.rwx |= EPT_WRITE;
		remember(vcpu, l2gpa);
	}
	return under;
}

enum outcome ept02_absent_step01(struct vcpu *vcpu, gpa_t gpa)
{
	vcpu->counters.window_accesses++;
	if (!ept01_step_add(vcpu, GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE)), page_phys(vcpu->nested.ept->absent)))
		return outcome_gp(vcpu, 0);
	remember(vcpu, gpa.v);
	return OUTCOME_RESUME;
}

void ept02_closed_map(struct vcpu *vcpu, u64 l2gpa, struct ept01_mapping *under)
{
	under->rwx = EPT_RWX;
	remember(vcpu, l2gpa);
}

void ept02_closed_step01(struct vcpu *vcpu, gpa_t gpa)
{
	/* RAM is always within the tables. */
	ASSERT(ept01_step_add(vcpu, GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE)), page_phys(vcpu->nested.ept->absent)));
	remember(vcpu, gpa.v);
}

bool ept02_absent_finish(struct vcpu *vcpu)
{
	struct ept02_cache *cache = vcpu->nested.ept;

	if (likely(!cache->step_count))
		return false;
	for (u32 i = 0; i < cache->step_count; i++)
		undo(vcpu, &cache->steps[i]);
	ept01_step_end(vcpu);
	cache->step_count = 0;
	memset(cache->absent, 0xff, PAGE_SIZE);
	event_set_step(vcpu, STEP_ABSENT, false);
	return (vcpu->exit_reason & 0xffff) == EXIT_MTF &&
	       !v12_has_proc(&vcpu->nested.current->v12, PROC_MTF);
}
