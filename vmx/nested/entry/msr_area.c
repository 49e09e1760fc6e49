/* SPDX-License-Identifier: MIT */
/*
 * L1's MSR lists, run in software as RDMSR and WRMSR of the guest whose VMCS
 * is current: the VM-entry MSR-load list (L2's), the VM-exit MSR-store (L2's)
 * and MSR-load (L1's) lists.  Hardware never sees them; where L1's store list
 * has the time-stamp counter, vmcs02 has a list of L0's own, of that alone.
 * SDM: "Loading MSRs", "Saving MSRs", in the VM-entry and VM-exit chapters.
 */
#include "vmx/nested/entry/msr_area.h"

#include "kernel/msr.h"
#include "mm/page_alloc.h"
#include "vmx/guest/guest_mem.h"
#include "mm/addr.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/l1/exit_msr.h"

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

/*
 * The time-stamp counter is the one of L2's exit: L0's work since then would show.  An exit that comes before
 * L2 has run at all, or a list that L1 has changed meanwhile, has the time of now.
 */
static bool read_stored(struct vcpu *vcpu, struct msr_entry *e)
{
	u64 tsc = READ_ONCE(vcpu->nested.current->exit_time.tsc);

	if (e->index != MSR_IA32_TSC || !tsc)
		return msr_read(vcpu, e->index, &e->data);
	e->data = tsc;
	return true;
}

/* The rule that a load breaks, or RULE_COUNT: it has happened. */
static enum rule load(struct vcpu *vcpu, const struct msr_entry *e, bool entry)
{
	switch (e->index) {
	case MSR_IA32_FS_BASE:
	case MSR_IA32_GS_BASE:
		/* The SDM's list: the segments' loading sets these. */
		return RULE_list_base;
	case MSR_IA32_SMM_MONITOR_CTL:
		/* Written only in SMM. */
		return RULE_list_smm;
	case MSR_IA32_BIOS_UPDT_TRIG:
	case MSR_IA32_BIOS_SIGN_ID:
		/* "Cannot be loaded on VM entries for model-specific reasons." */
		if (entry)
			return RULE_list_microcode;
		break;
	}
	return msr_write(vcpu, e->index, e->data) ? RULE_COUNT : RULE_list_write;
}

/* The same of a store.  SDM: not IA32_SMBASE, which is read only in SMM. */
static enum rule store(struct vcpu *vcpu, struct msr_entry *e, u64 at)
{
	if (e->index == MSR_IA32_SMBASE)
		return RULE_list_smm;
	if (!read_stored(vcpu, e))
		return RULE_list_read;
	guest_mem_write(vcpu, GPA(at + offsetof(struct msr_entry, data)), &e->data, sizeof(e->data));
	return RULE_COUNT;
}

/* What explain_list() and explain_abort() are told of an entry that breaks a rule. */
static COLD u32 entry_fails(struct vcpu *vcpu, enum rule rule, u64 at, u32 number, const struct msr_entry *e)
{
	vcpu->nested.failure = (struct check_failure){
		.rule = (u16)rule,
		.field = RULE_NO_FIELD,
		.value = e->index,
		.mask = at,
		.want = e->data,
		.qualification = number,
	};
	return number;
}

u32 msr_area_run(struct vcpu *vcpu, enum msr_list list, u64 gpa, u32 count)
{
	u32 max = count_max();

	for (u32 i = 0; i < count; i++) {
		u64 at = gpa + (u64)i * sizeof(struct msr_entry);
		struct msr_entry e;
		enum rule rule;

		guest_mem_read(vcpu, GPA(at), &e, sizeof(e));
		if (i >= max)
			rule = RULE_list_long;
		else if (e.reserved)
			rule = RULE_list_reserved;
		else if (is_x2apic(e.index))
			rule = RULE_list_x2apic;
		else if (list == LIST_EXIT_STORE)
			rule = store(vcpu, &e, at);
		else
			rule = load(vcpu, &e, list == LIST_ENTRY_LOAD);
		if (unlikely(rule != RULE_COUNT))
			return entry_fails(vcpu, rule, at, i + 1, &e);
	}
	return 0;
}

/* The list lies in RAM as a whole where its page does; what does not is read at the exit only. */
static bool stores_tsc(struct vcpu *vcpu, u64 gpa, u32 count)
{
	const u8 *page = NULL;

	for (u32 i = 0; i < MIN(count, count_max()); i++) {
		u64 at = gpa + (u64)i * sizeof(struct msr_entry);

		if (!i || IS_ALIGNED(at, PAGE_SIZE))
			page = guest_mem_page(vcpu, GPA(ALIGN_DOWN(at, PAGE_SIZE)));
		if (page && READ_ONCE(*(const u32 *)(page + (at & (PAGE_SIZE - 1)))) == MSR_IA32_TSC)
			return true;
	}
	return false;
}

void msr_area_init_slot(struct nested_vmcs *slot)
{
	slot->exit_time.index = MSR_IA32_TSC;
	slot->exit_time.reserved = 0;
	slot->stores_time = false;
	vmcs_write(VMCS_exit_msr_store_addr, page_phys(&slot->exit_time).v);
	vmcs_write(VMCS_exit_msr_store_count, 0);
}

COLD void msr_area_merge(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	bool wanted = stores_tsc(vcpu, v12->exit_msr_store_addr, (u32)v12->exit_msr_store_count);

	slot->exit_time.tsc = 0;
	if (slot->stores_time != wanted)
		vmcs_write(VMCS_exit_msr_store_count, wanted);
	slot->stores_time = wanted;
}
