/* SPDX-License-Identifier: MIT */
/*
 * What the processors' VMX can do: the capability MSRs of the BSP and what
 * every AP has of it (caps_join.c), against what Socle needs.  What L1 is told is
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

/* Constant after the last caps_join(), before the first vCPU is made. */
struct vmx_caps {
	u64 basic, misc, ept_vpid, vmfunc, vmcs_enum;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	struct control_cap pin, proc, proc2, exit, entry; /* the true controls where there are such */
	unsigned int physical_bits, linear_bits;
	u64 reserved_address;	  /* bits of an entry of a page table that no physical address has */
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

/*
 * AP, after caps_may_vmxon(), in VMX operation; one CPU at a time. Takes out of vmx_caps what this CPU
 * lacks. False: this CPU cannot run beside the others; a line has said why, and vmx_caps is unchanged.
 */
bool caps_join(void);

/*
 * For caps_join(). caps_read(): the capability MSRs of this CPU; caps_derive(): the members that follow
 * from them; caps_check(): STATUS_OK if L0 has all that it needs.
 */
void caps_read(struct vmx_caps *caps);
void caps_derive(struct vmx_caps *caps);
enum status caps_check(const struct vmx_caps *caps);

/* `check`: prints what the processor has and lacks, also without VT-x. BSP. */
void caps_report(void);
/* `check`: the controls that the processor has and L1 is not told of. BSP, after caps_init(). */
void caps_report_hidden(const struct vmx_caps *l1s);

/* The SDM's name of a bit (0 to 31) of the word WORD_*; NULL: it has none that Socle knows. */
const char *caps_control_name(unsigned int word, unsigned int bit);

/*
 * Bits of a physical address that choose memory, on this CPU: CPUID's width without the bits that choose an
 * encryption key. Needs no caps_init().
 */
unsigned int caps_memory_bits(void);

/* A control word: what is wanted, with the bits that must be 1, minus those that must be 0. */
static inline u32 caps_control(struct control_cap cap, u32 wanted)
{
	return (wanted | cap.allowed0) & cap.allowed1;
}

#endif
