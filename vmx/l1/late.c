/* SPDX-License-Identifier: MIT */
/*
 * VM entries of L1 that fail late, mended where L1 or the machine is the cause.
 * SDM: "VM-Entry Failures During or After Loading Guest State", "Machine-Check Events During VM Entry".
 */
#include "vmx/l1/late.h"
#include "vmx/l1/exit_msr.h"

#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/msr.h"

bool late_machine_check_is_l1s(void)
{
	u64 status;

	return rdmsr_safe(MSR_IA32_MCG_STATUS, &status) &&
	       (status & (MCG_STATUS_RIPV | MCG_STATUS_EIPV)) == MCG_STATUS_RIPV;
}

/*
 * L1 can change which bits of IA32_DEBUGCTL are valid after it has written it (RTM's, by IA32_TSX_CTRL, whose
 * WRMSR does not exit). It is the only such field of vmcs01. The bits that the processor does not take any
 * more are cleared, as they are in the register of a processor that has lost the feature.
 */
static bool mend_debugctl(struct vcpu *vcpu)
{
	u64 value = vmcs_read(VMCS_guest_debugctl), taken = msr_debugctl_taken(value);

	if (taken == value)
		return false;
	vcpu_set_debugctl(vcpu, taken);
	log_debug("IA32_DEBUGCTL of L1 was %llx, is %llx", (unsigned long long)value,
		  (unsigned long long)taken);
	return true;
}

bool late_mend(struct vcpu *vcpu)
{
	switch (vcpu->exit_reason & 0xffff) {
	case EXIT_ENTRY_FAIL_GUEST: return mend_debugctl(vcpu);
	case EXIT_ENTRY_FAIL_MCE:
		if (!late_machine_check_is_l1s())
			return false;
		vcpu->machine_check_pending = true;
		return true;
	default: return false;
	}
}
