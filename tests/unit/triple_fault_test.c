/* SPDX-License-Identifier: MIT */
/*
 * What is told after a triple fault: the IDT's entries and what stands in a delivery's way, code, callers,
 * guesses; of L1 and of L2, and that nothing changes by it, whatever the guest has in its memory.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/hw/cpu.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "tests/unit/l2_support.h"
#include "vmx/nested/exit/gate.h"
#include "vmx/nested/exit/look.h"
#include "vmx/nested/exit/triple_fault.h"
#include "vmx/nested/explain/explain.h"

#define IDT (M_SPARE + 0x20000u)
#define GDT (M_SPARE + 0x21000u)
#define TSS (M_SPARE + 0x22000u)
#define STACK (M_SPARE + 0x24000u)
#define CODE (M_SPARE + 0x25000u)
#define FAR 0x7000000000u /* no table leads there */

#define GATE_64(selector, offset, attributes)                                                                \
	(((offset)&0xffff) | (u64)(selector) << 16 | (u64)(attributes) << 32 |                               \
	 (u64)((offset)&0xffff0000) << 32)
#define CODE_64 0x00209b0000000000ull
#define CODE_32 0x00cf9b000000ffffull
#define DATA 0x00cf93000000ffffull

/* The registers of the guest that runs, read anew. */
static struct vcpu *fresh(void)
{
	struct regcache *cache = &machine_vcpu->vmcs->cache;

	regcache_flush(cache);
	regcache_reset(cache);
	return machine_vcpu;
}

/* A guest with all that a delivery needs: code in selector 8, tables, a stack. */
static void make_guest(void)
{
	l1_write64(GDT + 8, CODE_64);
	l1_write64(GDT + 16, DATA);
	for (unsigned int vector = 0; vector < 32; vector++)
		l1_write64(IDT + 16 * vector, GATE_64(8, CODE, 0x8e00));
	machine_set_field(VMCS_guest_idtr_base, IDT);
	machine_set_field(VMCS_guest_idtr_limit, 0xfff);
	machine_set_field(VMCS_guest_gdtr_base, GDT);
	machine_set_field(VMCS_guest_gdtr_limit, 23);
	machine_set_field(VMCS_guest_tr_base, TSS);
	machine_set_field(VMCS_guest_tr_limit, 0x67);
	machine_set_field(VMCS_guest_ss_ar, 0xc093);
	machine_set_field(VMCS_guest_rsp, STACK);
	machine_set_field(VMCS_guest_rip, CODE);
	fresh();
}

/* The same in 32 bits, of which the first 4 MiB are mapped: entries of 8 bytes, bases of segments. */
static void make_guest_32(void)
{
	make_guest();
	l1_write32(M_SPARE + 0x30000, PTE_P | PTE_W | PTE_PS);
	machine_set_field(VMCS_guest_cr0, CR0_PE | CR0_PG | CR0_NE);
	machine_set_field(VMCS_guest_cr3, M_SPARE + 0x30000);
	machine_set_field(VMCS_guest_cr4, CR4_PSE | CR4_VMXE);
	machine_set_field(VMCS_guest_efer, 0);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	machine_set_field(VMCS_guest_ss_base, 0);
	l1_write64(GDT + 8, CODE_32 | (CODE & 0xffffff) << 16);
	for (unsigned int vector = 0; vector < 32; vector++)
		l1_write64(IDT + 8 * vector, GATE_64(8, 0x10, 0x8e00));
	fresh();
}

static const char *flaw(struct gate *gate)
{
	return gate_read(fresh(), VEC_DF, gate);
}

static void assert_flaw(const char *wanted)
{
	struct gate gate;
	const char *found = flaw(&gate);

	if (!found || strcmp(found, wanted))
		fail_msg("%s, not %s", found ? found : "nothing", wanted);
}

static void assert_right(void)
{
	struct gate gate;

	assert_null(flaw(&gate));
}

#define DF (IDT + 16 * VEC_DF)
#define DF_32 (IDT + 8 * VEC_DF)
/* The entry is read, wherever it leads. */
#define IGNORING(read, value) ((void)(read), (value))

static void each_flaw_is_found(void **state UNUSED)
{
	make_guest();
	assert_right();
	/* the last byte of the entry must be within the limit */
	machine_set_field(VMCS_guest_idtr_limit, 16 * VEC_DF + 14);
	assert_flaw("is beyond the limit of IDTR");
	machine_set_field(VMCS_guest_idtr_limit, 16 * VEC_DF + 15);
	assert_right();
	machine_set_field(VMCS_guest_idtr_base, FAR);
	assert_flaw("is not in mapped RAM");
	/* mapped, and no RAM: a device would notice a read */
	machine_set_field(VMCS_guest_idtr_base, M_RAM_END + 0x1000);
	assert_flaw("is not in mapped RAM");
	machine_set_field(VMCS_guest_idtr_base, IDT);
	l1_write64(DF, GATE_64(8, CODE, 0x8500));
	assert_flaw("is no gate");
	l1_write64(DF, GATE_64(8, CODE, 0x0e00));
	assert_flaw("is not present");
	l1_write64(DF, GATE_64(3, CODE, 0x8e00));
	assert_flaw("has a null selector");
	l1_write64(DF, GATE_64(24, CODE, 0x8e00));
	assert_flaw("has a selector beyond the limit of its table");
	l1_write64(DF, GATE_64(16, CODE, 0x8e00));
	assert_flaw("names no code segment that is present");
	l1_write64(GDT + 8, CODE_32);
	l1_write64(DF, GATE_64(8, CODE, 0x8e00));
	assert_flaw("names no 64-bit code segment");
	l1_write64(GDT + 8, CODE_64);
	machine_set_field(VMCS_guest_gdtr_base, FAR);
	assert_flaw("has a selector whose table is not in mapped RAM");
	machine_set_field(VMCS_guest_gdtr_base, GDT);
	l1_write64(DF + 8, FAR >> 32);
	assert_flaw("leads to code that is not mapped, or not to be executed");
	l1_write64(DF + 8, 0x12345678);
	assert_flaw("leads to code that is not mapped, or not to be executed");
	l1_write64(DF + 8, 0);
	assert_right();
}

static void the_stack_is_looked_at(void **state UNUSED)
{
	make_guest();
	machine_set_field(VMCS_guest_rsp, FAR);
	assert_flaw("pushes to a stack that is not mapped, or not to be written");
	/* by IST: from the TSS, if it is long enough */
	l1_write64(DF, GATE_64(8, CODE, 0x8e02));
	l1_write64(TSS + 0x24 + 8, STACK);
	assert_right();
	machine_set_field(VMCS_guest_tr_limit, 0x24 + 14);
	assert_flaw("needs a stack that its TSS does not have");
	machine_set_field(VMCS_guest_tr_limit, 0x24 + 15);
	assert_right();
	/* an inner level */
	l1_write64(DF, GATE_64(8, CODE, 0x8e00));
	machine_set_field(VMCS_guest_rsp, STACK);
	machine_set_field(VMCS_guest_ss_ar, 0xc0f3);
	l1_write64(TSS + 4, FAR);
	assert_flaw("pushes to a stack that is not mapped, or not to be written");
	l1_write64(TSS + 4, STACK);
	assert_right();
	/* conforming code changes no level */
	l1_write64(TSS + 4, FAR);
	l1_write64(GDT + 8, CODE_64 | BIT(42));
	assert_right();
	/* the frame lies below a multiple of 16; 4 GiB are mapped */
	machine_set_field(VMCS_guest_rsp, (1ull << 32) + 15);
	assert_right();
	machine_set_field(VMCS_guest_rsp, (1ull << 32) + 16);
	assert_flaw("pushes to a stack that is not mapped, or not to be written");
}

/* SDM "System Descriptor Types", "IDT Descriptors": in IA-32e mode two types are gates, else five. */
static void each_type_of_entry(void **state UNUSED)
{
	make_guest();
	for (unsigned int type = 0; type < 32; type++) {
		l1_write64(DF, GATE_64(8, CODE, 0x8000 | type << 8));
		if (type == 0xe || type == 0xf)
			assert_right();
		else
			assert_flaw("is no gate");
	}
	make_guest_32();
	for (unsigned int type = 0; type < 32; type++) {
		l1_write64(DF_32, GATE_64(8, 0x10, 0x8000 | type << 8));
		if ((type >= 5 && type <= 7) || type == 0xe || type == 0xf)
			assert_right();
		else
			assert_flaw("is no gate");
	}
}

/* What an entry says, with ones in whatever means nothing. */
static void each_field_of_an_entry(void **state UNUSED)
{
	struct gate gate;

	make_guest();
	l1_write64(DF, GATE_64(8, 0x89ab4567, 0xeefa));
	l1_write64(DF + 8, 0xffffffff00000012ull);
	assert_int_equal(IGNORING(flaw(&gate), gate.selector), 8);
	assert_int_equal(gate.offset, 0x1289ab4567ull);
	assert_int_equal(gate.type, 0xe);
	assert_int_equal(gate.dpl, 3);
	assert_int_equal(gate.ist, 2);
	assert_true(gate.present && !gate.real);
	make_guest_32();
	l1_write64(DF_32, GATE_64(8, 0x89ab4567, 0xceff));
	assert_int_equal(IGNORING(flaw(&gate), gate.offset), 0x89ab4567);
	assert_int_equal(gate.ist, 0);
	assert_int_equal(gate.dpl, 2);
	/* gates of 16 bits: the upper half means nothing */
	l1_write64(DF_32, GATE_64(8, 0x89ab0010, 0x8600));
	assert_right();
	assert_int_equal(IGNORING(flaw(&gate), gate.offset), 0x10);
	l1_write64(DF_32, GATE_64(8, 0x89ab0010, 0x8700));
	assert_int_equal(IGNORING(flaw(&gate), gate.offset), 0x10);
}

/* The selector's RPL is no part of its place, nor has 64-bit code a base. */
static void the_code_segment_is_looked_at(void **state UNUSED)
{
	make_guest();
	machine_set_field(VMCS_guest_gdtr_limit, 15);
	l1_write64(DF, GATE_64(11, CODE, 0x8e00));
	assert_right();
	machine_set_field(VMCS_guest_gdtr_limit, 14);
	assert_flaw("has a selector beyond the limit of its table");
	machine_set_field(VMCS_guest_gdtr_limit, 15);
	/* by the local table */
	l1_write64(DF, GATE_64(12, CODE, 0x8e00));
	machine_set_field(VMCS_guest_ldtr_base, GDT + 0x100);
	machine_set_field(VMCS_guest_ldtr_limit, 15);
	assert_flaw("names no code segment that is present");
	l1_write64(GDT + 0x108, CODE_64);
	l1_write64(GDT + 8, 0);
	assert_right();
	/* each bit of the rights that counts */
	l1_write64(GDT + 0x108, CODE_64 & ~BIT(47));
	assert_flaw("names no code segment that is present");
	l1_write64(GDT + 0x108, CODE_64 & ~BIT(44));
	assert_flaw("names no code segment that is present");
	l1_write64(GDT + 0x108, CODE_64 & ~BIT(43));
	assert_flaw("names no code segment that is present");
	/* 4 GiB are mapped: with a base it would lead beyond */
	l1_write64(GDT + 0x108, CODE_64 | (u64)0xff << 56 | (u64)0xffffff << 16);
	l1_write64(DF, GATE_64(12, 0xf0000000, 0x8e00));
	assert_right();
	/* 32 bits, of which 4 MiB are mapped: the base counts with both of its parts, and the sum wraps */
	make_guest_32();
	l1_write64(GDT + 8, CODE_32 | (u64)0xfe << 56 | (u64)0x800000 << 16);
	l1_write64(DF_32, GATE_64(8, 0x1900000, 0x8e00));
	assert_right();
	l1_write64(DF_32, GATE_64(8, 0x1900000 + 0x400000, 0x8e00));
	assert_flaw("leads to code that is not mapped, or not to be executed");
}

static void other_modes(void **state UNUSED)
{
	struct gate gate;

	make_guest_32();
	assert_null(flaw(&gate));
	assert_int_equal(gate.at, IDT + 8 * VEC_DF);
	assert_int_equal(gate.offset, 0x10);
	/* the stack's address has 16 bits if that of its segment has */
	machine_set_field(VMCS_guest_rsp, 0xffff0000 | 0x8000);
	assert_flaw("pushes to a stack that is not mapped, or not to be written");
	machine_set_field(VMCS_guest_ss_ar, 0x8093);
	assert_right();
	/* a task gate's task is not looked at, nor an inner stack */
	l1_write64(IDT + 8 * VEC_DF, GATE_64(0, 0, 0x8500));
	assert_right();
	l1_write64(IDT + 8 * VEC_DF, GATE_64(8, 0x10, 0x8600));
	machine_set_field(VMCS_guest_ss_ar, 0xc0f3);
	assert_right();
	/* real mode: 4 bytes, segment and offset */
	machine_set_field(VMCS_guest_cr0, CR0_NE);
	l1_write32(IDT + 4 * VEC_DF, 0xf000ff53);
	assert_null(flaw(&gate));
	assert_true(gate.real && gate.found);
	assert_int_equal(gate.selector, 0xf000);
	assert_int_equal(gate.offset, 0xff53);
}

static char described[EXPLAIN_TEXT_MAX];

static const char *describe(void)
{
	struct text text = { described, sizeof(described), 0 };

	triple_fault_describe(fresh(), &text);
	return described;
}

#define SAYS(text_) assert_non_null(strstr(describe(), text_))
#define SAYS_NOT(text_) assert_null(strstr(describe(), text_))

static void code_and_callers(void **state UNUSED)
{
	make_guest();
	l1_write64(CODE, 0x9090909090900b0full);
	machine_vcpu->gpr[GPR_RBP] = STACK;
	l1_write64(STACK, STACK + 0x20);
	l1_write64(STACK + 8, 0x1111);
	l1_write64(STACK + 0x20, STACK + 0x40);
	l1_write64(STACK + 0x28, 0x2222);
	SAYS("  code   0f 0b 90 90 90 90 90 90 00");
	SAYS("  callers 1111, 2222 (as far as RBP leads)\n");
	SAYS("guess  the first exception was #UD, for UD2");
	SAYS("guess  #DF could not be delivered, but nothing is wrong with its entry as it stands now");
	SAYS("  #DF   at 120080: 8:125000, type e, DPL 0, IST 0\n");
	SAYS("  gdtr base 121000 limit 17, idtr base 120000 limit fff\n");
	/* a frame that leads back is the last one */
	l1_write64(STACK + 0x20, STACK);
	SAYS("  callers 1111, 2222 (as far");
	l1_write64(STACK, STACK);
	SAYS("  callers 1111 (as far");
	machine_vcpu->gpr[GPR_RBP] = STACK + 1;
	SAYS_NOT("callers");
	machine_vcpu->gpr[GPR_RBP] = FAR;
	SAYS_NOT("callers");
	/* what is no code is no caller, nor is there a frame at 0 */
	machine_vcpu->gpr[GPR_RBP] = STACK + 0x60;
	l1_write64(STACK + 0x68, FAR);
	SAYS_NOT("callers");
	machine_vcpu->gpr[GPR_RBP] = 0;
	l1_write64(8, 0x1111);
	SAYS_NOT("callers");
	/* code up to the end of what is mapped */
	l1_write32(M_WINDOW - 4, 0x909090cd);
	machine_set_field(VMCS_guest_rip, M_WINDOW - 4);
	SAYS("  code   cd 90 90 90\n");
	SAYS("the first exception was an INT n");
	machine_set_field(VMCS_guest_rip, FAR);
	SAYS("  code   none: RIP leads to no RAM");
	SAYS("the first exception was #PF or #GP, for RIP leads nowhere");
}

/* Each register and field has a value of its own. */
static void all_that_is_told_of_a_guest(void **state UNUSED)
{
	static const char told[] =
		"  rip 125000 rflags 46 dr7 401\n"
		"  rax a0 rcx a1 rdx a2 rbx a3\n"
		"  rsp 124000 rbp a5 rsi a6 rdi a7\n"
		"  r8 a8 r9 a9 r10 aa r11 ab\n"
		"  r12 ac r13 ad r14 ae r15 af\n"
		"  cr0 80010031 cr2 c2 cr3 1000 cr4 2020 efer 500\n"
		"  es 801 base b00 limit f00 ar c0f1, cs 811 base b01 limit f01 ar a09b\n"
		"  ss 821 base b02 limit f02 ar c093, ds 831 base b03 limit f03 ar c0f3\n"
		"  fs 841 base b04 limit f04 ar c093, gs 851 base b05 limit f05 ar c093\n"
		"  ldtr 861 base b06 limit f06 ar 82, tr 871 base 122000 limit f07 ar 8b\n"
		"  gdtr base 121000 limit 17, idtr base 120000 limit fff\n"
		"  #DF   at 120080: 8:125000, type e, DPL 0, IST 0\n"
		"  #GP   at 1200d0: 10:125000, type e, DPL 3, IST 3; it names no code segment that is "
		"present\n"
		"  #PF   at 1200e0: 8:125000, type f, DPL 0, IST 0, not present; it is not present\n"
		"  code   90 90 90 90 90 90 90 90 90 01 02 03 04 05 06 07\n"
		"  guess  #DF could not be delivered, but nothing is wrong with its entry as it stands now\n";

	make_guest();
	for (unsigned int i = 0; i < GPR_COUNT; i++)
		if (i != GPR_RSP)
			machine_vcpu->gpr[i] = 0xa0 + i;
	for (unsigned int i = 0; i < SEG_COUNT; i++) {
		machine_set_field(VMCS_guest_es_selector + 2 * i, 0x801 + 0x10 * i);
		machine_set_field(VMCS_guest_es_limit + 2 * i, 0xf00 + i);
	}
	for (unsigned int i = SEG_ES; i <= SEG_LDTR; i++)
		machine_set_field(VMCS_guest_es_base + 2 * i, 0xb00 + i);
	machine_set_field(VMCS_guest_es_ar, 0xc0f1);
	machine_set_field(VMCS_guest_ds_ar, 0xc0f3);
	machine_set_field(VMCS_guest_rflags, 0x46);
	machine_set_field(VMCS_guest_dr7, 0x401);
	write_cr2(0xc2);
	l1_write64(CODE, 0x9090909090909090ull);
	l1_write64(CODE + 8, 0x0706050403020190ull);
	l1_write64(IDT + 16 * VEC_GP, GATE_64(0x10, CODE, 0xee03));
	l1_write64(IDT + 16 * VEC_PF, GATE_64(8, CODE, 0x0f00));
	assert_string_equal(describe(), told);
	/* of real mode an entry has nothing but where it leads */
	make_guest_32();
	machine_set_field(VMCS_guest_cr0, CR0_NE);
	l1_write32(IDT + 4 * VEC_DF, 0xf000ff53);
	SAYS("  #DF   at 120020: f000:ff53\n");
}

/* 32 bits, where the bases of segments count; code of 16 bits has no frames of this kind. */
static void callers_of_32_bits(void **state UNUSED)
{
	make_guest_32();
	machine_set_field(VMCS_guest_cs_base, CODE);
	machine_set_field(VMCS_guest_ss_base, STACK);
	machine_set_field(VMCS_guest_rip, 0x20);
	l1_write64(CODE + 0x20, 0x0123456789abcdefull);
	machine_vcpu->gpr[GPR_RBP] = 0x14;
	l1_write32(STACK + 0x14, 0x24);
	l1_write32(STACK + 0x18, 0x111);
	l1_write32(STACK + 0x24, 0);
	l1_write32(STACK + 0x28, 0x222);
	SAYS("  code   ef cd ab 89 67 45 23 01");
	SAYS("  callers 111, 222 (as far as RBP leads)\n");
	/* a return to what lies beyond the 4 MiB is none; neither is one to 0, nor a frame that is half there
	 */
	l1_write32(STACK + 0x28, 0x400000 - CODE);
	SAYS("  callers 111 (as far");
	l1_write32(STACK + 0x18, 0);
	SAYS_NOT("callers");
	l1_write32(STACK + 0x18, 0x111);
	machine_vcpu->gpr[GPR_RBP] = 0x16;
	SAYS_NOT("callers");
	machine_vcpu->gpr[GPR_RBP] = 0x400000 - 4 - STACK;
	l1_write32(0x400000 - 4, 0x24);
	SAYS_NOT("callers");
	machine_vcpu->gpr[GPR_RBP] = 0x14;
	machine_set_field(VMCS_guest_cs_ar, 0x809b);
	SAYS_NOT("callers");
}

/* What the bytes at RIP say of the exception that came first. */
static void the_instruction_is_a_hint(void **state UNUSED)
{
	static const struct {
		u8 bytes[2];
		const char *guess;
	} rows[] = { { { 0xcc, 0x0b }, "#BP, for INT3 is at RIP" },
		     { { 0xcd, 0x0b }, "an INT n, which is at RIP" },
		     { { 0x0f, 0x0b }, "#UD, for UD2 (or UD0, UD1) is at RIP" },
		     { { 0x0f, 0xb9 }, "#UD, for UD2 (or UD0, UD1) is at RIP" },
		     { { 0x0f, 0xff }, "#UD, for UD2 (or UD0, UD1) is at RIP" },
		     { { 0x0f, 0x0a }, NULL },
		     { { 0x0e, 0x0b }, NULL },
		     { { 0xce, 0x0b }, NULL } };

	make_guest();
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *at;

		l1_write32(CODE, (u32)(rows[i].bytes[0] | rows[i].bytes[1] << 8));
		at = strstr(describe(), "the first exception was ");
		if (!rows[i].guess)
			assert_null(at);
		else
			assert_memory_equal(at + 24, rows[i].guess, strlen(rows[i].guess));
	}
	/* a byte that has nothing behind it */
	l1_write32(M_WINDOW - 4, 0x0f000000);
	machine_set_field(VMCS_guest_rip, M_WINDOW - 1);
	SAYS_NOT("first exception");
}

/* So many callers, not as many as a guest can chain. */
static void a_chain_of_frames_ends(void **state UNUSED)
{
	const char *line;
	unsigned int commas = 0;

	make_guest();
	machine_vcpu->gpr[GPR_RBP] = STACK;
	for (u64 i = 0; i < 100; i++) {
		l1_write64(STACK + 16 * i, STACK + 16 * (i + 1));
		l1_write64(STACK + 16 * i + 8, 0xffff0000 + i);
	}
	/* and all of it at its longest fits */
	for (unsigned int i = 0; i < GPR_COUNT; i++)
		if (i != GPR_RBP)
			machine_vcpu->gpr[i] = ~0ull;
	line = strstr(describe(), "  callers ");
	assert_non_null(line);
	for (; *line != '\n'; line++)
		commas += *line == ',';
	assert_int_equal(commas, 11);
	assert_true(strlen(described) + 300 < sizeof(described));
	assert_int_equal(described[strlen(described) - 1], '\n');
}

static void cr2_is_a_hint(void **state UNUSED)
{
	make_guest();
	l1_write64(CODE, 0x9090909090909090ull);
	write_cr2(STACK);
	SAYS_NOT("first exception");
	write_cr2(FAR + 0x10000);
	SAYS("the first exception was #PF at CR2\n");
	machine_set_field(VMCS_guest_rsp, FAR + 0x10008);
	SAYS("the first exception was #PF at CR2, which is near RSP: the stack is full, or was never there");
	SAYS("guess  #DF could not be delivered, for its entry pushes to a stack that is not mapped");
	/* within 4 KiB on both sides, and no farther */
	machine_set_field(VMCS_guest_rsp, FAR + 0x10fff);
	SAYS("near RSP");
	machine_set_field(VMCS_guest_rsp, FAR + 0x11000);
	SAYS_NOT("near RSP");
	machine_set_field(VMCS_guest_rsp, FAR + 0xf001);
	SAYS("near RSP");
	machine_set_field(VMCS_guest_rsp, FAR + 0xf000);
	SAYS_NOT("near RSP");
	machine_set_field(VMCS_guest_rsp, FAR + 0x10008);
	/* what the search for a handler itself met, to the last byte of the table */
	machine_set_field(VMCS_guest_idtr_base, FAR + 0x10000 - 0xfff);
	SAYS_NOT("first exception");
	machine_set_field(VMCS_guest_idtr_limit, 0xffe);
	SAYS("the first exception was #PF at CR2");
	machine_set_field(VMCS_guest_idtr_limit, 0xfff);
	machine_set_field(VMCS_guest_idtr_base, FAR + 0x10000);
	SAYS_NOT("first exception");
	SAYS("for its entry is not in mapped RAM");
	/* without paging there is no #PF, whatever cannot be read */
	make_guest_32();
	write_cr2(M_RAM_END + 0x1000);
	SAYS("the first exception was #PF at CR2");
	machine_set_field(VMCS_guest_cr0, CR0_PE | CR0_NE);
	SAYS_NOT("first exception");
}

static void l1s_is_reported(void **state UNUSED)
{
	make_guest();
	machine_set_field(VMCS_guest_idtr_limit, 0);
	assert_true(fake_panics(EXIT_NOW(.reason = EXIT_TRIPLE_FAULT)));
	assert_non_null(strstr(fake_log(), "triple fault of L1"));
	assert_non_null(strstr(fake_log(), "  #PF   at 1200e0; it is beyond the limit of IDTR\n"));
	assert_non_null(strstr(fake_log(), "for its entry is beyond the limit of IDTR\n"));
	assert_non_null(strstr(fake_log(), "L1 TRIPLE_FAULT rip "));
}

/* L2's memory goes through EPT12, without a flag set there; told in one paragraph, once. */
static void l2s_is_explained(void **state UNUSED)
{
	const u64 table = (P_EPT + 0x1000) | EPT_RWX, leaf = 0 | EPT_RWX | EPT_LEAF | MEMTYPE_WB << 3;
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_write64(P_EPT, table);
	l1_write64(P_EPT + 0x1000, leaf);
	W(ept_pointer, P_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB | EPTP_AD);
	W(proc2_controls, PROC2_EPT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	make_guest();
	machine_set_field(VMCS_guest_idtr_limit, 16 * VEC_PF);
	EXIT_NOW(.reason = EXIT_TRIPLE_FAULT);
	assert_false(machine_in_l2());
	assert_int_equal(l1_vmread(VMCS_exit_reason, &value), 0);
	assert_int_equal(value, EXIT_TRIPLE_FAULT);
	assert_non_null(strstr(fake_log(), "L2 at 0x125000: triple fault, exit reason 2 to L1\n"
					   "  rule   "));
	assert_non_null(strstr(fake_log(), ")\n  vmcs   0x21000\n  rip 125000 "));
	/* what is wrong with another entry is not why #DF could not come */
	assert_non_null(strstr(fake_log(), "guess  #DF could not be delivered, but nothing is wrong with"));
	assert_non_null(strstr(fake_log(), "  #DF   at 120080: 8:125000, type e, DPL 0, IST 0\n"));
	assert_non_null(strstr(fake_log(), "  #PF   at 1200e0; it is beyond the limit of IDTR\n"));
	assert_int_equal(l1_read64(P_EPT), table);
	assert_int_equal(l1_read64(P_EPT + 0x1000), leaf);
	/* its page tables, behind an entry that is gone: nothing is found, and nobody gets an exit for it */
	l1_write64(P_EPT + 0x1000, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	fresh();
	assert_false(look_linear(machine_vcpu, IDT, 0, &value, sizeof(value)));
	assert_true(machine_in_l2());
}

/* A read over the end of a page, in the two that lie behind each other there alone. */
static void pages_are_looked_at_one_by_one(void **state UNUSED)
{
	u8 bytes[8];

	l1_write64(M_SPARE + 0xffc, 0x8877665544332211ull);
	assert_true(look_linear(fresh(), M_SPARE + 0xffc, 0, bytes, sizeof(bytes)));
	assert_int_equal(bytes[3], 0x44);
	assert_int_equal(bytes[4], 0x55);
	assert_false(look_linear(machine_vcpu, M_WINDOW - 4, 0, bytes, sizeof(bytes)));
	assert_false(look_linear(machine_vcpu, ~0ull - 3, 0, bytes, sizeof(bytes)));
	/* without paging an address has 32 bits */
	machine_set_field(VMCS_guest_cr0, CR0_PE | CR0_NE);
	machine_set_field(VMCS_guest_efer, 0);
	l1_write32(0, 0xaabbccdd);
	assert_true(look_linear(fresh(), 0x100000000ull, 0, bytes, 4));
	assert_int_equal(bytes[0], 0xdd);
}

/* What a walk's mode and rights say counts, and nothing else does. */
static void tables_are_walked_as_the_guests_mode_says(void **state UNUSED)
{
	const u64 beyond = 1ull << 48 | IDT, upper = 0x2020;
	u8 byte;

	make_guest();
	/* not canonical, and the tables do not look at bit 48 */
	assert_false(look_linear(fresh(), beyond, 0, &byte, 1));
	/* but a fifth level does */
	l1_write64(M_SPARE + 0x31000, 0x1000 | PTE_P | PTE_W);
	l1_write64(M_SPARE + 0x31008, 0x1000 | PTE_P | PTE_W);
	machine_set_field(VMCS_guest_cr3, M_SPARE + 0x31000);
	machine_set_field(VMCS_guest_cr4, CR4_PAE | CR4_VMXE | CR4_LA57);
	assert_true(look_linear(fresh(), beyond, 0, &byte, 1));
	assert_false(look_linear(machine_vcpu, 1ull << 57 | IDT, 0, &byte, 1));
	machine_set_field(VMCS_guest_cr3, 0x1000);
	machine_set_field(VMCS_guest_cr4, CR4_PAE | CR4_VMXE | CR4_SMAP);
	/* a page of user's, looked at as with EFLAGS.AC; one without W, one with XD */
	l1_write64(0x1000, 0x2000 | PTE_P | PTE_W | PTE_U);
	l1_write64(upper, 0 | PTE_P | PTE_U | PTE_PS);
	machine_set_field(VMCS_guest_efer, EFER_LME | EFER_LMA | EFER_NXE);
	assert_true(look_linear(fresh(), 4ull << 30 | IDT, 0, &byte, 1));
	assert_false(look_linear(machine_vcpu, 4ull << 30 | IDT, WALK_WRITE, NULL, 1));
	assert_true(look_linear(machine_vcpu, 4ull << 30 | IDT, WALK_FETCH, NULL, 1));
	l1_write64(upper, 0 | PTE_P | PTE_W | PTE_PS | PTE_NX);
	assert_true(look_linear(machine_vcpu, 4ull << 30 | IDT, WALK_WRITE, NULL, 1));
	assert_false(look_linear(machine_vcpu, 4ull << 30 | IDT, WALK_FETCH, NULL, 1));
	/* PAE paging: by the registers, whatever memory says now; the address has 32 bits */
	machine_set_field(VMCS_guest_efer, 0);
	machine_set_field(VMCS_guest_cr4, CR4_PAE | CR4_VMXE);
	machine_set_field(VMCS_guest_pdpte0 + 6, (M_SPARE + 0x32000) | PTE_P);
	l1_write64(M_SPARE + 0x32000, 0 | PTE_P | PTE_W | PTE_PS);
	assert_true(look_linear(fresh(), 3ull << 30 | CODE % (2u << 20), 0, &byte, 1));
	assert_true(look_linear(machine_vcpu, 1ull << 50 | 3ull << 30 | CODE, 0, &byte, 1));
	assert_false(look_linear(machine_vcpu, CODE, 0, &byte, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(each_flaw_is_found, ""),
		MACHINE_TEST(the_stack_is_looked_at, ""),
		MACHINE_TEST(each_type_of_entry, ""),
		MACHINE_TEST(each_field_of_an_entry, ""),
		MACHINE_TEST(the_code_segment_is_looked_at, ""),
		MACHINE_TEST(other_modes, ""),
		MACHINE_TEST(code_and_callers, ""),
		MACHINE_TEST(all_that_is_told_of_a_guest, ""),
		MACHINE_TEST(callers_of_32_bits, ""),
		MACHINE_TEST(the_instruction_is_a_hint, ""),
		MACHINE_TEST(a_chain_of_frames_ends, ""),
		MACHINE_TEST(cr2_is_a_hint, ""),
		MACHINE_TEST(l1s_is_reported, "on-stop=halt explain=off"),
		MACHINE_TEST_BOTH(l2s_is_explained),
		MACHINE_TEST(pages_are_looked_at_one_by_one, ""),
		MACHINE_TEST(tables_are_walked_as_the_guests_mode_says, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
