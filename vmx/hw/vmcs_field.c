/* SPDX-License-Identifier: MIT */
/*
 * VMREAD and VMWRITE on the current VMCS, the fields' names, and which of them
 * this processor has.
 * SDM: "Field Encoding in VMCS".
 */
#include "vmx/hw/vmcs_field.h"

#include "kernel/panic.h"

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
