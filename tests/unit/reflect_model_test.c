/* SPDX-License-Identifier: MIT */
/*
 * What an exit of L2's leaves, in L1's VMCS and in L1's own registers, against a second description of it:
 * thousands of exits with generated controls, host state and state of L2's, and with an L1 whose registers
 * were others before. reflect_test.c and host_state_test.c have the single cases. SDM: "VM Exits", "Saving
 * Guest State", "Loading Host State", "Recording VM-Exit Information".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/hw/exits.h"

enum { EXITS = 1500 };

static struct fake_random rng = { 23 };

static u64 rnd(void)
{
	return fake_random(&rng);
}

static u64 some_of(u64 bits)
{
	return bits & rnd();
}

static u64 rnd_address(void)
{
	return rnd() & 0x7fffffffffff;
}

static void is(const char *what, u64 found, u64 wanted)
{
	if (found != wanted)
		fail_msg("%s is %llx instead of %llx", what, (unsigned long long)found,
			 (unsigned long long)wanted);
}
#define IS01(field, wanted) is("L1's own " #field, machine_field01(VMCS_##field), wanted)
#define IS12(field, wanted) is("vmcs12's " #field, R(field), wanted)

/* ---- before the entry ---- */

/* L1's registers as they happen to be: none of them may be left when its host state is loaded. */
static void choose_l1(void)
{
	static const u32 bases[] = { VMCS_guest_fs_base,      VMCS_guest_gs_base,      VMCS_guest_tr_base,
				     VMCS_guest_gdtr_base,    VMCS_guest_idtr_base,    VMCS_guest_ldtr_base,
				     VMCS_guest_sysenter_esp, VMCS_guest_sysenter_eip, VMCS_guest_rsp };

	EXIT_NOW(.reason = EXIT_CPUID);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		machine_set_field(bases[i], rnd_address());
	for (u32 n = 0; n < 8; n++) {
		machine_set_field(VMCS_guest_es_selector + 2 * n, rnd() & 0xfff8);
		machine_set_field(VMCS_guest_es_limit + 2 * n, 0xfffff);
		machine_set_field(VMCS_guest_es_ar + 2 * n, n == SEG_CS ? 0xa09f : 0xc097);
	}
	machine_set_field(VMCS_guest_gdtr_limit, 0x7f);
	machine_set_field(VMCS_guest_idtr_limit, 0x7f);
	machine_set_field(VMCS_guest_sysenter_cs, rnd() & 0xffff);
	machine_set_field(VMCS_guest_dr7, 0x455);
	machine_set_field(VMCS_guest_debugctl, 1);
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
	machine_set_field(VMCS_guest_pat, 0x0101010101010101);
}

static void choose_host(void)
{
	u64 exit = EXIT_HOST_64 | some_of(EXIT_LOAD_PAT | EXIT_SAVE_PAT | EXIT_LOAD_EFER | EXIT_SAVE_EFER |
					  EXIT_SAVE_DEBUG | EXIT_SAVE_PREEMPTION_TIMER);
	u64 pin = some_of(PIN_NMI_EXITING | PIN_PREEMPTION_TIMER | PIN_EXTERNAL_INTERRUPT);

	if (pin & PIN_NMI_EXITING)
		pin |= some_of(PIN_VIRTUAL_NMIS);
	if (!(pin & PIN_PREEMPTION_TIMER))
		exit &= ~(u64)EXIT_SAVE_PREEMPTION_TIMER;
	W(pin_controls, caps12.pin.allowed0 | pin);
	/* Those that must be 1 without the true controls are free. */
	W(exit_controls, caps12.exit.allowed0 | exit);
	W(entry_controls, caps12.entry.allowed0 | ENTRY_IA32E_GUEST | ENTRY_LOAD_EFER);
	W(guest_efer, EFER_LME | EFER_LMA);
	W(host_cr0, CR0_PE | CR0_PG | CR0_NE | CR0_ET | some_of(CR0_WP | CR0_TS));
	W(host_cr3, rnd() & 0xfffff000);
	W(host_cr4, CR4_PAE | CR4_VMXE | some_of(CR4_PGE | CR4_DE | CR4_OSFXSR));
	W(host_efer, EFER_LME | EFER_LMA | some_of(EFER_NXE | EFER_SCE));
	W(host_pat, rnd() % 2 ? 0x0606060606060606 : 0x0007040600070406);
	for (u32 n = 0; n < 6; n++)
		assert_int_equal(l1_vmwrite(VMCS_host_es_selector + 2 * n,
					    n == SEG_CS || rnd() % 2 ? 8 * (1 + rnd() % 100) : 0),
				 0);
	W(host_tr_selector, 8 * (1 + rnd() % 100));
	W(host_fs_base, rnd_address());
	W(host_gs_base, rnd_address());
	W(host_tr_base, rnd_address());
	W(host_gdtr_base, rnd_address());
	W(host_idtr_base, rnd_address());
	W(host_sysenter_cs, rnd() & 0xffff);
	W(host_sysenter_esp, rnd_address());
	W(host_sysenter_eip, rnd_address());
	W(host_rsp, rnd_address());
	W(host_rip, rnd_address());
	W(guest_interruptibility, 0);
	W(guest_activity_state, ACTIVITY_ACTIVE);
	W(preemption_timer_value, 77);
	W(exception_bitmap, ~0u);
	W(guest_cr0, CR0_PE | CR0_PG | CR0_NE | CR0_ET);
	W(guest_cr4, CR4_PAE | CR4_VMXE);
	W(guest_rflags, RFLAGS_FIXED1);
	W(guest_pending_debug, 0);
	W(guest_cs_ar, 0xa09b);
	W(guest_ss_ar, 0xc093);
	for (u32 n = 0; n < 8; n++) {
		u64 ar = n == SEG_CS ? 0xa09b : n == SEG_LDTR ? AR_UNUSABLE : n == SEG_TR ? 0x8b : 0xc093;

		assert_int_equal(l1_vmwrite(VMCS_guest_es_selector + 2 * n, 0x10), 0);
		assert_int_equal(l1_vmwrite(VMCS_guest_es_base + 2 * n, 0), 0);
		assert_int_equal(l1_vmwrite(VMCS_guest_es_limit + 2 * n, n >= SEG_LDTR ? 0x67 : 0xffffffff),
				 0);
		assert_int_equal(l1_vmwrite(VMCS_guest_es_ar + 2 * n, ar), 0);
	}
	W(guest_sysenter_esp, 0);
	W(guest_sysenter_eip, 0);
	W(guest_gdtr_base, 0);
	W(guest_idtr_base, 0);
	W(guest_gdtr_limit, 0xffff);
	W(guest_idtr_limit, 0xffff);
}

/* ---- L2 has run ---- */

/* What vmcs02 holds at the exit: kept to be compared. */
static u64 left[VMCS12_FIELD_COUNT];
/* vmcs12's before, of the fields that only some controls save. */
static struct {
	u64 dr7, debugctl, pat, efer, timer, entry_controls;
} old;

static u64 value_of(unsigned int row)
{
	switch (row) {
	case V12_guest_interruptibility:
		return rnd() % 2 ? 0 : rnd() % 2 ? INTERRUPTIBILITY_NMI : INTERRUPTIBILITY_MOV_SS;
	case V12_guest_activity_state: return rnd() % 2 ? ACTIVITY_HLT : ACTIVITY_ACTIVE;
	case V12_guest_pending_debug: return rnd() % 16;
	case V12_guest_rflags: return RFLAGS_FIXED1 | some_of(RFLAGS_IF | RFLAGS_TF | 0x8d5);
	case V12_guest_cs_ar: return rnd() % 2 ? 0xa09b : 0xa09f;
	case V12_guest_ss_ar: return rnd() % 2 ? 0xc093 : 0xc097;
	case V12_guest_cr0: return CR0_PE | CR0_PG | CR0_NE | CR0_ET | some_of(CR0_TS | CR0_WP);
	case V12_guest_cr4: return CR4_PAE | CR4_VMXE | some_of(CR4_PGE | CR4_DE);
	case V12_guest_cr3: return rnd() & 0xfffff000;
	case V12_guest_efer: return EFER_LME | EFER_LMA | some_of(EFER_SCE | EFER_NXE);
	case V12_guest_dr7: return 0x400 | (rnd() & 0xff);
	case V12_guest_debugctl: return rnd() % 4;
	case V12_guest_pat: return rnd() % 2 ? 0x0006000600060006 : PAT_RESET;
	default: return vmcs12_mask_width(vmcs12_fields[row].encoding, rnd_address());
	}
}

static bool is_saved(unsigned int row)
{
	const struct vmcs12_field *f = &vmcs12_fields[row];

	return (f->flow == FLOW_COPY && row != V12_guest_smbase && !fake_is_removed(f->encoding)) ||
	       row == V12_guest_cr0 || row == V12_guest_cr3 || row == V12_guest_cr4;
}

static void let_l2_run(void)
{
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++)
		if (is_saved(row) || row == V12_guest_efer || row == V12_guest_dr7 ||
		    row == V12_guest_debugctl || row == V12_guest_pat)
			machine_set_field(vmcs12_fields[row].encoding, left[row] = value_of(row));
	machine_set_field(VMCS_preemption_timer_value, left[V12_preemption_timer_value] = (u32)rnd());
}

/* What an exit by an instruction leaves: machine.c. */
static void settle_for(const struct machine_exit *e)
{
	if (!(exit_facts(e->reason) & FACT_INSN))
		return;
	left[V12_guest_activity_state] = ACTIVITY_ACTIVE;
	if (!(left[V12_guest_interruptibility] & INTERRUPTIBILITY_MOV_SS))
		left[V12_guest_pending_debug] = 0;
}

static struct machine_exit choose_exit(void)
{
	static const u32 reasons[] = { EXIT_CPUID,	   EXIT_IO,   EXIT_TASK_SWITCH,
				       EXIT_EXCEPTION_NMI, EXIT_INVD, EXIT_VMCALL };
	struct machine_exit e = { .reason = reasons[rnd() % ARRAY_SIZE(reasons)],
				  .qualification = (u32)rnd() & 0xffff,
				  .length = 1 + rnd() % 15,
				  .info = (u32)rnd(),
				  .guest_linear = rnd_address() };

	if (e.reason == EXIT_EXCEPTION_NMI) {
		bool error = rnd() % 2;

		e.intr_info = INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 |
			      (error ? INTR_INFO_ERROR_CODE | VEC_GP : VEC_UD);
		e.intr_error_code = error ? 8 * (1 + rnd() % 100) : 0;
	} else if (e.reason == EXIT_TASK_SWITCH && rnd() % 2) {
		bool error = rnd() % 2;

		e.vectoring_info = INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 |
				   (error ? INTR_INFO_ERROR_CODE | VEC_TS : VEC_UD);
		e.vectoring_error_code = error ? 8 * (1 + rnd() % 100) : 0;
	}
	return e;
}

/* ---- what is to be ---- */

static void check_saved(const struct machine_exit *e)
{
	u64 exit = R(exit_controls);

	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		u64 value = 0;

		if (!is_saved(row))
			continue;
		assert_int_equal(l1_vmread(vmcs12_fields[row].encoding, &value), 0);
		is(vmcs12_fields[row].name, value, left[row]);
	}
	IS12(guest_efer, exit & EXIT_SAVE_EFER ? left[V12_guest_efer] : old.efer);
	IS12(guest_pat, exit & EXIT_SAVE_PAT ? left[V12_guest_pat] : old.pat);
	IS12(guest_dr7, exit & EXIT_SAVE_DEBUG ? left[V12_guest_dr7] : old.dr7);
	IS12(guest_debugctl, exit & EXIT_SAVE_DEBUG ? left[V12_guest_debugctl] : old.debugctl);
	IS12(preemption_timer_value,
	     exit & EXIT_SAVE_PREEMPTION_TIMER ? left[V12_preemption_timer_value] : old.timer);
	IS12(entry_controls, old.entry_controls);
	IS12(exit_reason, e->reason);
	if (e->reason == EXIT_IO || e->reason == EXIT_TASK_SWITCH)
		IS12(exit_qualification, e->qualification);
	IS12(exit_intr_info, e->intr_info);
	if (e->intr_info & INTR_INFO_ERROR_CODE)
		IS12(exit_intr_error_code, e->intr_error_code);
	if (e->reason != EXIT_TASK_SWITCH && e->reason != EXIT_EXCEPTION_NMI)
		IS12(exit_instruction_length, e->length);
	if (e->reason == EXIT_IO && (e->qualification & IO_QUALIFICATION_STRING)) {
		IS12(exit_instruction_info, e->info);
		IS12(guest_linear_address, e->guest_linear);
	}
	IS12(idt_vectoring_info, e->vectoring_info);
	if (e->vectoring_info & INTR_INFO_ERROR_CODE)
		IS12(idt_vectoring_error_code, e->vectoring_error_code);
	is("the valid bit of the event", R(entry_intr_info) & INTR_INFO_VALID, 0);
}

static void check_segments01(void)
{
	for (u32 n = 0; n < 6; n++) {
		u64 selector, ar = n == SEG_CS ? 0xa09b : 0xc093;

		assert_int_equal(l1_vmread(VMCS_host_es_selector + 2 * n, &selector), 0);
		is("a selector", machine_field01(VMCS_guest_es_selector + 2 * n), selector);
		is("access rights", machine_field01(VMCS_guest_es_ar + 2 * n), selector ? ar : AR_UNUSABLE);
		if (selector)
			is("a limit", machine_field01(VMCS_guest_es_limit + 2 * n), 0xffffffff);
	}
	IS01(guest_cs_base, 0);
	IS01(guest_fs_base, R(host_fs_base));
	IS01(guest_gs_base, R(host_gs_base));
	IS01(guest_tr_selector, R(host_tr_selector));
	IS01(guest_tr_base, R(host_tr_base));
	IS01(guest_tr_limit, 0x67);
	IS01(guest_tr_ar, 0x8b);
	IS01(guest_ldtr_ar, AR_UNUSABLE);
	IS01(guest_ldtr_selector, 0);
	IS01(guest_gdtr_base, R(host_gdtr_base));
	IS01(guest_idtr_base, R(host_idtr_base));
	IS01(guest_gdtr_limit, 0xffff);
	IS01(guest_idtr_limit, 0xffff);
}

static void check_loaded(u64 rip, u64 rsp)
{
	u64 exit = R(exit_controls), pin = R(pin_controls);
	u64 inherited = left[V12_guest_efer] & (EFER_SCE | EFER_NXE);

	is("RIP", rip, R(host_rip));
	is("RSP", rsp, R(host_rsp));
	IS01(guest_cr3, R(host_cr3));
	is("CR0", machine_field01(VMCS_cr0_read_shadow), R(host_cr0));
	is("CR4", machine_field01(VMCS_cr4_read_shadow), R(host_cr4));
	is("CR0", machine_field01(VMCS_guest_cr0) & (CR0_WP | CR0_TS), R(host_cr0) & (CR0_WP | CR0_TS));
	is("CR4", machine_field01(VMCS_guest_cr4) & ~(u64)CR4_VMXE, R(host_cr4) & ~(u64)CR4_VMXE);
	IS01(guest_efer, exit & EXIT_LOAD_EFER ? R(host_efer) : inherited | EFER_LME | EFER_LMA);
	IS01(guest_pat, exit & EXIT_LOAD_PAT ? R(host_pat) : left[V12_guest_pat]);
	IS01(guest_dr7, 0x400);
	IS01(guest_debugctl, 0);
	IS01(guest_sysenter_cs, R(host_sysenter_cs));
	IS01(guest_sysenter_esp, R(host_sysenter_esp));
	IS01(guest_sysenter_eip, R(host_sysenter_eip));
	IS01(guest_activity_state, ACTIVITY_ACTIVE);
	IS01(guest_pending_debug, 0);
	IS01(guest_interruptibility,
	     pin & PIN_VIRTUAL_NMIS ? 0 : left[V12_guest_interruptibility] & INTERRUPTIBILITY_NMI);
	check_segments01();
}

static void one_exit(unsigned int n)
{
	struct machine_exit e = choose_exit();
	u64 rip, rsp;

	choose_l1();
	choose_host();
	old.efer = R(guest_efer);
	old.pat = R(guest_pat);
	old.dr7 = R(guest_dr7);
	old.debugctl = R(guest_debugctl);
	old.timer = R(preemption_timer_value);
	old.entry_controls = R(entry_controls);
	machine_set_field(VMCS_guest_dr7, rnd() % 2 ? DR7_RESET : 0x455);
	assert_int_equal(l1_enter(n ? EXIT_VMRESUME : EXIT_VMLAUNCH), 0);
	if (!machine_in_l2())
		fail_msg("exit %u: the entry failed: %llx, %llx", n, (unsigned long long)R(exit_reason),
			 (unsigned long long)R(exit_qualification));
	let_l2_run();
	settle_for(&e);
	machine_exit(&e);
	assert_false(machine_in_l2());
	rip = machine_field01(VMCS_guest_rip);
	rsp = machine_field01(VMCS_guest_rsp);
	is("RFLAGS", machine_field01(VMCS_guest_rflags), RFLAGS_FIXED1);
	check_saved(&e);
	check_loaded(rip, rsp);
}

static void exits_leave_what_is_described(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (unsigned int n = 0; n < EXITS; n++)
		one_exit(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(exits_leave_what_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
