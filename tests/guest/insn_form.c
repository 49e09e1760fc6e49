/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": makes the code of one VMX instruction with its operand, runs it, and names what came of
 * it.
 */
#include "tests/guest/insn.h"

const struct op_info insn_ops[OPS] = {
	[VMXON] = { "vmxon", MEMORY, 0xf3, 2, { 0x0f, 0xc7 }, 6 },
	[VMXOFF] = { "vmxoff", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xc4 }, 0 },
	[VMCLEAR] = { "vmclear", MEMORY, 0x66, 2, { 0x0f, 0xc7 }, 6 },
	[VMPTRLD] = { "vmptrld", MEMORY, 0, 2, { 0x0f, 0xc7 }, 6 },
	[VMPTRST] = { "vmptrst", MEMORY, 0, 2, { 0x0f, 0xc7 }, 7 },
	[VMREAD] = { "vmread", REGISTER_MEMORY, 0, 2, { 0x0f, 0x78 }, 0 },
	[VMWRITE] = { "vmwrite", REGISTER_MEMORY, 0, 2, { 0x0f, 0x79 }, 0 },
	[VMLAUNCH] = { "vmlaunch", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xc2 }, 0 },
	[VMRESUME] = { "vmresume", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xc3 }, 0 },
	[INVEPT] = { "invept", REGISTER_MEMORY, 0x66, 3, { 0x0f, 0x38, 0x80 }, 0 },
	[INVVPID] = { "invvpid", REGISTER_MEMORY, 0x66, 3, { 0x0f, 0x38, 0x81 }, 0 },
	[VMCALL] = { "vmcall", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xc1 }, 0 },
	[VMFUNC] = { "vmfunc", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xd4 }, 0 },
};

u8 *code;
u8 *data;

u32 insn_assemble(u8 *p, enum op op, const struct operand *o)
{
	const struct op_info *info_ = &insn_ops[op];
	u8 *start = p;
	u8 rex = 0;
	u8 reg = info_->kind == REGISTER_MEMORY ? o->reg : info_->digit;
	int i;

	if (info_->kind != NO_OPERAND) {
		if (o->segment)
			*p++ = o->segment;
		if (o->address32)
			*p++ = 0x67;
		rex |= reg & 8 ? 4 : 0;
		if (o->is_register) {
			rex |= o->rm & 8 ? 1 : 0;
		} else {
			rex |= o->index < NONE && o->index & 8 ? 2 : 0;
			rex |= o->base < NONE && o->base & 8 ? 1 : 0;
		}
	}
	if (info_->prefix)
		*p++ = info_->prefix;
	if (rex)
		*p++ = 0x40 | rex;
	for (i = 0; i < info_->size; i++)
		*p++ = info_->bytes[i];
	if (info_->kind == NO_OPERAND)
		return (u32)(p - start);
	reg = (reg & 7) << 3;
	if (o->is_register) {
		*p++ = 0xc0 | reg | (o->rm & 7);
	} else if (o->base == RIP) {
		*p++ = reg | 5;
		memcpy(p, &o->disp, 4);
		p += 4;
	} else {
		u8 mod = o->disp_size == 0 ? 0 : o->disp_size == 1 ? 0x40 : 0x80;
		bool sib = o->index != NONE || o->base == NONE || (o->base & 7) == 4;

		if (o->base == NONE)
			mod = 0;
		else if (mod == 0 && (o->base & 7) == 5)
			mod = 0x40;
		*p++ = mod | reg | (sib ? 4 : o->base & 7);
		if (sib)
			*p++ = o->scale << 6 | (o->index == NONE ? 4 : o->index & 7) << 3 |
			       (o->base == NONE ? 5 : o->base & 7);
		if (o->base == NONE || mod == 0x80) {
			memcpy(p, &o->disp, 4);
			p += 4;
		} else if (mod == 0x40) {
			*p++ = (u8)o->disp;
		}
	}
	return (u32)(p - start);
}

void insn_prepare(void)
{
	code = page_alloc();
	data = page_alloc_contig(2);
	paging_map(DATA_VA, addr_of(data), PTE_P | PTE_W | PTE_U);
	paging_map(DATA_VA + PAGE_SIZE, addr_of(data) + PAGE_SIZE, PTE_P | PTE_W | PTE_U);
	paging_map(CODE_VA, addr_of(code), PTE_P | PTE_W | PTE_U);
	paging_map(USER_STACK_VA, addr_of(page_alloc()), PTE_P | PTE_W | PTE_U);
	paging_map(LOW_VA, addr_of(code), PTE_P | PTE_W | PTE_U);
	paging_map(LOW_VA + PAGE_SIZE, addr_of(data), PTE_P | PTE_W | PTE_U);
	paging_map(LOW_VA + 2 * PAGE_SIZE, addr_of(page_alloc()), PTE_P | PTE_W | PTE_U);
}

const struct operand at_rbx = { .base = 3, .index = NONE, .reg = 2 };

u64 *insn_register(struct gprs *r, u32 n)
{
	return (u64 *)r + n;
}

/* The outcome as text. The VM-instruction error is only defined where a VMCS is current: then it is read. */
const char *insn_outcome(const struct exec *e, char buf[64])
{
	const struct fault *f = &e->out;
	u64 flags = f->frame.rflags & RFLAGS_STATUS;

	if (f->vector == VEC_EXEC_EXIT) {
		format(buf, 64, "exit(%lx)", vmread(F_EXIT_REASON));
		return buf;
	}
	if (f->vector != VEC_EXEC_DONE) {
		/* a fault's image has RF set */
		if (!(f->frame.rflags & RFLAGS_RF))
			return "fault without RF";
		return fault_name(f, buf);
	}
	if (flags == 0)
		return "ok";
	if (flags == RFLAGS_CF)
		return "invalid";
	if (flags == RFLAGS_ZF)
		format(buf, 64, "valid(%u)", vmx_error());
	else
		format(buf, 64, "flags(%lx)", flags);
	return buf;
}

const struct setting insn_settings[SETTINGS] = {
	{ "64/0", SEL_CODE64, false },	     { "64/3", SEL_USER64, true },
	{ "compat32/0", SEL_CODE32, false }, { "compat32/3", SEL_USER32, true },
	{ "compat16/0", SEL_CODE16, false },
};

void insn_set(struct exec *e, const struct setting *s)
{
	bool wide = s->cs == SEL_CODE64 || s->cs == SEL_USER64;

	exec_init(e, wide ? CODE_VA : s->user ? LOW_VA : addr_of(code));
	e->cs = s->cs;
	e->regs.rbx = addr_of(data);
	if (s->user) {
		e->ss = SEL_USER_DATA;
		e->regs.rsp = wide ? USER_STACK_VA + 2048 : LOW_VA + 3 * PAGE_SIZE;
		e->regs.rbx = wide ? DATA_VA : LOW_VA + PAGE_SIZE;
	}
	e->rflags |= RFLAGS_STATUS;
	e->regs.rdx = F_GUEST_RIP;
}

/* code16 has base 0 and its offset must fit: that code runs from low memory */
void insn_run(struct exec *e, const struct setting *s, enum op op, const struct operand *o)
{
	u8 *p = s->cs == SEL_CODE16 ? ptr_of(LOW_CODE) : code;
	u32 n;

	if (s->cs == SEL_CODE16)
		e->rip = 0x0000 + LOW_CODE % 0x10000;
	n = insn_assemble(p, op, o);
	p[n] = 0xcd;
	p[n + 1] = VEC_EXEC_DONE;
	exec_run(e);
}

/* A form of operand chosen by chance that leads to `address`; the registers are set for it. */
void insn_random_form(struct exec *e, struct operand *o, u64 address, u64 *seed)
{
	u64 r = random_next(seed);
	u64 rest;

	memset(o, 0, sizeof(*o));
	o->base = r & 15;
	o->index = (r >> 4 & 3) ? NONE : (r >> 6 & 15);
	o->scale = r >> 10 & 3;
	o->reg = r >> 12 & 15;
	o->disp_size = (r >> 16 & 3) == 0 ? 0 : (r >> 16 & 3) == 1 ? 1 : 4;
	o->disp = (i32)random_next(seed);
	o->segment = (const u8[]){ 0, 0, 0, SEG_FS, SEG_GS, SEG_SS, SEG_ES, 0x2e }[r >> 20 & 7];
	if (o->index == 4)
		o->index = NONE;
	if (o->base == 4 || o->reg == 4) /* RSP: tested on its own */
		o->base = 3, o->reg = o->reg == 4 ? 2 : o->reg;
	if (o->index == o->base)
		o->index = NONE;
	if (o->reg == o->base || o->reg == o->index)
		o->reg = o->base != 1 && o->index != 1 ? 1 : o->base != 6 && o->index != 6 ? 6 : 9;
	if (o->disp_size == 0)
		o->disp = (o->base & 7) == 5 ? (o->disp & 0x7f) : 0;
	else if (o->disp_size == 1)
		o->disp = (int8_t)o->disp;
	if (o->disp_size == 0 && (o->base & 7) == 5)
		o->disp_size = 1;
	if ((r >> 24 & 7) == 0) { /* RIP-relative; the caller completes it */
		o->base = RIP;
		o->index = NONE;
	} else if ((r >> 24 & 7) == 1 && o->segment != SEG_FS && o->segment != SEG_GS) {
		o->base = NONE; /* disp32 alone, or with an index */
		o->index = NONE;
		o->disp = (i32)address;
	}
	o->address32 = (r >> 28 & 7) == 0 && o->segment != SEG_FS && o->segment != SEG_GS;
	rest = address - (u64)(i64)o->disp;
	if (o->segment == SEG_FS)
		rest -= msr_read(MSR_FS_BASE);
	if (o->segment == SEG_GS)
		rest -= msr_read(MSR_GS_BASE);
	if (o->index != NONE) {
		u64 v = random_next(seed) & 0xffffffffffffull;

		if (o->address32)
			v |= 0xdead000000000000ull;
		*insn_register(&e->regs, o->index) = v;
		rest -= v << o->scale;
	}
	if (o->base < NONE)
		*insn_register(&e->regs, o->base) =
			o->address32 ? (rest & 0xffffffff) | 0xabcd00000000ull : rest;
}
