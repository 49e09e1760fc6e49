/* SPDX-License-Identifier: MIT */
/*
 * What a task switch reads and writes in L1's memory: descriptors and TSSs. A descriptor is checked here
 * though the processor has checked it before the exit: it is read a second time, another CPU may have changed
 * it, and what is no memory of L1's reads as ones. SDM: "Task-State Segment (TSS)", "Task Switching".
 */
#include "vmx/l1/tss.h"

#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/guest/vcpu.h"

struct PACKED tss32 {
	u32 backlink, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	u32 gpr[8];
	u32 selector[6]; /* in the order of enum seg */
	u32 ldt;
	u16 trap, io_map;
};

struct PACKED tss16 {
	u16 backlink, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags;
	u16 gpr[8];
	u16 selector[4];
	u16 ldt;
};
static_assert(sizeof(struct tss32) == 104 && sizeof(struct tss16) == 44, "the SDM's figures");

enum outcome task_fault(struct vcpu *vcpu, u8 vector, u32 error_code)
{
	return outcome_exception(vcpu, vector, BIT(vector) & VEC_HAS_ERROR_CODE, error_code);
}

enum outcome task_access(struct vcpu *vcpu, u64 va, void *to, const void *from, size_t length)
{
	return guest_linear_access(vcpu, GVA(va), to, from, length, from ? WALK_WRITE : 0);
}

static struct descriptor descriptor_decode(u64 raw)
{
	struct descriptor d = { .raw = raw };

	d.base = (u32)((raw >> 16 & 0xffffff) | (raw >> 56 << 24));
	d.limit = (u32)((raw & 0xffff) | (raw >> 32 & 0xf0000));
	d.ar = (u32)(raw >> 40 & 0xf0ff);
	if (d.ar & AR_G)
		d.limit = d.limit << 12 | 0xfff;
	return d;
}

enum outcome tss_descriptor_read(struct vcpu *vcpu, u16 selector, u8 vector, struct descriptor *out)
{
	bool local = selector & SELECTOR_TI;
	u64 base = vcpu_reg(vcpu, local ? REG_LDTR_BASE : REG_GDTR_BASE);
	u64 limit = vcpu_reg(vcpu, local ? REG_LDTR_LIMIT : REG_GDTR_LIMIT);
	u64 raw;

	if ((local && (vcpu_reg(vcpu, REG_LDTR_AR) & AR_UNUSABLE)) || (selector | 7u) > limit)
		return task_fault(vcpu, vector, selector & ~3u);
	STEP(task_access(vcpu, base + (selector & SELECTOR_INDEX), &raw, NULL, sizeof(raw)));
	*out = descriptor_decode(raw);
	return OUTCOME_NONE;
}

enum outcome tss_set_busy(struct vcpu *vcpu, u16 selector, bool busy)
{
	u64 va = vcpu_reg(vcpu, REG_GDTR_BASE) + (selector & SELECTOR_INDEX) + 5;
	u8 type;

	STEP(task_access(vcpu, va, &type, NULL, 1));
	type = busy ? type | SEG_TYPE_TSS_IS_BUSY : (u8)(type & ~SEG_TYPE_TSS_IS_BUSY);
	return task_access(vcpu, va, NULL, &type, 1);
}

/* ---- the two TSSs ---- */

enum outcome tss_check(struct vcpu *vcpu, const struct descriptor *tss, u16 selector, u32 source)
{
	u32 busy = source == SOURCE_IRET ? SEG_TYPE_TSS_IS_BUSY : 0;
	u32 type = tss->ar & (AR_S | AR_TYPE), selector_code = selector & ~3u;
	u32 needed = (tss_is_32(tss->ar) ? sizeof(struct tss32) : sizeof(struct tss16)) - 1;

	if (type != (SEG_TYPE_TSS16_AVAILABLE | busy) && type != (SEG_TYPE_TSS_AVAILABLE | busy))
		return task_fault(vcpu, source == SOURCE_IRET ? VEC_TS : VEC_GP, selector_code);
	if (!(tss->ar & AR_P))
		return task_fault(vcpu, VEC_NP, selector_code);
	if (tss->limit < needed)
		return task_fault(vcpu, VEC_TS, selector_code);
	return OUTCOME_NONE;
}

/*
 * Only what the SDM's "Task-State Segment" calls dynamic fields, and of a selector its 16 bits: a data
 * breakpoint on another field is not met. All of it can be written, or nothing is.
 */
static enum outcome save_old32(struct vcpu *vcpu, u64 base, u32 eip, u32 eflags)
{
	struct PACKED {
		u32 eip, eflags, gpr[8];
	} registers = { .eip = eip, .eflags = eflags };
	u64 first = base + offsetof(struct tss32, eip), selectors = base + offsetof(struct tss32, selector);

	STEP(guest_linear_access(vcpu, GVA(first), NULL, NULL,
				 offsetof(struct tss32, ldt) - offsetof(struct tss32, eip), WALK_WRITE));
	for (unsigned int i = 0; i < 8; i++)
		registers.gpr[i] = (u32)vcpu_gpr(vcpu, i);
	STEP(task_access(vcpu, first, NULL, &registers, sizeof(registers)));
	for (unsigned int i = 0; i < 6; i++) {
		u16 selector = (u16)vcpu_reg(vcpu, REG_SEG_SELECTOR(i));

		STEP(task_access(vcpu, selectors + 4 * i, NULL, &selector, sizeof(selector)));
	}
	return OUTCOME_NONE;
}

static enum outcome save_old16(struct vcpu *vcpu, u64 base, u32 eip, u32 eflags)
{
	struct PACKED {
		u16 ip, flags, gpr[8], selector[4];
	} registers = { .ip = (u16)eip, .flags = (u16)eflags };

	for (unsigned int i = 0; i < 8; i++)
		registers.gpr[i] = (u16)vcpu_gpr(vcpu, i);
	for (unsigned int i = 0; i < 4; i++)
		registers.selector[i] = (u16)vcpu_reg(vcpu, REG_SEG_SELECTOR(i));
	return task_access(vcpu, base + offsetof(struct tss16, ip), NULL, &registers, sizeof(registers));
}

enum outcome tss_save_old(struct vcpu *vcpu, u32 eip, u32 eflags)
{
	u64 base = vcpu_reg(vcpu, REG_TR_BASE);

	if (tss_is_32((u32)vcpu_reg(vcpu, REG_TR_AR)))
		return save_old32(vcpu, base, eip, eflags);
	return save_old16(vcpu, base, eip, eflags);
}

enum outcome tss_read_new(struct vcpu *vcpu, const struct descriptor *tss, struct task *task)
{
	struct tss32 t32 = { 0 };
	struct tss16 t16 = { 0 };

	memset(task, 0, sizeof(*task));
	/* The whole TSS must be accessible, though only a part of it is read. */
	STEP(task_access(vcpu, tss->base, NULL, NULL, tss_is_32(tss->ar) ? sizeof(t32) : sizeof(t16)));
	if (tss_is_32(tss->ar)) {
		STEP(task_access(vcpu, tss->base + offsetof(struct tss32, cr3), &t32.cr3, NULL,
				 offsetof(struct tss32, io_map) - offsetof(struct tss32, cr3)));
		*task = (struct task){ .cr3 = t32.cr3,
				       .eip = t32.eip,
				       .eflags = t32.eflags,
				       .ldt = (u16)t32.ldt,
				       .trap = t32.trap & 1 };
		for (unsigned int i = 0; i < 8; i++)
			task->gpr[i] = t32.gpr[i];
		for (unsigned int i = 0; i < 6; i++)
			task->selector[i] = (u16)t32.selector[i];
		return OUTCOME_NONE;
	}
	STEP(task_access(vcpu, tss->base + offsetof(struct tss16, ip), &t16.ip, NULL,
			 sizeof(t16) - offsetof(struct tss16, ip)));
	*task = (struct task){
		.cr3 = (u32)vcpu_reg(vcpu, REG_CR3), .eip = t16.ip, .eflags = t16.flags, .ldt = t16.ldt
	};
	for (unsigned int i = 0; i < 8; i++)
		task->gpr[i] = t16.gpr[i] | 0xffff0000u;
	for (unsigned int i = 0; i < 4; i++)
		task->selector[i] = t16.selector[i];
	return OUTCOME_NONE;
}
