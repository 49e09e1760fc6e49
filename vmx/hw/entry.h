/* SPDX-License-Identifier: MIT */
/*
 * The doorway between L0 and the guest: vmx/hw/entry.S.
 */
#ifndef VMX_ENTRY_H
#define VMX_ENTRY_H

#include "kernel/hw/enter.h"
#include "kernel/types.h"

struct vcpu;

enum enter_result {
	ENTER_EXITED,	    /* the guest ran (or its entry failed late): there is an exit reason */
	ENTER_FAIL_INVALID, /* VMfailInvalid of VMLAUNCH or VMRESUME */
	ENTER_FAIL_VALID,   /* VMfailValid: the VM-instruction error says why */
	ENTER_REQUEST,	    /* vcpu->request was not zero: nothing was entered */
};

/*
 * Enters the guest of the current VMCS by vcpu->launched; comes back after its next exit with its
 * registers in vcpu->gpr. Returns the vCPU: whoever goes on with that has it in a register, all of which are
 * lost.
 */
static inline struct vcpu *vmx_enter(struct vcpu *vcpu, enum enter_result *result)
{
	void *same = vcpu;

	*result = (enum enter_result)hw_enter(&same);
	return same;
}

/*
 * Between these two labels `request` was looked at and the guest is not entered yet: whoever sets a
 * request from an NMI there continues at vmx_entry_restart, which gives ENTER_REQUEST.
 */
extern const char vmx_entry_begin[], vmx_entry_end[], vmx_entry_restart[];

/* HOST_RIP; HOST_RSP is the vCPU. */
extern const char vmx_exit[];

#endif
