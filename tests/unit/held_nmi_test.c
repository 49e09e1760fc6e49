/* SPDX-License-Identifier: MIT */
/*
 * An NMI that L0 holds when L1 enters L2: an exit of L1's before L2 has run, or what comes first and how L0
 * waits for it; and the double faults of exceptions that L0 finds. SDM: "Other Causes of VM Exits", "VM Exits
 * Induced by the TPR Threshold", "VMX-Preemption Timer Expiration", "Double Fault Exception (#DF)".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

#define VIRTUAL (PIN_NMI_EXITING | PIN_VIRTUAL_NMIS)
#define UD_INFO (INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_UD)
#define NMI_INFO (INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI)
#define BS BIT(14)
#define NMI_BLOCKED INTERRUPTIBILITY_NMI
#define MOV_SS INTERRUPTIBILITY_MOV_SS
#define STI INTERRUPTIBILITY_STI
#define WITH_TPR PROC_TPR_SHADOW
#define TIMER PIN_PREEMPTION_TIMER
#define P_VAPIC P_STORE
#define P_APIC P_LOAD

enum way { EXITS, WINDOW, STEP, STAYS };

struct held {
	u64 pin, proc, proc2;
	u64 interruptibility, event, debug, activity;
	u32 timer, threshold, vtpr;
	enum way way;
};

static const struct held rows[] = {
	{ .pin = VIRTUAL, .way = EXITS },
	{ .pin = VIRTUAL, .interruptibility = STI, .way = WINDOW },
	{ .pin = VIRTUAL, .interruptibility = MOV_SS, .way = WINDOW },
	{ .pin = VIRTUAL, .interruptibility = NMI_BLOCKED, .way = EXITS },
	{ .pin = VIRTUAL, .interruptibility = NMI_BLOCKED | MOV_SS, .way = STEP },
	{ .pin = VIRTUAL, .interruptibility = NMI_BLOCKED | STI, .way = STEP },
	/* L1's own window comes first, if it is open */
	{ .pin = VIRTUAL, .proc = PROC_NMI_WINDOW, .way = WINDOW },
	{ .pin = VIRTUAL, .proc = PROC_NMI_WINDOW, .interruptibility = NMI_BLOCKED, .way = EXITS },
	/* the delivery of an event; that of an NMI blocks the window */
	{ .pin = VIRTUAL, .event = UD_INFO, .way = WINDOW },
	{ .pin = VIRTUAL, .event = NMI_INFO, .way = STEP },
	{ .pin = VIRTUAL, .interruptibility = STI, .way = WINDOW },
	{ .pin = VIRTUAL, .event = UD_INFO, .interruptibility = NMI_BLOCKED, .way = STEP },
	/* a #DB */
	{ .pin = VIRTUAL, .debug = BIT(12) | BIT(0), .way = WINDOW },
	{ .pin = VIRTUAL, .debug = BIT(0), .way = EXITS },
	{ .pin = VIRTUAL, .debug = BIT(12) | BIT(0), .interruptibility = NMI_BLOCKED, .way = STEP },
	/* the timer */
	{ .pin = VIRTUAL | TIMER, .way = WINDOW },
	{ .pin = VIRTUAL | TIMER, .timer = 1, .way = EXITS },
	{ .pin = VIRTUAL | TIMER, .interruptibility = NMI_BLOCKED, .way = STEP },
	{ .pin = VIRTUAL, .proc2 = PROC2_UNRESTRICTED_GUEST | PROC2_EPT, .way = EXITS },
	/* the TPR threshold */
	{ .pin = VIRTUAL,
	  .proc = WITH_TPR,
	  .proc2 = PROC2_APIC_ACCESS,
	  .threshold = 5,
	  .vtpr = 0x4f,
	  .way = WINDOW },
	{ .pin = VIRTUAL,
	  .proc = WITH_TPR,
	  .proc2 = PROC2_APIC_ACCESS,
	  .threshold = 5,
	  .vtpr = 0x50,
	  .way = EXITS },
	{ .pin = VIRTUAL,
	  .proc = WITH_TPR,
	  .proc2 = PROC2_APIC_ACCESS,
	  .threshold = 5,
	  .vtpr = 0x140,
	  .way = WINDOW },
	{ .pin = VIRTUAL,
	  .proc = WITH_TPR,
	  .proc2 = PROC2_APIC_ACCESS,
	  .threshold = 5,
	  .vtpr = 0,
	  .activity = ACTIVITY_SHUTDOWN,
	  .way = EXITS },
	{ .pin = VIRTUAL,
	  .proc = WITH_TPR,
	  .proc2 = PROC2_APIC_ACCESS,
	  .threshold = 5,
	  .vtpr = 0,
	  .activity = ACTIVITY_HLT,
	  .way = WINDOW },
	{ .pin = VIRTUAL, .proc = 0, .proc2 = PROC2_APIC_ACCESS, .threshold = 5, .vtpr = 0, .way = EXITS },
	/* without virtual NMIs blocking is the processor's own */
	{ .pin = PIN_NMI_EXITING, .way = EXITS },
	{ .pin = PIN_NMI_EXITING, .interruptibility = MOV_SS, .way = WINDOW },
	{ .pin = PIN_NMI_EXITING, .interruptibility = NMI_BLOCKED, .way = STAYS },
	{ .pin = PIN_NMI_EXITING, .event = UD_INFO, .way = WINDOW },
	{ .pin = VIRTUAL, .activity = ACTIVITY_WAIT_FOR_SIPI, .way = STAYS },
};

static u64 ept(void)
{
	l1_write64(P_EPT, (P_EPT + 0x1000) | EPT_RWX);
	for (u64 i = 0; i < 4; i++)
		l1_write64(P_EPT + 0x1000 + i * 8,
			   i << 30 | EPT_RWX | EPT_LEAF | MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	return P_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB;
}

static void enter(const struct held *row, bool launch, u64 proc)
{
	W(ept_pointer, ept());
	W(virtual_apic_addr, P_VAPIC);
	W(apic_access_addr, P_APIC);
	W(pin_controls, caps12.pin.allowed0 | row->pin);
	W(proc_controls, proc | row->proc);
	W(proc2_controls, row->proc2);
	W(guest_rflags, RFLAGS_FIXED1 | (row->interruptibility & STI ? RFLAGS_IF : 0));
	W(guest_interruptibility, row->interruptibility);
	W(guest_activity_state, row->activity);
	W(guest_pending_debug, row->debug);
	W(entry_intr_info, row->event);
	W(preemption_timer_value, row->timer);
	W(tpr_threshold, row->threshold);
	l1_write32(P_VAPIC + VTPR_OFFSET, row->vtpr);
	/* an NMI comes while L1 itself has them blocked */
	machine_set_field(VMCS_guest_interruptibility, NMI_BLOCKED);
	EXIT_NOW(NMI_EXIT);
	assert_true(machine_vcpu->nmi_pending);
	machine_set_field(VMCS_guest_interruptibility, 0);
	assert_int_equal(l1_enter(launch ? EXIT_VMLAUNCH : EXIT_VMRESUME), 0);
}

static enum way found(void)
{
	if (!machine_in_l2())
		return EXITS;
	if (machine_field(VMCS_proc_controls) & PROC_MTF)
		return STEP;
	return machine_vcpu->vmcs->nmi_window ? WINDOW : STAYS;
}

static void a_held_nmi_waits_for_what_comes_first(void **state UNUSED)
{
	u64 proc;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	proc = R(proc_controls);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enter(&rows[i], i == 0, proc);
		if (found() != rows[i].way)
			fail_msg("row %zu: way %u", i, found());
		assert_int_equal(machine_vcpu->nmi_pending, rows[i].way != EXITS);
		if (rows[i].way == EXITS) {
			assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
			assert_int_equal(R(exit_intr_info), NMI_INFO);
			assert_int_equal(R(idt_vectoring_info), 0);
			continue;
		}
		machine_vcpu->nmi_pending = false;
		EXIT_NOW(.reason = EXIT_TRIPLE_FAULT);
		assert_int_equal(R(exit_reason), EXIT_TRIPLE_FAULT);
	}
}

/* What comes first has come: the NMI ends L2 then, by the window or by the step, and with it go both. */
static void then_the_nmi_is_l1s(void **state UNUSED)
{
	static const struct held waits[] = {
		{ .pin = VIRTUAL, .event = UD_INFO },
		{ .pin = VIRTUAL, .event = NMI_INFO },
	};
	u64 proc;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	proc = R(proc_controls);
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		enter(&waits[i], i == 0, proc);
		assert_true(machine_in_l2());
		EXIT_NOW(.reason = i ? EXIT_MTF : EXIT_NMI_WINDOW);
		assert_false(machine_in_l2());
		assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
		machine_set_field(VMCS_guest_interruptibility, 0);
		W(guest_interruptibility, 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_proc_controls) & (PROC_MTF | PROC_NMI_WINDOW), 0);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

/* SDM "Double Fault Exception (#DF)": the classes of a first and a second exception. */
static void classes_of_two_exceptions(void **state UNUSED)
{
	enum { BENIGN, CONTRIBUTORY, FAULT, DOUBLE, KINDS };
	enum { SECOND, DF, SHUTDOWN };
	static const u8 of_kind[KINDS] = { VEC_UD, VEC_GP, VEC_PF, VEC_DF };
	static const u8 meets[KINDS][3] = {
		[BENIGN] = { SECOND, SECOND, SECOND },
		[CONTRIBUTORY] = { SECOND, DF, SECOND },
		[FAULT] = { SECOND, DF, DF },
		[DOUBLE] = { SECOND, SHUTDOWN, SHUTDOWN },
	};
	static const u8 types[] = { INTR_TYPE_HARD_EXCEPTION, INTR_TYPE_SOFT_EXCEPTION,
				    INTR_TYPE_SOFT_INTERRUPT, INTR_TYPE_NMI };

	l1_run_l2();
	for (size_t t = 0; t < ARRAY_SIZE(types); t++)
		for (unsigned int first = 0; first < KINDS; first++)
			for (unsigned int second = BENIGN; second <= FAULT; second++) {
				const struct event fault = { .vector = of_kind[second],
							     .type = INTR_TYPE_HARD_EXCEPTION,
							     .has_error_code = second != BENIGN };
				u8 wanted = t ? SECOND : meets[first][second];

				machine_vcpu->pending =
					(struct event){ .vector = of_kind[first], .type = types[t] };
				machine_vcpu->pending_valid = true;
				run_carry_out(machine_vcpu, nested_exception(machine_vcpu, &fault, 0));
				regcache_flush(&machine_vcpu->vmcs->cache);
				if (machine_in_l2() == (wanted == SHUTDOWN))
					fail_msg("%zu: %u, %u", t, first, second);
				if (wanted == SHUTDOWN) {
					assert_int_equal(R(exit_reason), EXIT_TRIPLE_FAULT);
					assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
					continue;
				}
				assert_int_equal(machine_vcpu->pending.vector,
						 wanted == DF ? VEC_DF : of_kind[second]);
				machine_vcpu->pending_valid = false;
			}
}

/* What each kind of event that L0 holds leaves in the IDT-vectoring information. */
static void details_of_each_kind(void **state UNUSED)
{
	static const struct {
		u8 type, vector;
		bool code, has_length;
	} kinds[] = {
		{ INTR_TYPE_EXTERNAL, 0x30, false, false },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_UD, false, false },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_GP, true, false },
		{ INTR_TYPE_SOFT_INTERRUPT, 0x80, false, true },
		{ INTR_TYPE_PRIVILEGED_SOFT_EXCEPTION, 1, false, true },
		{ INTR_TYPE_SOFT_EXCEPTION, 3, false, true },
	};
	const struct exit_record record = { .reason = EXIT_EPT_VIOLATION, .instruction_length = 9 };

	l1_run_l2();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		u64 code = l2_v12()->idt_vectoring_error_code;

		if (!machine_in_l2())
			assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		machine_vcpu->pending = (struct event){ .vector = kinds[i].vector,
							.type = kinds[i].type,
							.has_error_code = kinds[i].code,
							.error_code = 0x77,
							.instruction_length = 5 };
		machine_vcpu->pending_valid = true;
		run_carry_out(machine_vcpu, outcome_reflect(machine_vcpu, &record));
		regcache_flush(&machine_vcpu->vmcs->cache);
		assert_int_equal(R(idt_vectoring_info),
				 INTR_INFO_VALID | (kinds[i].code ? INTR_INFO_ERROR_CODE : 0) |
					 (u32)kinds[i].type << INTR_INFO_TYPE_SHIFT | kinds[i].vector);
		assert_int_equal(R(idt_vectoring_error_code), kinds[i].code ? 0x77 : code);
		assert_int_equal(R(exit_instruction_length), kinds[i].has_length ? 5 : 9);
		assert_int_equal(R(guest_interruptibility), 0);
		assert_false(machine_vcpu->pending_valid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(a_held_nmi_waits_for_what_comes_first),
		MACHINE_TEST_BOTH(then_the_nmi_is_l1s),
		MACHINE_TEST(classes_of_two_exceptions, ""),
		MACHINE_TEST_BOTH(details_of_each_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
