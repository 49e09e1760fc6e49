/* SPDX-License-Identifier: MIT */
/*
 * L0's own wishes of any guest: page faults (intercept=pf, the debug call). They
 * hold for vmcs01 and every vmcs02 at once.
 * SDM: "Exception Bitmap".
 */
#include "vmx/wish.h"

#include "kernel/cmdline.h"
#include "vmx/l1/l1.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/merge.h"

void wish_init(struct vcpu *vcpu)
{
	if (options.intercept & INTERCEPT_PF)
		vcpu->wish.pf = (struct pf_intercept){ true, options.intercept_pfec_mask,
						       options.intercept_pfec_match };
}

void wish_set_pf(struct vcpu *vcpu, struct pf_intercept wish)
{
	struct vmcs *back = vcpu->vmcs;

	vcpu->wish.pf = wish;
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	l1_write_exceptions(vcpu);
	vcpu_load_vmcs(vcpu, back);
	nested_update_intercepts(vcpu);
	if (vcpu->guest->write_exceptions)
		vcpu->guest->write_exceptions(vcpu);
}

void wish_alternate_pf(struct vcpu *vcpu)
{
	struct pf_intercept wish = vcpu->wish.pf_next;

	vcpu->wish.pf_next = vcpu->wish.pf;
	wish_set_pf(vcpu, wish);
}
