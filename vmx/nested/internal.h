/* SPDX-License-Identifier: MIT */
/*
 * What the files of vmx/nested share among themselves, by file.
 */
#ifndef VMX_NESTED_INTERNAL_H
#define VMX_NESTED_INTERNAL_H

#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/event.h"
#include "vmx/nested/nested.h"
#include "vmx/guest/vcpu.h"

/* ---- caps12.c: the capability MSRs that L1 reads; constant after nested_caps_init() ---- */
extern struct vmx_caps caps12; /* same form as the processor's */

/* ---- insn.c: permission, outcome ---- */
/* #UD or #GP(0), whichever insn_permitted() found. */
enum outcome insn_refuse(struct vcpu *vcpu);
/* #UD (not in VMX operation) and #GP(0) (CPL > 0) for all instructions but VMXON; the #UD of the mode is the
 * processor's own, before the exit. OUTCOME_NONE: permitted. */
static inline enum outcome insn_permitted(struct vcpu *vcpu)
{
	return likely(vcpu->nested.vmxon && !(vcpu_reg(vcpu, REG_SS_AR) & AR_DPL)) ? OUTCOME_NONE
										   : insn_refuse(vcpu);
}
/* SDM "Conventions": VMsucceed (`flags` 0), VMfailInvalid (CF), VMfailValid (ZF). */
static inline enum outcome insn_set_flags(struct vcpu *vcpu, u64 flags)
{
	vcpu_set_reg(vcpu, REG_RFLAGS, (vcpu_reg(vcpu, REG_RFLAGS) & ~RFLAGS_ARITH) | flags);
	return OUTCOME_SKIP;
}
enum outcome insn_finish_failed(struct vcpu *vcpu, enum outcome outcome);
static inline enum outcome insn_finish(struct vcpu *vcpu, enum outcome outcome)
{
	return likely(outcome == OUTCOME_VMSUCCEED) ? insn_set_flags(vcpu, 0)
						    : insn_finish_failed(vcpu, outcome);
}
/*
 * The instruction breaks `rule` of rules.def; `value` is what is told of it. VMfail(error) with the rule's
 * error: VMfailValid if there is a current VMCS (the error is stored in it), else VMfailInvalid, as where the
 * rule says so; or #UD, #GP(0).
 */
enum outcome insn_fail(struct vcpu *vcpu, enum rule rule, u64 value);
/* The same for a rule of VM entry, which nested.failure names already: error 7 or 8. */
enum outcome insn_fail_entry(struct vcpu *vcpu);
/* The memory operand of the instruction in hand.  OUTCOME_NONE: done; else nothing has changed. */
enum outcome insn_read_operand(struct vcpu *vcpu, void *to, size_t length);
enum outcome insn_write_operand(struct vcpu *vcpu, const void *from, size_t length);
/* 64-bit operands: the guest that runs now is in 64-bit mode.  SDM: "the operand is always 32 bits outside
 * 64-bit mode"; compatibility mode never gets here. */
static inline bool insn_is_wide(struct vcpu *vcpu)
{
	return likely(!vcpu->nested.in_l2) ? vcpu->nested.l1_long_mode : vcpu_is_long_mode(vcpu);
}
/* The register operand of bits 31:28, as wide as the mode has it. */
static inline u64 insn_register_operand(struct vcpu *vcpu)
{
	u64 value = vcpu_gpr(vcpu, (vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_INFO) >> 28) & 15);

	return likely(insn_is_wide(vcpu)) ? value : (u32)value;
}
/* A VMXON or VMCS region's address: 4 KiB aligned, within the physical-address width. */
bool insn_region_valid(u64 gpa);

/* ---- nested.c: the slots ---- */
struct nested_vmcs *slot_find(struct vcpu *vcpu, u64 gpa); /* NULL: not active here */
struct nested_vmcs *slot_take(
	struct vcpu *vcpu,
	u64 gpa); /* a free or the least recently used one (written back); v12 is undefined */
void slot_write_back(struct vcpu *vcpu,
		     struct nested_vmcs *slot); /* cached state to L1's page; the slot stays */
void slot_release(struct vcpu *vcpu,
		  struct nested_vmcs *slot); /* written back and free; not the current one */
void slot_make_current(struct vcpu *vcpu, struct nested_vmcs *slot); /* NULL: none.  vmcs01 is loaded */

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

/* ---- io_bitmaps.c ---- */
void io_bitmaps_init_slot(struct nested_vmcs *slot); /* at start, after ports_init() */
/* What L0 adds to the primary controls that L1 asked. */
u32 io_bitmaps_control(const struct vmcs12 *v12);
/* The two addresses in vmcs02 (loaded): when L1's controls or addresses have changed. */
void io_bitmaps_write(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Each entry: L1 may have written its pages since. */
void io_bitmaps_read_again(struct vcpu *vcpu, struct nested_vmcs *slot);
static inline void io_bitmaps_merge(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (unlikely(slot->io_opened_count))
		io_bitmaps_read_again(vcpu, slot);
}
/*
 * Ports of an access of L2's that L1 does not want, and for which vmcs02 has an exit only because nobody has
 * looked at L1's bitmap there yet.  True: that is done now, L2 makes the access itself.
 */
bool io_bitmaps_open(struct vcpu *vcpu, u16 port, unsigned int size);
/* An I/O exit of L2's is in hand: the processor has looked at nothing but pages of L1's own. */
bool io_bitmaps_are_l1s(struct vcpu *vcpu);

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
void bitmaps_init_slot(struct nested_vmcs *slot); /* at start */
/* Each entry: L1 may have written its page since. */
void bitmaps_read_again(struct vcpu *vcpu, struct nested_vmcs *slot);
static inline void bitmaps_merge(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (unlikely(slot->msr_opened_count))
		bitmaps_read_again(vcpu, slot);
}
/*
 * L2's RDMSR or WRMSR is in hand, and L1 does not want it. True: L0 does not either, nobody had looked at
 * L1's bitmap there yet; L2 executes the instruction again.
 */
bool bitmaps_open_msr(struct vcpu *vcpu);
/* #PF interception as one value: exit iff ((PFEC & mask) == match) == eb. */
struct pf_intercept merge_pf(struct pf_intercept l0, struct pf_intercept l1);
bool pf_intercept_wants(struct pf_intercept p, u32 pfec);

/* ---- debug.c: a build with DEBUG=1 ---- */
#ifdef DEBUG_SHORTCUTS
void debug_entry(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1);
void debug_pushed(struct vcpu *vcpu, struct nested_vmcs *slot);
#else
static inline void debug_entry(struct vcpu *vcpu UNUSED, struct nested_vmcs *slot UNUSED,
			       const struct l1_state *l1 UNUSED)
{
}
static inline void debug_pushed(struct vcpu *vcpu UNUSED, struct nested_vmcs *slot UNUSED)
{
}
#endif

/* ---- addresses.c ---- */
void addresses_init(struct vcpu *vcpu); /* per CPU, at start: the stand-ins */
/* The pages that hardware uses, when L1's controls are merged. */
void addresses_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Each entry with `stand_ins`: they show again what L1 and L2 read there. */
void addresses_fill(struct vcpu *vcpu, struct nested_vmcs *slot);

/* ---- tpr.c ---- */
/* L2's writes to its TPR are L0's to make. */
static inline bool tpr_is_l0s(const struct nested_vmcs *slot)
{
	return slot->tpr_relaxed || (slot->stand_ins & BIT(STAND_IN_APIC));
}
/* The MSR bitmap has been merged: the TPR's MSR joins it if it is L0's. */
void tpr_prepare(struct nested_vmcs *slot);
/* The processor refused vmcs02. True: it may have been L1's threshold, which L0 looks after from now on. */
bool tpr_relax(struct vcpu *vcpu);
/* L2 ends: the processor's part again. */
void tpr_restore(struct nested_vmcs *slot);
/* An exit of L2's that L1 does not want, while tpr_is_l0s(). OUTCOME_NONE: it was no write to the TPR. */
enum outcome tpr_emulate(struct vcpu *vcpu);
/* Directly after the entry, for the virtual TPR is below its threshold. */
bool nested_exits_by_tpr(struct vcpu *vcpu, const struct vmcs12 *v12);

/* ---- msr_area.c: VM-entry MSR load, VM-exit MSR store and load lists ---- */
/* Returns 0, or the index (from 1) of the entry that failed. */
u32 msr_area_load(struct vcpu *vcpu, u64 gpa, u32 count, bool entry);
u32 msr_area_store(struct vcpu *vcpu, u64 gpa, u32 count);
/* vmcs02 is current and about to be entered: has the processor take the time of L2's exits, if L1's MSR-store
 * list asks for it.  msr_area_init_slot(): it is made anew. */
void msr_area_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
void msr_area_init_slot(struct nested_vmcs *slot);

/* ---- exit_record.c ---- */
/* All of it from vmcs02, for the exit in hand. */
struct exit_record exit_record_hardware(struct vcpu *vcpu);
/* SDM: "Recording VM-Exit Information and Updating VM-Entry Control Fields".  Guest state has been saved. */
void exit_record_save(struct vcpu *vcpu, struct nested_vmcs *slot, const struct exit_record *record);

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
