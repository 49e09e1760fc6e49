/* SPDX-License-Identifier: MIT */
/*
 * L0's own wishes of any guest for exits by exceptions: intercept=, the debug call, and a person's
 * breakpoints, together. They hold for vmcs01 and every vmcs02 at once.
 * SDM: "Exception Bitmap".
 */
#include "vmx/nested/wish.h"

#include "kernel/cmdline.h"
#include "vmx/l1/l1.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/merge.h"

/* By an option, INTERCEPT_EXCEPTION() has the exception bitmap's layout in its upper half. */
static void join(struct wish *wish)
{
	struct pf_intercept watched = { .eb = wish->watched & BIT(VEC_PF) };

	wish->exceptions = (wish->watched & ~(u32)BIT(VEC_PF)) | (u32)(options.intercept >> 32);
	wish->pf = merge_pf(watched, wish->pf_asked);
}

void wish_init(struct vcpu *vcpu)
{
	if (options.intercept & INTERCEPT_PF)
		vcpu->wish.pf_asked = (struct pf_intercept){ true, options.intercept_pfec_mask,
							     options.intercept_pfec_match };
	join(&vcpu->wish);
}

static void follow(struct vcpu *vcpu)
{
	struct vmcs *back = vcpu->vmcs;

	join(&vcpu->wish);
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	l1_write_exceptions(vcpu);
	vcpu_load_vmcs(vcpu, back);
	nested_update_intercepts(vcpu);
	if (vcpu->guest->write_exceptions)
		vcpu->guest->write_exceptions(vcpu);
}

void wish_set_pf(struct vcpu *vcpu, struct pf_intercept wish)
{
	vcpu->wish.pf_asked = wish;
	follow(vcpu);
}

void wish_watch(struct vcpu *vcpu, u32 vectors)
{
	vcpu->wish.watched = vectors;
	follow(vcpu);
}

void wish_alternate_pf(struct vcpu *vcpu)
{
	struct pf_intercept wish = vcpu->wish.pf_next;

	vcpu->wish.pf_next = vcpu->wish.pf_asked;
	wish_set_pf(vcpu, wish);
}
