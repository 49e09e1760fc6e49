/* SPDX-License-Identifier: MIT */
/*
 * What this processor's VMX can do: the capability MSRs read once on the BSP
 * and compared on every AP, against what Socle needs.  What L1 is told is
 * vmx/nested/vmcs12/caps12.c.
 * SDM: appendix "VMX Capability Reporting Facility".
 */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include "kernel/status.h"
#include "kernel/types.h"

/* allowed0: bits that must be 1; allowed1: bits that may be 1. */
struct control_cap {
	u32 allowed0, allowed1;
};

/* Constant after caps_init(). */
struct vmx_caps {
	u64 basic, misc, ept_vpid, vmfunc, vmcs_enum;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	struct control_cap pin, proc, proc2, exit, entry; /* the true controls where there are such */
	unsigned int physical_bits, linear_bits;
	unsigned int memory_bits; /* of a physical address, without those that choose an encryption key */
	u64 debugctl_valid;	  /* bits that IA32_DEBUGCTL has */
	bool has_shadow_vmcs;	  /* and not switched off by shadow-vmcs=off */
	bool has_ept_1g, has_ept_2m;
	bool has_guest_1g; /* 1 GiB pages in the processor's own paging */
	bool has_invvpid;  /* all types that L0 uses */
};
extern struct vmx_caps vmx_caps;

/*
 * BSP, once: reads the MSRs, checks the required sets.  Errors: no VT-x, locked off, no EPT, no
 * unrestricted guest...
 */
enum status caps_init(void);

/* Whether L1 can have further CPUs, which wait for their SIPIs as guests. BSP, after caps_init(). */
enum status caps_check_smp(void);

/* AP: STATUS_OK if it has VT-x and the firmware does not forbid it. */
enum status caps_may_vmxon(void);

/* AP, after that: STATUS_OK if its capabilities equal the BSP's. */
enum status caps_compare(void);

/* `check`: prints what the machine has and lacks, also without VT-x; true if Socle can run here. */
bool caps_report(void);

/* A control word: what is wanted, with the bits that must be 1, minus those that must be 0. */
static inline u32 caps_control(struct control_cap cap, u32 wanted)
{
	return (wanted | cap.allowed0) & cap.allowed1;
}

#endif
