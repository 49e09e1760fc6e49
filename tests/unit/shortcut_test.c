/* SPDX-License-Identifier: MIT */
/*
 * What an entry and an exit leave out because it is there already, where it
 * must not be left out: the second and third entry of a VMCS after one change,
 * what L0 itself writes for L1, rows of the shadow VMCS that begin to count.
 * merge_model_test.c has the general case. SDM: "VM Entries", "VMCS Shadowing".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/exit.h"
#include "vmx/l1/vm.h"
#include "vmx/guest/vcpu.h"
#include "vmx/l1/exit_msr.h"
#include "vmx/nested/ept/vpid.h"

/* Two entries and exits in which nothing changes: from now on they are short.
 */
static void settle(void)
{
	for (unsigned int n = 0; n < 2; n++) {
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_false(machine_in_l2());
	}
}

static void start(void)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	settle();
}

/* One field of L1's makes the next entry fail as a first entry would; put back,
 * L2 goes on. */
static void refuse(u32 field, u64 value, int error)
{
	u64 good;

	assert_int_equal(l1_vmread(field, &good), 0);
	assert_int_equal(l1_vmwrite(field, value), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), error);
	assert_false(machine_in_l2());
	if (!error)
		assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	assert_int_equal(l1_vmwrite(field, good), 0);
	settle();
}

static void short_entries_are_checked(void **state UNUSED)
{
	start();
	refuse(VMCS_guest_rip, BIT(60), 0);
	refuse(VMCS_guest_cr3, ~0ull, 0);
	refuse(VMCS_guest_rflags, 0, 0);
	refuse(VMCS_guest_rflags, RFLAGS_FIXED1 | BIT(3), 0);
	refuse(VMCS_guest_interruptibility, BIT(5), 0);
	refuse(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS, 0);
	refuse(VMCS_entry_intr_info, INTR_INFO_VALID | 1 << INTR_INFO_TYPE_SHIFT, VMXERR_ENTRY_CONTROLS);
	refuse(VMCS_guest_activity_state, 7, 0);
	refuse(VMCS_guest_cr4, 0, 0);
	refuse(VMCS_pin_controls, 0, VMXERR_ENTRY_CONTROLS);
	refuse(VMCS_host_cr3, ~0ull, VMXERR_ENTRY_HOST_STATE);
	/* The threshold stays, and what it is compared with changes. */
	W(proc_controls, R(proc_controls) | PROC_TPR_SHADOW);
	W(virtual_apic_addr, M_SPARE + 0x20000);
	W(tpr_threshold, 3);
	fake_memory[M_SPARE + 0x20000 + 0x80] = 0x40;
	settle();
	refuse(VMCS_guest_rip, BIT(60), 0);
	fake_memory[M_SPARE + 0x20000 + 0x80] = 0x20;
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_ENTRY_CONTROLS);
}

/* How wide RIP may be is a matter of the mode, which L1 has not touched since.
 */
static void short_entries_check_rip_by_mode(void **state UNUSED)
{
	static const struct {
		u64 ia32e, cs_ar;
	} modes[] = {
		{ ENTRY_IA32E_GUEST, 0xa09b },
		{ ENTRY_IA32E_GUEST, 0xc09b },
		{ 0, 0xc09b },
		{ 0, 0xa09b }, /* L is no bit of this mode's */
	};
	u64 entry;

	start();
	entry = R(entry_controls) & ~(u64)ENTRY_IA32E_GUEST;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		bool wide = modes[i].ia32e && (modes[i].cs_ar & AR_L);

		W(entry_controls, entry | modes[i].ia32e);
		W(guest_efer, modes[i].ia32e ? EFER_LMA | EFER_LME : 0);
		W(guest_cr4, modes[i].ia32e ? CR4_PAE | CR4_VMXE : CR4_VMXE);
		W(guest_cs_ar, modes[i].cs_ar);
		W(guest_rip, 0x400000);
		settle();
		refuse(VMCS_guest_rip, wide ? BIT(60) : BIT(33), 0);
		W(guest_rip, wide ? BIT(33) : BIT(31));
		settle();
	}
}

enum { PDPTES = M_SPARE + 0x50000 };

/* L2 without EPT has 32-bit code, and PAE or 32-bit paging. */
static void leave_long_mode(u64 cr4)
{
	W(entry_controls, (R(entry_controls) & ~(u64)ENTRY_IA32E_GUEST) | ENTRY_LOAD_EFER);
	W(guest_efer, 0);
	W(guest_cs_ar, 0xc09b);
	W(guest_cr4, cr4);
	W(guest_cr3, PDPTES);
	settle();
	settle();
}

/* What L1 names in memory is looked at in each entry: no entry is short that
 * depends on it. */
static void memory_is_looked_at_again(void **state UNUSED)
{
	enum { LINK = M_SPARE + 0x40000 };

	start();
	l1_write32(LINK, VMCS12_REVISION);
	W(vmcs_link_pointer, LINK);
	settle();
	settle();
	l1_write32(LINK, VMCS12_REVISION + 1);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	W(vmcs_link_pointer, ~0ull);
	/* PAE paging without EPT */
	leave_long_mode(CR4_PAE | CR4_VMXE);
	l1_write64(PDPTES, 0x9001);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x9001);
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write64(PDPTES, 0x9007);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
}

/* L2 brings itself to PAE paging, without EPT and without an exit: from then on each entry reads PDPTEs. */
static void l2_turns_pae_on(void **state UNUSED)
{
	start();
	leave_long_mode(CR4_VMXE);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_set_field(VMCS_guest_cr4, CR4_VMXE | CR4_PAE);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(guest_cr4), CR4_VMXE | CR4_PAE);
	l1_write64(PDPTES, 0x9001);
	W(guest_rip, R(guest_rip) + 2);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x9001);
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write64(PDPTES, 0x9007);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	assert_int_equal(R(exit_qualification), ENTRY_FAIL_PDPTE);
}

/* Rows that each entry looks at, while their controls stand. */
static void threshold_and_interrupt_status_follow(void **state UNUSED)
{
	start();
	W(proc_controls, R(proc_controls) | PROC_TPR_SHADOW);
	W(virtual_apic_addr, M_SPARE + 0x20000);
	fake_memory[M_SPARE + 0x20000 + 0x80] = 0x70;
	for (u64 n = 1; n < 6; n++) {
		W(tpr_threshold, n);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_tpr_threshold), n);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
	W(proc2_controls, PROC2_VIRTUAL_INTERRUPT);
	W(pin_controls, R(pin_controls) | PIN_EXTERNAL_INTERRUPT);
	W(exit_controls, R(exit_controls) | EXIT_ACK_INTERRUPT);
	W(tpr_threshold, 0);
	for (u64 n = 0x31; n < 0x36; n++) {
		W(guest_intr_status, n);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_guest_intr_status), n);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

/* L1 changes the VPID, or does without: from that entry on, and back. */
static void vpids_follow(void **state UNUSED)
{
	u64 five, flushes;

	start();
	W(vpid, 5);
	W(proc2_controls, PROC2_VPID);
	settle();
	settle();
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	five = machine_field(VMCS_vpid);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(vpid, 6);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_not_equal(machine_field(VMCS_vpid), five);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(vpid, 5);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_vpid), five);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc2_controls, 0);
	for (unsigned int n = 0; n < 3; n++) {
		flushes = machine_vcpu->nested.counters.vpid_flushes;
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_not_equal(machine_field(VMCS_vpid), five);
		assert_true(machine_vcpu->nested.counters.vpid_flushes > flushes);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

/* L0 intercepts L2's writes of CR0 and CR4: they read back as written, but for
 * the bits that L1 has taken. */
static void l2_reads_what_it_wrote(void **state UNUSED)
{
	u64 cr0, cr4 = CR4_PAE | CR4_MCE | CR4_PGE;

	start();
	W(cr4_guest_host_mask, CR4_VMXE | CR4_MCE);
	W(cr4_read_shadow, CR4_MCE | CR4_DE);
	W(cr0_guest_host_mask, CR0_NE);
	W(cr0_read_shadow, CR0_NE | CR0_AM);
	cr0 = (R(guest_cr0) & ~(u64)CR0_AM) | CR0_CD | CR0_TS;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_vcpu->gpr[GPR_RAX] = cr4;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RAX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_cr4_read_shadow), cr4);
	assert_int_equal(machine_field(VMCS_guest_cr4) & (CR4_VMXE | CR4_PGE), CR4_VMXE | CR4_PGE);
	machine_vcpu->gpr[GPR_RAX] = cr0;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(0, GPR_RAX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_cr0_read_shadow), cr0);
	assert_int_equal(machine_field(VMCS_guest_cr0) & (CR0_TS | CR0_NE), CR0_TS | CR0_NE);
	assert_int_equal(read_cr0() & CR0_CD, CR0_CD);
}

/* Each row that a short entry writes, alone. */
static void short_entries_write_what_changed(void **state UNUSED)
{
	static const struct {
		u32 field;
		u64 value;
	} rows[] = {
		{ VMCS_guest_rip, 0x123456 },	  { VMCS_guest_rsp, 0x7ff8 },
		{ VMCS_guest_rflags, 0x246 },	  { VMCS_guest_interruptibility, INTERRUPTIBILITY_STI },
		{ VMCS_guest_cr3, 0x5000 },	  { VMCS_guest_cr4, 0 },
		{ VMCS_guest_es_selector, 0x48 }, { VMCS_guest_pending_debug, PENDING_DEBUG_ENABLED_BP },
		{ VMCS_guest_sysenter_cs, 77 },
	};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 value = rows[i].value, found;

		if (rows[i].field == VMCS_guest_cr4)
			value = R(guest_cr4) ^ CR4_PGE;
		assert_int_equal(l1_vmwrite(rows[i].field, value), 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(rows[i].field), value);
		/* No instruction's own exit, which clears what is pending. */
		EXIT_NOW(.reason = EXIT_TRIPLE_FAULT);
		assert_int_equal(l1_vmread(rows[i].field, &found), 0);
		assert_int_equal(found, value);
	}
}

/* Bits that a mask begins to hide read as L1's shadow has them. */
static void masks_bring_their_shadows(void **state UNUSED)
{
	start();
	W(cr0_read_shadow, 0);
	W(cr4_read_shadow, 0);
	settle();
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_set_field(VMCS_guest_cr0, machine_field(VMCS_guest_cr0) | CR0_TS);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(cr0_guest_host_mask, CR0_TS);
	W(cr4_guest_host_mask, CR4_PAE);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_cr0_read_shadow) & CR0_TS, 0);
	assert_int_equal(machine_field(VMCS_cr4_read_shadow) & CR4_PAE, 0);
}

/* What a failed entry would have loaded is loaded by the next one. */
static void state_is_written_again_after_a_failure(void **state UNUSED)
{
	start();
	machine_set_field(VMCS_guest_rip, 0x111000);
	W(guest_rsp, 0x4440);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE);
	assert_int_equal(R(guest_rsp), 0x4440);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_rsp), 0x4440);
}

/* Without the control that saves it, the preemption timer starts again with
 * L1's value; so do the debug controls. */
static void what_is_not_saved_is_loaded_anew(void **state UNUSED)
{
	start();
	W(pin_controls, R(pin_controls) | PIN_PREEMPTION_TIMER);
	W(exit_controls, R(exit_controls) & ~(u64)(EXIT_SAVE_PREEMPTION_TIMER | EXIT_SAVE_DEBUG |
						   EXIT_SAVE_PAT | EXIT_SAVE_EFER));
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT);
	W(preemption_timer_value, 1000);
	W(guest_dr7, 0x401);
	W(guest_pat, 0x0007040600070406);
	settle();
	for (unsigned int n = 0; n < 4; n++) {
		if (n >= 2) /* the long way, which merges other registers anew */
			W(guest_pending_debug, n == 2 ? 0x1000 : 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_preemption_timer_value), 1000);
		assert_int_equal(machine_field(VMCS_guest_dr7), 0x401);
		assert_int_equal(machine_field(VMCS_guest_pat), 0x0007040600070406);
		assert_int_equal(machine_field(VMCS_guest_efer), EFER_LMA | EFER_LME);
		machine_set_field(VMCS_guest_efer, EFER_LMA | EFER_LME | EFER_NXE);
		machine_set_field(VMCS_preemption_timer_value, 5);
		machine_set_field(VMCS_guest_dr7, 0x400);
		machine_set_field(VMCS_guest_pat, 0x0606060606060606);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

/* Without "load IA32_EFER", as KVM has it where L2's is L1's own, each entry
 * takes L1's along, whatever L2 has made of it since. */
static void efer_of_l1_goes_along(void **state UNUSED)
{
	const u64 mode = EFER_LMA | EFER_LME;

	start();
	W(entry_controls, R(entry_controls) & ~(u64)ENTRY_LOAD_EFER);
	settle();
	for (unsigned int n = 0; n < 6; n++) {
		machine_set_field(VMCS_guest_efer, mode | (n & 1 ? EFER_NXE : EFER_SCE));
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_guest_efer), mode | (n & 1 ? EFER_NXE : EFER_SCE));
		if (n & 2)
			machine_set_field(VMCS_guest_efer, mode | EFER_NXE | EFER_SCE);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(machine_field(VMCS_guest_efer), R(host_efer));
	}
}

/* MSRs of L1's host state that vmcs01 holds from the last exit: what L1 writes
 * of them counts at the next. */
static void host_msrs_that_l1_changes(void **state UNUSED)
{
	static const struct {
		u32 field, msr_field;
	} rows[] = {
		{ VMCS_host_sysenter_cs, VMCS_guest_sysenter_cs },
		{ VMCS_host_sysenter_esp, VMCS_guest_sysenter_esp },
		{ VMCS_host_sysenter_eip, VMCS_guest_sysenter_eip },
	};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(l1_vmwrite(rows[i].field, 0x77 + i), 0);
		settle();
		assert_int_equal(machine_field(rows[i].msr_field), 0x77 + i);
	}
	/* by the control alone: the field was there before */
	W(host_pat, 0x0606060606060606);
	settle();
	assert_int_not_equal(machine_field(VMCS_guest_pat), 0x0606060606060606);
	W(exit_controls, R(exit_controls) | EXIT_LOAD_PAT);
	settle();
	assert_int_equal(machine_field(VMCS_guest_pat), 0x0606060606060606);
}

/* Rows that no entry looked at while their control was off: what L1 wrote there
 * meanwhile. */
static void rows_that_count_from_now_on(void **state UNUSED)
{
	start();
	W(preemption_timer_value, 777);
	W(tpr_threshold, 2);
	settle();
	W(pin_controls, R(pin_controls) | PIN_PREEMPTION_TIMER);
	W(proc_controls, R(proc_controls) | PROC_TPR_SHADOW);
	W(virtual_apic_addr, M_SPARE + 0x20000);
	fake_memory[M_SPARE + 0x20000 + 0x80] = 0x40;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_preemption_timer_value), 777);
	assert_int_equal(machine_field(VMCS_tpr_threshold), 2);
	EXIT_NOW(.reason = EXIT_CPUID);
	/* The secondary controls that ask for it, by the bit that activates them. */
	W(proc_controls, R(proc_controls) & ~(u64)PROC_SECONDARY);
	W(proc2_controls, PROC2_VIRTUAL_INTERRUPT);
	W(pin_controls, R(pin_controls) | PIN_EXTERNAL_INTERRUPT);
	W(exit_controls, R(exit_controls) | EXIT_ACK_INTERRUPT);
	W(tpr_threshold, 0);
	settle();
	W(guest_intr_status, 0x33);
	W(proc_controls, R(proc_controls) | PROC_SECONDARY);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_intr_status), 0x33);
	EXIT_NOW(.reason = EXIT_CPUID);
	/* An event's error code and length, which count only with it. */
	W(entry_exception_error_code, 0x123);
	settle();
	W(entry_intr_info, INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_TYPE_HARD_EXCEPTION << 8 | VEC_GP);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_entry_exception_error_code), 0x123);
}

/* L2 turns to another mode, or its EFER changes, between two entries: vmcs02
 * follows what L1 then writes. */
static void what_l2_changed_is_known(void **state UNUSED)
{
	start();
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_set_field(VMCS_guest_efer, EFER_LMA | EFER_LME | EFER_NXE | EFER_SCE);
	machine_set_field(VMCS_guest_rsp, 0x9998);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_rip, R(guest_rip) + 2);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_rsp), 0x9998);
	assert_int_equal(machine_field(VMCS_guest_efer), l2_v12()->guest_efer);
}

/* A VPID that L1 has invalidated is flushed before the next entry, though
 * nothing else has changed. */
static void vpids_are_flushed_when_l1_says_so(void **state UNUSED)
{
	u64 before;

	start();
	W(vpid, 7);
	W(proc_controls, R(proc_controls) | PROC_SECONDARY);
	W(proc2_controls, R(proc2_controls) | PROC2_VPID);
	settle();
	before = machine_vcpu->nested.counters.vpid_flushes;
	settle();
	assert_int_equal(machine_vcpu->nested.counters.vpid_flushes, before);
	vpid02_invvpid(machine_vcpu, INVVPID_ALL, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_vcpu->nested.counters.vpid_flushes, before + 1);
}

static void exit_loads(u64 eip)
{
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_field01(VMCS_guest_sysenter_eip), eip);
}

/* MSRs of L1's that an exit loads: left out only while nothing can have changed
 * them. */
static void host_msrs_are_loaded_where_they_are_new(void **state UNUSED)
{
	start();
	W(host_sysenter_eip, 0x1000);
	exit_loads(0x1000);
	/* L1's WRMSR; */
	assert_true(msr_write(machine_vcpu, MSR_IA32_SYSENTER_EIP, 0x2000));
	assert_int_equal(machine_field01(VMCS_guest_sysenter_eip), 0x2000);
	exit_loads(0x1000);
	/* its VMWRITE; */
	W(host_sysenter_eip, 0x3000);
	exit_loads(0x3000);
	/* another VMCS, in another slot and in the same one. */
	l1_load_vmcs(1);
	l1_write_valid_vmcs();
	W(host_sysenter_eip, 0x4000);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	exit_loads(0x3000);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(1)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_field01(VMCS_guest_sysenter_eip), 0x3000);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_field01(VMCS_guest_sysenter_eip), 0x4000);
}

/* L1's own VMWRITE that exits: L1 reads it back by VMCS shadowing. */
static void what_l0_writes_is_pushed(void **state UNUSED)
{
	start();
	W(guest_cr0, R(guest_cr0) ^ CR0_TS);
	assert_int_equal(R(guest_cr0), l2_v12()->guest_cr0);
}

/* What L0 does not read again it knows, for WRMSR of it exits: of L1, and of L2 whatever L1's bitmap says. */
static void known_msrs_exit(void **state UNUSED)
{
	static const u32 known[] = { MSR_IA32_PAT, MSR_IA32_DEBUGCTL, MSR_IA32_SYSENTER_CS,
				     MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP };
	const u8 *writes = (const u8 *)machine_vcpu->vm->msr_bitmap01 + 0x800;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		assert_true(writes[known[i] / 8] & BIT(known[i] % 8));
}

/* L1's CPUID at `rip`, with these flags and this blocking. */
static void skip_at(u64 rip, u64 rflags, u64 interruptibility)
{
	machine_set_field(VMCS_guest_rip, rip);
	machine_set_field(VMCS_guest_rflags, rflags);
	machine_set_field(VMCS_guest_interruptibility, interruptibility);
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
}

static void skips_have_their_consequences(void **state UNUSED)
{
	skip_at(0x1000, RFLAGS_FIXED1, 0);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x1002);
	assert_int_equal(machine_field(VMCS_guest_pending_debug), 0);
	skip_at(0x1000, RFLAGS_FIXED1 | RFLAGS_TF, 0);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x1002);
	assert_int_equal(machine_field(VMCS_guest_pending_debug), PENDING_DEBUG_BS);
	skip_at(0x1000, RFLAGS_FIXED1 | RFLAGS_RF, 0);
	assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1);
	skip_at(0x1000, RFLAGS_FIXED1, INTERRUPTIBILITY_STI | INTERRUPTIBILITY_NMI);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_NMI);
	skip_at(0x1000, RFLAGS_FIXED1, INTERRUPTIBILITY_MOV_SS);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	/* Outside 64-bit mode RIP has 32 bits. */
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	skip_at(0xffffffff, RFLAGS_FIXED1, 0);
	assert_int_equal(machine_field(VMCS_guest_rip), 1);
	machine_set_field(VMCS_guest_cs_ar, 0xa09b);
	skip_at(0xffffffff, RFLAGS_FIXED1, 0);
	assert_true(machine_field(VMCS_guest_rip) == 0x100000001);
}

/* A field that L1 writes without an exit, read by an instruction that exits all the same. */
static void fields_are_fetched_for_long_accesses(void **state UNUSED)
{
	start();
	W(guest_rsp, 0x1234);
	machine_vcpu->gpr[GPR_RDX] = VMCS_guest_rsp;
	EXIT_NOW(.reason = EXIT_VMREAD, .info = BIT(10) | GPR_RBX << 3 | (u32)GPR_RDX << 28);
	assert_int_equal(machine_vcpu->gpr[GPR_RBX], 0x1234);
}

/* An interrupt that L1 injects where RFLAGS.IF or a blocking forbids it, in entries that are short otherwise.
 */
static void short_interrupts_are_checked(void **state UNUSED)
{
	const u64 event = INTR_INFO_VALID | 0x40;

	start();
	W(entry_intr_info, event);
	for (unsigned int n = 0; n < 2; n++) {
		W(guest_rflags, n ? RFLAGS_FIXED1 | RFLAGS_IF : RFLAGS_FIXED1);
		W(guest_interruptibility, n ? INTERRUPTIBILITY_STI : 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
		assert_false(machine_in_l2());
		W(guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
		W(guest_interruptibility, 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_entry_intr_info), event);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(R(entry_intr_info), 0x40);
		settle();
		W(entry_intr_info, event);
	}
}

/* SDM "Loading Host Control Registers": CR0.CD and NW "are not modified"; host state is worked out in
 * advance. */
static void cache_bits_of_the_host_are_the_registers(void **state UNUSED)
{
	const u64 bits = CR0_CD | CR0_NW;

	start();
	for (unsigned int n = 0; n < 3; n++) {
		u64 now = n == 1 ? 0 : bits;

		write_cr0((read_cr0() & ~bits) | now);
		for (unsigned int word = 0; word < 2; word++) {
			/* worked out anew, then as the last entry left it */
			if (!word)
				W(host_cr3, R(host_cr3));
			W(guest_cr0, (R(guest_cr0) & ~bits) | (n == 2 ? 0 : now));
			settle();
			assert_int_equal(machine_field(VMCS_guest_cr0) & bits, now);
			assert_int_equal(machine_vcpu->l1.cr0_shadow & bits, now);
		}
	}
	write_cr0(read_cr0() & ~bits);
}

/* Under TF there is more to do than to move RIP: what was read for the short way is read again, and counted.
 */
static void skips_that_give_up_count_what_they_read(void **state UNUSED)
{
	static const enum reg regs[] = { REG_EXIT_INSTRUCTION_LENGTH, REG_INTERRUPTIBILITY, REG_RFLAGS };
	const u64 *reads = machine_vcpu->counters.registers.reads;

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		u64 before = reads[regs[i]];

		machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
		assert_int_equal(reads[regs[i]] - before, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(short_entries_are_checked),
		MACHINE_TEST_BOTH(short_entries_check_rip_by_mode),
		MACHINE_TEST_BOTH(memory_is_looked_at_again),
		MACHINE_TEST_BOTH(l2_turns_pae_on),
		MACHINE_TEST_BOTH(threshold_and_interrupt_status_follow),
		MACHINE_TEST_BOTH(vpids_follow),
		MACHINE_TEST(l2_reads_what_it_wrote, "intercept=cr"),
		MACHINE_TEST_BOTH(short_entries_write_what_changed),
		MACHINE_TEST_BOTH(masks_bring_their_shadows),
		MACHINE_TEST_BOTH(state_is_written_again_after_a_failure),
		MACHINE_TEST_BOTH(what_is_not_saved_is_loaded_anew),
		MACHINE_TEST_BOTH(efer_of_l1_goes_along),
		MACHINE_TEST_BOTH(host_msrs_that_l1_changes),
		MACHINE_TEST_BOTH(rows_that_count_from_now_on),
		MACHINE_TEST_BOTH(what_l2_changed_is_known),
		MACHINE_TEST_BOTH(vpids_are_flushed_when_l1_says_so),
		MACHINE_TEST_BOTH(host_msrs_are_loaded_where_they_are_new),
		MACHINE_TEST_BOTH(what_l0_writes_is_pushed),
		MACHINE_TEST_BOTH(known_msrs_exit),
		MACHINE_TEST_BOTH(skips_have_their_consequences),
		MACHINE_TEST_BOTH(short_interrupts_are_checked),
		MACHINE_TEST_BOTH(fields_are_fetched_for_long_accesses),
		MACHINE_TEST_BOTH(cache_bits_of_the_host_are_the_registers),
		MACHINE_TEST(skips_that_give_up_count_what_they_read, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
