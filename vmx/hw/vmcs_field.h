/* SPDX-License-Identifier: MIT */
/*
 * The fields of a VMCS by name, VMREAD and VMWRITE on the current VMCS.  What
 * the fields should hold is decided elsewhere.
 * SDM: "Field Encoding in VMCS".
 */
#ifndef VMX_VMCS_FIELD_H
#define VMX_VMCS_FIELD_H

#include "kernel/bits.h"
#include "kernel/hw/vmx.h"
#include "kernel/types.h"

/* The encodings: VMCS_guest_rip and so on, with the names of the table. */
enum vmcs_field {
#define F(encoding, name, flow, shadow, group) VMCS_##name = encoding,
#include "vmx/hw/vmcs_fields.def"
#undef F
};

/* Decoding of a field encoding.  SDM: "Field Encoding in VMCS". */
#define VMCS_FIELD_HIGH(enc) ((enc)&1u)
#define VMCS_FIELD_INDEX(enc) (((enc) >> 1) & 0x1ffu)
#define VMCS_FIELD_TYPE(enc) (((enc) >> 10) & 3u)  /* see below */
#define VMCS_FIELD_WIDTH(enc) (((enc) >> 13) & 3u) /* see below */
enum { VMCS_TYPE_CONTROL, VMCS_TYPE_READ_ONLY, VMCS_TYPE_GUEST, VMCS_TYPE_HOST };
enum { VMCS_WIDTH_16, VMCS_WIDTH_64, VMCS_WIDTH_32, VMCS_WIDTH_NATURAL };

/*
 * VMREAD and VMWRITE of the current VMCS.  Not for fields that the register
 * cache owns.  A failure is ours: it panics with the field's name.
 */
u64 vmcs_read(enum vmcs_field field);
void vmcs_write(enum vmcs_field field, u64 value);

/*
 * The same for the exit path: without a call, and without asking whether it failed. With a current VMCS an
 * access to a field that the processor has cannot fail (SDM "VMREAD", "VMWRITE"), and whoever names one that
 * not every processor has knows that this one does. A build with DEBUG=1 asks; and while it compares, a
 * VMWRITE writes nothing, and stops the machine if the field does not hold the value already
 * (vmx/nested/debug.c).
 */
#ifdef DEBUG_SHORTCUTS
void vmcs_compare(enum vmcs_field field, u64 value);

static inline u64 vmcs_read_fast(enum vmcs_field field)
{
	return vmcs_read(field);
}

static inline void vmcs_write_fast(enum vmcs_field field, u64 value)
{
	vmcs_write(field, value);
}
#else
static inline u64 vmcs_read_fast(enum vmcs_field field)
{
	return hw_vmread_sure(field);
}

static inline void vmcs_write_fast(enum vmcs_field field, u64 value)
{
	hw_vmwrite_sure(field, value);
}
#endif

/*
 * True if every processor has the field. Each processor calls vmcs_probe_fields() once, with a current
 * VMCS: the first one (`first`) says what there is, each further one takes out what it lacks.
 */
bool vmcs_field_exists(enum vmcs_field field);
void vmcs_probe_fields(bool first);

const char *vmcs_field_name(u32 encoding);

#endif
