/* SPDX-License-Identifier: MIT */
/*
 * VMCS regions and VMREAD/VMWRITE on the current one. What the fields should
 * hold is decided elsewhere; which VMCS is current, in vcpu_load_vmcs().
 * SDM: "Virtual Machine Control Structures".
 */
#include "vmx/hw/vmcs.h"

#include "kernel/hw/phys.h"
#include "kernel/hw/vmx.h"
#include "kernel/panic.h"
#include "vmx/hw/caps.h"

struct field_row {
	u32 encoding;
	const char *name;
};

static const struct field_row field_rows[] = {
#define F(encoding, name, flow, shadow, group) { encoding, #name },
#include "vmx/hw/vmcs_fields.def"
#undef F
};

/* Constant after vmcs_probe_fields(). */
static bool field_present[ARRAY_SIZE(field_rows)];

void vmcs_init(struct vmcs *vmcs, void *page, struct regcache_counters *counters)
{
	*(u32 *)page = (u32)(vmx_caps.basic & GENMASK(30, 0));
	*vmcs = (struct vmcs){ .region = ptr_to_phys(page), .cache.counters = counters };
	vmcs_clear(vmcs);
}

void vmcs_clear(struct vmcs *vmcs)
{
	ASSERT(!vmcs->cache.dirty);
	if (hw_vmclear(vmcs->region.v) != HW_VMX_OK)
		panic("VMCLEAR of %llx failed", (unsigned long long)vmcs->region.v);
	vmcs->launched = false;
	regcache_reset(&vmcs->cache);
}

void vmcs_load(struct vmcs *vmcs)
{
	if (unlikely(hw_vmptrld(vmcs->region.v) != HW_VMX_OK))
		panic("VMPTRLD of %llx failed", (unsigned long long)vmcs->region.v);
}

void vmcs_read_failed(enum vmcs_field field)
{
	panic("VMREAD of %s (%x) failed", vmcs_field_name(field), field);
}

void vmcs_write_failed(enum vmcs_field field, u64 value)
{
	panic("VMWRITE of %llx to %s (%x) failed", (unsigned long long)value, vmcs_field_name(field), field);
}

u64 vmcs_read(enum vmcs_field field)
{
	return vmcs_read_fast(field);
}

void vmcs_write(enum vmcs_field field, u64 value)
{
	vmcs_write_fast(field, value);
}

bool vmcs_field_exists(enum vmcs_field field)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++)
		if (field_rows[i].encoding == field)
			return field_present[i];
	return false;
}

void vmcs_probe_fields(bool first)
{
	u64 value;

	for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++)
		field_present[i] =
			(first || field_present[i]) && hw_vmread(field_rows[i].encoding, &value) == HW_VMX_OK;
}

const char *vmcs_field_name(u32 encoding)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++)
		if (field_rows[i].encoding == encoding)
			return field_rows[i].name;
	return "unknown field";
}
