/* SPDX-License-Identifier: MIT */
/*
 * The walk of EPT12 where another CPU of L1's comes in between, and as L0 makes it for its own accesses;
 * which ends of a walk become #VE, are logged, or are told. SDM: "Accessed and Dirty Flags for EPT",
 * "Page-Modification Logging", "Virtualization Exceptions".
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/ept_support.h"
#include "vmx/nested/ept/ept.h"

#define P_VE (P_EPT + 0x4000)
#define P_LOG (P_EPT + 0x5000)
#define A EPT_ACCESSED
#define PAGE(n) (BASE + (n)*PAGE_SIZE)

static void run_on_ept(u64 flags, u64 proc2)
{
	ept_make(EPT_RWX | A, EPT_RWX | A | EPT_DIRTY);
	ept_fill_table(P_PT, FRAMES, EPT_RWX | WB);
	W(ve_info_addr, P_VE);
	W(pml_address, P_LOG);
	ept_run(flags, proc2);
}

static void violation(u64 gpa, u64 access)
{
	machine_set_field(VMCS_guest_interruptibility, 0);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = access | TRANSLATED, .guest_physical = gpa);
}

/* ---- another CPU of L1's ---- */

#define HOST_EFLAGS 17 /* REG_EFL of <sys/ucontext.h>, whose other names are Socle's too */

/*
 * It changes ignored bits of an entry whenever L0 is about to write to it: L1's table is read-only on the
 * host, each write faults, finds another value than was read, and is the only one until the next.
 */
static struct {
	u64 at;
	u32 changes, left;
} other;

static void set_writable(bool writable)
{
	void *page = fake_memory + ALIGN_DOWN(other.at, PAGE_SIZE);

	assert_int_equal(mprotect(page, PAGE_SIZE, PROT_READ | (writable ? PROT_WRITE : 0)), 0);
}

static void on_write(int signal UNUSED, siginfo_t *info, void *context)
{
	if ((u8 *)info->si_addr != fake_memory + other.at)
		abort();
	set_writable(true);
	if (!other.left)
		return;
	other.left--;
	other.changes++;
	l1_write64(other.at, l1_read64(other.at) + BIT(52));
	((ucontext_t *)context)->uc_mcontext.gregs[HOST_EFLAGS] |= RFLAGS_TF;
}

static void behind_write(int signal UNUSED, siginfo_t *info UNUSED, void *context)
{
	((ucontext_t *)context)->uc_mcontext.gregs[HOST_EFLAGS] &= ~(greg_t)RFLAGS_TF;
	set_writable(false);
}

/* So many of L0's writes to the entry come too late. */
static void interfere(u64 at, u32 times)
{
	struct sigaction faults = { .sa_sigaction = on_write, .sa_flags = SA_SIGINFO };
	struct sigaction traps = { .sa_sigaction = behind_write, .sa_flags = SA_SIGINFO };

	other.at = at;
	other.changes = 0;
	other.left = times;
	sigaction(SIGSEGV, &faults, NULL);
	sigaction(SIGTRAP, &traps, NULL);
	set_writable(false);
}

#define TRIES 16 /* of one walk */

static void an_entry_that_never_holds_still(void **state UNUSED)
{
	const u64 at = P_PT + 20 * 8;

	run_on_ept(EPTP_AD, 0);
	for (u64 bit = 0; bit <= EPTV_NMI_UNBLOCKING; bit += EPTV_NMI_UNBLOCKING) {
		l1_write64(at, FRAMES | EPT_RWX | WB);
		interfere(at, 1000);
		violation(PAGE(20), EPTV_WRITE | bit);
		assert_int_equal(other.changes, TRIES);
		set_writable(true);
		/* L2 does it again, as if nothing had been: not L1's exit, and nothing is made of it */
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_guest_interruptibility), bit ? INTERRUPTIBILITY_NMI : 0);
		assert_int_equal(ept02_allowed(PAGE(20)), 0);
		assert_int_equal(l1_read64(at), FRAMES | EPT_RWX | WB | BIT(52) * TRIES);
	}
	/* one that holds still in time */
	interfere(at, TRIES - 1);
	violation(PAGE(20), EPTV_WRITE);
	set_writable(true);
	assert_true(machine_in_l2());
	assert_int_equal(ept02_allowed(PAGE(20)), EPT_RWX);
	assert_int_equal(l1_read64(at) & (A | EPT_DIRTY), A | EPT_DIRTY);
}

/* The same for an access that L0 makes: it has the translation, and goes on without the flags. */
static void nor_for_l0s_own_access(void **state UNUSED)
{
	const u64 at = P_PT + 20 * 8;
	gpa_t gpa = GPA(0);

	run_on_ept(EPTP_AD, 0);
	machine_exit_in_hand(EXIT_CR_ACCESS, 0);
	interfere(at, 1000);
	assert_int_equal(nested_translate(machine_vcpu, L2GPA(PAGE(20) + 8), EPTV_WRITE | TRANSLATED, &gpa),
			 OUTCOME_NONE);
	set_writable(true);
	assert_int_equal(other.changes, TRIES);
	assert_int_equal(gpa.v, FRAMES + 20 * PAGE_SIZE + 8);
}

/* ---- #VE ---- */

/* A misconfiguration is an exit, whatever bit 63 says; and nobody waits for its repair. */
static void a_misconfiguration_is_no_ve(void **state UNUSED)
{
	u64 fills;

	run_on_ept(0, PROC2_VE);
	l1_write64(P_PT + 20 * 8, FRAMES | EPT_WRITE | WB);
	violation(PAGE(20), EPTV_WRITE);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EPT_MISCONFIG);
	assert_int_equal(l1_read64(P_VE), 0);
	l1_write64(P_PT + 20 * 8, FRAMES | EPT_RWX | WB);
	fills = machine_vcpu->nested.counters.ept02_fills;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_vcpu->nested.counters.ept02_fills, fills);
	/* nor is a full log one */
	EXIT_NOW(.reason = EXIT_CPUID);
	W(ept_pointer, R(ept_pointer) | EPTP_AD);
	W(proc2_controls, R(proc2_controls) | PROC2_PML);
	W(guest_pml_index, 512);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	violation(PAGE(21), EPTV_WRITE);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_PML_FULL);
	assert_int_equal(l1_read64(P_VE), 0);
}

/* An instruction that writes to absent memory first, and meets #VE then: the step is over with the exception.
 */
static void a_step_ends_with_ve(void **state UNUSED)
{
	run_on_ept(0, PROC2_VE);
	l1_write64(P_PT + 8 * 8, (M_WINDOW + 0x3000) | EPT_RWX | WB);
	l1_write64(P_PT + 20 * 8, 0);
	violation(PAGE(8), EPTV_WRITE);
	assert_int_equal(nested_resources(machine_vcpu).steps, 1);
	violation(PAGE(20), EPTV_WRITE);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_VE);
	assert_int_equal(nested_resources(machine_vcpu).steps, 0);
	assert_false(machine_field(VMCS_proc_controls) & PROC_MTF);
	assert_int_equal(ept02_allowed(PAGE(8)), 0);
}

/* ---- the log ---- */

/* L1 finds the index where the log has come to, by a shadowed VMREAD too; and a full log is no fault of its
 * tables'. */
static void the_index_that_l1_reads(void **state UNUSED)
{
	size_t said;

	run_on_ept(EPTP_AD, PROC2_PML);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_pml_index, 1);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	for (unsigned int n = 0; n < 2; n++) {
		violation(PAGE(20 + 10 * n), EPTV_WRITE);
		assert_true(machine_in_l2());
		assert_int_equal(l1_read64(P_LOG + (1 - n) * 8), PAGE(20 + 10 * n));
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(R(guest_pml_index), n ? 0xffff : 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	}
	said = strlen(fake_log());
	violation(PAGE(40), EPTV_WRITE);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_PML_FULL);
	assert_string_equal(fake_log() + said, "");
}

/* ---- L0's own accesses ---- */

/* Who only looks finds what the tables say, without EPT12 the address itself, beyond the tables nothing. */
static void who_only_looks(void **state UNUSED)
{
	gpa_t gpa = GPA(0);

	l1_run_l2();
	assert_true(nested_look(machine_vcpu, L2GPA(PAGE(20) + 8), &gpa));
	assert_int_equal(gpa.v, PAGE(20) + 8);
	EXIT_NOW(.reason = EXIT_TRIPLE_FAULT);
	assert_int_equal(l1_vmxoff(), 0);
	run_on_ept(EPTP_AD, 0);
	assert_true(nested_look(machine_vcpu, L2GPA(PAGE(20) + 8), &gpa));
	assert_int_equal(gpa.v, FRAMES + 20 * PAGE_SIZE + 8);
	assert_int_equal(l1_read64(P_PT + 20 * 8) & A, 0);
	assert_false(nested_look(machine_vcpu, L2GPA(BIT(48) + PAGE(20)), &gpa));
	l1_write64(P_PT + 20 * 8, 0);
	assert_false(nested_look(machine_vcpu, L2GPA(PAGE(20)), &gpa));
}

/* L0 meets the violation while it emulates: L1 has the exit, and is told why like of L2's own. */
static void a_violation_of_l0s_is_told(void **state UNUSED)
{
	gpa_t gpa;

	run_on_ept(0, 0);
	l1_write64(P_PT + 20 * 8, 0);
	machine_exit_in_hand(EXIT_CR_ACCESS, 0);
	assert_int_equal(nested_translate(machine_vcpu, L2GPA(PAGE(20)), EPTV_READ | TRANSLATED, &gpa),
			 OUTCOME_REFLECT);
	assert_int_equal(machine_vcpu->outcome.record.reason, EXIT_EPT_VIOLATION);
	assert_non_null(strstr(fake_log(), "the last entry is present"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(an_entry_that_never_holds_still, ""),
		MACHINE_TEST(nor_for_l0s_own_access, ""),
		MACHINE_TEST(a_misconfiguration_is_no_ve, ""),
		MACHINE_TEST(a_step_ends_with_ve, ""),
		MACHINE_TEST(the_index_that_l1_reads, "explain=all shadow-vmcs=on"),
		MACHINE_TEST(the_index_that_l1_reads, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(who_only_looks, ""),
		MACHINE_TEST(a_violation_of_l0s_is_told, "explain=all"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
