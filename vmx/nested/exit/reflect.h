/* SPDX-License-Identifier: MIT */
/*
 * L2 ends, and L1 is told by which exit; or L1's entry fails.
 * SDM: "VM Exits", "VM-Entry Failures During or After Loading Guest State".
 */
#ifndef VMX_NESTED_EXIT_REFLECT_H
#define VMX_NESTED_EXIT_REFLECT_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/exit_record.h"

/* L2 ends: vmcs02 -> vmcs12, L1's host state -> vmcs01, MSR lists; a failure there is a VMX abort. */
enum outcome nested_reflect(struct vcpu *vcpu, const struct exit_record *record);
/*
 * The same of the exit in hand, if it is a plain one: an instruction's (FACT_INSN), nothing waits, and nobody
 * has read or written what an exit saves.
 */
bool nested_exit_is_plain(const struct vcpu *vcpu);
bool nested_state_is_unread(const struct vcpu *vcpu); /* the last of these alone */
enum outcome nested_reflect_plainly(struct vcpu *vcpu);
/* The same for a VM entry that fails after the control and host checks (reasons 33, 34 with bit 31): guest
 * state is not saved. vmcs01 or vmcs02 may be loaded.  */
enum outcome nested_entry_failure(struct vcpu *vcpu, u32 reason, u64 qualification);
/* The same, found by hardware when it entered vmcs02. */
enum outcome nested_hardware_failure(struct vcpu *vcpu, u32 reason, u64 qualification);
/* VMLAUNCH or VMRESUME of vmcs02 itself made VMfailValid(error): L1's instruction fails so (the outcome is
 * for insn_finish()), or L2 is entered again. */
enum outcome nested_hardware_vmfail(struct vcpu *vcpu, u32 error);

#endif
