/* SPDX-License-Identifier: MIT */
/*
 * A CPU of L1's that stands still takes INITs and loses no SIPI: it rests in a guest of its own, leaves that
 * for its wait, and comes back behind it; who waits when all go on, goes first.
 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "kernel/msr.h"
#include "tests/unit/l2_support.h"
#include "tests/unit/uart_support.h"
#include "vmx/l1/rest.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/monitor.h"
#include "vmx/monitor/step.h"

static void plug_ap(void)
{
	fake_msr_set(MSR_IA32_APIC_BASE, 0xfee00800);
	uart_plug();
}

/* How the next rests end. */
static u32 reason, intr_info, rests;
static enum enter_result result;

static enum enter_result rest(struct vcpu *vcpu)
{
	rests++;
	assert_int_not_equal(fake_current_vmcs(), vcpu->vmcs01.region.v);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_HLT);
	assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1);
	assert_int_equal(machine_field(VMCS_exception_bitmap), ~0u);
	assert_int_equal(machine_field(VMCS_entry_intr_info), 0);
	assert_true(machine_field(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	assert_true(machine_field(VMCS_pin_controls) & PIN_NMI_EXITING);
	assert_in_range(machine_field(VMCS_preemption_timer_value), 1, vcpu->wish.timer_ticks / 100);
	assert_int_equal(vcpu->request, 0);
	assert_int_equal(vcpu->launched, rests > 1);
	fake_set(fake_current_vmcs(), VMCS_guest_activity_state, ACTIVITY_ACTIVE);
	fake_set(fake_current_vmcs(), VMCS_exit_reason, reason);
	fake_set(fake_current_vmcs(), VMCS_exit_intr_info, INTR_INFO_VALID | intr_info);
	return result;
}

static bool rests_by(u32 exit_reason)
{
	reason = exit_reason;
	fake_enter = rest;
	return rest_a_moment(machine_vcpu);
}

#define VMCS01 (machine_vcpu->vmcs01.region.v)

/* Nothing of the guest changes, nor is anything lost that is asked of the CPU. */
static void nothing_happens(void **state UNUSED)
{
	u32 exit_reason = machine_vcpu->exit_reason;

	vcpu_set_reg(machine_vcpu, REG_RIP, 0x1234);
	machine_vcpu->request = REQUEST_EPT01_CHANGED;
	for (int i = 0; i < 3; i++) {
		fake_log_clear();
		assert_false(rests_by(EXIT_PREEMPTION_TIMER));
		for (size_t n = 0; n < fake_write_count; n++)
			assert_int_not_equal(fake_writes[n].vmcs, VMCS01);
		assert_int_equal(fake_current_vmcs(), VMCS01);
		assert_ptr_equal(machine_vcpu->vmcs, &machine_vcpu->vmcs01);
		assert_int_equal(machine_vcpu->launched, machine_vcpu->vmcs01.launched);
		assert_int_equal(machine_vcpu->request, REQUEST_EPT01_CHANGED);
		assert_int_equal(machine_vcpu->exit_reason, exit_reason);
		assert_int_equal(vcpu_reg(machine_vcpu, REG_RIP), 0x1234);
	}
	assert_int_equal(rests, 3);
}

static void an_init_comes(void **state UNUSED)
{
	u64 before = machine_vcpu->counters.exits_l1[EXIT_INIT];

	assert_true(rests_by(EXIT_INIT));
	assert_int_equal(machine_vcpu->counters.exits_l1[EXIT_INIT], before + 1);
	assert_int_equal(vcpu_reg(machine_vcpu, REG_ACTIVITY), ACTIVITY_WAIT_FOR_SIPI);
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 7);
	assert_int_equal(machine_field(VMCS_guest_cs_base), 0x7000);
	assert_int_equal(fake_current_vmcs(), VMCS01);
}

static void what_else_comes(void **state UNUSED)
{
	intr_info = INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI;
	assert_false(rests_by(EXIT_EXCEPTION_NMI));
	assert_int_equal(machine_vcpu->request, REQUEST_NMI);
	machine_vcpu->request = 0;
	machine_vcpu->wish.nmi = true;
	assert_false(rests_by(EXIT_EXCEPTION_NMI));
	assert_int_equal(machine_vcpu->request, REQUEST_MONITOR_NMI);
	machine_vcpu->request = 0;
	intr_info = INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_MC;
	assert_false(rests_by(EXIT_EXCEPTION_NMI));
	assert_int_equal(machine_vcpu->request, REQUEST_MACHINE_CHECK);
	machine_vcpu->request = 0;
	assert_false(rests_by(EXIT_ENTRY_FAIL_MCE | EXIT_REASON_ENTRY_FAILURE));
	assert_int_equal(machine_vcpu->request, REQUEST_MACHINE_CHECK);
	machine_vcpu->request = 0;
	/* a request of another CPU's came first: what the exit reason says is of old */
	result = ENTER_REQUEST;
	assert_false(rests_by(EXIT_INIT));
	assert_int_equal(machine_vcpu->request, 0);
	assert_int_equal(rests, 5);
}

/* INITs wait, as they do on the bare processor, and SIPIs are lost. */
static void in_vmx_operation(void **state UNUSED)
{
	l1_run_l2();
	assert_false(rests_by(EXIT_INIT));
	EXIT_NOW(.reason = EXIT_VMCALL);
	assert_false(machine_in_l2());
	assert_false(rests_by(EXIT_INIT));
	assert_int_equal(rests, 0);
}

/* The BSP starts by its INIT, without a SIPI. */
static void the_bsp(void **state UNUSED)
{
	assert_false(rests_by(EXIT_INIT));
	assert_int_equal(rests, 0);
}

/* A step over absent memory ends before its VMCS is left. */
static void in_the_middle_of_a_step(void **state UNUSED)
{
	machine_vcpu->vmcs->steps = STEP_ABSENT;
	assert_false(rests_by(EXIT_INIT));
	assert_int_equal(rests, 0);
}

/* ---- among others ---- */

static struct percpu other_cpu = { .id = 1 };
static struct vcpu other;

static void make_other(void)
{
	other = *machine_vcpu;
	other.cpu = &other_cpu;
	other.vmcs = &other.vmcs01;
	other_cpu.vcpu = &other;
	fake_other_cpu = &other_cpu;
}

/* The machine stands still; this CPU, which has the turn, has not come to its own stop yet. */
static void stop_both(void)
{
	make_other();
	vcpu_set_reg(&other, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	assert_true(control_stop(machine_vcpu));
	vcpu_set_reg(&other, REG_ACTIVITY, ACTIVITY_ACTIVE);
	assert_true(control_stay(&other));
}

/* Stopped, it leaves for its wait, and stops behind it. */
static void it_leaves_and_comes_back(void **state UNUSED)
{
	stop_both();
	control_give_turn(1);
	assert_true(control_stay(machine_vcpu));
	reason = EXIT_PREEMPTION_TIMER;
	fake_enter = rest;
	assert_true(control_rest(machine_vcpu));
	assert_true(control_has_stopped(0));
	reason = EXIT_INIT;
	assert_false(control_rest(machine_vcpu));
	assert_false(control_has_stopped(0));
	assert_false(control_stay(machine_vcpu));
	/* it has no request then, and is looked at behind its next exit */
	machine_vcpu->looks = 0;
	step_prepare(machine_vcpu);
	assert_true(machine_vcpu->looks & LOOK_BREAKS);
	assert_int_equal(machine_vcpu->request, 0);
	vcpu_set_reg(machine_vcpu, REG_ACTIVITY, ACTIVITY_ACTIVE);
	assert_true(control_stay(machine_vcpu));
	assert_true(control_has_stopped(0));
	assert_int_equal(control_turn(), 1);
}

/* Before all others have stopped: the first of them has the turn. */
static void while_it_stops_the_others(void **state UNUSED)
{
	make_other();
	vcpu_set_reg(&other, REG_ACTIVITY, ACTIVITY_ACTIVE);
	reason = EXIT_INIT;
	fake_enter = rest;
	assert_false(control_stop(machine_vcpu));
	assert_true(control_is_stopped());
	assert_false(control_stay(machine_vcpu));
	assert_true(control_stay(&other));
	assert_int_equal(control_turn(), 1);
	control_go();
	assert_false(control_is_stopped());
}

/* One that was stepped into its wait stays, until all go: then it goes first, and the other ends the stop. */
static void who_waits_goes_first(void **state UNUSED)
{
	u64 start;

	stop_both();
	vcpu_set_reg(machine_vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	assert_true(control_stay(machine_vcpu));
	assert_true(control_stay(&other));
	assert_int_equal(control_turn(), 0);
	control_go();
	assert_true(control_is_stopped() && control_is_going());
	assert_false(control_stay(machine_vcpu));
	assert_true(control_is_stopped());
	assert_true(control_stay(&other));
	assert_int_equal(control_turn(), 1);
	start = rdtsc();
	control_go();
	assert_true(rdtsc() - start > control_period() / 100);
	assert_false(control_is_stopped() || control_is_going());
	assert_false(control_stay(&other));
}

static void said(const char *text)
{
	if (!strstr(uart_said, text))
		fail_msg("not said: %s; but: %s", text, uart_said);
}

static void the_other_one_ends_it(void **state UNUSED)
{
	stop_both();
	vcpu_set_reg(&other, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	control_give_turn(1);
	assert_true(control_stay(machine_vcpu));
	control_go();
	assert_true(control_is_stopped());
	assert_false(control_stay(&other));
	uart_type("");
	monitor_attend(machine_vcpu);
	assert_false(control_is_stopped());
	assert_string_equal(uart_said, "");
}

/* `go` on the CPU that waits: it leaves without another word. */
static void who_waits_says_nothing(void **state UNUSED)
{
	stop_both();
	vcpu_set_reg(machine_vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	uart_type("go\r");
	monitor_attend(machine_vcpu);
	assert_true(control_is_going());
	assert_string_equal(uart_said, "stopped> go\r\nrunning> ");
}

static void (*arrives)(void);
static bool ran;

static void look(void)
{
	ran |= !control_is_stopped();
	arrives();
}

/* From then on another CPU's SIPI may come. */
static void go_is_the_last_that_it_does(void **state UNUSED)
{
	assert_true(control_stop(machine_vcpu));
	uart_type("go\r");
	arrives = uart16550.looked_at;
	uart16550.looked_at = look;
	monitor_attend(machine_vcpu);
	assert_false(control_is_stopped());
	said("running> ");
	assert_false(ran);
}

/* Nobody stops one that goes into its wait: what there is to say, others say. */
static void who_is_about_to_wait_stops_nobody(void **state UNUSED)
{
	machine_vcpu->wish.nmi = true;
	monitor_take_nmi(machine_vcpu);
	vcpu_set_reg(machine_vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	monitor_attend(machine_vcpu);
	assert_false(control_is_stopped());
}

/* There is nobody who could end it. */
static void all_wait(void **state UNUSED)
{
	make_other();
	vcpu_set_reg(&other, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	assert_true(control_stop(machine_vcpu));
	vcpu_set_reg(machine_vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	assert_true(control_stay(machine_vcpu));
	control_go();
	assert_false(control_is_stopped() || control_is_going());
}

/* The INIT is told behind the SIPI, which it would keep the CPU from. */
static void a_breakpoint_at_an_init(void **state UNUSED)
{
	uart_ask("break exit INIT\r");
	uart_type("");
	EXIT_NOW(.reason = EXIT_INIT);
	assert_false(control_is_stopped());
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_WAIT_FOR_SIPI);
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 7);
	said("breakpoint 1: cpu 0, ");
	said("L1 goes on at 7000");
}

/* A step that is over where the wait begins: told behind it, too. */
static void a_step_that_ends_in_a_wait(void **state UNUSED)
{
	machine_vcpu->debugged.hit = HIT_STEP;
	vcpu_set_reg(machine_vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	step_look(machine_vcpu);
	step_prepare(machine_vcpu);
	assert_false(control_is_stopped());
	assert_int_equal(machine_vcpu->request, 0);
	assert_true(machine_vcpu->looks & LOOK_BREAKS);
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 7);
	said("step: cpu 0, L1 at 7000");
}

/* What is typed is another CPU's to take, then. */
static void while_it_takes_what_is_typed(void **state UNUSED)
{
	uart_type("cp");
	reason = EXIT_INIT;
	fake_enter = rest;
	assert_int_equal(exit_preemption_timer(machine_vcpu), OUTCOME_RESUME);
	assert_int_equal(vcpu_reg(machine_vcpu, REG_ACTIVITY), ACTIVITY_WAIT_FOR_SIPI);
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 7);
	uart_ask("us\r");
	said("cpu 0: apic-id 0 L1 rip 0 ");
}

/* Where it needs no SIPI: an AP looks while the BSP does not. */
static void the_bsp_takes_what_is_typed(void **state UNUSED)
{
	u64 end;

	make_other();
	uart_type("");
	exit_preemption_timer(machine_vcpu);
	uart_type("x");
	exit_preemption_timer(&other);
	assert_string_equal(uart_typed, "x");
	assert_string_equal(uart_said, "");
	for (end = rdtsc() + 3 * control_period(); rdtsc() < end;)
		fake_pass_time();
	reason = EXIT_PREEMPTION_TIMER;
	exit_preemption_timer(&other);
	assert_string_equal(uart_said, "x");
}

#define AP(test) MACHINE_TEST_BEFORE(test, "monitor=com2", plug_ap)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AP(nothing_happens),
		AP(an_init_comes),
		AP(what_else_comes),
		AP(in_vmx_operation),
		MACHINE_TEST_BEFORE(the_bsp, "monitor=com2", uart_plug),
		AP(in_the_middle_of_a_step),
		AP(it_leaves_and_comes_back),
		AP(while_it_stops_the_others),
		AP(who_waits_goes_first),
		AP(the_other_one_ends_it),
		AP(who_waits_says_nothing),
		AP(go_is_the_last_that_it_does),
		AP(who_is_about_to_wait_stops_nobody),
		AP(all_wait),
		AP(a_breakpoint_at_an_init),
		AP(a_step_that_ends_in_a_wait),
		AP(while_it_takes_what_is_typed),
		MACHINE_TEST_BEFORE(the_bsp_takes_what_is_typed, "monitor=com2", uart_plug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
