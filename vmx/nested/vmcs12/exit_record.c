/* SPDX-License-Identifier: MIT */
/*
 * An exit of L2's as L1 will read it, whichever it is: exit_record.h has what there is to do.
 * SDM: "Basic VM-Exit Information", "Information for VM Exits Due to Instruction Execution".
 */
#include "vmx/nested/vmcs12/exit_record.h"

#include "vmx/hw/exits.h"
#include "vmx/guest/vcpu.h"

struct exit_record exit_record_hardware(struct vcpu *vcpu)
{
	return exit_record_by(vcpu, exit_facts(vcpu->exit_reason & 0xffff));
}
