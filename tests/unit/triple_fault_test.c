/* SPDX-License-Identifier: MIT */
/*
 * What is told after a triple fault: the IDT's entries and what stands in a delivery's way, code, callers,
 * guesses; of L1 and of L2, and that nothing changes by it, whatever the guest has in its memory.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/hw/cpu.h"
#include "kernel/x86.h"
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
}

static void other_modes(void **state UNUSED)
{
	struct gate gate;

	make_guest();
	/* 32 bits, of which the first 4 MiB are mapped: entries of 8 bytes, bases of segments */
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
	/* what the search for a handler itself met */
	machine_set_field(VMCS_guest_idtr_base, FAR + 0x10000);
	SAYS_NOT("first exception");
	SAYS("for its entry is not in mapped RAM");
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
	assert_non_null(strstr(fake_log(), "L2 at 0x125000: triple fault, exit reason 2 to L1\n"));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(each_flaw_is_found, ""),
		MACHINE_TEST(the_stack_is_looked_at, ""),
		MACHINE_TEST(other_modes, ""),
		MACHINE_TEST(code_and_callers, ""),
		MACHINE_TEST(a_chain_of_frames_ends, ""),
		MACHINE_TEST(cr2_is_a_hint, ""),
		MACHINE_TEST(l1s_is_reported, "on-stop=halt explain=off"),
		MACHINE_TEST_BOTH(l2s_is_explained),
		MACHINE_TEST(pages_are_looked_at_one_by_one, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
