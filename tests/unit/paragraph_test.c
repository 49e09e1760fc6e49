/* SPDX-License-Identifier: MIT */
/*
 * What explain= says, paragraph by paragraph and word for word: instructions that are refused, entries that
 * fail early and late, MSR lists, VMX aborts, EPT. explain_test.c has when it is said.
 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "kernel/msr.h"
#include "kernel/pace.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/nested/explain/explain.h"

static size_t before;

/* What has been said since the last time. */
static void said(const char *text)
{
	const char *now = fake_log() + before;

	assert_string_equal(now, text);
	before = strlen(fake_log());
}

/* Where L1's next instruction stands. */
static void at(u64 rip)
{
	machine_set_field(VMCS_guest_rip, rip);
}

static void prepare(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	before = strlen(fake_log());
	at(0x200000);
}

static void instructions_that_are_refused(void **state UNUSED)
{
	u64 value;

	before = strlen(fake_log());
	EXIT_NOW(.reason = EXIT_VMXOFF);
	said("cpu 0: VMXOFF at 0x200000 refused: #UD\n"
	     "  rule   L1 is in VMX operation (VMXON on this CPU) (VMX Instruction Reference)\n");
	prepare();
	l1_vmread(0x7ffe, &value);
	said("cpu 0: VMREAD at 0x200000 refused: VM-instruction error 12\n"
	     "  field  encoding 7ffe\n"
	     "  rule   this processor has the field (VMX Instruction Reference)\n"
	     "  vmcs   0x21000\n");
	l1_vmwrite(VMCS_exit_reason, 1);
	said("");
	l1_vmwrite(VMCS_exit_reason + 1, 1);
	said("cpu 0: VMWRITE at 0x200009 refused: VM-instruction error 12\n"
	     "  field  encoding 4403: exit_reason\n"
	     "  rule   this processor has the field (VMX Instruction Reference)\n"
	     "  vmcs   0x21000\n");
	l1_vmwrite(1, 1);
	said("cpu 0: VMWRITE at 0x20000f refused: VM-instruction error 12\n"
	     "  field  encoding 1: vpid\n"
	     "  rule   this processor has the field (VMX Instruction Reference)\n"
	     "  vmcs   0x21000\n");
	at(0x20000f);
	l1_vmread(0x123456789, &value);
	said("cpu 0: VMREAD at 0x20000f refused: VM-instruction error 12\n"
	     "  field  encoding 123456789\n"
	     "  rule   this processor has the field (VMX Instruction Reference)\n"
	     "  vmcs   0x21000\n");
	l1_write32(M_VMCS(1), 77);
	l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1));
	said("cpu 0: VMPTRLD at 0x200015 refused: VM-instruction error 11\n"
	     "  value  4d, where L1's IA32_VMX_BASIC says 534f4301\n"
	     "  rule   the region starts with the revision identifier (IA32_VMX_BASIC bits 30:0) (VMX "
	     "Instruction Reference)\n"
	     "  vmcs   0x21000\n");
	l1_memory_insn(EXIT_VMPTRLD, 0x123);
	said("cpu 0: VMPTRLD at 0x20001b refused: VM-instruction error 9\n"
	     "  value  123\n"
	     "  rule   aligned to 4 KiB and within the width (VMX Instruction Reference)\n"
	     "  vmcs   0x21000\n");
	machine_set_field(VMCS_guest_ss_ar, 0xc0f3);
	EXIT_NOW(.reason = EXIT_VMXOFF);
	said("cpu 0: VMXOFF at 0x200021 refused: #GP(0)\n"
	     "  rule   the privilege level is 0 (VMX Instruction Reference)\n"
	     "  vmcs   0x21000\n");
	machine_set_field(VMCS_guest_ss_ar, 0xc093);
	EXIT_NOW(.reason = EXIT_VMPTRST, .qualification = BIT(47),
		 .info = 2u << 7 | 3u << 15 | 1u << 22 | 1u << 27);
	said("cpu 0: VMPTRST at 0x200021 refused: an exception\n"
	     "  rule   the memory operand can be accessed (VMX Instruction Reference)\n"
	     "  vmcs   0x21000\n");
	l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0));
	assert_int_equal(l1_vmread(VMCS_guest_rip, &value), L1_FAIL_INVALID);
	said("cpu 0: VMREAD at 0x200024 refused: VMfailInvalid (CF is 1)\n"
	     "  rule   there is a current VMCS: VMPTRLD, and no VMCLEAR of it since (VMX Instruction "
	     "Reference)\n");
}

static void entries_that_fail(void **state UNUSED)
{
	prepare();
	W(pin_controls, 0);
	at(0x201000);
	l1_enter(EXIT_VMLAUNCH);
	said("cpu 0: VMLAUNCH at 0x201000 refused: VM-instruction error 7, control fields\n"
	     "  field  pin_controls (4000) = 0: allowed-0 16, allowed-1 ff\n"
	     "  rule   reserved bits are as IA32_VMX_(TRUE_)PINBASED_CTLS says (Checks on VM-Execution "
	     "Control Fields)\n"
	     "  wrong  bits 2:1, 4 must be 1\n"
	     "  vmcs   0x21000\n"
	     "  write  VMWRITE of the field at 0x200000, 1 exits ago\n");
	l1_write_valid_vmcs();
	at(0x202000);
	W(host_cr4, 0);
	l1_enter(EXIT_VMLAUNCH);
	said("cpu 0: VMLAUNCH at 0x202003 refused: VM-instruction error 8, host-state fields\n"
	     "  field  host_cr4 (6c04) = 0: none\n"
	     "  rule   bits that VMX needs are 1 (IA32_VMX_CR4_FIXED0) (Checks on Host Control Registers, "
	     "MSRs, and SSP)\n"
	     "  wrong  bit 13 (VMXE) must be 1\n"
	     "  vmcs   0x21000\n"
	     "  write  VMWRITE of the field at 0x202000, 1 exits ago\n");
	l1_write_valid_vmcs();
	at(0x203000);
	W(guest_ds_ar, 0x0c090 | 2);
	W(guest_ds_limit, 1);
	l1_enter(EXIT_VMLAUNCH);
	said("cpu 0: VMLAUNCH at 0x203006 failed: exit reason 33, qualification 0, guest state\n"
	     "  field  guest_ds_ar (481a) = c092: type 2, DPL 0, S P D/B G\n"
	     "  with   guest_rflags = 2\n"
	     "  rule   the type is accessed (bit 0) (Checks on Guest Segment Registers)\n"
	     "  wrong  bit 0 must be 1\n"
	     "  vmcs   0x21000\n"
	     "  write  VMWRITE of the field at 0x203000, 2 exits ago\n");
	l1_write_valid_vmcs();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_rflags, 0);
	l1_enter(EXIT_VMRESUME);
	said("cpu 0: VMRESUME at 0x300003 failed: exit reason 33, qualification 0, guest state\n"
	     "  field  guest_rflags (6820) = 0: none\n"
	     "  rule   bit 1 is 1 (Checks on Guest RIP, RFLAGS, and SSP)\n"
	     "  wrong  bit 1 must be 1\n"
	     "  vmcs   0x21000\n"
	     "  write  VMWRITE of the field at 0x300000, 1 exits ago\n");
}

/* The field is written by halves, read, and other fields' accesses come between. */
static void the_writer_is_a_vmwrite_of_the_field(void **state UNUSED)
{
	prepare();
	at(0x201000);
	l1_vmwrite(VMCS_vmcs_link_pointer + 1, 0x12345678);
	R(vmcs_link_pointer);
	R(guest_rip);
	W(guest_rip, 0x400000);
	l1_enter(EXIT_VMLAUNCH);
	said("cpu 0: VMLAUNCH at 0x20100c failed: exit reason 33, qualification 4, guest state\n"
	     "  field  vmcs_link_pointer (2800) = 12345678ffffffff\n"
	     "  rule   the link pointer is all ones, or of a page within the width (Checks on Guest "
	     "Non-Register State)\n"
	     "  wrong  bits 11:0, 42:41, 44, 46, 50, 53:52, 57, 60 must be 0\n"
	     "  vmcs   0x21000\n"
	     "  write  VMWRITE of the field at 0x201000, 4 exits ago\n");
}

/* Five other fields decide: they are all named, and no more. */
static void as_many_others_as_there_can_be(void **state UNUSED)
{
	l2_run_pae();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_pdpte0, 3);
	before = strlen(fake_log());
	l1_enter(EXIT_VMRESUME);
	said("cpu 0: VMRESUME at 0x300003 failed: exit reason 33, qualification 2, guest state\n"
	     "  field  guest_pdpte0 (280a) = 3\n"
	     "  with   entry_controls = 91fb, proc_controls = 840061f2, proc2_controls = 82, guest_cr0 = "
	     "80010031, guest_cr4 = 2020\n"
	     "  rule   a present PDPTE has no reserved bit (Checks on Guest Page-Directory-Pointer-Table "
	     "Entries)\n"
	     "  vmcs   0x21000\n"
	     "  write  VMWRITE of the field at 0x300000, 1 exits ago\n");
}

static void entries_that_fail_late(void **state UNUSED)
{
	prepare();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE, .qualification = 3);
	assert_false(machine_in_l2());
	said("cpu 0: VMLAUNCH at 0x200000 failed: exit reason 33, qualification 3\n"
	     "  rule   the processor itself refused the guest state (VM-Entry Failures During or After "
	     "Loading Guest State)\n"
	     "  vmcs   0x21000\n");
	machine_refusal = VMXERR_ENTRY_CONTROLS;
	machine_refusals = 1;
	EXIT_NOW(.reason = EXIT_VMLAUNCH);
	said("cpu 0: VMLAUNCH at 0x300000 refused: VM-instruction error 7\n"
	     "  rule   the processor itself refused the control fields (VM-Entry Failures During or After "
	     "Loading Guest State)\n"
	     "  vmcs   0x21000\n");
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(entry_msr_load_count, 2);
	W(entry_msr_load_addr, P_ENTRY);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_LSTAR, 0, 0);
	l2_put_msr(P_ENTRY, 1, MSR_IA32_FS_BASE, 0, 0x77);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	said("cpu 0: VMRESUME at 0x300006 failed: exit reason 34, qualification 2, VM-entry MSR-load list\n"
	     "  entry  2 of the list, at 0x105010: MSR c0000100, value 77\n"
	     "  rule   an entry is not IA32_FS_BASE or IA32_GS_BASE: the VMCS has fields for them (Loading "
	     "MSRs)\n"
	     "  vmcs   0x21000\n");
	W(entry_msr_load_count, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE, .qualification = 0);
	said("cpu 0: VMRESUME at 0x300003 failed: exit reason 33, qualification 0\n"
	     "  rule   the processor itself refused the guest state (VM-Entry Failures During or After "
	     "Loading Guest State)\n"
	     "  vmcs   0x21000\n");
}

static void abort_by_the_store_list(void **state UNUSED)
{
	l2_prepare_lists(0, 1, 0);
	l2_put_msr(P_STORE, 0, MSR_IA32_SMBASE, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	before = strlen(fake_log());
	EXIT_NOW(.reason = EXIT_CPUID);
	said("cpu 0: VMX abort at an exit of L2: L1's processor is shut down, only INIT or a reset wakes it\n"
	     "  rule   indicator 1: saving MSRs by the VM-exit MSR-store list (VMX Aborts)\n"
	     "  entry  1 of the list, at 0x103000: MSR 9e, value 0\n"
	     "  rule   an entry is no MSR of SMM (Loading MSRs)\n"
	     "  exit   reason 10 (CPUID), of L2 at 0x400000\n"
	     "  vmcs   0x21000\n");
}

static void abort_by_the_load_list(void **state UNUSED)
{
	l2_prepare_lists(0, 0, 1);
	l2_put_msr(P_LOAD, 0, MSR_IA32_FS_BASE, 0, 0x1234);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	before = strlen(fake_log());
	EXIT_NOW(.reason = EXIT_HLT);
	said("cpu 0: VMX abort at an exit of L2: L1's processor is shut down, only INIT or a reset wakes it\n"
	     "  rule   indicator 4: loading MSRs by the VM-exit MSR-load list (VMX Aborts)\n"
	     "  entry  1 of the list, at 0x104000: MSR c0000100, value 1234\n"
	     "  rule   an entry is not IA32_FS_BASE or IA32_GS_BASE: the VMCS has fields for them (Loading "
	     "MSRs)\n"
	     "  exit   reason 12 (HLT), of L2 at 0x400000\n"
	     "  vmcs   0x21000\n");
}

/* Of a list of the last abort's nothing is left to tell. */
static void abort_by_mode(void **state UNUSED)
{
	l1_run_l2();
	l2_v12()->exit_controls &= ~(u64)EXIT_HOST_64;
	before = strlen(fake_log());
	EXIT_NOW(.reason = EXIT_CPUID);
	said("cpu 0: VMX abort at an exit of L2: L1's processor is shut down, only INIT or a reset wakes it\n"
	     "  rule   indicator 6: an IA-32e mode guest has a 64-bit host (VMX Aborts)\n"
	     "  exit   reason 10 (CPUID), of L2 at 0x400000\n"
	     "  vmcs   0x21000\n");
}

static void abort_behind_a_failed_entry(void **state UNUSED)
{
	l2_prepare_lists(0, 0, 1);
	l2_put_msr(P_LOAD, 0, MSR_IA32_FS_BASE, 0, 0x1234);
	W(guest_rflags, 0);
	W(guest_rip, 0x401000);
	before = strlen(fake_log());
	l1_enter(EXIT_VMLAUNCH);
	l2_assert_aborted(VMX_ABORT_LOAD_MSR);
	assert_non_null(
		strstr(fake_log() + before, "  exit   reason 33 (ENTRY_FAIL_GUEST), of L2 at 0x401000\n"));
}

/* One comes though another paragraph has just been written, and is not told again whatever explain= says. */
static void an_abort_is_told_at_once_and_once(void **state UNUSED)
{
	static const char told[] = "VMX abort at an exit of L2";
	const char *found;

	pace_init();
	prepare();
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_VMRESUME_NOT_LAUNCHED);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	l2_v12()->exit_controls &= ~(u64)EXIT_HOST_64;
	EXIT_NOW(.reason = EXIT_CPUID);
	found = strstr(fake_log(), told);
	assert_non_null(found);
	fake_pass_time();
	explain_abort(machine_vcpu, machine_vcpu->nested.current, RULE_abort_mode);
	assert_null(strstr(found + 1, told));
}

static void accesses_that_ept_stops(void **state UNUSED)
{
	l2_run_pae();
	before = strlen(fake_log());
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION,
		 .qualification = EPTV_READ | EPTV_LINEAR_VALID | EPTV_TRANSLATED,
		 .guest_physical = 0x140001000, .guest_linear = 0x5678);
	said("cpu 0: L2 at 0x400000: EPT violation, exit reason 48 to L1, which may want it\n"
	     "  access read of L2's physical 140001000, linear 5678\n"
	     "  walk   EPT pointer 11001e; level 4: 111007; level 3: 0\n"
	     "  rule   the last entry is present: any of bits 2:0 is 1 (EPT-Induced VM Exits)\n"
	     "  vmcs   0x21000\n");
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE | EPTV_LINEAR_VALID,
		 .guest_physical = 0x140002000, .guest_linear = 0x9abc);
	said("cpu 0: L2 at 0x400000: EPT violation, exit reason 48 to L1, which may want it\n"
	     "  access write of L2's physical 140002000, a page table for linear 9abc\n"
	     "  walk   EPT pointer 11001e; level 4: 111007; level 3: 0\n"
	     "  rule   the last entry is present: any of bits 2:0 is 1 (EPT-Induced VM Exits)\n"
	     "  vmcs   0x21000\n");
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_FETCH, .guest_physical = BIT(48));
	said("cpu 0: L2 at 0x400000: EPT violation, exit reason 48 to L1, which may want it\n"
	     "  access fetch of L2's physical 1000000000000\n"
	     "  walk   EPT pointer 11001e\n"
	     "  rule   the address is within what the tables cover (EPT-Induced VM Exits)\n"
	     "  vmcs   0x21000\n");
	l1_write64(P_EPT + 0x1000 + 3 * 8, EPT_WRITE | EPT_LEAF);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION,
		 .qualification = EPTV_READ | EPTV_LINEAR_VALID | EPTV_TRANSLATED,
		 .guest_physical = 0xc0000000);
	said("cpu 0: L2 at 0x400000: EPT misconfiguration, exit reason 49 to L1, which may want it\n"
	     "  access read of L2's physical c0000000, linear 0\n"
	     "  walk   EPT pointer 11001e; level 4: 111007; level 3: 82\n"
	     "  rule   an entry that is writable is readable too (EPT-Induced VM Exits)\n"
	     "  vmcs   0x21000\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(instructions_that_are_refused, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(entries_that_fail, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(the_writer_is_a_vmwrite_of_the_field, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(as_many_others_as_there_can_be, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(entries_that_fail_late, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(abort_by_the_store_list, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(abort_by_the_load_list, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(abort_by_mode, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(abort_behind_a_failed_entry, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(an_abort_is_told_at_once_and_once, "explain=all shadow-vmcs=off"),
		MACHINE_TEST(accesses_that_ept_stops, "explain=all shadow-vmcs=off"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
