/* SPDX-License-Identifier: MIT */
/*
 * One instruction of L1's that touches memory which is not there, stepped over
 * a scratch page of ones. The page is this CPU's own; another CPU that finds
 * the mapping meanwhile sees ones, or what L1 itself just wrote, never L0's data.
 * SDM: "Monitor Trap Flag".
 */
#include "vmx/absent.h"

#include "kernel/hw/phys.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/event.h"
#include "vmx/tlb.h"
#include "vmx/vcpu.h"
#include "vmx/vm.h"

void absent_init(struct vcpu *vcpu)
{
	vcpu->absent.scratch = page_alloc();
	memset(vcpu->absent.scratch, 0xff, PAGE_SIZE);
}

bool absent_step(struct vcpu *vcpu, gpa_t gpa)
{
	struct absent *absent = &vcpu->absent;
	u64 page = gpa.v & ~(PAGE_SIZE - 1);

	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	event_set_step(vcpu, STEP_ABSENT, true);
	absent->stepping = true;
	/* No instruction touches so many pages; should one, it starts again with the oldest taken away. */
	if (absent->count == ABSENT_MAX) {
		passthru_unmap_scratch(GPA(absent->pages[0]), ptr_to_phys(absent->scratch));
		memmove(&absent->pages[0], &absent->pages[1], sizeof(absent->pages[0]) * (ABSENT_MAX - 1));
		absent->count--;
		tlb_flush_ept(vm.ept01_pointer);
	}
	absent->pages[absent->count++] = page;
	return passthru_map_scratch(GPA(page), ptr_to_phys(absent->scratch));
}

void absent_finish(struct vcpu *vcpu)
{
	struct absent *absent = &vcpu->absent;

	for (u32 i = 0; i < absent->count; i++)
		passthru_unmap_scratch(GPA(absent->pages[i]), ptr_to_phys(absent->scratch));
	absent->count = 0;
	absent->stepping = false;
	tlb_flush_ept(vm.ept01_pointer);
	memset(absent->scratch, 0xff, PAGE_SIZE);
	event_set_step(vcpu, STEP_ABSENT, false);
}
