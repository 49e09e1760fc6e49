/* SPDX-License-Identifier: MIT */
/*
 * What of vmcs12 is newer elsewhere (fields that L1 wrote by VMCS shadowing, guest state that stays in vmcs02
 * until L1 asks) is fetched first, as L1's own VMREAD would. While L2 runs, vmcs12 is as L1 left it.
 */
#include "vmx/monitor/view.h"

#include "kernel/string.h"
#include "vmx/monitor/output.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/newest.h"
#include "vmx/nested/vmcs12/vmcs12.h"

bool view_begin(struct view *view, struct vcpu *vcpu, enum view_kind kind)
{
	struct nested_vmcs *slot = vcpu->nested.current;

	*view = (struct view){ .vcpu = vcpu, .back = vcpu->vmcs, .kind = kind };
	if (kind != VIEW_01 && !slot) {
		output("error: L1 has no current VMCS");
		return false;
	}
	if (slot) {
		view->v12 = &slot->v12;
		view->has_02 = slot->entered || vcpu->guest->level == 2;
	}
	if (kind == VIEW_02 && !view->has_02) {
		output("error: there is no vmcs02 of it: L1 has not entered it");
		return false;
	}
	if (kind == VIEW_12 && vcpu->guest->level == 1)
		newest_fetch(vcpu, slot);
	vcpu_load_vmcs(vcpu, kind != VIEW_01 && view->has_02 ? &slot->vmcs02 : &vcpu->vmcs01);
	/* What waits in the cache is what the guest has. */
	regcache_flush(&vcpu->vmcs->cache);
	return true;
}

bool view_read_loaded(u32 encoding, u64 *value)
{
	return vmcs_field_exists((enum vmcs_field)encoding) && hw_vmread_ok(encoding, value);
}

bool view_read(const struct view *view, u32 encoding, u64 *value)
{
	int row;

	if (view->kind != VIEW_12)
		return view_read_loaded(encoding, value);
	row = vmcs12_find(encoding);
	if (row < 0)
		return false;
	*value = *vmcs12_slot(view->v12, (unsigned int)row);
	return true;
}

u64 view_field(const struct view *view, u32 encoding)
{
	u64 value = 0;

	view_read(view, encoding, &value);
	return value;
}

void view_end(struct view *view)
{
	vcpu_load_vmcs(view->vcpu, view->back);
}

const char *view_who_runs(const struct vcpu *vcpu)
{
	return vcpu->guest->level == 2 ? "L2" : vcpu->nested.vmxon ? "L1 in VMX operation" : "L1";
}

bool view_kind_of(const char *word, enum view_kind *kind)
{
	static const char names[][3] = { [VIEW_01] = "01", [VIEW_12] = "12", [VIEW_02] = "02" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(word, names[i])) {
			*kind = (enum view_kind)i;
			return true;
		}
	return false;
}
