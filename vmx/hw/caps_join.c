/* SPDX-License-Identifier: MIT */
/*
 * Processors that are not alike, as those of a hybrid part or after half an update: what L0 uses and L1 is
 * given is what all of them have. One that has too little for that is left out. SDM: appendix "VMX Capability
 * Reporting Facility".
 */
#include "vmx/hw/caps.h"

#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vmx/hw/vmx.h"

/*
 * All processors must have these alike, for they say what a VMCS is: its revision, the size of its region,
 * where that may lie and how it is accessed.
 */
#define BASIC_ALIKE (GENMASK(53, 50) | GENMASK(48, 32) | GENMASK(31, 0))

enum how {
	ALL_HAVE,  /* a bit that says what can be done */
	ANY_WANTS, /* a bit that must be 1 */
	CONTROLS,  /* below what must be 1, above what may be */
	LEAST,	   /* a number */
	BASIC,
	MISC,
};

static const struct capability {
	const char *name;
	u32 offset;
	enum how how;
} capabilities[] = {
#define C(member, how, name)                                                                                 \
	{                                                                                                    \
		name, offsetof(struct vmx_caps, member), how                                                 \
	}
	C(basic, BASIC, "IA32_VMX_BASIC"),
	C(pin, CONTROLS, "IA32_VMX_TRUE_PINBASED_CTLS"),
	C(proc, CONTROLS, "IA32_VMX_TRUE_PROCBASED_CTLS"),
	C(proc2, CONTROLS, "IA32_VMX_PROCBASED_CTLS2"),
	C(exit, CONTROLS, "IA32_VMX_TRUE_EXIT_CTLS"),
	C(entry, CONTROLS, "IA32_VMX_TRUE_ENTRY_CTLS"),
	C(misc, MISC, "IA32_VMX_MISC"),
	C(ept_vpid, ALL_HAVE, "IA32_VMX_EPT_VPID_CAP"),
	C(vmfunc, ALL_HAVE, "IA32_VMX_VMFUNC"),
	C(vmcs_enum, LEAST, "IA32_VMX_VMCS_ENUM"),
	C(cr0_fixed0, ANY_WANTS, "IA32_VMX_CR0_FIXED0"),
	C(cr0_fixed1, ALL_HAVE, "IA32_VMX_CR0_FIXED1"),
	C(cr4_fixed0, ANY_WANTS, "IA32_VMX_CR4_FIXED0"),
	C(cr4_fixed1, ALL_HAVE, "IA32_VMX_CR4_FIXED1"),
	C(debugctl_valid, ALL_HAVE, "the bits of IA32_DEBUGCTL"),
#undef C
};

static u64 get(const struct vmx_caps *caps, const struct capability *c)
{
	u64 value;

	memcpy(&value, (const u8 *)caps + c->offset, sizeof(value));
	return value;
}

static u64 least(u64 a, u64 b, u64 mask)
{
	return MIN(a & mask, b & mask);
}

/*
 * The rate of the VMX-preemption timer is not joined: each CPU uses its own. vmx_caps keeps that of the
 * first one.
 */
static u64 common_misc(u64 a, u64 b)
{
	const u64 numbers = VMX_MISC_TIMER_RATE | VMX_MISC_CR3_TARGETS_MASK | VMX_MISC_MSR_LIST_LENGTH;

	return (a & VMX_MISC_TIMER_RATE) | least(a, b, VMX_MISC_CR3_TARGETS_MASK) |
	       least(a, b, VMX_MISC_MSR_LIST_LENGTH) | (a & b & ~numbers);
}

static u64 common(enum how how, u64 a, u64 b)
{
	switch (how) {
	case ANY_WANTS: return a | b;
	case CONTROLS: return (a & b & GENMASK(63, 32)) | ((a | b) & GENMASK(31, 0));
	case LEAST: return MIN(a, b);
	case MISC: return common_misc(a, b);
	default: return a & b;
	}
}

static bool leave_out(const struct capability *c, u64 theirs, u64 mine, const char *why)
{
	log_warn("the CPU with APIC ID %x is left out: %s is %llx there, %llx on the others, bits %llx "
		 "differ: %s",
		 percpu_this()->apic_id, c->name, (unsigned long long)mine, (unsigned long long)theirs,
		 (unsigned long long)(mine ^ theirs), why);
	return false;
}

/* The reason why this processor cannot run beside the others; NULL: it can. */
static const char *misfit(const struct capability *c, u64 theirs, u64 mine, u64 both)
{
	if (c->how == BASIC && ((theirs ^ mine) & BASIC_ALIKE))
		return "a VMCS of theirs is none of its";
	if (c->how == CONTROLS && (u32)both & ~(u32)(both >> 32))
		return "what it must have, they cannot";
	if (c->how == MISC && !(both & VMX_MISC_ACTIVITY(ACTIVITY_WAIT_FOR_SIPI)))
		return "it has no activity state wait-for-SIPI";
	return NULL;
}

static void derive(struct vmx_caps *all, const struct vmx_caps *mine)
{
	all->physical_bits = MIN(all->physical_bits, mine->physical_bits);
	all->memory_bits = MIN(all->memory_bits, mine->memory_bits);
	all->linear_bits = MIN(all->linear_bits, mine->linear_bits);
	all->has_guest_1g &= mine->has_guest_1g;
	caps_derive(all);
}

/*
 * Says which capability all processors lose because this one lacks it. Only the first one that lacks it
 * comes here.
 */
static void report_less(const struct capability *c, u64 theirs, u64 mine, u64 both)
{
	log_info("the CPU with APIC ID %x: %s is %llx there, %llx on the others; for all it is %llx (bits "
		 "%llx)",
		 percpu_this()->apic_id, c->name, (unsigned long long)mine, (unsigned long long)theirs,
		 (unsigned long long)both, (unsigned long long)(theirs ^ both));
}

bool caps_join(void)
{
	struct vmx_caps mine, all = vmx_caps;
	const struct capability *c = capabilities, *last = NULL;
	char what[100];
	enum status status;

	caps_read(&mine);
	for (; c < capabilities + ARRAY_SIZE(capabilities); c++) {
		u64 theirs = get(&all, c), own = get(&mine, c), both = common(c->how, theirs, own);
		const char *why = misfit(c, theirs, own, both);

		if (why)
			return leave_out(c, theirs, own, why);
		memcpy((u8 *)&all + c->offset, &both, sizeof(both));
		if (both != theirs)
			last = c;
	}
	derive(&all, &mine);
	status = caps_check(&all);
	if (status != STATUS_OK && last) {
		status_what(status, what, sizeof(what));
		return leave_out(last, get(&vmx_caps, last), get(&mine, last), what);
	}
	for (c = capabilities; c < capabilities + ARRAY_SIZE(capabilities); c++)
		if (get(&all, c) != get(&vmx_caps, c))
			report_less(c, get(&vmx_caps, c), get(&mine, c), get(&all, c));
	vmx_caps = all;
	return true;
}
