/* SPDX-License-Identifier: MIT */
/*
 * The switch from L2 to L1: the one way out of L2. Whoever leaves vmcs02 (an
 * exit that is L1's, an entry that failed late or by the processor, a VMX
 * abort) ends here what L0 has begun for it, while it is still current. What L1 gets is reflect.c's and
 * host_state.c's.
 * SDM: "VM Exits", "VM-Entry Failures During or After Loading Guest State", "VMX Aborts".
 *
 * What L0 can have begun when L2 ends, and where each goes:
 *  - a step over absent memory: the tables that it changed are mended here, with the page of ones;
 *  - the monitor trap flag and the NMI window: closed here, so that vmcs02 holds again what merge.c wrote.
 *    Their reasons stay and are looked at again at the next entry: a held NMI (nmi_pending) and a machine
 *    check are L1's now, a held INIT waits for L1's VMXOFF or next entry;
 *  - L0's own time of the preemption timer: what has passed of it counts for the next L2 (timer.c);
 *  - the TPR threshold that L0 looks after (tpr.c): the processor's again at the next entry;
 *  - an event that L0 held (vcpu->pending): vmcs12's IDT-vectoring information, or L1's to keep, before
 *    anybody comes here; the field that injects it is cleared here if no entry has consumed it;
 *  - registers that are dirty in the cache: vcpu_load_vmcs() writes them to vmcs02, where they belong;
 *  - an entry that failed (reflect.c): vmcs02 is made anew, for `entered` or all of `dirty` says so;
 *  - flags and log entries that a walk of EPT12 wrote are L1's memory, PML's index is vmcs12's: complete;
 *  - #VE's area is written, or not, before L2 goes on; the preemption timer is vmcs02's at every exit;
 *  - the repaired violation that ept02.c will retry is a hint of the next entry's, looked up anew;
 *  - L0's own wishes (vcpu->wish and its alternation, intercept=) and requests of other CPUs belong to the
 *    vCPU, not to a VMCS.
 */
#include "vmx/nested/exit/leave.h"

#include "kernel/panic.h"
#include "vmx/guest/event.h"
#include "vmx/l1/guest1.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/timer.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/vmcs12/shadow.h"

static COLD void end_what_was_begun(struct vcpu *vcpu, struct vmcs *vmcs02)
{
	ept02_absent_finish(vcpu);
	event_set_step(vcpu, STEP_ALL, false);
	event_set_nmi_window(vcpu, false);
	tpr_restore(vcpu->nested.current);
	if (vcpu->wish.timer_ticks)
		timer_leave(vcpu);
	if (vmcs02->injecting)
		vmcs_write(VMCS_entry_intr_info, 0);
	vmcs02->injecting = false;
}

void nested_leave_l2(struct vcpu *vcpu)
{
	struct vmcs *vmcs02 = vcpu->vmcs;

	ASSERT(vmcs02 == &vcpu->nested.current->vmcs02 && !vcpu->pending_valid);
	/* Steps, an event that is injected, the NMI window. */
	if (unlikely((vmcs02->state & ~VMCS_LAUNCHED) | vcpu->nested.current->tpr_relaxed |
		     vcpu->wish.timer_ticks))
		end_what_was_begun(vcpu, vmcs02);
	vcpu->nested.in_l2 = false;
	vcpu->guest = &l1_guest;
	shadow_push(vcpu, vcpu->nested.current);
	vcpu_switch_vmcs(vcpu, &vcpu->vmcs01);
}

COLD void nested_cancel_entry(struct vcpu *vcpu)
{
	struct nested_vmcs *slot = vcpu->nested.current;

	if (!vcpu->nested.in_l2)
		return;
	if (slot->launching)
		slot->v12.launched = 0;
	/*
	 * An event that L1 injected is still in vmcs12. An NMI or a machine check that L0 wanted to inject on
	 * its own account must now go to L1.
	 */
	if (vcpu->pending_valid && !(slot->v12.entry_intr_info & INTR_INFO_VALID)) {
		vcpu->nmi_pending |= vcpu->pending.type == INTR_TYPE_NMI;
		vcpu->machine_check_pending |= vcpu->pending.vector == VEC_MC;
	}
	vcpu->pending_valid = false;
	nested_leave_l2(vcpu);
}
