/* SPDX-License-Identifier: MIT */
/* Compares the processor's CPUID with what L1 is told, and names the difference.  SDM volume 2: "CPUID". */
#include "vmx/l1/hidden.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/report.h"
#include "vmx/l1/exit_cpu.h"

enum reason { WRITES, STATE, MSRS, WALK, FIRMWARE };

static const char *const reasons[] = {
	[WRITES] = "hidden (it writes memory by itself): ",
	[STATE] = "hidden (Socle does not switch its state): ",
	[MSRS] = "hidden (other ways to MSRs than Socle looks at): ",
	[WALK] = "hidden (Socle walks four levels): ",
	[FIRMWARE] = "hidden (the firmware's, or not for guests): ",
};

/* In the order of struct cpuid_regs. */
enum { HR_eax, HR_ebx, HR_ecx, HR_edx, REGS };

static const struct row {
	u32 leaf;
	u8 subleaf, reg, bit;
	u8 reason;
	const char *name;
} rows[] = {
#define HIDDEN(leaf, subleaf, reg, bit, name, reason) { leaf, subleaf, HR_##reg, bit, reason, name },
#include "vmx/l1/hidden.def"
#undef HIDDEN
};

/* Leaves that list features: each of their bits that L1 does not see must be named. */
static const struct {
	u32 leaf, subleaf;
} leaves[] = { { 0x1, 0 }, { 0x6, 0 }, { 0x7, 0 }, { 0x7, 1 }, { 0x7, 2 }, { 0xd, 1 }, { 0x80000001, 0 } };

#define NOT_FEATURES (BIT(27) | BIT(31)) /* of leaf 1 ECX: OSXSAVE, HYPERVISOR */
#define OSPKE BIT(4)

static u32 register_of(const struct cpuid_regs *r, u32 reg)
{
	const u32 all[REGS] = { r->eax, r->ebx, r->ecx, r->edx };

	return all[reg];
}

static u32 hidden_bits(struct vcpu *vcpu, u32 leaf, u32 subleaf, u32 reg)
{
	struct cpuid_regs bare = { 0 }, l1s = cpuid_l1(vcpu, leaf, subleaf);
	u32 bits;

	if (leaf <= cpuid(leaf & 0x80000000, 0).eax)
		bare = cpuid(leaf, subleaf);
	bits = register_of(&bare, reg) & ~register_of(&l1s, reg);
	if (reg == HR_ecx && leaf == 1)
		bits &= ~(u32)NOT_FEATURES;
	if (reg == HR_ecx && leaf == 7 && !subleaf)
		bits &= ~(u32)OSPKE;
	return bits;
}

/* Bits that L1 does not see and for which hidden.def has no row. */
static u32 unnamed_bits(struct vcpu *vcpu, u32 leaf, u32 subleaf, u32 reg)
{
	u32 bits = hidden_bits(vcpu, leaf, subleaf, reg);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].leaf == leaf && rows[i].subleaf == subleaf && rows[i].reg == reg)
			bits &= ~(1u << rows[i].bit);
	return bits;
}

static void report_reason(struct vcpu *vcpu, u32 reason)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];

		if (row->reason != reason ||
		    !(hidden_bits(vcpu, row->leaf, row->subleaf, row->reg) & 1u << row->bit))
			continue;
		if (!any)
			report_begin(reasons[reason]);
		any = true;
		report_item("%s", row->name);
	}
	if (any)
		report_end();
}

/* Leaf 1's EAX and EBX, 6's EBX and all of a leaf's EAX that counts subleaves are no features. */
static bool has_features(u32 leaf, u32 subleaf, u32 reg)
{
	if (leaf == 1)
		return reg == HR_ecx || reg == HR_edx;
	if (leaf == 7 && !subleaf)
		return reg != HR_eax;
	if (leaf == 6 || leaf == 0xd)
		return reg == HR_eax || reg == HR_ecx;
	return leaf < 0x80000000 || reg == HR_ecx || reg == HR_edx;
}

void hidden_report(struct vcpu *vcpu)
{
	static const char *const names[REGS] = { "EAX", "EBX", "ECX", "EDX" };
	u32 bare_last = cpuid(0, 0).eax, last = cpuid_l1(vcpu, 0, 0).eax;

	for (u32 reason = 0; reason < ARRAY_SIZE(reasons); reason++)
		report_reason(vcpu, reason);
	report_begin("hidden (unknown to Socle, in CPUID): ");
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		for (u32 reg = 0; reg < REGS; reg++) {
			u32 bits = unnamed_bits(vcpu, leaves[i].leaf, leaves[i].subleaf, reg);

			if (bits && has_features(leaves[i].leaf, leaves[i].subleaf, reg))
				report_item("%x.%x %s %x", leaves[i].leaf, leaves[i].subleaf, names[reg],
					    bits);
		}
	if (bare_last > last)
		report_item("leaves %x-%x", last + 1, bare_last);
	report_end();
}
