/* SPDX-License-Identifier: MIT */
/*
 * See gate.h. In the processor's order; each piece of the guest's memory is read once.
 * SDM: "Interrupt and Exception Handling"; in IA-32e mode "64-Bit Mode IDT", "Interrupt Stack Table".
 */
#include "vmx/nested/exit/gate.h"

#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/nested/exit/look.h"

#define TYPE_TASK 5u
#define TYPE_WIDE 8u   /* bit 3 is set in gates of 32 and 64 bits */
#define FRAME_LONG 48u /* SS, RSP, RFLAGS, CS, RIP and the error code */
#define FRAME_32 16u
#define CODE_CONFORMING BIT(2)
#define TSS_RSP 4u
#define TSS_IST 0x24u
/* Of a descriptor's high half: the access rights begin at bit 40. */
#define RIGHTS(descriptor) ((descriptor) >> 40)

/* ---- the entry ---- */

static unsigned int entry_size(struct vcpu *vcpu)
{
	return vcpu_is_long_mode(vcpu) ? 16 : vcpu_is_protected(vcpu) ? 8 : 4;
}

static void decode(struct vcpu *vcpu, const u64 *raw, struct gate *gate)
{
	gate->found = true;
	gate->real = !vcpu_is_protected(vcpu);
	gate->selector = (u16)(raw[0] >> 16);
	gate->offset = raw[0] & 0xffff;
	/* of real mode no more has been read, and these are 0 */
	gate->type = RIGHTS(raw[0]) & (AR_TYPE | AR_S);
	gate->dpl = (RIGHTS(raw[0]) & AR_DPL) >> AR_DPL_SHIFT;
	gate->present = RIGHTS(raw[0]) & AR_P;
	if (gate->type & TYPE_WIDE)
		gate->offset |= raw[0] >> 32 & 0xffff0000;
	if (vcpu_is_long_mode(vcpu)) {
		gate->ist = raw[0] >> 32 & 7;
		gate->offset |= raw[1] << 32;
	}
}

static bool is_gate(struct vcpu *vcpu, u8 type)
{
	u32 gates = BIT(14) | BIT(15) | (vcpu_is_long_mode(vcpu) ? 0 : BIT(TYPE_TASK) | BIT(6) | BIT(7));

	return gates & BIT(type);
}

/* ---- where it leads ---- */

static const char *read_code_segment(struct vcpu *vcpu, u16 selector, u64 *descriptor)
{
	bool local = selector & SELECTOR_TI;
	u64 base = vcpu_reg(vcpu, local ? REG_LDTR_BASE : REG_GDTR_BASE);
	u64 limit = vcpu_reg(vcpu, local ? REG_LDTR_LIMIT : REG_GDTR_LIMIT),
	    place = selector & SELECTOR_INDEX;

	if (!(selector & ~SELECTOR_RPL))
		return "has a null selector";
	if (place + sizeof(*descriptor) - 1 > limit)
		return "has a selector beyond the limit of its table";
	if (!look_linear(vcpu, base + place, 0, descriptor, sizeof(*descriptor)))
		return "has a selector whose table is not in mapped RAM";
	if ((RIGHTS(*descriptor) & (AR_S | SEG_AR_CODE | AR_P)) != (AR_S | SEG_AR_CODE | AR_P))
		return "names no code segment that is present";
	/* here the rights stand as in the descriptor, with the limit's bits in between */
	if (vcpu_is_long_mode(vcpu) && !(RIGHTS(*descriptor) & AR_L))
		return "names no 64-bit code segment";
	return NULL;
}

/* In IA-32e mode: by IST, for an inner level, or the same stack. False: it is not in the TSS. */
static bool find_stack(struct vcpu *vcpu, const struct gate *gate, unsigned int dpl, u64 *top)
{
	u64 place = gate->ist ? TSS_IST + 8 * (gate->ist - 1u) : TSS_RSP + 8 * dpl;

	*top = vcpu_reg(vcpu, REG_RSP);
	if (!gate->ist && dpl >= vcpu_cpl(vcpu))
		return true;
	return place + 7 <= vcpu_reg(vcpu, REG_TR_LIMIT) &&
	       look_linear(vcpu, vcpu_reg(vcpu, REG_TR_BASE) + place, 0, top, sizeof(*top));
}

static const char *look_at_stack(struct vcpu *vcpu, const struct gate *gate, u64 descriptor)
{
	unsigned int dpl = (RIGHTS(descriptor) & AR_DPL) >> AR_DPL_SHIFT, size = FRAME_LONG;
	bool conforming = RIGHTS(descriptor) & CODE_CONFORMING;
	u64 top;

	if (conforming)
		dpl = vcpu_cpl(vcpu);
	if (vcpu_is_long_mode(vcpu)) {
		if (!find_stack(vcpu, gate, dpl, &top))
			return "needs a stack that its TSS does not have";
		top &= ~15ull;
	} else {
		/* an inner stack is the TSS's to say, which has many forms */
		if (dpl < vcpu_cpl(vcpu))
			return NULL;
		top = vcpu_reg(vcpu, REG_RSP);
		if (!(vcpu_reg(vcpu, REG_SS_AR) & AR_DB))
			top &= 0xffff;
		top += vcpu_reg(vcpu, REG_SS_BASE);
		size = FRAME_32;
	}
	return look_linear(vcpu, top - size, WALK_WRITE, NULL, size)
		       ? NULL
		       : "pushes to a stack that is not mapped, or not to be written";
}

static const char *look_behind(struct vcpu *vcpu, const struct gate *gate)
{
	u64 descriptor, base = 0;
	const char *flaw = read_code_segment(vcpu, gate->selector, &descriptor);

	if (!flaw)
		flaw = look_at_stack(vcpu, gate, descriptor);
	if (flaw)
		return flaw;
	if (!vcpu_is_long_mode(vcpu))
		base = (descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000);
	return look_linear(vcpu, base + gate->offset, WALK_FETCH, NULL, 1)
		       ? NULL
		       : "leads to code that is not mapped, or not to be executed";
}

COLD const char *gate_read(struct vcpu *vcpu, u8 vector, struct gate *gate)
{
	unsigned int size = entry_size(vcpu);
	u64 raw[2] = { 0 };

	*gate = (struct gate){ .at = vcpu_reg(vcpu, REG_IDTR_BASE) + vector * size };
	if (vector * size + size - 1 > vcpu_reg(vcpu, REG_IDTR_LIMIT))
		return "is beyond the limit of IDTR";
	if (!look_linear(vcpu, gate->at, 0, raw, size))
		return "is not in mapped RAM";
	decode(vcpu, raw, gate);
	if (gate->real)
		return NULL;
	if (!is_gate(vcpu, gate->type))
		return "is no gate";
	if (!gate->present)
		return "is not present";
	return gate->type == TYPE_TASK ? NULL : look_behind(vcpu, gate);
}

COLD void gate_add(struct text *text, const struct gate *gate)
{
	text_add(text, "at %llx", (unsigned long long)gate->at);
	if (!gate->found)
		return;
	text_add(text, ": %x:%llx", gate->selector, (unsigned long long)gate->offset);
	if (!gate->real)
		text_add(text, ", type %x, DPL %u, IST %u%s", gate->type, gate->dpl, gate->ist,
			 gate->present ? "" : ", not present");
}
