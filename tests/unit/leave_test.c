/* SPDX-License-Identifier: MIT */
/*
 * L2 ends by every path with everything half-done that L0 can have begun for it: no table, no control and no
 * event of it is left for who runs next, and L2's next entry is as its first one was. And the TPR threshold
 * that L0 looks after while L2 runs.
 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "tests/unit/l2_support.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/l1/vm.h"

enum begun {
	NOTHING,
	STEP_OF_EPT01, /* L2 without EPT12 writes to absent memory */
	STEP_OF_EPT02,
	NMI_WINDOW, /* an NMI is held behind MOV SS */
	NMI_STEP,   /* behind MOV SS, and no window opens */
	CHECK_STEP, /* a machine check is held behind an event */
	INIT_STEP,  /* an INIT is held behind an event that the entry injects */
	EVENT,	    /* an event is to be delivered again */
	THRESHOLD,  /* the processor refused an entry of L0's */
	BEGUN_COUNT,
};
static const char *const begun_names[] = { "nothing",	 "step of ept01", "step of ept02",
					   "nmi window", "nmi step",	  "check step",
					   "init step",	 "event",	  "threshold" };

enum way {
	BY_EXIT,
	BY_VIOLATION, /* of EPT12 */
	BY_EXCEPTION, /* that L0 finds while it emulates */
	BY_NMI,
	BY_INIT,
	BY_LATE_FAILURE,
	BY_REFUSAL, /* of an entry of L0's */
	BY_STORE_ABORT,
	BY_MODE_ABORT,
	WAY_COUNT,
};
static const char *const way_names[] = { "exit",	 "violation",
					 "exception",	 "nmi",
					 "init",	 "late failure",
					 "refusal",	 "abort by the store list",
					 "abort by mode" };

#define ABSENT (M_WINDOW + 0x5000)
#define L2_PAGE 0x700000 /* where an L2 with EPT12 sees ABSENT; RAM of L1's own */
#define P_VAPIC (M_SPARE + 0x30000)
#define P_TABLES (M_SPARE + 0x40000)

struct combination {
	enum begun begun;
	enum way way;
	const char *options;
};
static struct combination now;

static void with_ept12(void)
{
	u64 leaf = EPT_RWX | MEMTYPE_WB << EPT_MEMTYPE_SHIFT;

	l1_write64(P_TABLES, (P_TABLES + 0x1000) | EPT_RWX);
	l1_write64(P_TABLES + 0x1000, (P_TABLES + 0x2000) | EPT_RWX);
	for (u64 i = 0; i < 512; i++)
		l1_write64(P_TABLES + 0x2000 + 8 * i, i << 21 | leaf | EPT_LEAF);
	l1_write64(P_TABLES + 0x2000 + 8 * (L2_PAGE >> 21), (P_TABLES + 0x3000) | EPT_RWX);
	l1_write64(P_TABLES + 0x3000 + 8 * (L2_PAGE >> 12 & 511), ABSENT | leaf);
	W(ept_pointer, P_TABLES | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
}

static void start(void)
{
	bool ept = now.begun == STEP_OF_EPT02 || now.way == BY_VIOLATION;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	with_ept12();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY | PROC_TPR_SHADOW | PROC_MSR_BITMAPS);
	W(proc2_controls, ept ? PROC2_EPT : 0);
	W(virtual_apic_addr, P_VAPIC);
	W(tpr_threshold, 8);
	W(exception_bitmap, BIT(VEC_GP));
	l1_write32(P_VAPIC + VTPR_OFFSET, 0xf0);
	if (now.way == BY_STORE_ABORT) {
		W(exit_msr_store_addr, M_WINDOW);
		W(exit_msr_store_count, 1);
	}
	if (now.begun == INIT_STEP) {
		EXIT_NOW(.reason = EXIT_INIT);
		W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | VEC_UD);
	}
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

static void write_absent(u64 address)
{
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE, .guest_physical = address);
}

/* An exit that L0 handles, in the middle of an event's delivery. */
static void requeue_event(void)
{
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = M_SPARE,
		 .vectoring_info = INTR_INFO_VALID | 0x30);
}

static void begin(const struct vmcs *vmcs02)
{
	switch (now.begun) {
	case STEP_OF_EPT01: write_absent(ABSENT); break;
	case STEP_OF_EPT02: write_absent(L2_PAGE); break;
	case NMI_WINDOW:
		machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_MOV_SS);
		EXIT_NOW(NMI_EXIT);
		assert_true(vmcs02->nmi_window && (machine_field(VMCS_proc_controls) & PROC_NMI_WINDOW));
		return;
	case NMI_STEP:
		machine_set_field(VMCS_guest_interruptibility,
				  INTERRUPTIBILITY_MOV_SS | INTERRUPTIBILITY_NMI);
		EXIT_NOW(NMI_EXIT);
		break;
	case CHECK_STEP:
		requeue_event();
		/* it comes before the next entry, which begins the step */
		fake_msr_set(MSR_IA32_MCG_STATUS, MCG_STATUS_RIPV);
		machine_vcpu->machine_check_pending = true;
		return;
	case EVENT:
		requeue_event();
		assert_true(vmcs02->injecting);
		return;
	case THRESHOLD:
		l1_write32(P_VAPIC + VTPR_OFFSET, 0);
		machine_refusals = 1;
		machine_refusal = VMXERR_ENTRY_CONTROLS;
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = M_SPARE);
		assert_true(machine_in_l2() && (machine_field(VMCS_proc_controls) & PROC_CR8_LOAD_EXITING));
		return;
	default: return;
	}
	assert_true(vmcs02->steps && (machine_field(VMCS_proc_controls) & PROC_MTF));
}

/* What breaks off the event's delivery describes it, or finds it delivered. */
static void leave(void)
{
	u32 event = now.begun == EVENT || now.begun == CHECK_STEP ? INTR_INFO_VALID | 0x30 : 0;

	switch (now.way) {
	case BY_EXIT: EXIT_NOW(.reason = EXIT_CPUID); break;
	case BY_VIOLATION:
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = BIT(40),
			 .vectoring_info = event);
		break;
	case BY_EXCEPTION:
		machine_vcpu->gpr[GPR_RCX] = 0x40000000;
		EXIT_NOW(.reason = EXIT_XSETBV);
		if (machine_in_l2())
			EXIT_NOW(.reason = EXIT_CPUID);
		break;
	case BY_NMI:
		machine_set_field(VMCS_guest_interruptibility, 0);
		EXIT_NOW(NMI_EXIT, .vectoring_info = event);
		if (machine_in_l2())
			EXIT_NOW(.reason = EXIT_NMI_WINDOW);
		if (machine_in_l2())
			EXIT_NOW(.reason = EXIT_MTF);
		break;
	case BY_INIT: EXIT_NOW(.reason = EXIT_INIT); break;
	case BY_LATE_FAILURE: EXIT_NOW(.reason = EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE); break;
	case BY_REFUSAL:
		/* the first may be the threshold's */
		machine_refusals = 2 - machine_vcpu->nested.current->tpr_relaxed;
		machine_refusal = VMXERR_ENTRY_CONTROLS;
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = M_SPARE,
			 .vectoring_info = event);
		break;
	case BY_STORE_ABORT: EXIT_NOW(.reason = EXIT_CPUID); break;
	case BY_MODE_ABORT:
		l2_v12()->exit_controls &= ~(u64)EXIT_HOST_64;
		EXIT_NOW(.reason = EXIT_CPUID);
		break;
	default: fail();
	}
}

static bool has_stepped(const struct vmcs *vmcs)
{
	for (size_t i = 0; i < fake_write_count; i++)
		if (fake_writes[i].vmcs == vmcs->region.v && fake_writes[i].field == VMCS_proc_controls &&
		    (fake_writes[i].value & PROC_MTF))
			return true;
	return false;
}

/* The leaf of EPT01 as it stands. */
static u64 ept01_entry(u64 gpa)
{
	u64 table = vm.ept01_pointer & EPT_ADDRESS, entry = 0;

	for (unsigned int level = 4; level; level--) {
		entry = l1_read64(table + 8 * ept_index(gpa, level));
		if (!(entry & EPT_RWX) || (level < 4 && (entry & EPT_LEAF)))
			break;
		table = entry & EPT_ADDRESS;
	}
	return entry;
}

/* No way for L2 to write to the page of ones. */
static void assert_no_writable_ones(void)
{
	const struct ept02_cache *cache = machine_vcpu->nested.ept;
	u64 ones = page_phys(cache->absent).v;

	for (u32 t = 0; t < cache->count; t++)
		for (u32 i = 0; i < EPT_ENTRIES && cache->tables[t].level == 1; i++) {
			u64 entry = ((u64 *)(void *)(cache->pages + t * PAGE_SIZE))[i];

			assert_false((entry & EPT_ADDRESS) == ones && (entry & EPT_WRITE));
		}
	for (u32 i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(cache->absent[i], 0xff);
}

static void assert_nothing_is_left(const struct vmcs *vmcs02)
{
	u64 controls = fake_get(vmcs02->region.v, VMCS_proc_controls);

	assert_false(machine_in_l2());
	assert_int_equal(fake_current_vmcs(), machine_vcpu->vmcs01.region.v);
	assert_int_equal(machine_vcpu->nested.ept->step_count, 0);
	assert_int_equal(vmcs02->steps, 0);
	assert_false(vmcs02->injecting || vmcs02->nmi_window || vmcs02->cache.dirty);
	assert_false(controls & (PROC_MTF | PROC_NMI_WINDOW));
	if (now.way != BY_LATE_FAILURE)
		assert_false(fake_get(vmcs02->region.v, VMCS_entry_intr_info) & INTR_INFO_VALID);
	assert_false(machine_field01(VMCS_proc_controls) & PROC_MTF);
	assert_int_equal(ept01_entry(ABSENT), 0);
	assert_int_equal(machine_vcpu->l1.ept01_step.count, 0);
	if (!v12_has_proc2(&machine_vcpu->nested.current->v12, PROC2_EPT))
		assert_int_equal(fake_get(vmcs02->region.v, VMCS_ept_pointer), vm.ept01_pointer);
	assert_int_equal(ept01_entry(L2_PAGE) & EPT_RWX, EPT_RWX);
	assert_no_writable_ones();
}

/* An NMI or machine check that L0 held for L2 is L1's, in one form or the other. */
static void assert_nothing_is_lost(void)
{
	bool nmi = now.begun == NMI_WINDOW || now.begun == NMI_STEP;
	u32 injected = machine_pending();

	if (now.way == BY_STORE_ABORT || now.way == BY_MODE_ABORT)
		return;
	if (nmi && now.way != BY_NMI)
		assert_true(machine_vcpu->nmi_pending || (injected & INTR_INFO_VECTOR) == VEC_NMI ||
			    R(exit_reason) == EXIT_EXCEPTION_NMI);
	if (now.begun == CHECK_STEP)
		assert_true(machine_vcpu->machine_check_pending || (injected & INTR_INFO_VECTOR) == VEC_MC ||
			    R(exit_reason) == EXIT_EXCEPTION_NMI);
	if (now.begun == INIT_STEP && now.way != BY_INIT)
		assert_true(machine_vcpu->nested.init_pending);
}

/* A VMLAUNCH that failed is one that is to come. */
static void enter_again(void)
{
	if (l1_enter(EXIT_VMRESUME) || !machine_in_l2())
		l1_enter(EXIT_VMLAUNCH);
	assert_true(machine_in_l2());
}

static void assert_entered_as_before(u64 proc, u64 threshold)
{
	/* What L1 got is taken; then L2 goes on. */
	machine_vcpu->nmi_pending = machine_vcpu->machine_check_pending = false;
	machine_vcpu->nested.init_pending = false;
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write32(P_VAPIC + VTPR_OFFSET, 0xf0);
	W(guest_interruptibility, 0);
	W(entry_intr_info, 0);
	enter_again();
	assert_int_equal(machine_field(VMCS_proc_controls), proc);
	assert_int_equal(machine_field(VMCS_tpr_threshold), threshold);
	assert_int_equal(machine_pending(), 0);
}

static void left_by_one_way(void **state UNUSED)
{
	const struct vmcs *vmcs02;
	u64 proc;

	start();
	vmcs02 = &machine_vcpu->nested.current->vmcs02;
	proc = machine_field(VMCS_proc_controls) & ~(u64)PROC_MTF;
	begin(vmcs02);
	assert_true(machine_in_l2());
	fake_log_clear();
	leave();
	assert_true(now.begun != CHECK_STEP || has_stepped(vmcs02));
	assert_nothing_is_left(vmcs02);
	assert_nothing_is_lost();
	if (now.way != BY_STORE_ABORT && now.way != BY_MODE_ABORT)
		assert_entered_as_before(proc, 8);
}

/* The same with nothing else begun: the refusal is not the threshold's, and the event is in vmcs02 alone. */
static void an_event_goes_with_a_refused_entry(void **state UNUSED)
{
	const struct vmcs *vmcs02;

	l1_run_l2();
	vmcs02 = &machine_vcpu->nested.current->vmcs02;
	machine_refusals = 1;
	machine_refusal = VMXERR_ENTRY_CONTROLS;
	requeue_event();
	assert_false(machine_in_l2());
	assert_false(vmcs02->injecting);
	assert_false(fake_get(vmcs02->region.v, VMCS_entry_intr_info) & INTR_INFO_VALID);
}

/* After an L2 with EPT12 one without, and the other way round: neither's tables have a trace of the other's
 * step.
 */
static void another_l2_finds_no_step(void **state UNUSED)
{
	for (u32 ept = 0; ept < 2; ept++) {
		now = (struct combination){ ept ? STEP_OF_EPT02 : STEP_OF_EPT01, BY_REFUSAL, "" };
		if (!ept)
			start();
		else
			enter_again();
		begin(&machine_vcpu->nested.current->vmcs02);
		leave();
		l1_load_vmcs(1);
		l1_write_valid_vmcs();
		with_ept12();
		W(proc2_controls, ept ? 0 : PROC2_EPT);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_nothing_is_left(&machine_vcpu->nested.current->vmcs02);
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
		W(proc2_controls, PROC2_EPT);
	}
}

/* An INIT that L1's processor takes while a machine check waits behind an event. */
static void an_init_ends_a_step_of_l1s(void **state UNUSED)
{
	requeue_event();
	machine_vcpu->machine_check_pending = true;
	fake_log_clear();
	EXIT_NOW(.reason = EXIT_INIT);
	assert_true(has_stepped(&machine_vcpu->vmcs01));
	assert_false(machine_field(VMCS_proc_controls) & PROC_MTF);
}

/* ---- the threshold ---- */

static void mov_to_cr8(u64 value)
{
	machine_vcpu->gpr[GPR_RBX] = value;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(8, GPR_RBX));
}

static u32 vtpr(void)
{
	return (u32)l1_read64(P_VAPIC + VTPR_OFFSET);
}

static void l0_compares_with_the_threshold(void **state UNUSED)
{
	now = (struct combination){ THRESHOLD, BY_EXIT, "" };
	start();
	begin(&machine_vcpu->nested.current->vmcs02);
	assert_int_equal(machine_field(VMCS_tpr_threshold), 0);
	mov_to_cr8(8);
	assert_true(machine_in_l2());
	assert_int_equal(vtpr(), 0x80);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x400003);
	mov_to_cr8(16);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_intr_info) & 0xff, VEC_GP);
	assert_int_equal(vtpr(), 0x80);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_tpr_threshold), 8);
	assert_false(machine_field(VMCS_proc_controls) & PROC_CR8_LOAD_EXITING);
	l1_write32(P_VAPIC + VTPR_OFFSET, 0);
	machine_refusals = 1;
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = M_SPARE);
	mov_to_cr8(7);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_TPR_BELOW_THRESHOLD);
	assert_int_equal(R(guest_rip), 0x400006);
	assert_int_equal(vtpr(), 0x70);
}

/* The stand-in for a page that is not there keeps what is written to it: L0 drops the write. */
static void an_absent_tpr_takes_no_value(void **state UNUSED)
{
	u64 page;

	now = (struct combination){ NOTHING, BY_EXIT, "" };
	start();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(virtual_apic_addr, M_WINDOW + 0x7000);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	page = machine_field(VMCS_virtual_apic_addr);
	assert_true(machine_field(VMCS_proc_controls) & PROC_CR8_LOAD_EXITING);
	assert_int_equal(machine_field(VMCS_tpr_threshold), 8);
	mov_to_cr8(3);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_rip), 0x400003);
	assert_int_equal((u32)l1_read64(page + VTPR_OFFSET), 0xffffffff);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(virtual_apic_addr, P_VAPIC);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_false(machine_field(VMCS_proc_controls) & PROC_CR8_LOAD_EXITING);
}

static void run_combination(void **state)
{
	struct machine_test test = { left_by_one_way, "", NULL };
	void *machine_state = &test;

	now = *(const struct combination *)*state;
	test.options = now.options;
	machine_test_run(&machine_state);
}

/* Paths that an L2 in this state cannot take. */
static bool impossible(enum begun begun, enum way way)
{
	return (begun == STEP_OF_EPT01 && way == BY_VIOLATION) || (begun == INIT_STEP && way == BY_INIT);
}

/* One group: the generated mutants' server knows no second one. */
int main(void)
{
	static struct combination combinations[2 * BEGUN_COUNT * WAY_COUNT];
	const struct CMUnitTest others[] = {
		MACHINE_TEST_BOTH(an_event_goes_with_a_refused_entry),
		MACHINE_TEST_BOTH(another_l2_finds_no_step),
		MACHINE_TEST(an_init_ends_a_step_of_l1s, ""),
		MACHINE_TEST_BOTH(l0_compares_with_the_threshold),
		MACHINE_TEST_BOTH(an_absent_tpr_takes_no_value),
	};
	static struct CMUnitTest tests[ARRAY_SIZE(combinations) + ARRAY_SIZE(others)];
	static char names[ARRAY_SIZE(combinations)][80];
	size_t count = 0;

	for (u32 i = 0; i < ARRAY_SIZE(combinations); i++) {
		struct combination *c = &combinations[count];

		*c = (struct combination){ i / 2 / WAY_COUNT, i / 2 % WAY_COUNT,
					   i & 1 ? "shadow-vmcs=off" : "shadow-vmcs=on" };
		if (impossible(c->begun, c->way))
			continue;
		snprintf(names[count], sizeof(names[count]), "left_by_one_way (%s, %s, %s)",
			 begun_names[c->begun], way_names[c->way], c->options);
		tests[count] = (struct CMUnitTest){ names[count], run_combination, NULL, NULL, c };
		count++;
	}
	for (u32 i = 0; i < ARRAY_SIZE(others); i++)
		tests[count++] = others[i];
	return _cmocka_run_group_tests("leave", tests, count, NULL, NULL);
}
