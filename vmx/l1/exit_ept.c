/* SPDX-License-Identifier: MIT */
/*
 * EPT violations of L1: MMIO that is mapped when it is first touched, and
 * accesses to memory that is not there, or that a breakpoint keeps closed. L2's are vmx/nested's.
 * SDM: "EPT Violations", "EPT Misconfigurations".
 */
#include "kernel/panic.h"
#include "vmx/guest/event.h"
#include "vmx/l1/absent.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/sleep_page.h"
#include "vmx/l1/vm.h"
#include "vmx/guest/handlers.h"

enum outcome exit_ept_violation(struct vcpu *vcpu)
{
	gpa_t gpa = GPA(vcpu_reg(vcpu, REG_GUEST_PHYSICAL_ADDRESS));
	u32 closed = closed_bits(gpa.v) & (u32)vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	struct ept01_mapping mapping;

	event_restore_nmi_blocking(vcpu, vcpu_reg(vcpu, REG_EXIT_QUALIFICATION) & EPTV_NMI_UNBLOCKING);
	if (unlikely(closed)) {
		if (closed_may_pass(vcpu, gpa, closed))
			absent_step_closed(vcpu, gpa);
		return OUTCOME_RESUME;
	}
	if ((vcpu_reg(vcpu, REG_EXIT_QUALIFICATION) & EPTV_WRITE) && sleep_page_is(gpa.v)) {
		if (sleep_page_store(vcpu, gpa))
			return OUTCOME_SKIP;
	} else if (vm_ept01_lookup(gpa, &mapping)) {
		ept01_step_follow(vcpu);
		return OUTCOME_RESUME;
	}
	vcpu->counters.window_accesses++;
	if (!absent_step(vcpu, gpa))
		return outcome_gp(vcpu, 0);
	return OUTCOME_RESUME;
}

enum outcome exit_ept_misconfig(struct vcpu *vcpu)
{
	panic("EPT01 is misconfigured at %llx",
	      (unsigned long long)vcpu_reg(vcpu, REG_GUEST_PHYSICAL_ADDRESS));
}
