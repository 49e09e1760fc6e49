/* SPDX-License-Identifier: MIT */
/*
 * L1's MSR lists, run in software as RDMSR and WRMSR of the guest whose VMCS
 * is current: the VM-entry MSR-load list (L2's), the VM-exit MSR-store (L2's)
 * and MSR-load (L1's) lists.  Hardware never sees them.
 * SDM: "Loading MSRs", "Saving MSRs", in the VM-entry and VM-exit chapters.
 */
#include "kernel/msr.h"
#include "vmx/exit.h"
#include "vmx/guest_mem.h"
#include "vmx/nested/internal.h"

struct msr_entry {
	u32 index;
	u32 reserved;
	u64 data;
};
static_assert(sizeof(struct msr_entry) == 16, "SDM: format of an MSR entry");

/*
 * SDM "VMX Capability: Miscellaneous Data", bits 27:25 N: no more than
 * 512 * (N + 1) entries are recommended; beyond is undefined.  Here the first
 * one beyond fails, which also bounds the loop.
 */
static u32 count_max(void)
{
	return 512 * (((u32)(caps12.misc >> 25) & 7) + 1);
}

/* SDM: "bits 31:8 of the index are 000008H": the x2APIC's registers. */
static bool is_x2apic(u32 index)
{
	return index >> 8 == 0x8;
}

static bool load_permitted(const struct msr_entry *e, bool entry)
{
	if (e->reserved || is_x2apic(e->index))
		return false;
	switch (e->index) {
	case MSR_IA32_FS_BASE:
	case MSR_IA32_GS_BASE:
		/* The SDM's list: the segments' loading sets these. */
		return false;
	case MSR_IA32_SMM_MONITOR_CTL:
		/* Written only in SMM. */
		return false;
	case MSR_IA32_BIOS_UPDT_TRIG:
	case MSR_IA32_BIOS_SIGN_ID:
		/* "Cannot be loaded on VM entries for model-specific reasons." */
		return !entry;
	default: return true;
	}
}

u32 msr_area_load(struct vcpu *vcpu, u64 gpa, u32 count, bool entry)
{
	u32 max = count_max();

	for (u32 i = 0; i < count; i++) {
		struct msr_entry e;

		guest_mem_read(vcpu, GPA(gpa + (u64)i * sizeof(e)), &e, sizeof(e));
		if (i >= max || !load_permitted(&e, entry) || !msr_write(vcpu, e.index, e.data))
			return i + 1;
	}
	return 0;
}

/* SDM: not the x2APIC's range, not IA32_SMBASE (read only in SMM). */
static bool store_permitted(const struct msr_entry *e)
{
	return !e->reserved && !is_x2apic(e->index) && e->index != MSR_IA32_SMBASE;
}

u32 msr_area_store(struct vcpu *vcpu, u64 gpa, u32 count)
{
	u32 max = count_max();

	for (u32 i = 0; i < count; i++) {
		u64 at = gpa + (u64)i * sizeof(struct msr_entry);
		struct msr_entry e;

		guest_mem_read(vcpu, GPA(at), &e, sizeof(e));
		if (i >= max || !store_permitted(&e) || !msr_read(vcpu, e.index, &e.data))
			return i + 1;
		guest_mem_write(vcpu, GPA(at + offsetof(struct msr_entry, data)), &e.data, sizeof(e.data));
	}
	return 0;
}
