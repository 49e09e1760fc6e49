/* SPDX-License-Identifier: MIT */
/*
 * One instruction of L1's that touches memory which is not there, stepped over
 * a scratch page of ones. The page, and the EPT01 that leads to it, are this
 * CPU's own (ept01_step.c).
 * SDM: "Monitor Trap Flag".
 */
#include "vmx/l1/absent.h"

#include "kernel/hw/phys.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/guest/event.h"
#include "vmx/guest/vcpu.h"

void absent_init(struct vcpu *vcpu)
{
	ept01_step_init(&vcpu->l1.ept01_step);
	vcpu->l1.absent.scratch = page_alloc();
	memset(vcpu->l1.absent.scratch, 0xff, PAGE_SIZE);
}

bool absent_step(struct vcpu *vcpu, gpa_t gpa)
{
	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	if (!ept01_step_add(vcpu, GPA(gpa.v & ~(PAGE_SIZE - 1)), ptr_to_phys(vcpu->l1.absent.scratch)))
		return false;
	event_set_step(vcpu, STEP_ABSENT, true);
	vcpu->looks |= LOOK_ABSENT;
	return true;
}

void absent_step_closed(struct vcpu *vcpu, gpa_t gpa)
{
	/* RAM is always within the tables. */
	ASSERT(absent_step(vcpu, gpa));
}

void absent_finish(struct vcpu *vcpu)
{
	struct absent *absent = &vcpu->l1.absent;

	ept01_step_end(vcpu);
	vcpu->looks &= (u8)~LOOK_ABSENT;
	memset(absent->scratch, 0xff, PAGE_SIZE);
	event_set_step(vcpu, STEP_ABSENT, false);
}
