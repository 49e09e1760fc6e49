/* SPDX-License-Identifier: MIT */
/*
 * A VMCS of this CPU's to look at, whichever is current: vmcs01, vmcs02 or vmcs12. Another VMCS is loaded
 * meanwhile; nothing that a guest can see changes.
 */
#ifndef VMX_MONITOR_VIEW_H
#define VMX_MONITOR_VIEW_H

#include "vmx/guest/vcpu.h"

enum view_kind { VIEW_01, VIEW_12, VIEW_02 };

struct view {
	struct vcpu *vcpu;
	struct vmcs *back;
	enum view_kind kind;
	struct vmcs12 *v12; /* NULL: there is no current one */
	bool has_02;	    /* of it there is a vmcs02, which is loaded for VIEW_12 and VIEW_02 */
};

/* False: there is no such VMCS, and that has been said. Else view_end() is to be called. */
bool view_begin(struct view *view, struct vcpu *vcpu, enum view_kind kind);
/* False: this VMCS, or the processor, has no such field. */
bool view_read(const struct view *view, u32 encoding, u64 *value);
/* What the loaded VMCS has there. */
bool view_read_loaded(u32 encoding, u64 *value);
void view_end(struct view *view);

/* A field that each processor has. */
u64 view_field(const struct view *view, u32 encoding);

/* What runs on that CPU, in words. */
const char *view_who_runs(const struct vcpu *vcpu);

/* "01", "12", "02" */
bool view_kind_of(const char *word, enum view_kind *kind);

#endif
