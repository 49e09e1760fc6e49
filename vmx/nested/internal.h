/* SPDX-License-Identifier: MIT */
/*
 * What the files of vmx/nested share among themselves, by file.
 */
#ifndef VMX_NESTED_INTERNAL_H
#define VMX_NESTED_INTERNAL_H

#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/event.h"
#include "vmx/nested/entry/bitmaps.h"
#include "vmx/nested/entry/io_bitmaps.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/nested/insn/insn.h"
#include "vmx/nested/nested.h"
#include "vmx/nested/vmcs12/debug.h"
#include "vmx/nested/vmcs12/exit_record.h"
#include "vmx/nested/vmcs12/slots.h"
#include "vmx/guest/vcpu.h"

/* ---- caps12.c: the capability MSRs that L1 reads; constant after nested_caps_init() ---- */
extern struct vmx_caps caps12; /* same form as the processor's */

/* ---- shadow.c: VMCS shadowing by the processor ---- */
void shadow_init(void); /* the VMREAD and VMWRITE bitmaps of vmcs01, from the table */
void shadow_init_slot(struct vcpu *vcpu, struct nested_vmcs *slot); /* leaves another VMCS current */
void shadow_enable(struct vcpu *vcpu); /* VMXON and its end: the control bit (vmcs01 is loaded) */
void shadow_disable(struct vcpu *vcpu);
void shadow_link(
	struct vcpu *vcpu,
	struct nested_vmcs *slot); /* becomes current (NULL: none): link pointer (vmcs01 is loaded) */
/* Before v12 is looked at: what L1 wrote in the shadow VMCS, all of it; marks `changed` and `dirty`. */
void shadow_pull(struct vcpu *vcpu, struct nested_vmcs *slot);
/* The same of what an entry looks at. Leaves the shadow VMCS current, or vmcs01. */
void shadow_pull_for_entry(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Before L1 runs: `to_push` of v12 into the shadow VMCS. Leaves that current, or what was. */
void shadow_push(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Is the row in the shadow VMCS, and can L1 not have written it there unseen? */
bool shadow_must_hold(const struct nested_vmcs *slot, unsigned int row);
/* L1's VMWRITE of a row came to L0. */
void shadow_written(struct nested_vmcs *slot, unsigned int row);

/* ---- vmcs12.c ---- */
void vmcs12_init(void); /* after vmcs_probe_fields() */
/* The rows that this processor has and that reach vmcs02 as they stand (COPY and IN). */
const u8 *vmcs12_entry_rows(unsigned int *count);
void vmcs12_set_access_rights_mask(u32 mask);
void vmcs12_normalize(struct vmcs12 *v12); /* values read from L1's page, to the widths of their fields */
/* Fetches SEG and RARE guest state from vmcs02 if it is newer there (may switch VMCS and back). */
void nested_sync_rare(struct vcpu *vcpu, struct nested_vmcs *slot);

/* In the virtual-APIC page. */
#define VTPR_OFFSET 0x80

/* ---- check_controls.c, check_host.c, check_guest.c: pure; SDM "VM Entries" ---- */
struct check_env {
	const struct vmx_caps *caps; /* caps12 */
	bool l1_long_mode;	     /* IA32_EFER.LMA of L1 at the entry */
	bool has_rtm, has_sgx;	     /* as L1's CPUID says */
	bool has_bus_lock_detect;    /* likewise */
	u64 perf_global_valid;	     /* bits of IA32_PERF_GLOBAL_CTRL that L1 has; 0: it has no such MSR */
	u64 vmcs_link_self;	     /* GPA of the current vmcs12 */
	void *context;		     /* for the callback */
	bool (*read)(void *context, u64 gpa, void *to, size_t length); /* L1's memory, once */
};
/* True: passed.  False: `failure` names the rule. Qualification only from check_guest. */
bool check_event_injection(const struct vmcs12 *v12, const struct check_env *env,
			   struct check_failure *failure); /* part of check_controls */
bool check_guest_hot(const struct vmcs12 *v12, const struct check_env *env,
		     struct check_failure *failure); /* part of check_guest: HOT fields */
bool check_controls(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_host(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_guest(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);

/* ---- entry.c, merge.c, bitmaps.c ---- */
/* VMLAUNCH or VMRESUME of L1, whose permission has been checked. OUTCOME_RESUME: L2 is what runs next. */
enum outcome nested_enter(struct vcpu *vcpu, bool launch);
/* An INIT that was held while L1 was in VMX root operation ends L2. */
enum outcome nested_take_init(struct vcpu *vcpu);
/* L1's own registers that L2 starts with where vmcs12's entry controls do not load them. */
struct l1_state {
	u64 efer, dr7, debugctl, pat;
};
void merge_vmcs02(struct vcpu *vcpu, struct nested_vmcs *slot,
		  const struct l1_state *l1); /* vmcs02 loaded; writes what is dirty */
void merge_translation(struct vcpu *vcpu,
		       struct nested_vmcs *slot); /* EPT pointer and VPID; also after an INVEPT or reclaim
						     while L2 is entered */
void merge_exception_bitmap(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Parts of it, for an entry that changes little (entry_fast.c). */
void merge_proc_controls(struct vcpu *vcpu, struct nested_vmcs *slot);
void merge_single_groups(struct vcpu *vcpu, struct nested_vmcs *slot, u32 dirty);
void merge_by_control(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1);
void merge_injection(struct vcpu *vcpu, const struct vmcs12 *v12);

/* ---- entry.c, entry_fast.c ---- */
/* From L1 to L2: vmcs02 becomes current, and L2 what runs next. */
void entry_switch(struct vcpu *vcpu, struct nested_vmcs *slot);
/* After an entry the long way: whether the next ones may go the short way. */
void entry_fast_prepare(struct vcpu *vcpu, struct nested_vmcs *slot);
/* The short way, if L1 has changed little. False: nothing has been done. The shadow VMCS is current, or
 * vmcs01. */
bool entry_fast(struct vcpu *vcpu, struct nested_vmcs *slot, const struct check_env *env,
		const struct l1_state *l1);
/* #PF interception as one value: exit iff ((PFEC & mask) == match) == eb. */
struct pf_intercept merge_pf(struct pf_intercept l0, struct pf_intercept l1);
bool pf_intercept_wants(struct pf_intercept p, u32 pfec);

/* ---- addresses.c ---- */
void addresses_init(struct vcpu *vcpu); /* per CPU, at start: the stand-ins */
/* The pages that hardware uses, when L1's controls are merged. */
void addresses_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Each entry with `stand_ins`: they show again what L1 and L2 read there. */
void addresses_fill(struct vcpu *vcpu, struct nested_vmcs *slot);

/* ---- timer.c ---- */
/* vmcs02 is current and about to be entered, and L0 has a wish for the timer: the next of both. */
void timer_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
/* What L1's own timer has left, while vmcs02 is current and vmcs12 has one. */
static inline u64 timer_left(const struct nested_vmcs *slot)
{
	return vmcs_read(VMCS_preemption_timer_value) + slot->timer_beyond;
}

/* ---- msr_area.c: VM-entry MSR load, VM-exit MSR store and load lists ---- */
/* Returns 0, or the index (from 1) of the entry that failed. */
u32 msr_area_load(struct vcpu *vcpu, u64 gpa, u32 count, bool entry);
u32 msr_area_store(struct vcpu *vcpu, u64 gpa, u32 count);
/* vmcs02 is current and about to be entered: has the processor take the time of L2's exits, if L1's MSR-store
 * list asks for it.  msr_area_init_slot(): it is made anew. */
void msr_area_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
void msr_area_init_slot(struct nested_vmcs *slot);

/* ---- host_state.c ---- */
/*
 * State that a VM exit leaves unchanged. L1 goes on with L2's values, or with its own if the entry failed
 * before L2's were loaded.
 */
struct inherited {
	u64 efer; /* without "load IA32_EFER": all but LMA and LME */
	u64 pat;  /* without "load IA32_PAT" */
	bool nmi_blocked;
};

/* The second half of an exit, and of a failed entry: L1's state.  vmcs01 is current, L1 is what runs. */
enum outcome nested_load_host_state(struct vcpu *vcpu, struct nested_vmcs *slot,
				    const struct inherited *inherited);
enum outcome nested_vmx_abort(struct vcpu *vcpu, struct nested_vmcs *slot, enum vmx_abort code);

/* ---- leave.c ---- */
/* L2 is no longer what runs: ends what L0 has begun in vmcs02 and for its guest, then loads vmcs01. Every
 * path out of L2 comes here; what L0 still holds for the guest (vcpu->pending) has been handed over. */
void nested_leave_l2(struct vcpu *vcpu);

/* ---- reflect.c ---- */
/* L2 ends: vmcs02 -> vmcs12, L1's host state -> vmcs01, MSR lists; a failure there is a VMX abort. */
enum outcome nested_reflect(struct vcpu *vcpu, const struct exit_record *record);
/* The same for a VM entry that fails after the control and host checks (reasons 33, 34 with bit 31): guest
 * state is not saved. vmcs01 or vmcs02 may be loaded.  */
enum outcome nested_entry_failure(struct vcpu *vcpu, u32 reason, u64 qualification);
/* The same, found by hardware when it entered vmcs02. */
enum outcome nested_hardware_failure(struct vcpu *vcpu, u32 reason, u64 qualification);

/* ---- exit_wanted.c ---- */
/* vmcs12's controls ask for the exit in hand. */
bool nested_l1_asked(struct vcpu *vcpu);
/* True too if L0 has no handler for it: then only L1's controls can have caused the exit. */
bool nested_l1_wants(struct vcpu *vcpu);

/* ---- event.c ---- */
/* L1's exception bitmap, with PFEC mask and match for #PF. */
bool nested_wants_exception(const struct vmcs12 *v12, u8 vector, u32 error_code);
/* An event that L0 still holds for L2 (vcpu->pending) becomes IDT-vectoring information of vmcs12. */
void nested_event_to_vectoring(struct vcpu *vcpu, struct vmcs12 *v12);

/* ---- ept.c, ept12.c ---- */
void ept02_init(struct vcpu *vcpu); /* per CPU: the budget's pages, at start */
/* EPT pointer for vmcs02 of `slot` (L1's EPTP, checked): finds or makes its EPT02 root; EPT01's pointer
 * without EPT12. */
u64 ept02_pointer(struct vcpu *vcpu, struct nested_vmcs *slot);
/* vmcs02 has the pointer already, and nothing is to be done for its EPT02 before the entry. */
bool ept02_stands(struct vcpu *vcpu, struct nested_vmcs *slot);
enum outcome ept02_violation(
	struct vcpu *vcpu); /* EPT violation or misconfiguration exit of L2: fills or reflects */
/* Each exit of L2 but EPT violations: ends the stepping over absent memory. True: the exit is that step's,
 * nobody wants it. */
bool ept02_absent_finish(struct vcpu *vcpu);
void ept02_invept(struct vcpu *vcpu, u64 type, u64 eptp);
/* Empties all; while no L2 runs, the roots go too. */
void ept02_drop_all(struct vcpu *vcpu);
/* This EPT pointer is of an EPT02 that is kept now: its tables are tables. For the monitor. */
bool ept02_is_in_use(struct vcpu *vcpu, u64 eptp);
void ept02_count(const struct vcpu *vcpu, struct nested_resources *out);
bool eptp12_valid(u64 eptp, const struct vmx_caps *caps); /* SDM: EPTP checks of VM entry */

/* ---- ve.c ---- */
/* An EPT violation of L2 that is L1's, in hand. `entry12`: the EPT12 entry that decides. OUTCOME_NONE: L1's
 * exit it stays; else it has become a #VE. */
enum outcome nested_convert_violation(struct vcpu *vcpu, u64 entry12, u64 qualification);

/* ---- vpid.c ---- */
void vpid02_init(struct vcpu *vcpu); /* per CPU, at start */
/* Hardware VPID for vmcs02; flushes where the SDM says that an entry does. */
u16 vpid02_for_entry(struct vcpu *vcpu, struct nested_vmcs *slot);
/* vmcs02 has the VPID already, it was the last one used here, and nothing is to be flushed. */
bool vpid02_stands(struct vcpu *vcpu, struct nested_vmcs *slot);
void vpid02_invvpid(struct vcpu *vcpu, u64 type, u16 vpid12, u64 linear);
u64 vpid02_count(const struct vcpu *vcpu);

#endif
