/* SPDX-License-Identifier: MIT */
/*
 * What L1's controls and bitmaps ask for, exit by exit: nested_l1_asked(), the predicates wants_*() of
 * vmx/hw/exits.def alone. Many exits are L1's in any case, since nobody else can have asked for them; then
 * the predicate is what a handler of L0's would go by. SDM: "VMX Non-Root Operation".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/machine.h"

enum { P_IO_A = M_SPARE, P_IO_B = M_SPARE + 0x1000, P_MSR = M_SPARE + 0x2000 };

static struct vmcs12 *v12(void)
{
	return &machine_vcpu->nested.current->v12;
}

static bool asked(u32 reason, u64 qualification)
{
	return nested_l1_asked(machine_exit_in_hand(reason, qualification));
}

static void set_controls(u64 pin, u64 proc, u64 proc2)
{
	v12()->pin_controls = pin;
	v12()->proc_controls = PROC_SECONDARY | proc;
	v12()->proc2_controls = proc2;
}

/* Each control alone: without it no, with it yes, with all others no. */
static void each_control(void **state UNUSED)
{
	static const struct {
		u32 reason;
		u64 pin, proc, proc2, with; /* with: a secondary control that enables the instruction */
	} list[] = {
		{ EXIT_EXTERNAL_INTERRUPT, PIN_EXTERNAL_INTERRUPT, 0, 0, 0 },
		{ EXIT_PREEMPTION_TIMER, PIN_PREEMPTION_TIMER, 0, 0, 0 },
		{ EXIT_INTERRUPT_WINDOW, 0, PROC_INTERRUPT_WINDOW, 0, 0 },
		{ EXIT_NMI_WINDOW, 0, PROC_NMI_WINDOW, 0, 0 },
		{ EXIT_HLT, 0, PROC_HLT_EXITING, 0, 0 },
		{ EXIT_INVLPG, 0, PROC_INVLPG_EXITING, 0, 0 },
		{ EXIT_INVPCID, 0, PROC_INVLPG_EXITING, 0, PROC2_INVPCID },
		{ EXIT_RDPMC, 0, PROC_RDPMC_EXITING, 0, 0 },
		{ EXIT_RDTSC, 0, PROC_RDTSC_EXITING, 0, 0 },
		{ EXIT_RDTSCP, 0, PROC_RDTSC_EXITING, 0, PROC2_RDTSCP },
		{ EXIT_UMWAIT, 0, PROC_RDTSC_EXITING, 0, 0 },
		{ EXIT_TPAUSE, 0, PROC_RDTSC_EXITING, 0, 0 },
		{ EXIT_MWAIT, 0, PROC_MWAIT_EXITING, 0, 0 },
		{ EXIT_MONITOR, 0, PROC_MONITOR_EXITING, 0, 0 },
		{ EXIT_PAUSE, 0, PROC_PAUSE_EXITING, 0, 0 },
		{ EXIT_PAUSE, 0, 0, PROC2_PAUSE_LOOP_EXITING, 0 },
		{ EXIT_DR_ACCESS, 0, PROC_MOV_DR_EXITING, 0, 0 },
		{ EXIT_MTF, 0, PROC_MTF, 0, 0 },
		{ EXIT_GDTR_IDTR, 0, 0, PROC2_DESC_TABLE_EXITING, 0 },
		{ EXIT_LDTR_TR, 0, 0, PROC2_DESC_TABLE_EXITING, 0 },
		{ EXIT_WBINVD, 0, 0, PROC2_WBINVD_EXITING, 0 },
		{ EXIT_RDRAND, 0, 0, PROC2_RDRAND_EXITING, 0 },
		{ EXIT_RDSEED, 0, 0, PROC2_RDSEED_EXITING, 0 },
		{ EXIT_PML_FULL, 0, 0, PROC2_PML, 0 },
	};

	l1_run_l2();
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		u64 pause = list[i].reason == EXIT_PAUSE ? PROC_PAUSE_EXITING : 0;
		u64 loop = pause ? PROC2_PAUSE_LOOP_EXITING : 0;

		set_controls(0, 0, list[i].with);
		assert_false(asked(list[i].reason, 0));
		set_controls(list[i].pin, list[i].proc, list[i].proc2 | list[i].with);
		assert_true(asked(list[i].reason, 0));
		set_controls(~list[i].pin, ~(list[i].proc | pause), ~(list[i].proc2 | loop));
		assert_false(asked(list[i].reason, 0));
		if (!list[i].with)
			continue;
		set_controls(list[i].pin, list[i].proc, 0);
		assert_false(asked(list[i].reason, 0));
	}
}

/* In the exit's qualification. */
#define QUAL_IO(port, size) ((u64)(port) << 16 | ((size)-1))

static void set_port(u32 port, bool set)
{
	u64 at = (port < 0x8000 ? P_IO_A : P_IO_B) + (port & 0x7fff) / 64 * 8;

	l1_write64(at, set ? BIT(port % 64) : 0);
}

/* "Any of the I/O ports accessed": each of one, two or four, on both sides of 8000h; over FFFFh always. */
static void every_port_of_an_access(void **state UNUSED)
{
	static const u32 firsts[] = {
		0, 0x60, 0x7ffc, 0x7ffd, 0x7ffe, 0x7fff, 0x8000, 0xfffc, 0xfffe, 0xffff
	};

	l1_run_l2();
	set_controls(0, PROC_IO_BITMAPS, 0);
	v12()->io_bitmap_a = P_IO_A;
	v12()->io_bitmap_b = P_IO_B;
	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
		for (u32 size = 1; size <= 4; size *= 2) {
			bool wraps = firsts[i] + size > 0x10000;

			assert_int_equal(asked(EXIT_IO, QUAL_IO(firsts[i], size)), wraps);
			for (u32 port = firsts[i] ? firsts[i] - 1 : 0;
			     port <= firsts[i] + size && port < 0x10000; port++) {
				bool within = port >= firsts[i] && port < firsts[i] + size;

				set_port(port, true);
				assert_int_equal(asked(EXIT_IO, QUAL_IO(firsts[i], size)), within || wraps);
				set_port(port, false);
			}
		}
	}
	/* the bitmaps win over "unconditional I/O exiting" */
	set_controls(0, PROC_IO_BITMAPS | PROC_UNCONDITIONAL_IO, 0);
	assert_false(asked(EXIT_IO, QUAL_IO(0x60, 1)));
	set_controls(0, PROC_UNCONDITIONAL_IO, 0);
	assert_true(asked(EXIT_IO, QUAL_IO(0x60, 1)));
	set_controls(0, 0, 0);
	assert_false(asked(EXIT_IO, QUAL_IO(0xffff, 4)));
	/* absent memory reads as ones */
	set_controls(0, PROC_IO_BITMAPS, 0);
	v12()->io_bitmap_b = M_WINDOW;
	assert_false(asked(EXIT_IO, QUAL_IO(0x7fff, 1)));
	assert_true(asked(EXIT_IO, QUAL_IO(0x7fff, 2)));
}

/* Of the components in EDX:EAX; at IA32_XSS the processor has looked. */
static void xsaves_by_bitmap(void **state UNUSED)
{
	u64 *gpr = machine_vcpu->gpr;

	l1_run_l2();
	for (u32 reason = EXIT_XSAVES; reason <= EXIT_XRSTORS; reason++) {
		set_controls(0, 0, PROC2_XSAVES);
		v12()->xss_exit_bitmap = BIT(8) | BIT(40);
		gpr[GPR_RAX] = ~0ull;
		gpr[GPR_RDX] = 0;
		assert_true(asked(reason, 0));
		gpr[GPR_RAX] = ~BIT(8);
		assert_false(asked(reason, 0));
		gpr[GPR_RDX] = BIT(8) | BIT(40);
		assert_true(asked(reason, 0));
		gpr[GPR_RDX] = BIT(40);
		assert_false(asked(reason, 0));
		v12()->xss_exit_bitmap = 0;
		gpr[GPR_RAX] = gpr[GPR_RDX] = ~0ull;
		assert_false(asked(reason, 0));
		v12()->xss_exit_bitmap = ~0ull;
		assert_true(asked(reason, 0));
		set_controls(0, 0, 0);
		assert_false(asked(reason, 0));
	}
}

/* L1's bitmap is the one that the processor compares with IA32_XSS: L0 has no wish of its own. */
static void the_xss_bitmap_reaches_vmcs02(void **state UNUSED)
{
	u64 value;

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	assert_int_equal(l1_vmread(VMCS_proc2_controls, &value), 0);
	assert_int_equal(l1_vmwrite(VMCS_proc2_controls, value | PROC2_XSAVES), 0);
	assert_int_equal(l1_vmread(VMCS_proc_controls, &value), 0);
	assert_int_equal(l1_vmwrite(VMCS_proc_controls, value | PROC_SECONDARY), 0);
	assert_int_equal(l1_vmwrite(VMCS_xss_exit_bitmap, BIT(8) | BIT(40)), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_xss_exit_bitmap), BIT(8) | BIT(40));
	EXIT_NOW(.reason = EXIT_XSAVES, .length = 4);
	assert_false(machine_in_l2());
	assert_int_equal(l1_vmread(VMCS_exit_reason, &value), 0);
	assert_int_equal(value, EXIT_XSAVES);
}

/* Whose a violation is, EPT12 says (ept02_violation()), not a control. */
static void no_control_asks_for_ept_violations(void **state UNUSED)
{
	l1_run_l2();
	assert_false(asked(EXIT_EPT_VIOLATION, EPTV_READ));
	assert_false(asked(EXIT_EPT_MISCONFIG, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(each_control, ""),
		MACHINE_TEST(every_port_of_an_access, ""),
		MACHINE_TEST(xsaves_by_bitmap, ""),
		MACHINE_TEST(no_control_asks_for_ept_violations, ""),
		MACHINE_TEST_BOTH(the_xss_bitmap_reaches_vmcs02),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
