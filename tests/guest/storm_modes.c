/* SPDX-License-Identifier: MIT */
/*
 * The storm's L1 outside long mode, on the boot CPU while the others wait: VMX instructions and accesses to
 * absent memory in protected mode with 32-bit and PAE paging, in virtual-8086 mode, and in real mode, there
 * with the interrupt vector table in the window. Each piece ends by a fault, or by INT F0h at its end.
 */
#include "tests/guest/modes.h"
#include "tests/guest/storm.h"

enum {
	LOW_BEGIN = 0x10000, /* code, handlers, tables and stacks below 1 MiB: the real-mode L2s have theirs
				there too */
	LOW_PAGES = 6,
	LOW_DATA = 0x5000, /* the last of them, as an offset in the segment: what a piece writes there is all
			      its own */
	LOW_VECTORS = 0x14000, /* where modes_setup.c has the interrupt vector table */
	FAR_END = 0x10ffef,    /* FFFF:FFFF */
	TABLE_OFFSET = 0x800,
};

extern u8 guest_code_end[];

static const struct {
	u8 size, bytes[5];
} pieces[] = {
	/* What a piece is aimed at stays so, whatever CPUID says; and no repetition has a wild count. */
	{ 3, { 0x66, 0x0f, 0xc7 } }, /* the first OPERANDS: a ModRM byte follows */
	{ 2, { 0x0f, 0xc7 } },
	{ 2, { 0x0f, 0x78 } },
	{ 2, { 0x0f, 0x79 } },
	{ 4, { 0x66, 0x0f, 0x38, 0x80 } },
	{ 4, { 0x66, 0x0f, 0x38, 0x81 } },
	{ 1, { 0x8b } },
	{ 1, { 0x89 } },
	{ 2, { 0xf0, 0x01 } },
	{ 1, { 0xff } },
	{ 3, { 0x0f, 0x01, 0xc2 } },
	{ 3, { 0x0f, 0x01, 0xc3 } },
	{ 3, { 0x0f, 0x01, 0xc1 } },
	{ 3, { 0x0f, 0x01, 0xd4 } },
	{ 4, { 0x53, 0x0f, 0xa2, 0x5b } }, /* PUSH EBX; CPUID; POP EBX */
	{ 2, { 0x0f, 0x32 } },
	{ 5, { 0x0f, 0xb6, 0xc9, 0xf3, 0xa4 } }, /* MOVZX ECX, CL; REP MOVSB */
	{ 3, { 0x0f, 0x20, 0xc0 } },
};
enum { OPERANDS = 10 };

/* Up to six of them; the operand is where EBX (BX with 16-bit addresses) points to. */
static void assemble(struct storm_cpu *c, u8 *at, bool wide)
{
	static const u8 digits[] = { 6, 6, 1, 1, 1, 1, 0, 0, 0, 6 };
	u32 times = 1 + (u32)storm_choose(c, 6), i;

	while (times--) {
		i = (u32)storm_choose(c, ARRAY_SIZE(pieces));
		memcpy(at, pieces[i].bytes, pieces[i].size);
		at += pieces[i].size;
		if (i < OPERANDS)
			*at++ = (u8)((i == 1 && storm_chance(c, 2) ? 7 : digits[i]) << 3 | (wide ? 3 : 7));
	}
	*at++ = 0xcd;
	*at = VEC_EXEC_DONE;
}

/*
 * 16-bit addresses reach the vectors and the code by which L1 comes back from there: what is written goes to
 * a page of its own.
 */
static void aim_low(struct storm_cpu *c, struct modes *m)
{
	m->ebx = LOW_DATA + (u32)storm_choose(c, 0x800);
	m->edi = LOW_DATA + 0x800 + (u32)storm_choose(c, 0x100);
}

static void set_registers(struct storm_cpu *c, struct modes *m)
{
	m->ebx = (u32)(storm_targets[storm_choose(c, STORM_WINDOW)] + storm_choose(c, PAGE_SIZE));
	if (storm_chance(c, 3))
		m->ebx = (u32)c->data;
	m->esi = (u32)storm_targets[storm_choose(c, STORM_WINDOW)];
	m->edi = (u32)(storm_chance(c, 2) ? c->data : storm_targets[storm_choose(c, STORM_WINDOW)] + 8);
	m->ecx = storm_chance(c, 2) ? MSR_VMX_BASIC : (u32)storm_choose(c, 64);
	m->edx = storm_fields[storm_choose(c, storm_field_count)];
	m->eax = 0x5a5a5a58;
	*(u64 *)ptr_of(c->data) =
		storm_chance(c, 2) ? c->regions + PAGE_SIZE * storm_choose(c, STORM_REGIONS) : ~0ul;
}

static void protected_mode(struct storm_cpu *c, struct modes *m)
{
	u8 *code = page_alloc();

	modes_init(m, code);
	assemble(c, code, true);
	if (storm_chance(c, 2)) {
		m->cr3 = (u32)paging_create_pae();
		m->cr4 |= CR4_PAE;
	}
	if (storm_chance(c, 4))
		return;
	m->vmxon = vmx_region();
	m->vmcs = c->regions;
	*(u32 *)ptr_of(m->vmcs) = (u32)caps.basic & 0x7fffffff;
}

static void low_mode(struct storm_cpu *c, struct modes *m, u32 kind)
{
	modes_init(m, ptr_of(LOW_CODE));
	assemble(c, ptr_of(LOW_CODE), false);
	m->kind = kind;
	m->eip = 0;
	m->cs = m->ds = m->es = m->fs = m->gs = LOW_CODE >> 4;
	m->ss = LOW_STACK >> 4;
	m->esp = 0xff0;
	if (kind == KIND_V86) {
		m->eflags |= RFLAGS_VM | RFLAGS_IOPL;
		return;
	}
	m->cr0 = CR0_PE | CR0_ET;
	m->cr4 = 0;
}

/*
 * LIDT to the window and INT: ones lead to FFFF:FFFF, where an IRET waits (nothing longer fits into the
 * segment); then the old table, and the end.
 */
static void vectors_in_window(struct storm_cpu *c)
{
	struct table_register there = { 0x3ff, storm_targets[storm_choose(c, STORM_WINDOW)] },
			      back = { 0x3ff, LOW_VECTORS };
	u8 *code = ptr_of(LOW_CODE);

	memcpy(code, "\x66\x0f\x01\x1f\xcd\x00\x66\x0f\x01\x5f\x08\xcd\xf0", 13);
	code[5] = (u8)storm_choose(c, 256);
	memcpy(code + TABLE_OFFSET, &there, 6);
	memcpy(code + TABLE_OFFSET + 8, &back, 6);
	*(u8 *)ptr_of(FAR_END) = 0xcf;
}

static void one(struct storm_cpu *c)
{
	static struct modes m;
	u32 kind = (u32)storm_choose(c, 4);
	u8 kept;

	if (kind < 2)
		protected_mode(c, &m);
	else
		low_mode(c, &m, kind == 2 ? KIND_V86 : KIND_REAL);
	set_registers(c, &m);
	if (kind >= 2)
		aim_low(c, &m);
	kept = *(u8 *)ptr_of(FAR_END);
	if (kind == 3 && storm_in_socle && storm_chance(c, 2)) {
		vectors_in_window(c);
		m.ebx = TABLE_OFFSET;
	}
	modes_go(&m);
	*(u8 *)ptr_of(FAR_END) = kept;
}

void storm_modes(struct storm_cpu *c)
{
	u64 mark = page_mark();
	u32 times = 3;
	u8 *kept = page_alloc_contig(LOW_PAGES);

	CHECK(addr_of(guest_code_end) <= FAR_END);
	memcpy(kept, ptr_of(LOW_BEGIN), LOW_PAGES * PAGE_SIZE);
	while (times--) {
		u64 inner = page_mark();

		one(c);
		page_release(inner);
	}
	memcpy(ptr_of(LOW_BEGIN), kept, LOW_PAGES * PAGE_SIZE);
	page_release(mark);
}
