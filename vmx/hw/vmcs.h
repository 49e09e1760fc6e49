/* SPDX-License-Identifier: MIT */
/*
 * The VMCS as the processor has it: its region, its register cache
 * (vmx/hw/regcache.h), and which one is current.  Its fields are vmcs_field.h's.
 * SDM: "Virtual Machine Control Structures".
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include "kernel/hw/vmx.h"
#include "kernel/types.h"
#include "mm/addr.h"
#include "vmx/hw/regcache.h"
#include "vmx/hw/vmcs_field.h"

/* What L0 single-steps a guest for: reasons for the monitor trap flag beside L1's own wish. */
enum step {
	STEP_ABSENT = 1 << 0, /* over an access to memory that is not there: absent.c, ept02_absent.c */
	STEP_MACHINE_CHECK = 1 << 1, /* to the boundary where one can be delivered */
	STEP_NMI = 1 << 2,	     /* likewise, where no window opens */
	STEP_INIT = 1 << 3,	     /* to the first boundary after an injected event was delivered */
	STEP_DEBUG = 1 << 4,	     /* for a person: vmx/monitor/step.c */
	STEP_ALL = 0x1f,
};

#define VMCS_LAUNCHED 1u

/*
 * One hardware VMCS.  Belongs to one CPU for its whole life; nobody else
 * touches it.
 */
struct vmcs {
	hpa_t region; /* constant after vmcs_init() */
	union {
		struct {
			bool launched;	 /* VMRESUME, not VMLAUNCH */
			bool injecting;	 /* its event-injection field is valid: inject_commit() wrote it, no
					    entry came yet */
			bool nmi_window; /* NMI-window exiting is on, for an NMI that L0 holds:
					    inject_commit() */
			u8 steps;	 /* STEP_*: the monitor trap flag is on for these: event_set_step() */
			bool flushes;	 /* the processor's buffers are flushed before each entry: constant */
			bool traced;	 /* trace= wants the time of each entry: constant */
			u8 unused[2];
		};
		u32 state;  /* the first four: VMCS_LAUNCHED alone is the usual one */
		u64 before; /* all of these, likewise: the entry */
	};
	struct regcache cache;
	/*
	 * Guest fields past the cache that nobody but L0 gives new values, for WRMSR of these MSRs exits
	 * (vmx/l1/msrs.def): as they were written last; ~0: not yet. IA32_DEBUGCTL is known while it is 0
	 * only: the processor clears bits of it.
	 */
	u64 pat, debugctl;
};

/* Gives `vmcs` a page (zeroed, 4 KiB) with the processor's revision identifier and VMCLEARs it. */
void vmcs_init(struct vmcs *vmcs, void *page, struct regcache_counters *counters);

/* VMCLEARs; current or not.  Its cache must hold nothing dirty (asserted). */
void vmcs_clear(struct vmcs *vmcs);

/* VMPTRLD, nothing else.  Only vcpu_load_vmcs(), vcpu_switch_vmcs() (vmx/guest/vcpu.h) and the start-up code
 * call it. */
NORETURN void vmcs_load_failed(const struct vmcs *vmcs);
static inline void vmcs_load(const struct vmcs *vmcs)
{
	if (unlikely(!hw_vmptrld_ok(&vmcs->region.v)))
		vmcs_load_failed(vmcs);
}

#endif
