/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints and steps: a closed page is open to nobody but the CPU that steps over it, and for that
 * instruction alone; what is met stops the machine, once; and nothing of the guest changes.
 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/memmap.h"
#include "tests/unit/l2_support.h"
#include "tests/unit/uart_support.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/vm.h"
#include "vmx/monitor/break.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/step.h"
#include "vmx/nested/ept/ept.h"

#define L1_CODE 0x200000u /* where L1's RIP is */
#define L2_CODE 0x400000u
#define FETCH (EPTV_FETCH | EPTV_LINEAR_VALID | EPTV_TRANSLATED)
#define STORE (EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED)
#define VIOLATION(bits, gpa)                                                                                 \
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = (bits), .guest_physical = (gpa),             \
		 .guest_linear = (gpa))

static u32 permissions_at(u64 gpa)
{
	struct ept01_mapping found;

	assert_true(vm_ept01_lookup(GPA(gpa), &found));
	return found.rwx;
}

/* The permissions of this EPT for an address; 0: not mapped. */
static u32 permissions_in(u64 eptp, u64 address)
{
	unsigned int level = ((eptp & EPTP_WALK) >> EPTP_WALK_SHIFT) + 1;
	u64 entry = eptp;
	u32 all = EPT_RWX;

	for (; level; level--) {
		memcpy(&entry, fake_memory + (entry & EPT_ADDRESS) + ept_index(address, level) * 8, 8);
		all &= (u32)entry;
		if (!(entry & EPT_RWX) || (level > 1 && (entry & EPT_LEAF)))
			break;
	}
	return all & EPT_RWX;
}

static u32 here(u64 address)
{
	return permissions_in(machine_field(VMCS_ept_pointer), address);
}

static bool is_stepped(void)
{
	return machine_field(VMCS_proc_controls) & PROC_MTF;
}

static void said(const char *text)
{
	if (!strstr(uart_said, text))
		fail_msg("not said: %s; but: %s", text, uart_said);
}

static void said_not(const char *text)
{
	if (strstr(uart_said, text))
		fail_msg("said: %s", uart_said);
}

/* ---- L1 ---- */

static void an_instruction_of_l1s(void **state UNUSED)
{
	uart_ask("break 200010\r");
	said("1 code l1 200010 length 1, L1's 200010");
	assert_int_equal(permissions_at(L1_CODE), EPT_READ | EPT_WRITE);
	assert_int_equal(permissions_at(L1_CODE - 1), EPT_RWX);
	assert_int_equal(permissions_at(L1_CODE + PAGE_SIZE), EPT_RWX);
	/* another instruction on that page is stepped, in tables of this CPU's own */
	uart_type("");
	VIOLATION(FETCH, L1_CODE);
	assert_true(is_stepped());
	assert_int_not_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
	assert_int_equal(here(L1_CODE), EPT_RWX);
	assert_int_equal(permissions_in(vm.ept01_pointer, L1_CODE), EPT_READ | EPT_WRITE);
	machine_set_field(VMCS_guest_rip, L1_CODE + 0x10);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_false(is_stepped());
	assert_int_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
	said_not("breakpoint");
	/* this one stops the machine */
	uart_type("go\r");
	VIOLATION(FETCH, L1_CODE + 0x10);
	said("breakpoint 1: cpu 0, L1 at 200010, exit EPT_VIOLATION; L1 goes on at 200010");
	said("running> ");
	assert_int_equal(machine_field(VMCS_guest_rip), L1_CODE + 0x10);
	assert_int_equal(here(L1_CODE), EPT_READ | EPT_WRITE);
	/* and passes then, once */
	uart_type("");
	VIOLATION(FETCH, L1_CODE + 0x10);
	said_not("breakpoint");
	assert_true(is_stepped());
	EXIT_NOW(.reason = EXIT_MTF);
	uart_type("go\r");
	VIOLATION(FETCH, L1_CODE + 0x10);
	said("breakpoint 1: ");
	uart_ask("break delete 1\r");
	assert_int_equal(permissions_at(L1_CODE), EPT_RWX);
	uart_ask("break\r");
	said("there are no breakpoints");
	assert_int_equal(machine_vcpu->counters.window_accesses, 0);
}

/* A CPU whose interrupt comes first meets it when the handler has returned; an exit alone is no step. */
static void passing_outlasts_exits(void **state UNUSED)
{
	uart_ask("break 200000\r");
	uart_type("go\r");
	VIOLATION(FETCH, L1_CODE);
	said("breakpoint 1: ");
	uart_type("");
	VIOLATION(FETCH, L1_CODE);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(here(L1_CODE), EPT_READ | EPT_WRITE);
	VIOLATION(FETCH, L1_CODE);
	assert_true(is_stepped());
	/* the instruction is one that L0 emulates: the boundary comes without the flag */
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_int_equal(machine_field(VMCS_guest_rip), L1_CODE + 2);
	said_not("breakpoint");
	machine_set_field(VMCS_guest_rip, L1_CODE);
	uart_type("go\r");
	VIOLATION(FETCH, L1_CODE);
	said("breakpoint 1: ");
}

static void registers_are_what_they_were(void **state UNUSED)
{
	static const u32 fields[] = { VMCS_guest_rflags,
				      VMCS_guest_dr7,
				      VMCS_guest_rip,
				      VMCS_guest_rsp,
				      VMCS_guest_interruptibility,
				      VMCS_guest_pending_debug,
				      VMCS_guest_debugctl,
				      VMCS_guest_activity_state,
				      VMCS_exception_bitmap,
				      VMCS_proc_controls,
				      VMCS_ept_pointer };
	u64 before[ARRAY_SIZE(fields)];

	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
	machine_set_field(VMCS_guest_pending_debug, PENDING_DEBUG_BS);
	uart_ask("break 200000\r");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		before[i] = machine_field(fields[i]);
	uart_type("step\rgo\r");
	VIOLATION(FETCH, L1_CODE);
	said("breakpoint 1: ");
	VIOLATION(FETCH, L1_CODE);
	EXIT_NOW(.reason = EXIT_MTF);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (machine_field(fields[i]) != before[i])
			fail_msg("field %x", fields[i]);
	assert_int_equal(machine_injected, 0);
}

/* ---- steps ---- */

static void steps_of_l1(void **state UNUSED)
{
	uart_ask("step\r");
	assert_true(is_stepped());
	said_not("> ");
	machine_set_field(VMCS_guest_rip, L1_CODE + 3);
	uart_type("step 2\r");
	EXIT_NOW(.reason = EXIT_MTF);
	said("step: cpu 0, L1 at 200003");
	assert_true(is_stepped());
	/* one that L0 emulates, and one that jumps to itself */
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_true(is_stepped());
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_true(is_stepped());
	said_not("step: ");
	EXIT_NOW(.reason = EXIT_MTF);
	said("step: cpu 0, L1 at 200005");
	said("running> ");
	assert_false(is_stepped());
}

static void a_step_that_does_not_end(void **state UNUSED)
{
	uart_type("step\r");
	uart_attend();
	uart_type("go\r");
	for (int i = 0; i < 48; i++)
		EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	said_not("step: ");
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	said("L1 at 200000, which waits");
	assert_false(is_stepped());
}

/* From L1's VMRESUME to L2, and back to L1's handler. */
/* Nobody but a CPU that stands still could end that. */
static void a_step_into_the_wait_for_a_sipi(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_APIC_BASE, fake_msr_get(MSR_IA32_APIC_BASE) & ~(u64)APIC_BASE_BSP);
	uart_ask("step\r");
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_INIT);
	said("step: cpu 0, L1 at 200000, which waits");
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_WAIT_FOR_SIPI);
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 7);
	said_not("step");
}

/* A page stays closed, and one that is stepped over is so no more; the first instruction is met each time. */
static void a_cpu_starts_anew(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_APIC_BASE, fake_msr_get(MSR_IA32_APIC_BASE) & ~(u64)APIC_BASE_BSP);
	uart_ask("break 7000\r");
	said("1 code l1 7000 length 1");
	uart_type("");
	VIOLATION(FETCH, 0x7100);
	assert_true(is_stepped());
	EXIT_NOW(.reason = EXIT_INIT);
	assert_false(is_stepped());
	assert_int_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
	assert_int_equal(here(0x7000), EPT_READ | EPT_WRITE);
	for (int i = 0; i < 3; i++) {
		EXIT_NOW(.reason = EXIT_SIPI, .qualification = 7);
		uart_type("go\r");
		VIOLATION(FETCH, 0x7000);
		said("breakpoint 1: cpu 0, L1 at 7000, exit EPT_VIOLATION");
		/* before it has gone on */
		uart_type("");
		EXIT_NOW(.reason = EXIT_INIT);
		said_not("breakpoint");
	}
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 7);
	/* the first CPU does so by an INIT alone */
	fake_msr_set(MSR_IA32_APIC_BASE, fake_msr_get(MSR_IA32_APIC_BASE) | APIC_BASE_BSP);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(machine_field(VMCS_guest_rip), 0xfff0);
	assert_int_equal(here(0x7000), EPT_READ | EPT_WRITE);
}

static void steps_from_level_to_level(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(machine_in_l2());
	uart_ask("step\r");
	assert_true(is_stepped());
	uart_type("step\r");
	l1_enter(EXIT_VMRESUME);
	assert_true(machine_in_l2());
	said("step: cpu 0, L2 at 400000");
	assert_true(is_stepped());
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(machine_in_l2());
	said("step: cpu 0, L1 at 300000");
	assert_false(is_stepped());
	/* vmcs02 is what L1 asked for */
	l1_enter(EXIT_VMRESUME);
	assert_true(machine_in_l2());
	assert_false(is_stepped());
	/* and so is vmcs01 behind a step that ended in L2 */
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	uart_ask("step\r");
	uart_type("go\r");
	l1_enter(EXIT_VMRESUME);
	said("step: cpu 0, L2 at 400000");
	machine_set_field(VMCS_guest_rip, L2_CODE + 1);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(machine_in_l2());
	assert_false(is_stepped());
}

/* L1 has the flag on for its L2: the exit is L1's, with or without a step of a person's. */
static void l1s_own_flag_is_exact(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(proc_controls, R(proc_controls) | PROC_MTF);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(is_stepped());
	uart_ask("step\r");
	assert_true(is_stepped());
	uart_type("go\r");
	machine_set_field(VMCS_guest_rip, L2_CODE + 1);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_false(machine_in_l2());
	said("step: cpu 0, L1 at 300000");
	assert_int_equal(R(exit_reason), EXIT_MTF);
	assert_int_equal(R(guest_rip), L2_CODE + 1);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(is_stepped());
}

static void a_step_is_not_l1s_exit(void **state UNUSED)
{
	l1_run_l2();
	uart_ask("step\r");
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_MTF);
	assert_true(machine_in_l2());
	said("step: cpu 0, L2 at 400000");
}

/* ---- L2 ---- */

/* EPT12 maps the pages of 4 KiB that `map` names; all else by 1 GiB. L2 has no paging. */
static void run_l2_with_ept(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_write64(P_EPT, (P_EPT + 0x1000) | EPT_RWX);
	l1_write64(P_EPT + 0x1000, (P_EPT + 0x2000) | EPT_RWX);
	l1_write64(P_EPT + 0x2000 + 2 * 8, (P_EPT + 0x3000) | EPT_RWX);
	l1_write64(P_EPT + 0x2000, EPT_RWX | EPT_LEAF | MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	/* the same page of L1's three times, and two others */
	for (u64 i = 0; i < 8; i++)
		l1_write64(P_EPT + 0x3000 + i * 8, (i < 3 ? L2_CODE : L2_CODE + i * PAGE_SIZE) | EPT_RWX |
							   MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	W(ept_pointer, P_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

static void an_instruction_of_l2s(void **state UNUSED)
{
	run_l2_with_ept();
	VIOLATION(FETCH, L2_CODE);
	assert_int_equal(here(L2_CODE), EPT_RWX);
	uart_ask("break 400010\r");
	said("1 code l2 400010 length 1, L1's 400010");
	/* EPT02 has forgotten the page */
	assert_int_equal(here(L2_CODE), 0);
	assert_int_equal(permissions_at(L2_CODE), EPT_READ | EPT_WRITE);
	/* the page alone is open for a step, none of its aliases, and in this EPT02 alone */
	uart_type("");
	VIOLATION(FETCH, L2_CODE);
	assert_true(is_stepped());
	assert_int_equal(here(L2_CODE), EPT_RWX);
	for (u64 i = 1; i < 3; i++)
		assert_false(here(L2_CODE + i * PAGE_SIZE) & EPT_EXEC);
	assert_int_equal(permissions_in(vm.ept01_pointer, L2_CODE), EPT_READ | EPT_WRITE);
	EXIT_NOW(.reason = EXIT_MTF);
	/* a read makes it known, closed; and it is opened again */
	VIOLATION(EPTV_READ | EPTV_LINEAR_VALID | EPTV_TRANSLATED, L2_CODE);
	assert_int_equal(here(L2_CODE), EPT_READ | EPT_WRITE);
	VIOLATION(FETCH, L2_CODE);
	assert_int_equal(here(L2_CODE), EPT_RWX);
	machine_set_field(VMCS_guest_rip, L2_CODE + 0x10);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_false(is_stepped());
	assert_false(here(L2_CODE) & EPT_EXEC);
	uart_type("regs\rgo\r");
	VIOLATION(FETCH, L2_CODE + 0x10);
	said("breakpoint 1: cpu 0, L2 at 400010");
	said("cpu 0: L2, which runs");
	assert_true(machine_in_l2());
	/* L1 takes L2 away in the middle of the step, and gives it back */
	uart_type("");
	VIOLATION(FETCH, L2_CODE + 0x10);
	assert_int_equal(here(L2_CODE), EPT_RWX);
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(machine_in_l2());
	l1_enter(EXIT_VMRESUME);
	assert_false(here(L2_CODE) & EPT_EXEC);
	VIOLATION(FETCH, L2_CODE + 0x10);
	said_not("breakpoint");
	assert_true(is_stepped());
	EXIT_NOW(.reason = EXIT_MTF);
	/* L1's exits know nothing of it */
	assert_int_equal(machine_vcpu->nested.counters.reflections, 1);
}

/* L1 does not map the page: that is L1's exit, whatever breakpoints there are. */
static void what_is_l1s_stays_l1s(void **state UNUSED)
{
	run_l2_with_ept();
	uart_ask("break 400010\r");
	l1_write64(P_EPT + 0x3000, L2_CODE | EPT_READ | MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	machine_set_field(VMCS_guest_rip, L2_CODE + 0x10);
	uart_type("");
	VIOLATION(FETCH, L2_CODE + 0x10);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
	assert_int_equal(R(exit_qualification) & (EPTV_FETCH | EPT_RWX << 3), EPTV_FETCH | EPT_READ << 3);
	said_not("breakpoint");
}

/* The step has this L2 in front of the page, which is open to it; and then it has not. */
static void assert_closed_again(void)
{
	assert_true(machine_in_l2());
	assert_false(is_stepped());
	assert_false(here(L2_CODE) & EPT_EXEC);
	assert_int_equal(permissions_in(vm.ept01_pointer, L2_CODE), EPT_READ | EPT_WRITE);
}

static void begin_step(void)
{
	VIOLATION(FETCH, L2_CODE);
	assert_true(is_stepped());
	assert_int_equal(here(L2_CODE), EPT_RWX);
}

static void leave_l2(void)
{
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(machine_in_l2());
	assert_false(is_stepped());
	assert_int_equal(permissions_in(vm.ept01_pointer, L2_CODE), EPT_READ | EPT_WRITE);
}

/* However a step over a closed page ends, whoever comes next finds it closed; and open when nobody wants it.
 */
static void a_page_is_closed_again(void **state UNUSED)
{
	run_l2_with_ept();
	uart_ask("break 400010\r");
	uart_type("");
	/* L2 is left in the middle of it */
	begin_step();
	leave_l2();
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_closed_again();
	/* its VMCS is cleared and launched again */
	begin_step();
	leave_l2();
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	l1_load_vmcs(0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_closed_again();
	/* INVEPT between the two */
	begin_step();
	leave_l2();
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_closed_again();
	/* another CPU has changed EPT01 meanwhile */
	begin_step();
	__atomic_fetch_or(&machine_vcpu->request, REQUEST_EPT01_CHANGED, __ATOMIC_RELEASE);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_closed_again();
	/* an exit that L0 handles itself */
	begin_step();
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_closed_again();
	/* the breakpoint goes in the middle of it */
	begin_step();
	uart_ask("break delete all\r");
	assert_int_equal(closed_count, 0);
	assert_int_equal(permissions_at(L2_CODE), EPT_RWX);
	VIOLATION(FETCH, L2_CODE);
	assert_false(is_stepped());
	assert_int_equal(here(L2_CODE), EPT_RWX);
}

static void an_l2_without_ept(void **state UNUSED)
{
	l1_run_l2();
	uart_ask("break 400000\r");
	said("1 code l2 400000");
	uart_type("go\r");
	VIOLATION(FETCH, L2_CODE);
	said("breakpoint 1: cpu 0, L2 at 400000");
	uart_type("");
	VIOLATION(FETCH, L2_CODE);
	assert_true(is_stepped());
	assert_int_not_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
	assert_int_equal(here(L2_CODE), EPT_RWX);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
	assert_int_equal(here(L2_CODE), EPT_READ | EPT_WRITE);
}

static void the_other_level_passes(void **state UNUSED)
{
	l1_run_l2();
	uart_ask("break l1 400000\r");
	said("1 code l1 400000");
	uart_type("");
	VIOLATION(FETCH, L2_CODE);
	said_not("breakpoint");
	assert_true(is_stepped());
}

/* ---- watchpoints ---- */

static void a_watched_value(void **state UNUSED)
{
	uart_ask("break write 5004 4\r");
	said("1 write l1 5004 length 4");
	assert_int_equal(permissions_at(0x5000), EPT_READ | EPT_EXEC);
	/* beside it */
	uart_type("");
	VIOLATION(STORE, 0x5000);
	assert_true(is_stepped());
	l1_write32(0x5000, 1);
	EXIT_NOW(.reason = EXIT_MTF);
	/* the same value */
	VIOLATION(STORE, 0x5004);
	EXIT_NOW(.reason = EXIT_MTF);
	said_not("breakpoint");
	VIOLATION(STORE, 0x5004);
	l1_write32(0x5004, 7);
	machine_set_field(VMCS_guest_rip, L1_CODE + 5);
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_MTF);
	said("breakpoint 1: cpu 0, L1 at 200005");
	assert_int_equal(permissions_at(0x5000), EPT_READ | EPT_EXEC);
	uart_ask("break write 5ffe 4\r");
	said("error: 1 to 8 bytes of one page");
}

/* ---- exits ---- */

static void exits_by_reason(void **state UNUSED)
{
	uart_ask("break l2 exit HLT\r");
	said("1 exit HLT l2");
	uart_ask("break exit 10\r");
	said("2 exit CPUID l0");
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	said("breakpoint 2: cpu 0, L1 at 200000, exit CPUID; L1 goes on at 200002");
	uart_type("");
	l1_run_l2();
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	said("breakpoint 1: cpu 0, L2 at 400000, exit HLT; L1 goes on at 300000");
	uart_ask("break delete all\r");
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_int_equal(machine_vcpu->looks, 0);
}

static void entries_that_fail(void **state UNUSED)
{
	uart_ask("break entry\r");
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	uart_type("");
	W(cr3_target_count, 5);
	said_not("breakpoint");
	uart_type("why\rgo\r");
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 7);
	said("breakpoint 1: cpu 0, L1 at ");
	said("cr3_target_count");
	W(cr3_target_count, 0);
	W(guest_cr0, CR0_PG);
	uart_type("go\r");
	l1_enter(EXIT_VMLAUNCH);
	said("L1 goes on at 300000");
	W(guest_cr0, CR0_PE | CR0_PG | CR0_NE | CR0_WP | CR0_ET);
	uart_type("");
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	said_not("breakpoint");
}

static bool bitmap_has(u64 bitmap, u32 msr, bool write)
{
	u32 bit = msr & 0x1fff;

	return fake_memory[bitmap + (msr >> 31 ? 0x400 : 0) + (write ? 0x800 : 0) + bit / 8] >> (bit % 8) & 1;
}

static void msrs(void **state UNUSED)
{
	u64 bitmap = machine_field(VMCS_msr_bitmap);

	assert_false(bitmap_has(bitmap, MSR_IA32_STAR, false));
	uart_ask("break msr c0000081\r");
	said("1 msr c0000081 l0");
	assert_true(bitmap_has(bitmap, MSR_IA32_STAR, false) && bitmap_has(bitmap, MSR_IA32_STAR, true));
	uart_ask("break msr 174\r");
	machine_vcpu->gpr[GPR_RCX] = MSR_IA32_STAR;
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_RDMSR, .length = 2);
	said("breakpoint 1: cpu 0, L1 at 200000, exit RDMSR; L1 goes on at 200002");
	uart_ask("break msr c0000081\r");
	said("error: that MSR has a breakpoint already");
	uart_ask("break msr 10\r");
	said("error: that MSR is not intercepted");
	uart_ask("break msr 830\r");
	said("error: that MSR is not intercepted");
	uart_ask("break delete all\r");
	assert_false(bitmap_has(bitmap, MSR_IA32_STAR, false) || bitmap_has(bitmap, MSR_IA32_STAR, true));
	/* what L0 wants itself stays */
	assert_false(bitmap_has(bitmap, 0x174, false));
	assert_true(bitmap_has(bitmap, 0x174, true));
}

/* The word of L2's bitmap that is open when the breakpoint is set. */
static void an_msr_of_l2s(void **state UNUSED)
{
	l2_prepare_msr_bitmap();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_vcpu->gpr[GPR_RCX] = MSR_IA32_STAR;
	EXIT_NOW(.reason = EXIT_RDMSR, .length = 2);
	assert_false(bitmap_has(machine_field(VMCS_msr_bitmap), MSR_IA32_STAR, false));
	uart_ask("break msr c0000081\r");
	assert_true(bitmap_has(machine_field(VMCS_msr_bitmap), MSR_IA32_STAR, false));
	machine_vcpu->gpr[GPR_RCX] = MSR_IA32_STAR;
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_RDMSR, .length = 2);
	said("breakpoint 1: cpu 0, L2 at 400000");
	assert_true(machine_in_l2());
}

#define IN(port, size) ((u64)(port) << 16 | ((size)-1u) | BIT(3))

static bool port_exits(u16 port)
{
	u64 bitmap = machine_field(port & 0x8000 ? VMCS_io_bitmap_b : VMCS_io_bitmap_a);

	return fake_memory[bitmap + (port & 0x7fff) / 8] >> (port % 8) & 1;
}

static void ports(void **state UNUSED)
{
	uart_ask("break port 8080\r");
	said("1 port 8080 l0");
	assert_true(port_exits(0x8080));
	assert_false(port_exits(0x8081));
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_IO, .qualification = IN(0x807f, 2), .length = 1);
	said("breakpoint 1: ");
	uart_type("");
	EXIT_NOW(.reason = EXIT_IO, .qualification = IN(0x8081, 2), .length = 1);
	said_not("breakpoint");
	uart_ask("break port 2f8\r");
	uart_ask("break delete all\r");
	assert_false(port_exits(0x8080));
	/* the monitor's own */
	assert_true(port_exits(0x2f8));
}

#define EXCEPTION(vector, type) (INTR_INFO_VALID | (vector) | (type) << INTR_INFO_TYPE_SHIFT)
#define BITMAP machine_field(VMCS_exception_bitmap)

/* L0's wish for #PF comes and goes while L2 runs: who gets which one is as L1's three values say. */
static void page_faults_of_l2(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(exception_bitmap, BIT(VEC_GP));
	W(pf_mask, PFEC_W);
	W(pf_match, PFEC_W);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_W);
	uart_ask("break l2 exception pf\r");
	said("1 exception pf l2");
	assert_int_equal(BITMAP, BIT(VEC_PF) | BIT(VEC_GP));
	assert_int_equal(machine_field(VMCS_pf_mask), 0);
	assert_int_equal(machine_field01(VMCS_exception_bitmap), BIT(VEC_PF));
	/* bit 14 is 0, so L1 wants those that do not match: a write is L2's */
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .qualification = 0x1234, .intr_error_code = PFEC_W,
		 .intr_info = EXCEPTION(VEC_PF, INTR_TYPE_HARD_EXCEPTION) | INTR_INFO_ERROR_CODE);
	said("breakpoint 1: cpu 0, L2 at 400000, exit EXCEPTION_NMI; L2 goes on at 400000");
	assert_int_equal(read_cr2(), 0x1234);
	assert_int_equal(machine_pending() & 0xff, VEC_PF);
	uart_ask("break delete 1\r");
	assert_int_equal(BITMAP, BIT(VEC_GP));
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_W);
	assert_int_equal(machine_field01(VMCS_exception_bitmap), 0);
	/* a read is L1's, and CR2 stays */
	uart_ask("break exception pf\r");
	uart_ask("break exception ud\r");
	assert_int_equal(BITMAP, BIT(VEC_PF) | BIT(VEC_GP) | BIT(VEC_UD));
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .qualification = 0x5678,
		 .intr_info = EXCEPTION(VEC_PF, INTR_TYPE_HARD_EXCEPTION) | INTR_INFO_ERROR_CODE);
	said("breakpoint 1: cpu 0, L2 at 400000, exit EXCEPTION_NMI; L1 goes on at 300000");
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(R(exit_qualification), 0x5678);
	assert_int_equal(read_cr2(), 0x1234);
}

/* SDM: a VM exit by a #DB changes neither DR6, nor DR7, nor IA32_DEBUGCTL; its delivery does. */
static void debug_exceptions(void **state UNUSED)
{
	uart_ask("break exception db\r");
	assert_int_equal(BITMAP, BIT(VEC_DB));
	write_dr6(DR6_FIXED1 | DR6_BS | DR6_B2);
	machine_set_field(VMCS_guest_dr7, DR7_RESET | DR7_GD);
	vcpu_set_debugctl(machine_vcpu, DEBUGCTL_LBR | DEBUGCTL_BTF | DEBUGCTL_TR);
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .qualification = DR6_B0 | DR6_BD,
		 .intr_info = EXCEPTION(VEC_DB, INTR_TYPE_HARD_EXCEPTION));
	said("breakpoint 1: cpu 0, L1 at 200000, exit EXCEPTION_NMI");
	assert_int_equal(machine_pending() & 0xff, VEC_DB);
	assert_int_equal(read_dr6(), DR6_FIXED1 | DR6_BS | DR6_BD | DR6_B0);
	assert_int_equal(machine_field(VMCS_guest_dr7), DR7_RESET);
	assert_int_equal(machine_field(VMCS_guest_debugctl), DEBUGCTL_TR);
	/* behind STI and HLT, single-stepped */
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	machine_set_field(VMCS_guest_activity_state, ACTIVITY_HLT);
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .qualification = DR6_BS,
		 .intr_info = EXCEPTION(VEC_DB, INTR_TYPE_HARD_EXCEPTION));
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_ACTIVE);
	/* in a transaction, and by a bus lock */
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .qualification = DR6_RTM | DR6_BLD,
		 .intr_info = EXCEPTION(VEC_DB, INTR_TYPE_HARD_EXCEPTION));
	assert_int_equal(read_dr6(), (DR6_FIXED1 | DR6_BS | DR6_BD) & ~(DR6_RTM | DR6_BLD));
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .qualification = DR6_BS,
		 .intr_info = EXCEPTION(VEC_DB, INTR_TYPE_HARD_EXCEPTION));
	assert_int_equal(read_dr6(), (DR6_FIXED1 | DR6_BS | DR6_BD) & ~DR6_BLD);
	/* INT1 leaves no traces there, but it ends a blocking; INT3 has its length */
	machine_set_field(VMCS_guest_dr7, DR7_RESET | DR7_GD);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_MOV_SS);
	vcpu_set_debugctl(machine_vcpu, DEBUGCTL_BTF);
	write_dr6(DR6_FIXED1);
	uart_ask("break exception bp\r");
	assert_int_equal(BITMAP, BIT(VEC_DB) | BIT(VEC_BP));
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .length = 1, .qualification = DR6_BS | DR6_BD,
		 .intr_info = EXCEPTION(VEC_DB, INTR_TYPE_PRIVILEGED_SOFT_EXCEPTION));
	said("breakpoint 1: ");
	assert_int_equal(machine_pending() & 0x7ff, INTR_TYPE_PRIVILEGED_SOFT_EXCEPTION << 8 | VEC_DB);
	assert_int_equal(machine_field(VMCS_entry_instruction_length), 1);
	assert_int_equal(read_dr6(), DR6_FIXED1);
	assert_int_equal(machine_field(VMCS_guest_dr7), DR7_RESET | DR7_GD);
	assert_int_equal(machine_field(VMCS_guest_debugctl), DEBUGCTL_BTF);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .length = 1,
		 .intr_info = EXCEPTION(VEC_BP, INTR_TYPE_SOFT_EXCEPTION));
	said("breakpoint 2: ");
	assert_int_equal(machine_pending() & 0xff, VEC_BP);
	assert_int_equal(machine_field(VMCS_entry_instruction_length), 1);
	/* an NMI is none of them */
	uart_type("");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = EXCEPTION(VEC_NMI, INTR_TYPE_NMI));
	said_not("breakpoint");
}

/* What an option wants stays when a breakpoint goes. */
static void wishes_are_joined(void **state UNUSED)
{
	assert_int_equal(BITMAP, BIT(VEC_BP) | BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_P);
	uart_ask("break exception pf\r");
	uart_ask("break exception bp\r");
	assert_int_equal(BITMAP, BIT(VEC_BP) | BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), 0);
	uart_ask("break delete all\r");
	assert_int_equal(BITMAP, BIT(VEC_BP) | BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_P);
}

/* Two CPUs meet breakpoints at once: the second one's waits until the first one's stop is over. */
static void who_stops_a_stopped_machine(void **state UNUSED)
{
	assert_true(control_stop(machine_vcpu));
	assert_false(control_stop(machine_vcpu));
	assert_true(control_is_stopped());
	machine_vcpu->debugged.hit = HIT_STEP;
	step_look(machine_vcpu);
	assert_int_equal(machine_vcpu->debugged.hit, HIT_STEP);
	control_go();
	assert_false(control_is_stopped());
	step_prepare(machine_vcpu);
	uart_type("go\r");
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	said("step: cpu 0, L1 at ");
}

/* The others stay where they are, and nobody but that one ends it. */
static void one_cpu_goes_on_alone(void **state UNUSED)
{
	static struct percpu other_cpu = { .id = 1 };
	static struct vcpu other = { .cpu = &other_cpu };

	assert_true(control_stop(machine_vcpu));
	control_go_alone(&other);
	assert_true(control_goes_alone() && control_is_alone(&other));
	assert_false(control_is_alone(machine_vcpu));
	assert_true(control_stay(machine_vcpu));
	assert_false(control_end_alone(machine_vcpu));
	assert_true(control_end_alone(&other));
	assert_false(control_goes_alone());
	control_go();
}

/* ---- what is refused ---- */

static void what_cannot_be_set(void **state UNUSED)
{
	static const char *const lines[] = {
		"break l2 400000\r", "break 8000000000\r",    "break l1\r",	    "break write\r",
		"break exception\r", "break exception nmi\r", "break write 0 9\r",  "break exit NOTHING\r",
		"break exit 99\r",   "break entry 1\r",	      "break port 10000\r", "break delete 17\r",
		"break delete 3\r",  "break l3 0\r",	      "break 8000000\r",    "step 0\r",
		"step x\r",	     "break msr 100000000\r"
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(uart_ask(lines[i]), "error: "))
			fail_msg("%s: %s", lines[i], uart_said);
	assert_int_equal(closed_count, 0);
	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		uart_ask("break 200000\r");
	uart_ask("break 200000\r");
	said("error: there are too many breakpoints");
}

#define WITH(test) MACHINE_TEST_BEFORE(test, "monitor=com2", uart_plug)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(an_instruction_of_l1s),
		WITH(passing_outlasts_exits),
		WITH(registers_are_what_they_were),
		WITH(steps_of_l1),
		WITH(a_step_that_does_not_end),
		WITH(a_step_into_the_wait_for_a_sipi),
		WITH(a_cpu_starts_anew),
		WITH(steps_from_level_to_level),
		WITH(l1s_own_flag_is_exact),
		WITH(a_step_is_not_l1s_exit),
		WITH(an_instruction_of_l2s),
		WITH(what_is_l1s_stays_l1s),
		WITH(a_page_is_closed_again),
		WITH(an_l2_without_ept),
		WITH(the_other_level_passes),
		WITH(a_watched_value),
		WITH(exits_by_reason),
		WITH(entries_that_fail),
		WITH(msrs),
		WITH(an_msr_of_l2s),
		WITH(ports),
		WITH(page_faults_of_l2),
		WITH(debug_exceptions),
		MACHINE_TEST_BEFORE(wishes_are_joined, "monitor=com2 intercept=pf,bp intercept-pf=1:1",
				    uart_plug),
		WITH(who_stops_a_stopped_machine),
		WITH(one_cpu_goes_on_alone),
		WITH(what_cannot_be_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
