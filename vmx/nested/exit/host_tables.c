/* SPDX-License-Identifier: MIT */
/*
 * L1's GDTR, IDTR, LDTR and TR: twelve fields that an exit loads, and that nearly always stand in vmcs01 as
 * the exit before it loaded them. With "descriptor-table exiting" in vmcs01 that can be known: what changes
 * them is an instruction of L1's, which exits then, a task switch, which always does, or L0, which writes
 * them by way of vmcs01's register cache, and that forgets the knowledge (regcache.c). Which values they are
 * is a number, which the check of the host state gives them (host_tables_name()); it is the same number only
 * for the same values.
 *
 * Nothing is emulated for it: an exit by such an instruction forgets what is known and turns the control off,
 * and L1 executes the instruction again, by itself. Then it costs what it did before until so many exits of
 * L2's have come: `wait`, which doubles each time that the control did not pay for its exit. SDM: "Loading
 * Host Segment and Descriptor-Table Registers", "Instructions That Cause VM Exits Conditionally".
 */
#include "vmx/nested/exit/host_tables.h"

#include "kernel/panic.h"
#include "kernel/x86.h"
#include "vmx/guest/event.h"
#include "vmx/guest/handlers.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/exit/host_load.h"

#define HOST_AR_TSS (SEG_TYPE_TSS_BUSY | AR_P)
#define HOST_LIMIT_TSS 0x67

/* In exits of L2's. Twelve VMWRITEs that are left out are worth nearly half of what an exit of L1's costs. */
#define PAYS 4u
#define WAIT_FIRST 8u
#define WAIT_LAST 1024u

static void set_control(struct vcpu *vcpu, bool on)
{
	u64 proc2 = vmcs_read(VMCS_proc2_controls) & ~(u64)PROC2_DESC_TABLE_EXITING;

	vmcs_write(VMCS_proc2_controls, on ? proc2 | PROC2_DESC_TABLE_EXITING : proc2);
	vcpu->nested.tables.watched = on;
}

/* They have been written, and L1 has not run yet: from now on they are watched, if it is time. */
static void watch(struct vcpu *vcpu)
{
	if (likely(vcpu->nested.tables.left)) {
		vcpu->nested.tables.left--;
		return;
	}
	if (!(vmx_caps.proc2.allowed1 & PROC2_DESC_TABLE_EXITING))
		return;
	set_control(vcpu, true);
	vcpu->nested.tables.since = vcpu->nested.counters.reflections;
}

NOINLINE void host_tables_write(struct vcpu *vcpu, const struct nested_vmcs *slot, bool known)
{
	const struct vmcs12 *v12 = &slot->v12;

	debug_begin_compare(known);
	LOAD_SEGMENT(TR, v12->host_tr_selector, v12->host_tr_base, HOST_LIMIT_TSS, HOST_AR_TSS);
	LOAD_SEGMENT(LDTR, 0, 0, 0, AR_UNUSABLE);
	LOAD(GDTR_BASE, v12->host_gdtr_base);
	LOAD(GDTR_LIMIT, 0xffff);
	LOAD(IDTR_BASE, v12->host_idtr_base);
	LOAD(IDTR_LIMIT, 0xffff);
	debug_end_compare();
	if (DEBUG_COMPARES && known)
		return;
	if (unlikely(!vcpu->nested.tables.watched))
		watch(vcpu);
	if (vcpu->nested.tables.watched)
		regcache_know_tables(&vcpu->vmcs01.cache, slot->host_tables);
}

/*
 * L1's: of an L2 it is L1's exit, for vmcs02 has the control only where L1 asked for it. L1 is where it was,
 * and executes the instruction now.
 */
enum outcome exit_desc_table(struct vcpu *vcpu)
{
	u32 wait = vcpu->nested.tables.wait;

	ASSERT(vcpu->nested.tables.watched && vcpu->vmcs == &vcpu->vmcs01);
	regcache_forget_tables(&vcpu->vmcs01.cache);
	set_control(vcpu, false);
	if (!wait || vcpu->nested.counters.reflections - vcpu->nested.tables.since >= PAYS)
		wait = WAIT_FIRST;
	else
		wait = MIN(wait * 2, WAIT_LAST);
	vcpu->nested.tables.wait = vcpu->nested.tables.left = wait;
	event_execute_again(vcpu);
	return OUTCOME_RESUME;
}
