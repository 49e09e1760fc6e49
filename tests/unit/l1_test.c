/* SPDX-License-Identifier: MIT */
/*
 * What Socle does for L1 outside nested VMX, where no emulator shows it: descriptors that change under a task
 * switch, MSRs that processors do not have, machine checks, processors with less or with more.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/l1.h"
#include "kernel/msr.h"
#include "kernel/trap.h"
#include "kernel/x86.h"
#include "tests/unit/machine.h"
#include "vmx/guest/event.h"
#include "vmx/l1/vm.h"
#include "vmx/l1/exit_cpu.h"
#include "vmx/l1/l1.h"

#define HARD(vector) (INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | (vector))
#define HARD_CODE(vector) (HARD(vector) | INTR_INFO_ERROR_CODE)

/* ---- task switches ---- */

#define GDT 0x100000u
#define OLD_TSS 0x110000u
#define NEW_TSS 0x120000u
#define NEW_SELECTOR 0x28u
#define JMP_TO(selector) ((u64)(selector) | 2ull << 30)
#define IRET_TO(selector) ((u64)(selector) | 1ull << 30)

static u64 descriptor(u32 base, u32 limit, u32 ar)
{
	return (limit & 0xffff) | (base & 0xffffffull) << 16 | (u64)ar << 40 | (u64)(limit >> 16) << 48 |
	       (u64)(base >> 24) << 56;
}

/* L1 in 32-bit protected mode without paging, with a TSS to switch to. */
static void protected_mode(void)
{
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_set_field(VMCS_guest_cr0, CR0_PE | CR0_NE | CR0_ET);
	machine_set_field(VMCS_guest_efer, 0);
	machine_set_field(VMCS_entry_controls, machine_field(VMCS_entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	machine_set_field(VMCS_guest_gdtr_base, GDT);
	machine_set_field(VMCS_guest_gdtr_limit, 0xff);
	machine_set_field(VMCS_guest_tr_selector, 0x20);
	machine_set_field(VMCS_guest_tr_base, OLD_TSS);
	machine_set_field(VMCS_guest_tr_ar, 0x8b);
	l1_write64(GDT + 0x08, descriptor(0, 0xfffff, 0x9b) | 0xcull << 52);
	l1_write64(GDT + 0x10, descriptor(0, 0xfffff, 0x93) | 0xcull << 52);
	l1_write64(GDT + 0x20, descriptor(OLD_TSS, 0x67, 0x8b));
	l1_write64(GDT + NEW_SELECTOR, descriptor(NEW_TSS, 0x67, 0x89));
	l1_write32(NEW_TSS + 0x20, 0x1234); /* EIP */
	l1_write32(NEW_TSS + 0x24, 2);	    /* EFLAGS */
	for (u32 seg = 0; seg < 6; seg++)   /* ES, CS, SS, DS, FS, GS */
		l1_write32(NEW_TSS + 0x48 + 4 * seg, seg == 1 ? 0x08 : seg == 2 ? 0x10 : 0);
}

static void a_task_is_switched_to(void **state UNUSED)
{
	protected_mode();
	EXIT_NOW(.reason = EXIT_TASK_SWITCH, .qualification = JMP_TO(NEW_SELECTOR));
	assert_int_equal(machine_pending(), 0);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x1234);
	assert_int_equal(machine_field(VMCS_guest_tr_selector), NEW_SELECTOR);
	assert_int_equal(machine_field(VMCS_guest_tr_ar), 0x8b);
	assert_int_equal(l1_read64(GDT + NEW_SELECTOR) >> 40 & 0xff, 0x8b);
	assert_int_equal(l1_read64(GDT + 0x20) >> 40 & 0xff, 0x89);
}

/* What the processor saw before the exit need not be what is there now: never TR of a kind that no entry
 * takes. */
static void a_tss_descriptor_is_checked_again(void **state UNUSED)
{
	static const struct {
		u64 descriptor;
		u64 qualification;
		u32 injected;
	} cases[] = {
		{ 0x0000890000000067ull, JMP_TO(NEW_SELECTOR), 0 },
		{ 0x00008b0000000067ull, JMP_TO(NEW_SELECTOR), HARD_CODE(VEC_GP) }, /* busy */
		{ 0x0000820000000067ull, JMP_TO(NEW_SELECTOR), HARD_CODE(VEC_GP) }, /* an LDT */
		{ 0x00008d0000000067ull, JMP_TO(NEW_SELECTOR), HARD_CODE(VEC_GP) }, /* reserved */
		{ 0x0000990000000067ull, JMP_TO(NEW_SELECTOR), HARD_CODE(VEC_GP) }, /* code */
		{ 0x0000090000000067ull, JMP_TO(NEW_SELECTOR), HARD_CODE(VEC_NP) }, /* absent */
		{ 0x0000890000000066ull, JMP_TO(NEW_SELECTOR), HARD_CODE(VEC_TS) }, /* too short */
		{ 0x000081000000002aull, JMP_TO(NEW_SELECTOR), HARD_CODE(VEC_TS) },
		{ 0x00008b0000000067ull, IRET_TO(NEW_SELECTOR), 0 },
		{ 0x0000890000000067ull, IRET_TO(NEW_SELECTOR), HARD_CODE(VEC_TS) }, /* not busy */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		protected_mode();
		l1_write64(GDT + NEW_SELECTOR, cases[i].descriptor | (u64)NEW_TSS << 16);
		EXIT_NOW(.reason = EXIT_TASK_SWITCH, .qualification = cases[i].qualification);
		if (machine_pending() != cases[i].injected)
			fail_msg("case %zu: %x", i, machine_pending());
		assert_int_equal(machine_field(VMCS_guest_tr_selector),
				 cases[i].injected ? 0x20 : NEW_SELECTOR);
		if (cases[i].injected)
			assert_int_equal(machine_field(VMCS_entry_exception_error_code), NEW_SELECTOR);
	}
}

/* Where there is no memory of L1's, Socle reads ones, whatever the processor read there. */
static void a_tss_descriptor_outside_ram(void **state UNUSED)
{
	protected_mode();
	machine_set_field(VMCS_guest_gdtr_base, M_RAM_END + 0x1000);
	EXIT_NOW(.reason = EXIT_TASK_SWITCH, .qualification = JMP_TO(NEW_SELECTOR));
	assert_int_equal(machine_pending(), HARD_CODE(VEC_GP));
	assert_int_equal(machine_field(VMCS_guest_tr_ar), 0x8b);
}

/* A 64-bit host's SS is unusable, with any limit; a fault before SS is loaded leaves a state that can be
 * entered. */
static void a_task_begins_without_a_stack(void **state UNUSED)
{
	u32 ar;

	protected_mode();
	machine_set_field(VMCS_guest_ss_ar, AR_UNUSABLE);
	machine_set_field(VMCS_guest_ss_limit, 0xffffffff);
	l1_write32(NEW_TSS + 0x60, 0x0c); /* LDT: not in the GDT */
	EXIT_NOW(.reason = EXIT_TASK_SWITCH, .qualification = JMP_TO(NEW_SELECTOR));
	assert_int_equal(machine_pending(), HARD_CODE(VEC_TS));
	ar = (u32)machine_field(VMCS_guest_ss_ar);
	assert_false(ar & AR_UNUSABLE);
	assert_int_equal(machine_field(VMCS_guest_ss_limit), 0xffffffff);
	assert_true(ar & AR_G);
}

/* A switch that faults has met no data breakpoint, whatever it had read by then; one that does not, has. */
static void breakpoints_of_a_task_switch(void **state UNUSED)
{
	for (u32 fault = 0; fault < 2; fault++) {
		protected_mode();
		l1_write32(NEW_TSS + 0x60, fault ? 0x0c : 0);
		l1_write64(GDT + NEW_SELECTOR, 0x0000890000000067ull | (u64)NEW_TSS << 16);
		write_dr0(NEW_TSS + 0x20);
		machine_set_field(VMCS_guest_dr7, DR7_RESET | DR7_G0 | 3u << 16);
		machine_set_field(VMCS_guest_pending_debug, BIT(1) | PENDING_DEBUG_ENABLED_BP);
		EXIT_NOW(.reason = EXIT_TASK_SWITCH, .qualification = JMP_TO(NEW_SELECTOR));
		assert_int_equal(machine_field(VMCS_guest_pending_debug),
				 (fault ? 0 : BIT(0)) | BIT(1) | PENDING_DEBUG_ENABLED_BP);
	}
}

/* ---- RIP behind an emulated instruction ---- */

/* 16-bit code goes on beyond FFFFH, for its segment may; 32 bits are the end outside 64-bit mode. */
static void eip_ends_at_4_gib(void **state UNUSED)
{
	static const struct {
		u32 ar;
		u64 rip, next;
	} cases[] = {
		{ 0x9b, 0xfffe, 0x10000 }, { 0x9b, 0x1fffe, 0x20000 }, { 0xc09b, 0xfffe, 0x10000 },
		{ 0xc09b, 0xfffffffe, 0 }, { 0x9b, 0xffffffff, 1 },    { 0xa09b, 0xfffffffe, 0x100000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		machine_set_field(VMCS_guest_cs_ar, cases[i].ar);
		machine_set_field(VMCS_guest_rip, cases[i].rip);
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
		assert_true(machine_field(VMCS_guest_rip) == cases[i].next);
	}
}

/* ---- double faults ---- */

/* SDM "Checks on VM-Entry Control Fields": no error code is delivered to real mode. */
static void a_double_fault_in_real_mode(void **state UNUSED)
{
	struct event second = { .vector = VEC_GP, .type = INTR_TYPE_HARD_EXCEPTION };

	for (u64 pe = 0; pe <= CR0_PE; pe += CR0_PE) {
		EXIT_NOW(.reason = EXIT_CPUID);
		machine_set_field(VMCS_guest_cr0, CR0_NE | CR0_ET | pe);
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .guest_physical = 1ull << 50,
			 .vectoring_info = HARD(VEC_DE));
		assert_int_equal(machine_pending(), pe ? HARD_CODE(VEC_DF) : HARD(VEC_DF));
	}
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_set_field(VMCS_guest_cr0, CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_WP);
	l1_run_l2();
	vcpu_set_reg(machine_vcpu, REG_CR0, CR0_NE | CR0_ET);
	machine_vcpu->pending = (struct event){ .vector = VEC_DE, .type = INTR_TYPE_HARD_EXCEPTION };
	machine_vcpu->pending_valid = true;
	run_carry_out(machine_vcpu, nested_exception(machine_vcpu, &second, 0));
	assert_int_equal(machine_vcpu->pending.vector, VEC_DF);
	assert_false(machine_vcpu->pending.has_error_code);
}

/* ---- MSRs ---- */

static u32 rdmsr_of(u32 index)
{
	machine_vcpu->gpr[GPR_RCX] = index;
	EXIT_NOW(.reason = EXIT_RDMSR);
	return machine_pending();
}

static u32 wrmsr_of(u32 index, u64 value)
{
	machine_vcpu->gpr[GPR_RCX] = index;
	machine_vcpu->gpr[GPR_RAX] = (u32)value;
	machine_vcpu->gpr[GPR_RDX] = value >> 32;
	EXIT_NOW(.reason = EXIT_WRMSR);
	return machine_pending();
}

/* A hypervisor below has some there, by which it would write into Socle's memory as L1 says. */
static void msrs_of_a_hypervisor(void **state UNUSED)
{
	static const u32 software[] = { 0x11, 0x12, 0x40000000, 0x40000001, 0x4b564d01, 0x4fffffff };
	static const u32 processors[] = { 0x10,	      0x13,	  0x1fff,     0x2000,	 0x2ff0,
					  0x3fffffff, 0x50000000, 0xc0001fff, 0xc0002000 };

	for (size_t i = 0; i < ARRAY_SIZE(software); i++) {
		fake_msr_set(software[i], 1);
		assert_int_equal(rdmsr_of(software[i]), HARD_CODE(VEC_GP));
		assert_int_equal(wrmsr_of(software[i], M_WINDOW | 1), HARD_CODE(VEC_GP));
		assert_int_equal(fake_msr_get(software[i]), 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(processors); i++) {
		fake_msr_set(processors[i], 1);
		assert_int_equal(rdmsr_of(processors[i]), 0);
		assert_int_equal(wrmsr_of(processors[i], 2), 0);
		assert_int_equal(fake_msr_get(processors[i]), 2);
	}
}

static bool intercepted(u32 index, bool write)
{
	u32 bit = (write ? 0x4000u : 0) + (index >= MSR_HIGH_FIRST ? 0x2000u : 0) + (index & 0x1fff);

	return ((const u8 *)vm.msr_bitmap01)[bit / 8] >> (bit % 8) & 1;
}

static const u32 hidden[] = {
	0x11,	0xee,	0x3f4,	0x3f5, 0x560, 0x570, MSR_IA32_DS_AREA, MSR_IA32_TME_ACTIVATE,
	0x17d0, 0x17d1, 0x1903, 0x1983
};

static void processor_with_hidden_msrs(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		fake_msr_set(hidden[i], 1);
}

/* By these the processor would write to memory of L1's choosing, behind EPT's back. */
static void msrs_with_addresses_are_hidden(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		assert_true(intercepted(hidden[i], false) && intercepted(hidden[i], true));
		assert_int_equal(rdmsr_of(hidden[i]), HARD_CODE(VEC_GP));
		assert_int_equal(wrmsr_of(hidden[i], M_WINDOW | 1), HARD_CODE(VEC_GP));
		assert_int_equal(fake_msr_get(hidden[i]), 1);
	}
	/* their neighbours are the processor's */
	assert_false(intercepted(0x3f6, true) || intercepted(0x17cf, true) || intercepted(0x1a00, true));
}

/* What the processor lacks it refuses itself: but for what must never pass. */
static void msrs_that_are_not_there_cost_nothing(void **state UNUSED)
{
	assert_false(intercepted(0x17d0, true) || intercepted(0x1903, false) ||
		     intercepted(MSR_IA32_LBR_CTL, true));
	assert_true(intercepted(0x570, true) && intercepted(MSR_IA32_DS_AREA, true));
}

/* On the first CPU; without them Socle's own, which are clear. */
static void caches_are_as_the_loader_left_them(void **state UNUSED)
{
	struct l1_start start = { .eip = 0x100000, .code_selector = 0x10, .data_selector = 0x18 };

	vcpu_create(&fake_cpu, &vm, &start);
	assert_int_equal(read_cr0() & (CR0_CD | CR0_NW), 0);
	start.cr0 = (u32)(CR0_CD | CR0_NW);
	vcpu_create(&fake_cpu, &vm, &start);
	assert_int_equal(read_cr0() & (CR0_CD | CR0_NW), CR0_CD | CR0_NW);
}

static void processor_of_the_future(void)
{
	fake_cpuid_set(CPUID_LEAF_PERFMON, 0, 0x08300806, 0, 0xf, 0x4);
	fake_msr_set(MSR_IA32_CORE_CAPABILITIES, 0x22);
}

/* CPUID says what L1 finds: no version 6 of the counters without its MSRs, no remote action requests. */
static void new_features_with_other_msrs_are_hidden(void **state UNUSED)
{
	struct cpuid_regs r = cpuid_l1(machine_vcpu, CPUID_LEAF_PERFMON, 0);

	assert_int_equal(r.eax, 0x08300805);
	assert_int_equal(r.ecx, 0xf);
	assert_true(intercepted(MSR_IA32_CORE_CAPABILITIES, false));
	assert_int_equal(rdmsr_of(MSR_IA32_CORE_CAPABILITIES), 0);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], 0x20);
}

static void processor_with_all_bits(void)
{
	fake_cpuid_set(CPUID_LEAF_MAX, 0, 0x24, 0, 0, 0);
	fake_cpuid_set(CPUID_LEAF_EXTENDED_FEATURES, 0, 9, 0, 0, ~0u & ~(u32)CPUID_7_EDX_ARCH_CAPABILITIES);
	fake_cpuid_set(CPUID_LEAF_EXTENDED_FEATURES, 1, ~0u, ~0u, ~0u, ~0u);
	for (u32 leaf = 0x20; leaf <= 0x24; leaf++)
		for (u32 subleaf = 0; subleaf < 3; subleaf++)
			fake_cpuid_set(leaf, subleaf, ~0u, ~0u, ~0u, ~0u);
}

/* Instructions that need nothing of the VMCS are shown; what brings state or MSRs that Socle does not know is
 * not. */
static void newer_leaves_bit_by_bit(void **state UNUSED)
{
	struct cpuid_regs r = cpuid_l1(machine_vcpu, CPUID_LEAF_MAX, 0);

	assert_int_equal(r.eax, 0x24);
	r = cpuid_l1(machine_vcpu, CPUID_LEAF_EXTENDED_FEATURES, 0);
	assert_int_equal(r.eax, 2);
	assert_int_equal(r.edx & (BIT(11) | BIT(13)), BIT(11) | BIT(13));
	assert_int_equal(r.edx & (BIT(1) | BIT(5) | BIT(18) | BIT(19) | BIT(20)), 0);
	r = cpuid_l1(machine_vcpu, CPUID_LEAF_EXTENDED_FEATURES, 1);
	assert_int_equal(r.eax, 0x00a01cbf);
	assert_int_equal(r.ebx, 0x9);
	assert_int_equal(r.ecx, 0);
	assert_int_equal(r.edx, 0x00084530);
	for (u32 leaf = 0x20; leaf <= 0x24; leaf++)
		for (u32 subleaf = 0; subleaf < 3; subleaf++) {
			r = cpuid_l1(machine_vcpu, leaf, subleaf);
			assert_int_equal(r.ebx, leaf == 0x24 && !subleaf ? ~0u : 0);
			assert_int_equal(r.eax | r.ecx | r.edx, 0);
		}
	/* beyond the last one: as that */
	r = cpuid_l1(machine_vcpu, 0x25, 0);
	assert_int_equal(r.ebx, ~0u);
}

/* exit_cpuid() has a short way for leaves that are not filtered. */
static void short_cpuid_answers_are_filtered_ones(void **state UNUSED)
{
	u64 *gpr = machine_vcpu->gpr;

	for (u32 leaf = 0; leaf < 0x40; leaf++) {
		struct cpuid_regs r = cpuid_l1(machine_vcpu, leaf, 0);

		gpr[GPR_RAX] = leaf;
		gpr[GPR_RCX] = 0;
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
		assert_true(gpr[GPR_RAX] == r.eax && gpr[GPR_RBX] == r.ebx && gpr[GPR_RCX] == r.ecx &&
			    gpr[GPR_RDX] == r.edx);
	}
}

static void processor_with_feedback(void)
{
	fake_cpuid_set(CPUID_LEAF_THERMAL, 0, 0x00880077, 2, 0x0209, 0x30003);
}

static void hardware_feedback_is_hidden(void **state UNUSED)
{
	struct cpuid_regs r = cpuid_l1(machine_vcpu, CPUID_LEAF_THERMAL, 0);

	assert_int_equal(r.eax, 0x77);
	assert_int_equal(r.ebx, 2);
	assert_int_equal(r.ecx, 9);
	assert_int_equal(r.edx, 0);
}

/* ---- machine checks ---- */

static void machine_check(u64 status, bool survived)
{
	struct trap_frame frame = { .vector = VEC_MC, .rip = 0x1000 };

	fake_msr_set(MSR_IA32_MCG_STATUS, status);
	assert_int_equal(fake_machine_check(&frame), survived);
}

#define MCIP 4
#define GOES_ON (MCIP | MCG_STATUS_RIPV)

static void a_machine_check_is_l1s(void **state UNUSED)
{
	machine_check(GOES_ON, true);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_injected, HARD(VEC_MC));
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_injected, 0);
	/* what is being delivered comes first, and no instruction between */
	machine_check(GOES_ON, true);
	machine_vcpu->pending = (struct event){ .vector = 0x30, .type = INTR_TYPE_EXTERNAL };
	machine_vcpu->pending_valid = true;
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(machine_injected & 0xff, 0x30);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_injected, HARD(VEC_MC));
	assert_false(machine_field(VMCS_proc_controls) & PROC_MTF);
	/* a CPU that waits for its SIPI takes none */
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_set_field(VMCS_guest_activity_state, ACTIVITY_WAIT_FOR_SIPI);
	machine_check(GOES_ON, true);
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 8);
	assert_int_equal(machine_injected, 0);
	assert_int_equal(fake_msr_get(MSR_IA32_MCG_STATUS), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_injected, 0);
	/* the program cannot go on, or L0 itself would meet it again */
	machine_check(MCIP, false);
	machine_check(GOES_ON | MCG_STATUS_EIPV, false);
}

static bool stepped(void)
{
	for (size_t i = 0; i < fake_write_count; i++)
		if (fake_writes[i].field == VMCS_proc_controls && (fake_writes[i].value & PROC_MTF))
			return true;
	return false;
}

/* An event is being delivered: the flag that ends it there is seen by the entry. */
static void a_machine_check_opens_a_way_back(void **state UNUSED)
{
	u64 controls;

	for (u32 l2 = 0; l2 < 2; l2++) {
		if (l2)
			l1_run_l2();
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .guest_physical = M_SPARE, .qualification = EPTV_READ,
			 .vectoring_info = INTR_INFO_VALID | 0x30);
		machine_check(GOES_ON, true);
		fake_log_clear();
		/* the exit after the next entry is the step's own */
		EXIT_NOW(.reason = EXIT_MTF, .vectoring_info = 0);
		controls = fake_get(l2 ? machine_vcpu->nested.current->vmcs02.region.v
				       : machine_vcpu->vmcs01.region.v,
				    VMCS_proc_controls);
		assert_int_equal(machine_pending(), HARD(VEC_MC));
		assert_false(controls & PROC_MTF);
		assert_true(stepped());
	}
}

static void a_machine_check_while_l2_runs(void **state UNUSED)
{
	l1_run_l2();
	machine_check(GOES_ON, true);
	EXIT_NOW(.reason = EXIT_EXTERNAL_INTERRUPT, .intr_info = INTR_INFO_VALID | 0x30);
	/* not wanted by L1: delivered to L2, as by the processor */
	assert_int_equal(machine_injected, HARD(VEC_MC));
	if (!machine_in_l2())
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	l1_vmwrite(VMCS_exception_bitmap, 1u << VEC_MC);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_check(GOES_ON, true);
	/* the exit of L1's own at the next entry: what exits then is L1's CPUID */
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	assert_int_equal(machine_vcpu->nested.current->v12.exit_reason, EXIT_EXCEPTION_NMI);
	assert_int_equal(machine_vcpu->nested.current->v12.exit_intr_info, HARD(VEC_MC));
}

/* What L0 held for L2 outlives an entry that the processor refuses: it is L1's. */
static void events_survive_a_refused_entry(void **state UNUSED)
{
	l1_run_l2();
	machine_check(GOES_ON, true);
	EXIT_NOW(.reason = EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	assert_false(machine_in_l2());
	assert_int_equal(machine_pending(), HARD(VEC_MC));
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_vcpu->nmi_pending = true;
	EXIT_NOW(.reason = EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	assert_false(machine_in_l2());
	assert_int_equal(machine_pending(),
			 INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI);
}

/* One that finds a parked CPU is cleared, so that a second one does not reset the machine. */
static void a_machine_check_of_a_parked_cpu(void **state UNUSED)
{
	struct trap_frame frame = { .vector = VEC_MC };

	fake_cpu.vcpu = NULL;
	fake_msr_set(MSR_IA32_MCG_STATUS, 5);
	assert_true(fake_machine_check(&frame));
	assert_int_equal(fake_msr_get(MSR_IA32_MCG_STATUS), 0);
}

/* ---- flushes before L2 ---- */

static u64 arch_capabilities;

static void processor_with_flushes(void)
{
	fake_cpuid_set(CPUID_LEAF_EXTENDED_FEATURES, 0, 2, 0, 0,
		       CPUID_7_EDX_MD_CLEAR | CPUID_7_EDX_L1D_FLUSH | CPUID_7_EDX_ARCH_CAPABILITIES);
	fake_msr_set(MSR_IA32_ARCH_CAPABILITIES, arch_capabilities);
	fake_msr_set(MSR_IA32_FLUSH_CMD, 0);
}

static void processor_without_l1tf(void)
{
	arch_capabilities = ARCH_CAP_RDCL_NO;
	processor_with_flushes();
}

static void count_flushes(u32 buffers, u64 l1d)
{
	u32 before;

	l1_run_l2();
	before = fake_verws;
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(fake_verws - before, buffers);
	fake_msr_set(MSR_IA32_FLUSH_CMD, 0);
	before = fake_verws;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(fake_msr_get(MSR_IA32_FLUSH_CMD), l1d);
	assert_int_equal(fake_verws - before, buffers);
}

/* Whatever L0 did in between: an exit of its own, a request of another CPU. Not before L1, though L2 was to
 * come. */
static void each_entry_of_l2_is_behind_a_flush(void **state UNUSED)
{
	const struct machine_exit undefined = { .reason = EXIT_EXCEPTION_NMI, .intr_info = HARD(VEC_UD) };
	const struct machine_exit nmi = { .reason = EXIT_EXCEPTION_NMI,
					  .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI };
	u32 before;

	l1_run_l2();
	before = fake_verws;
	machine_exit(&undefined);
	assert_true(machine_in_l2());
	assert_int_equal(fake_verws - before, 2);
	before = fake_verws;
	machine_vcpu->request = REQUEST_EPT01_CHANGED;
	machine_exit(&undefined);
	assert_true(machine_in_l2());
	assert_int_equal(fake_verws - before, 3);

	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	l1_vmwrite(VMCS_pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	machine_exit(&nmi);
	assert_true(machine_vcpu->nmi_pending);
	machine_set_field(VMCS_guest_interruptibility, 0);
	before = fake_verws;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_false(machine_in_l2());
	assert_int_equal(fake_verws - before, 0);
}

static void l2_begins_with_flushes(void **state UNUSED)
{
	count_flushes(1, FLUSH_CMD_L1D);
}

static void l2_begins_with_buffers_flushed(void **state UNUSED)
{
	count_flushes(1, 0);
}

/* With trace=, whose time is written before the flush: twice where an entry is not the usual one. */
static void traced_entries_are_flushed(void **state UNUSED)
{
	u32 before;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	before = fake_verws;
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(fake_verws - before, 2);
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	before = fake_verws;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(fake_verws - before, 1);
}

static void l2_begins_without_flushes(void **state UNUSED)
{
	count_flushes(0, 0);
}

/* ---- processors ---- */

static void processor_with_memory_keys(void)
{
	fake_cpuid_set(CPUID_LEAF_EXTENDED_FEATURES, 0, 0, 0, CPUID_7_ECX_TME, 0);
	fake_msr_set(MSR_IA32_TME_ACTIVATE, 3 | 6ull << 32);
}

/* Multi-key memory encryption: above the address proper is the key, so that the window had more names. */
static void key_bits_are_no_address(void **state UNUSED)
{
	unsigned int bits = vmx_caps.physical_bits - 6;
	struct ept01_mapping mapping;

	assert_true(bits < 48);
	assert_int_equal(caps_memory_bits(), bits);
	assert_true(vm_ept01_lookup(GPA(1ull << (bits - 1)), &mapping));
	assert_false(vm_ept01_lookup(GPA(1ull << bits | M_WINDOW), &mapping));
	assert_false(vm_ept01_lookup(GPA(M_WINDOW), &mapping));
}

static void processor_without_states(void)
{
	fake_msr_set(MSR_IA32_VMX_MISC, fake_msr_get(MSR_IA32_VMX_MISC) & ~0x180ull);
}

static void a_shutdown_without_the_state(void **state UNUSED)
{
	assert_int_equal(caps_check_smp(), STATUS_VMX_CONTROL);
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF | RFLAGS_TF);
	regcache_reset(&machine_vcpu->vmcs->cache);
	l1_shut_down(machine_vcpu);
	regcache_flush(&machine_vcpu->vmcs->cache);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_HLT);
	assert_int_equal(machine_field(VMCS_guest_rflags) & (RFLAGS_IF | RFLAGS_TF), 0);
}

static void a_shutdown(void **state UNUSED)
{
	assert_int_equal(caps_check_smp(), STATUS_OK);
	l1_shut_down(machine_vcpu);
	regcache_flush(&machine_vcpu->vmcs->cache);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_SHUTDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_task_is_switched_to, ""),
		MACHINE_TEST(a_tss_descriptor_is_checked_again, ""),
		MACHINE_TEST(a_tss_descriptor_outside_ram, ""),
		MACHINE_TEST(a_task_begins_without_a_stack, ""),
		MACHINE_TEST(breakpoints_of_a_task_switch, ""),
		MACHINE_TEST(eip_ends_at_4_gib, ""),
		MACHINE_TEST(a_double_fault_in_real_mode, ""),
		MACHINE_TEST(msrs_of_a_hypervisor, ""),
		MACHINE_TEST_BEFORE(new_features_with_other_msrs_are_hidden, "", processor_of_the_future),
		MACHINE_TEST_BEFORE(msrs_with_addresses_are_hidden, "", processor_with_hidden_msrs),
		MACHINE_TEST(msrs_that_are_not_there_cost_nothing, ""),
		MACHINE_TEST(caches_are_as_the_loader_left_them, ""),
		MACHINE_TEST_BEFORE(newer_leaves_bit_by_bit, "", processor_with_all_bits),
		MACHINE_TEST_BEFORE(short_cpuid_answers_are_filtered_ones, "", processor_with_all_bits),
		MACHINE_TEST_BEFORE(hardware_feedback_is_hidden, "", processor_with_feedback),
		MACHINE_TEST(a_machine_check_is_l1s, ""),
		MACHINE_TEST(a_machine_check_opens_a_way_back, ""),
		MACHINE_TEST_BOTH(a_machine_check_while_l2_runs),
		MACHINE_TEST(events_survive_a_refused_entry, ""),
		MACHINE_TEST(a_machine_check_of_a_parked_cpu, ""),
		MACHINE_TEST_BEFORE(each_entry_of_l2_is_behind_a_flush, "", processor_with_flushes),
		MACHINE_TEST_BEFORE(l2_begins_with_flushes, "", processor_with_flushes),
		MACHINE_TEST_BEFORE(traced_entries_are_flushed, "trace=4K", processor_without_l1tf),
		MACHINE_TEST_BEFORE(l2_begins_with_buffers_flushed, "", processor_without_l1tf),
		MACHINE_TEST_BEFORE(l2_begins_without_flushes, "flush=off", processor_with_flushes),
		MACHINE_TEST(l2_begins_without_flushes, ""),
		MACHINE_TEST_BEFORE(key_bits_are_no_address, "", processor_with_memory_keys),
		MACHINE_TEST_BEFORE(a_shutdown_without_the_state, "", processor_without_states),
		MACHINE_TEST(a_shutdown, ""),
	};

	return cmocka_run_group_tests_name("l1", tests, NULL, NULL);
}
