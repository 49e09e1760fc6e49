/* SPDX-License-Identifier: MIT */
/*
 * Task switches of L1: the processor makes none in a guest, so L0 does, for 16- and 32-bit TSSs. What the
 * processor has checked before the exit (gate, privilege) is not looked at again. The TSSs are tss.c's; the
 * order of the steps and the new task's segments are here.
 * SDM: "Task Switching"; "Treatment of Task Switches" (VMX).
 */
#include "kernel/hw/cpu.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/guest/event.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/guest/handlers.h"
#include "vmx/l1/tss.h"

/* ---- segments of the new task: the SDM's table "Exception Conditions Checked During a Task Switch" ---- */

static void set_seg(struct vcpu *vcpu, enum seg seg, u16 selector, const struct descriptor *d)
{
	vcpu_set_reg(vcpu, REG_SEG_SELECTOR(seg), selector);
	vcpu_set_reg(vcpu, REG_SEG_BASE(seg), d->base);
	vcpu_set_reg(vcpu, REG_SEG_LIMIT(seg), d->limit);
	vcpu_set_reg(vcpu, REG_SEG_AR(seg), d->ar);
}

static void set_v86(struct vcpu *vcpu, enum seg seg, u16 selector)
{
	set_seg(vcpu, seg, selector,
		&(struct descriptor){ .base = (u32)selector << 4, .limit = 0xffff, .ar = 0xf3 });
}

static enum outcome load_ldt(struct vcpu *vcpu, u16 selector)
{
	struct descriptor d = { .ar = AR_UNUSABLE };

	set_seg(vcpu, SEG_LDTR, selector, &d);
	if (!(selector & ~3u))
		return OUTCOME_NONE;
	if (selector & SELECTOR_TI)
		return task_fault(vcpu, VEC_TS, selector & ~3u);
	STEP(tss_descriptor_read(vcpu, selector, VEC_TS, &d));
	if ((d.ar & (AR_S | AR_TYPE)) != SEG_TYPE_LDT || !(d.ar & AR_P))
		return task_fault(vcpu, VEC_TS, selector & ~3u);
	set_seg(vcpu, SEG_LDTR, selector, &d);
	return OUTCOME_NONE;
}

static bool segment_fits(enum seg seg, u16 selector, const struct descriptor *d, u32 cpl)
{
	u32 dpl = (d->ar & AR_DPL) >> AR_DPL_SHIFT, rpl = selector & SELECTOR_RPL;
	bool code = d->ar & SEG_AR_CODE, conforming = code && (d->ar & SEG_AR_EXPAND_DOWN);

	if (!(d->ar & AR_S))
		return false;
	if (seg == SEG_CS)
		return code && (conforming ? dpl <= cpl : dpl == cpl);
	if (seg == SEG_SS)
		return !code && (d->ar & SEG_AR_WRITABLE) && dpl == cpl && rpl == cpl;
	if (code && !(d->ar & SEG_AR_WRITABLE))
		return false;
	return conforming || (dpl >= cpl && dpl >= rpl);
}

static enum outcome load_segment(struct vcpu *vcpu, enum seg seg, u16 selector, u32 cpl)
{
	struct descriptor d = { .ar = AR_UNUSABLE };
	u8 absent = seg == SEG_SS ? VEC_SS : VEC_NP;

	if (!(selector & ~3u)) {
		if (seg == SEG_CS || seg == SEG_SS)
			return task_fault(vcpu, VEC_TS, selector & ~3u);
		set_seg(vcpu, seg, selector, &d);
		return OUTCOME_NONE;
	}
	STEP(tss_descriptor_read(vcpu, selector, VEC_TS, &d));
	if (!segment_fits(seg, selector, &d, cpl))
		return task_fault(vcpu, VEC_TS, selector & ~3u);
	if (!(d.ar & AR_P))
		return task_fault(vcpu, absent, selector & ~3u);
	if (!(d.ar & SEG_AR_ACCESSED)) {
		u64 table = vcpu_reg(vcpu, selector & SELECTOR_TI ? REG_LDTR_BASE : REG_GDTR_BASE);
		u8 type = (u8)(d.ar | SEG_AR_ACCESSED);

		STEP(task_access(vcpu, table + (selector & SELECTOR_INDEX) + 5, NULL, &type, 1));
		d.ar |= SEG_AR_ACCESSED;
	}
	set_seg(vcpu, seg, selector, &d);
	return OUTCOME_NONE;
}

/*
 * CS and SS before they are loaded. A VM entry wants them usable and consistent with each other. They keep
 * the limits of the old task. Their DPL is 3, so that a handler in ring 0 gets the stack of the new task's
 * TSS.
 */
static void set_unloaded(struct vcpu *vcpu, enum seg seg, u16 selector, u32 cpl)
{
	u32 ar = (u32)vcpu_reg(vcpu, REG_SEG_AR(seg));

	/* If the segment was unusable, its limit need not agree with its G bit. */
	if (ar & AR_UNUSABLE) {
		vcpu_set_reg(vcpu, REG_SEG_LIMIT(seg), 0xffffffff);
		ar = AR_G | AR_DB;
	}
	ar &= AR_G | AR_DB;
	ar |= seg == SEG_CS ? SEG_TYPE_CODE_RX_ACCESSED : SEG_TYPE_DATA_RW_ACCESSED;
	vcpu_set_reg(vcpu, REG_SEG_SELECTOR(seg), selector);
	vcpu_set_reg(vcpu, REG_SEG_AR(seg), ar | AR_S | AR_P | cpl << AR_DPL_SHIFT);
}

/* Until a segment is loaded, only its selector is set. The SDM wants this for faults in the new task. */
static enum outcome load_segments(struct vcpu *vcpu, const struct task *task)
{
	static const enum seg order[] = { SEG_CS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	const struct descriptor unusable = { .ar = AR_UNUSABLE };
	u32 cpl = task->selector[SEG_CS] & SELECTOR_RPL;

	if (task->eflags & RFLAGS_VM) {
		for (unsigned int seg = 0; seg < 6; seg++)
			set_v86(vcpu, (enum seg)seg, task->selector[seg]);
		return load_ldt(vcpu, task->ldt);
	}
	for (unsigned int seg = SEG_DS; seg <= SEG_GS; seg++)
		set_seg(vcpu, (enum seg)seg, task->selector[seg], &unusable);
	set_seg(vcpu, SEG_ES, task->selector[SEG_ES], &unusable);
	set_unloaded(vcpu, SEG_CS, task->selector[SEG_CS], 3);
	set_unloaded(vcpu, SEG_SS, task->selector[SEG_SS], 3);
	STEP(load_ldt(vcpu, task->ldt));
	STEP(load_segment(vcpu, SEG_SS, task->selector[SEG_SS], cpl));
	set_unloaded(vcpu, SEG_CS, task->selector[SEG_CS], cpl);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		STEP(load_segment(vcpu, order[i], task->selector[order[i]], cpl));
	if (task->eip > vcpu_reg(vcpu, REG_CS_LIMIT))
		return task_fault(vcpu, VEC_GP, 0);
	return OUTCOME_NONE;
}

/* ---- the switch ---- */

static enum outcome push_error_code(struct vcpu *vcpu, u32 error_code, bool wide)
{
	size_t length = wide ? 4 : 2;
	bool stack32 = vcpu_reg(vcpu, REG_SS_AR) & AR_DB;
	u64 esp = vcpu_reg(vcpu, REG_RSP), moved = stack32 ? (u32)(esp - length) : (u16)(esp - length);

	if (moved + length - 1 > vcpu_reg(vcpu, REG_SS_LIMIT))
		return task_fault(vcpu, VEC_SS, 0);
	STEP(guest_linear_access(vcpu, GVA((u32)(vcpu_reg(vcpu, REG_SS_BASE) + moved)), NULL, &error_code,
				 length, WALK_WRITE | (vcpu_cpl(vcpu) == 3 ? WALK_USER : 0)));
	vcpu_set_reg(vcpu, REG_RSP, stack32 ? moved : (esp & ~0xffffull) | moved);
	return OUTCOME_NONE;
}

/* Registers of the new task; from here on faults are its own. */
static enum outcome new_task_load(struct vcpu *vcpu, const struct task *task, u16 selector,
				  struct descriptor tss)
{
	bool paging = vcpu_reg(vcpu, REG_CR0) & CR0_PG;

	tss.ar |= SEG_TYPE_TSS_IS_BUSY;
	set_seg(vcpu, SEG_TR, selector, &tss);
	if (paging && tss_is_32(tss.ar) && task->cr3 != vcpu_reg(vcpu, REG_CR3)) {
		if (vcpu_is_pae_paging(vcpu) && guest_load_pdptes(vcpu, task->cr3) != OUTCOME_NONE)
			return task_fault(vcpu, VEC_TS, selector & ~3u);
		vcpu_set_reg(vcpu, REG_CR3, task->cr3);
		tlb_flush_guest();
	}
	for (unsigned int i = 0; i < 8; i++)
		vcpu_set_gpr(vcpu, i, task->gpr[i]);
	vcpu_set_reg(vcpu, REG_RIP, task->eip);
	vcpu_set_reg(vcpu, REG_RFLAGS, (task->eflags & ~RFLAGS_RESERVED0) | RFLAGS_FIXED1);
	cr_set_l1_cr0(vcpu, cr_l1_cr0(vcpu) | CR0_TS);
	vcpu_set_reg(vcpu, REG_DR7,
		     vcpu_reg(vcpu, REG_DR7) & ~(DR7_L0 | DR7_L0 << 2 | DR7_L0 << 4 | DR7_L0 << 6 | DR7_LE));
	return load_segments(vcpu, task);
}

static enum outcome switch_task(struct vcpu *vcpu, u16 selector, u32 source, u64 next_rip,
				const struct event *event)
{
	u16 old_selector = (u16)vcpu_reg(vcpu, REG_TR_SELECTOR);
	u32 eflags = (u32)vcpu_reg(vcpu, REG_RFLAGS);
	bool links = source == SOURCE_CALL || source == SOURCE_IDT;
	struct descriptor tss;
	struct task task;

	STEP(tss_descriptor_read(vcpu, selector, source == SOURCE_IRET ? VEC_TS : VEC_GP, &tss));
	STEP(tss_check(vcpu, &tss, selector, source));
	STEP(tss_read_new(vcpu, &tss, &task));
	if (source == SOURCE_IRET)
		eflags &= ~(u32)RFLAGS_NT;
	STEP(tss_save_old(vcpu, (u32)next_rip, eflags));
	if (!links)
		STEP(tss_set_busy(vcpu, old_selector, false));
	if (source != SOURCE_IRET)
		STEP(tss_set_busy(vcpu, selector, true));
	if (links) {
		STEP(task_access(vcpu, tss.base, NULL, &old_selector, sizeof(old_selector)));
		task.eflags |= RFLAGS_NT;
	}
	STEP(new_task_load(vcpu, &task, selector, tss));
	if (event && event->has_error_code)
		STEP(push_error_code(vcpu, event->error_code, tss_is_32(tss.ar)));
	/* The T flag of the new TSS: #DB with DR6.BT, and what data breakpoints met, before its first
	 * instruction. */
	if (task.trap) {
		write_dr6((read_dr6() & ~(u64)PENDING_DEBUG_B) | DR6_BT |
			  (vcpu_reg(vcpu, REG_PENDING_DEBUG) & PENDING_DEBUG_B));
		return task_fault(vcpu, VEC_DB, 0);
	}
	return OUTCOME_NONE;
}

enum outcome exit_task_switch(struct vcpu *vcpu)
{
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	u32 source = (qualification >> 30) & 3;
	u64 next_rip = vcpu_reg(vcpu, REG_RIP);
	struct event event = vcpu->pending;
	bool delivers = source == SOURCE_IDT && vcpu->pending_valid;
	u64 pending_debug = vcpu_reg(vcpu, REG_PENDING_DEBUG);
	enum outcome outcome;

	/* The event that led through the task gate is delivered by the switch itself. */
	if (source == SOURCE_IDT)
		vcpu->pending_valid = false;
	if (!delivers || (event.type >= INTR_TYPE_SOFT_INTERRUPT && event.type <= INTR_TYPE_SOFT_EXCEPTION))
		next_rip += vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_LENGTH);
	if (delivers && event.type == INTR_TYPE_NMI)
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
		     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) &
			     ~(u64)(INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS));
	outcome = switch_task(vcpu, (u16)qualification, source, next_rip, delivers ? &event : NULL);
	if (outcome == OUTCOME_NONE)
		return OUTCOME_RESUME;
	/* If the switch faults, the breakpoints that it met do not become pending. */
	vcpu_set_reg(vcpu, REG_PENDING_DEBUG, pending_debug);
	/* A second exception in the delivery of the first can make a double fault. */
	vcpu->pending_valid = delivers;
	/* SDM "Error Code": EXT says that an event other than INT n, INT3 and INTO led to it. */
	if (delivers && event.type != INTR_TYPE_SOFT_INTERRUPT && event.type != INTR_TYPE_SOFT_EXCEPTION &&
	    vcpu->outcome.fault.vector != VEC_PF)
		vcpu->outcome.fault.error_code |= ERROR_EXT;
	return outcome;
}
