/* SPDX-License-Identifier: MIT */
/*
 * The VMCS as the processor has it: fields by name, VMREAD and VMWRITE on the
 * current VMCS, the register cache of each VMCS (vmx/hw/regcache.h), and which
 * VMCS is current.  What the fields should hold is decided elsewhere.
 * SDM: "Virtual Machine Control Structures".
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include "kernel/hw/vmx.h"
#include "kernel/percpu.h"
#include "kernel/types.h"
#include "mm/addr.h"
#include "vmx/hw/regcache.h"

/* VMCS_GUEST_RIP etc: encodings, spelled VMCS_<name>, lower case as in the table. */
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

/* What L0 single-steps a guest for: reasons for the monitor trap flag beside L1's own wish. */
enum step {
	STEP_ABSENT = 1 << 0, /* over an access to memory that is not there: absent.c, ept02_absent.c */
	STEP_MACHINE_CHECK = 1 << 1, /* to the boundary where one can be delivered */
	STEP_NMI = 1 << 2,	     /* likewise, where no window opens */
	STEP_INIT = 1 << 3,	     /* to the first boundary after an injected event was delivered */
	STEP_ALL = 0xf,
};

/*
 * One hardware VMCS.  Belongs to one CPU for its whole life; nobody else
 * touches it.
 */
struct vmcs {
	hpa_t region;	 /* constant after vmcs_init() */
	bool launched;	 /* VMRESUME, not VMLAUNCH */
	bool injecting;	 /* its event-injection field is valid: inject_commit() wrote it, no entry came yet */
	bool nmi_window; /* NMI-window exiting is on, for an NMI that L0 holds: inject_commit() */
	u8 steps;	 /* STEP_*: the monitor trap flag is on for these: event_set_step() */
	struct regcache cache;
};

/* Gives `vmcs` a page (zeroed, 4 KiB) with the processor's revision identifier and VMCLEARs it. */
void vmcs_init(struct vmcs *vmcs, void *page, struct regcache_counters *counters);

/* VMCLEARs; current or not.  Its cache must hold nothing dirty (asserted). */
void vmcs_clear(struct vmcs *vmcs);

/* VMPTRLD, nothing else.  Only vcpu_load_vmcs() (vmx/guest/vcpu.h) and the start-up code call it. */
void vmcs_load(struct vmcs *vmcs);

/*
 * VMREAD and VMWRITE of the current VMCS.  Not for fields that the register
 * cache owns.  A failure is ours: it panics with the field's name.
 */
u64 vmcs_read(enum vmcs_field field);
void vmcs_write(enum vmcs_field field, u64 value);

/* The same without a call, for the exit path. */
NORETURN void vmcs_read_failed(enum vmcs_field field);
NORETURN void vmcs_write_failed(enum vmcs_field field, u64 value);

static inline u64 vmcs_read_fast(enum vmcs_field field)
{
	u64 value;

	if (unlikely(!hw_vmread_ok(field, &value)))
		vmcs_read_failed(field);
	return value;
}

/*
 * A build with DEBUG=1: while it compares, a VMWRITE writes nothing, and stops the machine if the field does
 * not hold the value already (vmx/nested/debug.c).
 */
#ifdef DEBUG_SHORTCUTS
void vmcs_compare(enum vmcs_field field, u64 value);
#endif

static inline void vmcs_write_fast(enum vmcs_field field, u64 value)
{
#ifdef DEBUG_SHORTCUTS
	if (unlikely(percpu_this()->vmcs_comparing)) {
		vmcs_compare(field, value);
		return;
	}
#endif
	if (unlikely(!hw_vmwrite_ok(field, value)))
		vmcs_write_failed(field, value);
}

/* Do all processors have the field?  Each probes once by vmcs_probe_fields(), with a current VMCS; the first
 * anew. */
bool vmcs_field_exists(enum vmcs_field field);
void vmcs_probe_fields(bool first);

const char *vmcs_field_name(u32 encoding);

#endif
