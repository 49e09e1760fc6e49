/* SPDX-License-Identifier: MIT */
/*
 * GDTR, IDTR, LDTR and TR of L1 in vmcs01: written by an exit of L2's unless they are known to stand there,
 * and when that is known: each way in which they can change, each host field, and for how long
 * "descriptor-table exiting" stays off once L1 has run into it. SDM: "Loading Host Segment and
 * Descriptor-Table Registers".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/guest/handlers.h"
#include "vmx/l1/l1.h"

enum { FIRST = 8, LAST = 1024, PAYS = 4 }; /* as in host_tables.c */

static const u16 fields[] = {
	VMCS_guest_ldtr_selector, VMCS_guest_ldtr_base,	 VMCS_guest_ldtr_limit, VMCS_guest_ldtr_ar,
	VMCS_guest_tr_selector,	  VMCS_guest_tr_base,	 VMCS_guest_tr_limit,	VMCS_guest_tr_ar,
	VMCS_guest_gdtr_base,	  VMCS_guest_gdtr_limit, VMCS_guest_idtr_base,	VMCS_guest_idtr_limit,
};

/* How often all of them were written since; they are written together. */
static size_t times_written(void)
{
	size_t times = fake_writes_of(machine_vcpu->vmcs01.region.v, fields[0]);

	for (size_t i = 1; i < ARRAY_SIZE(fields); i++)
		assert_int_equal(fake_writes_of(machine_vcpu->vmcs01.region.v, fields[i]), times);
	return times;
}

static bool control_is_on(void)
{
	return machine_field01(VMCS_proc2_controls) & PROC2_DESC_TABLE_EXITING;
}

static void assert_stand(void)
{
	assert_int_equal(machine_field01(VMCS_guest_ldtr_ar), AR_UNUSABLE);
	assert_int_equal(machine_field01(VMCS_guest_ldtr_selector), 0);
	assert_int_equal(machine_field01(VMCS_guest_tr_selector), R(host_tr_selector));
	assert_int_equal(machine_field01(VMCS_guest_tr_base), R(host_tr_base));
	assert_int_equal(machine_field01(VMCS_guest_tr_limit), 0x67);
	assert_int_equal(machine_field01(VMCS_guest_tr_ar), 0x8b);
	assert_int_equal(machine_field01(VMCS_guest_gdtr_base), R(host_gdtr_base));
	assert_int_equal(machine_field01(VMCS_guest_gdtr_limit), 0xffff);
	assert_int_equal(machine_field01(VMCS_guest_idtr_base), R(host_idtr_base));
	assert_int_equal(machine_field01(VMCS_guest_idtr_limit), 0xffff);
}

/* L2 runs and exits; how often the fields were written. */
static size_t round_by(u32 reason)
{
	fake_log_clear();
	assert_int_equal(l1_enter(reason), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	assert_stand();
	return times_written();
}

static size_t go_round(void)
{
	return round_by(EXIT_VMRESUME);
}

static void start_with(unsigned int vmcs)
{
	l1_load_vmcs(vmcs);
	l1_write_valid_vmcs();
	W(host_gdtr_base, 0x3333000);
	W(host_idtr_base, 0x4444000);
	W(host_tr_base, 0x5555000);
}

/* The control is on, and a round writes none of them. */
static void start(void)
{
	l1_start_vmx();
	start_with(0);
	assert_false(control_is_on());
	assert_int_equal(round_by(EXIT_VMLAUNCH), 1);
	assert_true(control_is_on());
	for (unsigned int n = 0; n < PAYS; n++)
		assert_int_equal(go_round(), 0);
}

/* L1's own instruction: it is where it was, and will execute it without an exit. */
static void meet(u32 reason)
{
	u64 rip = machine_field(VMCS_guest_rip), proc2 = machine_field01(VMCS_proc2_controls);

	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_MOV_SS);
	machine_set_field(VMCS_guest_pending_debug, PENDING_DEBUG_BS);
	fake_log_clear();
	EXIT_NOW(.reason = reason);
	assert_int_equal(machine_field01(VMCS_proc2_controls), proc2 & ~(u64)PROC2_DESC_TABLE_EXITING);
	assert_int_equal(fake_write_count, 1);
	assert_int_equal(machine_field(VMCS_guest_rip), rip);
	assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1 | RFLAGS_TF);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_MOV_SS);
	assert_int_equal(machine_field(VMCS_guest_pending_debug), PENDING_DEBUG_BS);
	assert_int_equal(machine_field(VMCS_guest_dr7), DR7_RESET);
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1);
	machine_set_field(VMCS_guest_interruptibility, 0);
	machine_set_field(VMCS_guest_pending_debug, 0);
}

/* So many rounds write the fields until the control is on again, and then no more. */
static void assert_waits(unsigned int rounds)
{
	for (unsigned int n = 0; n < rounds; n++) {
		assert_false(control_is_on());
		assert_int_equal(go_round(), 1);
	}
	assert_false(control_is_on());
	assert_int_equal(go_round(), 1);
	assert_true(control_is_on());
}

static void l1s_instructions_end_it(void **state UNUSED)
{
	start();
	for (u32 reason = EXIT_GDTR_IDTR; reason <= EXIT_LDTR_TR; reason++) {
		meet(reason);
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			fake_set(machine_vcpu->vmcs01.region.v, fields[i], 0x66);
		assert_waits(FIRST);
		for (unsigned int n = 0; n < PAYS; n++)
			assert_int_equal(go_round(), 0);
	}
}

/* A breakpoint at the instruction has been met: the exit's RF says 0, but it was 1. */
static void its_breakpoint_is_not_met_again(void **state UNUSED)
{
	for (u64 enable = 1; enable < BIT(8); enable <<= 1) {
		if (enable == 1)
			start();
		else
			assert_waits(FIRST);
		machine_set_field(VMCS_guest_dr7, DR7_RESET | enable);
		machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1);
		EXIT_NOW(.reason = EXIT_GDTR_IDTR);
		assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1 | RFLAGS_RF);
		machine_set_field(VMCS_guest_dr7, DR7_RESET);
		for (unsigned int n = 0; n < 2 * LAST && !control_is_on(); n++)
			go_round();
		for (unsigned int n = 0; n < PAYS; n++)
			go_round();
		meet(EXIT_LDTR_TR);
	}
}

/* What does not pay is tried less and less often; once it has paid, as often as at first. */
static void it_is_tried_again_later_and_later(void **state UNUSED)
{
	unsigned int wait = FIRST;

	start();
	meet(EXIT_LDTR_TR);
	for (unsigned int n = 0; n < 9; n++) {
		assert_waits(wait);
		for (unsigned int i = 0; i < PAYS - 1; i++)
			assert_int_equal(go_round(), 0);
		meet(EXIT_GDTR_IDTR);
		wait = wait * 2 > LAST ? LAST : wait * 2;
	}
	assert_waits(LAST);
	for (unsigned int i = 0; i < PAYS; i++)
		assert_int_equal(go_round(), 0);
	meet(EXIT_GDTR_IDTR);
	assert_waits(FIRST);
}

static void write_register(enum reg reg, u64 value)
{
	vcpu_set_reg(machine_vcpu, reg, value);
	regcache_flush(&machine_vcpu->vmcs01.cache);
}

/* Whoever in L0 writes one of the registers of L1, a task switch for instance: the next exit writes them all.
 */
static void writes_of_l0s_are_seen(void **state UNUSED)
{
	start();
	for (enum reg reg = REG_LDTR_SELECTOR; reg <= REG_IDTR_LIMIT; reg++) {
		write_register(reg, 0x5a);
		assert_int_equal(go_round(), 1);
		assert_int_equal(go_round(), 0);
	}
	/* A value that is known to be there is not written. */
	write_register(REG_TR_LIMIT, vcpu_reg(machine_vcpu, REG_TR_LIMIT));
	assert_int_equal(go_round(), 0);
	write_register(REG_RSP, 0x1230);
	write_register(REG_GS_AR, 0x93);
	write_register(REG_CS_BASE, 0x93);
	assert_int_equal(go_round(), 0);
	assert_true(control_is_on());
}

static void a_reset_is_seen(void **state UNUSED)
{
	u64 number;

	start();
	number = machine_vcpu->nested.current->host_tables;
	assert_true(regcache_has_tables(&machine_vcpu->vmcs01.cache, number));
	l1_reset(machine_vcpu);
	regcache_flush(&machine_vcpu->vmcs01.cache);
	assert_false(regcache_has_tables(&machine_vcpu->vmcs01.cache, number));
	assert_true(regcache_has_tables(&machine_vcpu->vmcs01.cache, 0));
}

/* L1 writes a host field: another value is written once, and so is the first one then. */
static void each_host_field_is_seen(void **state UNUSED)
{
	static const u16 of_host[] = { VMCS_host_tr_selector, VMCS_host_tr_base, VMCS_host_gdtr_base,
				       VMCS_host_idtr_base };

	start();
	for (size_t i = 0; i < ARRAY_SIZE(of_host); i++) {
		u64 before;

		assert_int_equal(l1_vmread(of_host[i], &before), 0);
		assert_int_equal(l1_vmwrite(of_host[i], before + 0x1000), 0);
		assert_int_equal(go_round(), 1);
		assert_int_equal(go_round(), 0);
		assert_int_equal(l1_vmwrite(of_host[i], before), 0);
		assert_int_equal(go_round(), 1);
		assert_int_equal(l1_vmwrite(of_host[i], before), 0);
		assert_int_equal(go_round(), 0);
	}
	W(host_fs_base, 0x1000);
	W(host_cr3, 0x1008);
	assert_int_equal(go_round(), 0);
}

/* VMCSs in turn: with equal tables they are one, with others each exit writes; a slot that is used anew too.
 */
static void vmcss_take_turns(void **state UNUSED)
{
	start();
	start_with(1);
	assert_int_equal(round_by(EXIT_VMLAUNCH), 0);
	start_with(2);
	W(host_gdtr_base, 0x7777000);
	assert_int_equal(round_by(EXIT_VMLAUNCH), 1);
	assert_int_equal(go_round(), 0);
	for (unsigned int n = 0; n < 6; n++) {
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(n % 3)), 0);
		assert_int_equal(go_round(), n % 3 != 1);
		assert_int_equal(go_round(), 0);
	}
	/* Slots that are used anew; what stands in vmcs01 is the last one's. */
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(2)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(2)), 0);
	assert_int_equal(round_by(EXIT_VMLAUNCH), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(round_by(EXIT_VMLAUNCH), 1);
	assert_int_equal(go_round(), 0);
}

/* An entry that fails late loads host state as well; one that fails early loads none, whatever it names. */
static void failed_entries(void **state UNUSED)
{
	start();
	W(host_idtr_base, 0x8888000);
	W(guest_rflags, 0);
	fake_log_clear();
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(times_written(), 1);
	assert_stand();
	W(guest_rflags, RFLAGS_FIXED1);
	assert_int_equal(go_round(), 0);
	W(host_idtr_base, 0x9999000);
	W(host_cs_selector, 0);
	fake_log_clear();
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_ENTRY_HOST_STATE);
	assert_int_equal(times_written(), 0);
	assert_int_equal(machine_field01(VMCS_guest_idtr_base), 0x8888000);
	W(host_cs_selector, 8);
	assert_int_equal(go_round(), 1);
}

/* VMXOFF changes none of it; what L1 does behind it is seen as before. */
static void vmxoff_and_on(void **state UNUSED)
{
	start();
	assert_int_equal(l1_vmxoff(), 0);
	assert_true(control_is_on());
	meet(EXIT_GDTR_IDTR);
	l1_start_vmx();
	start_with(0);
	assert_int_equal(round_by(EXIT_VMLAUNCH), 1);
	assert_waits(FIRST - 1);
}

/* The control in vmcs02 is L1's, and so is the exit. */
static void l2s_instructions_are_l1s(void **state UNUSED)
{
	start();
	for (u64 on = 0; on < 2; on++) {
		W(proc2_controls, on ? PROC2_DESC_TABLE_EXITING : 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(!!(machine_field(VMCS_proc2_controls) & PROC2_DESC_TABLE_EXITING), on);
		EXIT_NOW(.reason = on ? EXIT_LDTR_TR : EXIT_CPUID);
		assert_int_equal(R(exit_reason), on ? EXIT_LDTR_TR : EXIT_CPUID);
		assert_true(control_is_on());
	}
	assert_int_equal(go_round(), 0);
}

static void without_the_control(void)
{
	fake_msr_set(MSR_IA32_VMX_PROCBASED_CTLS2,
		     fake_msr_get(MSR_IA32_VMX_PROCBASED_CTLS2) & ~((u64)PROC2_DESC_TABLE_EXITING << 32));
}

static void a_processor_without_it_writes_always(void **state UNUSED)
{
	l1_start_vmx();
	start_with(0);
	assert_int_equal(round_by(EXIT_VMLAUNCH), 1);
	for (unsigned int n = 0; n < 2 * FIRST; n++)
		assert_int_equal(go_round(), 1);
	assert_false(control_is_on());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(l1s_instructions_end_it),
		MACHINE_TEST_BOTH(its_breakpoint_is_not_met_again),
		MACHINE_TEST_BOTH(it_is_tried_again_later_and_later),
		MACHINE_TEST_BOTH(writes_of_l0s_are_seen),
		MACHINE_TEST_BOTH(a_reset_is_seen),
		MACHINE_TEST_BOTH(each_host_field_is_seen),
		MACHINE_TEST_BOTH(vmcss_take_turns),
		MACHINE_TEST_BOTH(failed_entries),
		MACHINE_TEST_BOTH(vmxoff_and_on),
		MACHINE_TEST_BOTH(l2s_instructions_are_l1s),
		MACHINE_TEST_BEFORE(a_processor_without_it_writes_always, "", without_the_control),
	};

	return cmocka_run_group_tests_name("host_tables", tests, NULL, NULL);
}
