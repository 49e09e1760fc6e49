/* SPDX-License-Identifier: MIT */
/*
 * What the processor can do: as a file says, and where it is silent as the most capable processor might, so
 * that what is called broken is so on every one.
 */
#define _GNU_SOURCE /* strcasestr() */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/x86.h"
#include "tools/vmcs_why/dump.h"
#include "vmx/hw/caps.h"

void caps_any(struct vmx_caps *caps)
{
	*caps = (struct vmx_caps){
		.basic = BIT(55) | BIT(56),
		.misc = 0x1ffull << 16 | BIT(29) | BIT(30) | 7 << 25 | 7 << 6 | BIT(5),
		.ept_vpid = ~0ull,
		.vmfunc = ~0ull,
		.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = CR4_VMXE,
		.cr4_fixed1 = 0xffffffff,
		.pin = { 0x16, 0xffffffff },
		.proc = { 0x04006172, 0xffffffff },
		.proc2 = { 0, 0xffffffff },
		.exit = { 0x00036dfb, 0xffffffff },
		.entry = { 0x000011fb, 0xffffffff },
		.physical_bits = 52,
		.linear_bits = 57,
		.debugctl_valid = 0xffff,
	};
}

static const struct {
	u32 msr;
	const char *name;
} names[] = {
	{ 0x480, "IA32_VMX_BASIC" },
	{ 0x481, "IA32_VMX_PINBASED_CTLS" },
	{ 0x482, "IA32_VMX_PROCBASED_CTLS" },
	{ 0x483, "IA32_VMX_EXIT_CTLS" },
	{ 0x484, "IA32_VMX_ENTRY_CTLS" },
	{ 0x485, "IA32_VMX_MISC" },
	{ 0x486, "IA32_VMX_CR0_FIXED0" },
	{ 0x487, "IA32_VMX_CR0_FIXED1" },
	{ 0x488, "IA32_VMX_CR4_FIXED0" },
	{ 0x489, "IA32_VMX_CR4_FIXED1" },
	{ 0x48b, "IA32_VMX_PROCBASED_CTLS2" },
	{ 0x48c, "IA32_VMX_EPT_VPID_CAP" },
	{ 0x48d, "IA32_VMX_TRUE_PINBASED_CTLS" },
	{ 0x48e, "IA32_VMX_TRUE_PROCBASED_CTLS" },
	{ 0x48f, "IA32_VMX_TRUE_EXIT_CTLS" },
	{ 0x490, "IA32_VMX_TRUE_ENTRY_CTLS" },
	{ 0x491, "IA32_VMX_VMFUNC" },
	{ 1, "PHYSICAL_BITS" },
	{ 2, "LINEAR_BITS" },
};

static struct control_cap control(u64 value)
{
	return (struct control_cap){ (u32)value, (u32)(value >> 32) };
}

static bool take(struct vmx_caps *caps, u32 msr, u64 value)
{
	switch (msr) {
	case 0x480: caps->basic = value; break;
	case 0x481:
	case 0x48d: caps->pin = control(value); break;
	case 0x482:
	case 0x48e: caps->proc = control(value); break;
	case 0x483:
	case 0x48f: caps->exit = control(value); break;
	case 0x484:
	case 0x490: caps->entry = control(value); break;
	case 0x485: caps->misc = value; break;
	case 0x486: caps->cr0_fixed0 = value; break;
	case 0x487: caps->cr0_fixed1 = value; break;
	case 0x488: caps->cr4_fixed0 = value; break;
	case 0x489: caps->cr4_fixed1 = value; break;
	case 0x48b: caps->proc2 = control(value); break;
	case 0x48c: caps->ept_vpid = value; break;
	case 0x491: caps->vmfunc = value; break;
	case 1: caps->physical_bits = value >= 32 && value <= 52 ? (unsigned int)value : 52; break;
	case 2: caps->linear_bits = value == 48 ? 48 : 57; break;
	default: return false;
	}
	return true;
}

static const struct {
	const char *name;
	u64 basic, pin, proc, proc2, exit, entry, misc, ept_vpid, vmfunc, cr4_fixed1, width;
} models[] = {
#define MODEL(...) { __VA_ARGS__ },
#include "tools/vmcs_why/models.def"
#undef MODEL
};

bool caps_model(struct vmx_caps *caps, const char *name, char *known, size_t size)
{
	known[0] = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(models); i++) {
		if (strcmp(models[i].name, name)) {
			strncat(known, " ", size - strlen(known) - 1);
			strncat(known, models[i].name, size - strlen(known) - 1);
			continue;
		}
		caps_any(caps);
		caps->basic = models[i].basic;
		caps->pin = control(models[i].pin);
		caps->proc = control(models[i].proc);
		caps->proc2 = control(models[i].proc2);
		caps->exit = control(models[i].exit);
		caps->entry = control(models[i].entry);
		caps->misc = models[i].misc;
		caps->ept_vpid = models[i].ept_vpid;
		caps->vmfunc = models[i].vmfunc;
		caps->cr4_fixed1 = models[i].cr4_fixed1;
		caps->physical_bits = (unsigned int)models[i].width;
		caps->linear_bits = models[i].cr4_fixed1 & CR4_LA57 ? 57 : 48;
		return true;
	}
	return false;
}

/* The true controls come last in a list by number, and are the ones that count. */
bool caps_parse(struct vmx_caps *caps, const char *text, size_t length)
{
	char line[200];
	bool any = false;

	for (size_t start = 0, i = 0; i <= length; i++) {
		size_t n = i - start;
		char *at = line, *end;
		u32 msr = 0;

		if (i < length && text[i] != '\n')
			continue;
		n = n < sizeof(line) ? n : sizeof(line) - 1;
		memcpy(line, text + start, n);
		line[n] = 0;
		start = i + 1;
		while (isspace((unsigned char)*at))
			at++;
		for (unsigned int k = 0; k < ARRAY_SIZE(names) && !msr; k++) {
			/* behind whatever a log has before it, as in VirtualBox' "HM: MSR_IA32_VMX_MISC" */
			char *found = strcasestr(at, names[k].name);
			size_t len = strlen(names[k].name);

			if (found && !isalnum((unsigned char)found[len]) && found[len] != '_') {
				msr = names[k].msr;
				at = found + len;
			}
		}
		if (!msr) {
			msr = (u32)strtoull(at, &end, 16);
			if (end == at || msr < 0x480)
				continue;
			at = end;
		}
		while (*at && !isxdigit((unsigned char)*at))
			at++;
		if (*at)
			any |= take(caps, msr, strtoull(at, NULL, msr < 0x480 ? 10 : 16));
	}
	return any;
}
