/* SPDX-License-Identifier: MIT */
/*
 * VMREAD and VMWRITE on the current VMCS, the fields' names, and which of them
 * this processor has.
 * SDM: "Field Encoding in VMCS".
 */
#include "vmx/hw/vmcs_field.h"

#include "kernel/panic.h"
#include "kernel/percpu.h"

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

u64 vmcs_read(enum vmcs_field field)
{
	u64 value;

	if (unlikely(!hw_vmread_ok(field, &value)))
		panic("VMREAD of %s (%x) failed", vmcs_field_name(field), field);
	return value;
}

void vmcs_write(enum vmcs_field field, u64 value)
{
#ifdef DEBUG_SHORTCUTS
	if (unlikely(percpu_this()->vmcs_comparing)) {
		vmcs_compare(field, value);
		return;
	}
#endif
	if (unlikely(!hw_vmwrite_ok(field, value)))
		panic("VMWRITE of %llx to %s (%x) failed", (unsigned long long)value, vmcs_field_name(field),
		      field);
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
