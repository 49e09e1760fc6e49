/* SPDX-License-Identifier: MIT */
/*
 * vmcs02 at entry: what L1 asked, plus what L0 needs, minus what L0 forbids; each field written at most once,
 * none of L1's pages or host fields in it, nothing written again that nobody touched.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/memmap.h"
#include "tests/unit/l2_support.h"
#include "vmx/l1/vm.h"
#include "vmx/exit.h"
#include "vmx/nested/wish.h"

/* All addresses that L1 can give, recognisable. */
enum {
	A_IO_A = M_SPARE,
	A_IO_B = M_SPARE + 0x1000,
	A_MSR = M_SPARE + 0x2000,
	A_APIC = M_SPARE + 0x3000,
	A_ACCESS = M_SPARE + 0x4000,
	A_EPT = M_SPARE + 0x5000,
	A_STORE = M_SPARE + 0x6000,
	A_LOAD = M_SPARE + 0x7000,
	A_ENTRY = M_SPARE + 0x8000,
	A_VMREAD = M_SPARE + 0x9000,
	A_VMWRITE = M_SPARE + 0xa000,
	A_LIST = M_SPARE + 0xb000,
	A_POSTED = M_SPARE + 0xc000,
	A_EXECUTIVE = M_SPARE + 0xd000,
	A_PML = M_SPARE + 0xe000,
	A_VE = M_SPARE + 0xf000,
};

/* A VMCS with everything in it. */
static void everything(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_EXTERNAL_INTERRUPT | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS |
				PIN_PREEMPTION_TIMER);
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY | PROC_HLT_EXITING | PROC_TPR_SHADOW |
				 PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_TSC_OFFSETTING | PROC_MTF);
	W(proc2_controls, PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED_GUEST | PROC2_APIC_ACCESS |
				  PROC2_VMFUNC | PROC2_VMCS_SHADOWING | PROC2_TSC_SCALING);
	W(io_bitmap_a, A_IO_A);
	W(io_bitmap_b, A_IO_B);
	W(msr_bitmap, A_MSR);
	W(virtual_apic_addr, A_APIC);
	W(apic_access_addr, A_ACCESS);
	W(ept_pointer, A_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	W(exit_msr_store_addr, A_STORE);
	W(exit_msr_load_addr, A_LOAD);
	W(entry_msr_load_addr, A_ENTRY);
	W(vmread_bitmap, A_VMREAD);
	W(vmwrite_bitmap, A_VMWRITE);
	W(eptp_list_addr, A_LIST);
	W(executive_vmcs_pointer, A_EXECUTIVE);
	W(vm_function_controls, 1);
	W(vpid, 77);
	W(tsc_offset, 0x123456);
	W(tsc_multiplier, BIT(49));
	W(exception_bitmap, BIT(VEC_UD));
	W(preemption_timer_value, 1000);
}

static void each_field_is_written_at_most_once(void **state UNUSED)
{
	u64 vmcs02 = machine_vcpu->nested.slots[0].vmcs02.region.v;

	everything();
	fake_log_clear();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_equal(fake_current_vmcs(), vmcs02);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];
		size_t writes = fake_writes_of(vmcs02, f->encoding);

		if (writes > 1)
			fail_msg("%s is written %zu times", f->name, writes);
		/* The guest's state and what goes through as it stands reach a new vmcs02. */
		if ((f->flow == FLOW_COPY || f->flow == FLOW_IN) && !fake_is_removed(f->encoding) &&
		    fake_get(vmcs02, f->encoding) != *vmcs12_slot(&machine_vcpu->nested.current->v12, row))
			fail_msg("%s did not reach vmcs02", f->name);
		if (f->flow == FLOW_OUT && writes)
			fail_msg("%s is written", f->name);
	}
}

static void no_host_field_of_l1s_is_there(void **state UNUSED)
{
	everything();
	W(host_rip, 0x123000);
	W(host_rsp, 0x456000);
	W(host_cr3, 0x789000);
	W(host_fs_base, 0xabc000);
	W(host_gs_base, 0xdef000);
	W(host_gdtr_base, 0x111000);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		if (f->flow == FLOW_HOST)
			assert_true(machine_field(f->encoding) == machine_field01(f->encoding));
	}
}

/* Where hardware would use a page that L1 named, it gets one of L0's, or one that L0 looked at
 * (ports_test.c). */
static void no_page_of_l1s_is_there_raw(void **state UNUSED)
{
	static const u32 own[] = { VMCS_msr_bitmap, VMCS_ept_pointer };
	static const u32 unused[] = { VMCS_exit_msr_store_addr, VMCS_exit_msr_load_addr,
				      VMCS_entry_msr_load_addr, VMCS_eptp_list_addr,
				      VMCS_vmread_bitmap,	VMCS_vmwrite_bitmap };
	static const u32 counts[] = { VMCS_exit_msr_store_count, VMCS_exit_msr_load_count,
				      VMCS_entry_msr_load_count };

	everything();
	l1_write64(A_ENTRY, 0xc0000081); /* IA32_STAR */
	W(entry_msr_load_count, 1);
	W(exit_msr_store_count, 1);
	W(exit_msr_load_count, 1);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		assert_true(memmap_in_window(machine_field(own[i]), 1));
	for (size_t i = 0; i < ARRAY_SIZE(unused); i++)
		assert_true(machine_field(unused[i]) < M_SPARE ||
			    machine_field(unused[i]) >= M_SPARE + 0x10000);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		assert_int_equal(machine_field(counts[i]), 0);
	assert_true(machine_field(VMCS_vmcs_link_pointer) == ~0ull);
	assert_int_equal(machine_field(VMCS_vm_function_controls), 0);
	assert_int_not_equal(machine_field(VMCS_vpid), 77);
	assert_int_not_equal(machine_field(VMCS_vpid), 0);
	assert_int_not_equal(machine_field(VMCS_vpid), VPID_L1);
}

/* A page that hardware reads and writes may not be L0's window: it is another one then. */
static void window_pages_are_kept_from_hardware(void **state UNUSED)
{
	everything();
	W(virtual_apic_addr, M_WINDOW + 0x5000);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_not_equal(machine_field(VMCS_virtual_apic_addr), M_WINDOW + 0x5000);
}

/* L2 executes RDMSR or WRMSR, which exits as vmcs02's bitmap says. */
static void l2_msr(u32 reason, u32 msr)
{
	machine_vcpu->gpr[GPR_RCX] = msr;
	EXIT_NOW(.reason = reason, .length = 2);
}

/* A virtual-APIC page that is no memory: a stand-in of ones, anew at each entry, and writes of the TPR exit.
 */
static void a_virtual_apic_page_that_is_no_memory(void **state UNUSED)
{
	u64 page, proc;

	everything();
	W(virtual_apic_addr, 0xfe000000);
	W(proc2_controls, PROC2_EPT | PROC2_VIRTUAL_X2APIC);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	page = machine_field(VMCS_virtual_apic_addr);
	assert_true(memmap_in_window(page, PAGE_SIZE));
	for (unsigned int n = 0; n < 2; n++) {
		proc = machine_field(VMCS_proc_controls);
		assert_true((proc & PROC_TPR_SHADOW) && (proc & PROC_CR8_LOAD_EXITING));
		/* Also where its word is open. */
		l2_msr(EXIT_WRMSR, MSR_IA32_X2APIC_TPR + 3);
		assert_true(machine_in_l2());
		assert_false(fake_memory[machine_field(VMCS_msr_bitmap) + 0x800 + 0x80b / 8] &
			     BIT(0x80b % 8));
		assert_true(fake_memory[machine_field(VMCS_msr_bitmap) + 0x800 + 0x808 / 8] & BIT(0x808 % 8));
		for (u32 i = 0; i < PAGE_SIZE; i += 8)
			assert_true(l1_read64(page + i) == ~0ull);
		l1_write64(page + 0x80, 0);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(fake_memory[machine_field(VMCS_msr_bitmap) + 0x800 + 0x808 / 8] & BIT(0x808 % 8));
	}
	/* One that is memory is L1's own, and the TPR the processor's. */
	EXIT_NOW(.reason = EXIT_CPUID);
	W(virtual_apic_addr, A_APIC);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_virtual_apic_addr), A_APIC);
	assert_false(machine_field(VMCS_proc_controls) & PROC_CR8_LOAD_EXITING);
	l2_msr(EXIT_WRMSR, MSR_IA32_X2APIC_TPR);
	assert_true(machine_in_l2());
	assert_false(fake_memory[machine_field(VMCS_msr_bitmap) + 0x800 + 0x808 / 8] & BIT(0x808 % 8));
}

static void l0s_minimum_is_there(void **state UNUSED)
{
	l1_run_l2();
	assert_true(machine_field(VMCS_pin_controls) & PIN_NMI_EXITING);
	assert_true(machine_field(VMCS_pin_controls) & PIN_VIRTUAL_NMIS);
	assert_true(machine_field(VMCS_proc_controls) & PROC_MSR_BITMAPS);
	assert_true(machine_field(VMCS_proc_controls) & PROC_SECONDARY);
	assert_true(machine_field(VMCS_proc2_controls) & PROC2_EPT);
	assert_true(machine_field(VMCS_ept_pointer) == vm.ept01_pointer);
	assert_true(machine_field(VMCS_exit_controls) & EXIT_HOST_64);
	/* L1 without MSR bitmaps sees every RDMSR and WRMSR. */
	for (u64 i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(fake_memory[machine_field(VMCS_msr_bitmap) + i], 0xff);
	/* No TPR shadow: L2 may not reach the real CR8... unless L1 does not care, and owns the real one. */
	assert_false(machine_field(VMCS_proc_controls) & PROC_TPR_SHADOW);
}

/* Random control words that pass the checks: L1's intercepts stay, L0's are added, nothing that is not
 * allowed appears. */
static void random_control_words_merge(void **state UNUSED)
{
	const u64 through = PROC_INTERRUPT_WINDOW | PROC_HLT_EXITING | PROC_INVLPG_EXITING |
			    PROC_MWAIT_EXITING | PROC_RDPMC_EXITING | PROC_RDTSC_EXITING |
			    PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING | PROC_MOV_DR_EXITING |
			    PROC_UNCONDITIONAL_IO | PROC_MONITOR_EXITING | PROC_PAUSE_EXITING | PROC_MTF;
	struct fake_random r = { 7 };
	unsigned int entered = 0;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (unsigned int n = 0; n < 3000; n++) {
		u64 proc =
			((u32)fake_random(&r) | caps12.proc.allowed0 | PROC_SECONDARY) & caps12.proc.allowed1;
		u64 proc2 = (u32)fake_random(&r) & (u32)fake_random(&r) & caps12.proc2.allowed1;
		u64 pin = ((u32)fake_random(&r) | caps12.pin.allowed0) & caps12.pin.allowed1;

		W(proc_controls, proc);
		W(proc2_controls, proc2);
		W(pin_controls, pin);
		W(vpid, 1);
		W(tsc_multiplier, 1);
		W(ept_pointer, A_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
		l1_enter(n ? EXIT_VMRESUME : EXIT_VMLAUNCH);
		if (!machine_in_l2())
			l1_enter(EXIT_VMLAUNCH);
		if (!machine_in_l2())
			continue;
		entered++;
		assert_int_equal(machine_field(VMCS_proc_controls) & through & proc, through & proc);
		assert_int_equal(~machine_field(VMCS_proc_controls) & vmx_caps.proc.allowed0, 0);
		assert_int_equal(machine_field(VMCS_proc_controls) & ~(u64)vmx_caps.proc.allowed1, 0);
		assert_int_equal(machine_field(VMCS_proc2_controls) & ~(u64)vmx_caps.proc2.allowed1, 0);
		assert_int_equal(machine_field(VMCS_pin_controls) & ~(u64)vmx_caps.pin.allowed1, 0);
		assert_true(machine_field(VMCS_pin_controls) & PIN_NMI_EXITING);
		assert_int_equal(machine_field(VMCS_pin_controls) & PIN_EXTERNAL_INTERRUPT,
				 pin & PIN_EXTERNAL_INTERRUPT);
		assert_true(machine_field(VMCS_proc_controls) & PROC_MSR_BITMAPS);
		assert_true(machine_field(VMCS_proc2_controls) & PROC2_EPT);
		assert_false(machine_field(VMCS_proc2_controls) &
			     (PROC2_VMCS_SHADOWING | PROC2_PML | PROC2_VE));
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_false(machine_in_l2());
	}
	assert_true(entered > 100);
}

/*
 * L1 turns primary controls on and off in entries between which it writes nothing else: what they govern, and
 * the secondary controls with PROC_SECONDARY, follow.
 */
static void primary_controls_alone_bring_what_they_govern(void **state UNUSED)
{
	const u64 toggled = PROC_TPR_SHADOW | PROC_IO_BITMAPS | PROC_TSC_OFFSETTING | PROC_SECONDARY;
	u64 all, proc2;

	everything();
	assert_int_equal(l1_vmread(VMCS_proc_controls, &all), 0);
	W(proc_controls, all & ~toggled);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	for (unsigned int n = 0; n < 2; n++) {
		assert_true(machine_in_l2());
		proc2 = machine_field(VMCS_proc2_controls);
		assert_false(proc2 & (PROC2_VMFUNC | PROC2_UNRESTRICTED_GUEST | PROC2_APIC_ACCESS));
		EXIT_NOW(.reason = EXIT_CPUID);
		W(proc_controls, all);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_virtual_apic_addr), A_APIC);
		assert_int_equal(machine_field(VMCS_apic_access_addr), A_ACCESS);
		assert_int_equal(machine_field(VMCS_tsc_offset), 0x123456);
		assert_int_equal(machine_field(VMCS_io_bitmap_a), A_IO_A);
		assert_int_equal(machine_field(VMCS_io_bitmap_b), A_IO_B);
		proc2 = machine_field(VMCS_proc2_controls);
		assert_true((proc2 & PROC2_VMFUNC) && (proc2 & PROC2_UNRESTRICTED_GUEST));
		EXIT_NOW(.reason = EXIT_CPUID);
		W(proc_controls, all & ~toggled);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	}
}

/* An L2 without EPT12 runs on EPT01: no large page may hold the APIC-access page, in whose place it is. */
static void the_apic_access_page_is_a_small_one(void **state UNUSED)
{
	struct ept01_mapping before, mapping;
	const u64 page = 0x604000;
	u64 flushes;

	everything();
	W(proc2_controls, PROC2_APIC_ACCESS);
	W(apic_access_addr, page);
	assert_true(vm_ept01_lookup(GPA(page), &before));
	assert_true(before.size > PAGE_SIZE);
	flushes = fake_invept_count;
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_true(vm_ept01_lookup(GPA(page), &mapping));
	assert_int_equal(mapping.size, PAGE_SIZE);
	assert_int_equal(mapping.hpa, page);
	assert_int_equal(mapping.memory_type, before.memory_type);
	assert_true(fake_invept_count > flushes);
}

/* ---- nothing is written again that nobody touched ---- */

static size_t writes_of_next_entry(void)
{
	fake_log_clear();
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	return fake_write_count;
}

static void untouched_fields_are_not_written_again(void **state UNUSED)
{
	static const u32 quiet[] = { VMCS_guest_cr3,	     VMCS_guest_gdtr_base, VMCS_guest_tr_base,
				     VMCS_guest_es_selector, VMCS_pin_controls,	   VMCS_proc2_controls,
				     VMCS_exit_controls,     VMCS_msr_bitmap,	   VMCS_host_rip,
				     VMCS_host_cr3,	     VMCS_ept_pointer,	   VMCS_guest_sysenter_eip };

	everything();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	for (int n = 0; n < 3; n++) {
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_false(machine_in_l2());
		W(guest_rip, 0x400000 + n);
		assert_true(writes_of_next_entry() < 80);
		for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
			if (fake_writes_of(machine_vcpu->nested.current->vmcs02.region.v, quiet[i]))
				fail_msg("%s was written again", vmcs_field_name(quiet[i]));
		assert_int_equal(machine_field(VMCS_guest_rip), 0x400000 + n);
	}
	/* Counters prove it: CR3 of L2 is never read or written in such a loop. */
	u64 writes = machine_vcpu->counters.registers.writes[REG_CR3];

	EXIT_NOW(.reason = EXIT_CPUID);
	writes = machine_vcpu->counters.registers.writes[REG_CR3] - writes;
	assert_true(writes <= 1); /* the load of L1's host CR3 */
}

static void every_touched_field_is_written(void **state UNUSED)
{
	struct fake_random r = { 3 };

	everything();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];
		u64 value;

		/* Rows whose values are free: bases and such. */
		if (f->flow != FLOW_COPY || VMCS_FIELD_WIDTH(f->encoding) != VMCS_WIDTH_NATURAL)
			continue;
		if (row == V12_guest_rflags || row == V12_guest_pending_debug || vmcs12_find(f->encoding) < 0)
			continue;
		EXIT_NOW(.reason = EXIT_CPUID);
		value = (u32)fake_random(&r);
		assert_int_equal(l1_vmwrite(f->encoding, value), 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		if (!machine_in_l2() || machine_field(f->encoding) != value)
			fail_msg("%s", f->name);
	}
}

/* Two VMCSs in turn keep their own vmcs02. */
static void two_vmcss_in_turn(void **state UNUSED)
{
	l1_start_vmx();
	for (unsigned int n = 0; n < 2; n++) {
		l1_load_vmcs(n);
		l1_write_valid_vmcs();
		W(guest_rsp, 0x1000 * (n + 1));
		W(guest_fs_base, 0x77 * (n + 1));
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
	for (unsigned int turn = 0; turn < 6; turn++) {
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(turn % 2)), 0);
		assert_true(writes_of_next_entry() < 80);
		assert_int_equal(machine_field(VMCS_guest_rsp), 0x1000 * (turn % 2 + 1));
		assert_int_equal(machine_field(VMCS_guest_fs_base), 0x77 * (turn % 2 + 1));
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

/* ---- bitmaps ---- */

static u64 msr_word(u32 word)
{
	return ((const u64 *)phys_to_ptr(HPA(machine_field(VMCS_msr_bitmap))))[word];
}

#define M_LOW 0x1234u /* word 72 of the low reads */
#define M_HIGH 0xc0001f40u
enum { LOW_READ = M_LOW / 64, LOW_WRITE = LOW_READ + 256, HIGH_WRITE = 384 + 0x1f40 / 64 };

/* An exit that nobody wants opens its word; L1's next bits count from an entry on. */
static void bitmaps_follow_l1s_pages(void **state UNUSED)
{
	u64 *l1 = (u64 *)(void *)&fake_memory[A_MSR];
	u64 rip;

	everything();
	l1[LOW_READ] = BIT(0);
	l1[LOW_WRITE] = l1[HIGH_WRITE] = 0;
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	for (u32 i = 0; i < PAGE_SIZE / 8; i++)
		assert_true(msr_word(i) == ~0ull);
	rip = machine_field(VMCS_guest_rip);
	l2_msr(EXIT_RDMSR, M_LOW);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_rip), rip);
	assert_int_equal(msr_word(LOW_READ), BIT(0));
	assert_true(msr_word(LOW_READ + 1) == ~0ull && msr_word(LOW_WRITE) == ~0ull);
	l2_msr(EXIT_WRMSR, M_LOW);
	l2_msr(EXIT_WRMSR, M_HIGH);
	assert_true(machine_in_l2());
	assert_int_equal(msr_word(LOW_WRITE) | msr_word(HIGH_WRITE), 0);
	/* L1 changes its page behind L0's back: before its next entry nothing follows. */
	l1[LOW_READ] = BIT(M_LOW % 64);
	assert_int_equal(msr_word(LOW_READ), BIT(0));
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(msr_word(LOW_READ), BIT(M_LOW % 64));
	l2_msr(EXIT_RDMSR, M_LOW);
	assert_false(machine_in_l2());
	/* Off, and on again. */
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY);
	W(proc2_controls, PROC2_EPT);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	for (u32 i = 0; i < PAGE_SIZE / 8; i++)
		assert_true(msr_word(i) == ~0ull);
	l2_msr(EXIT_RDMSR, M_LOW + 1);
	assert_false(machine_in_l2());
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY | PROC_MSR_BITMAPS);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	l2_msr(EXIT_RDMSR, M_LOW + 1);
	assert_true(machine_in_l2());
	assert_int_equal(msr_word(LOW_READ), BIT(M_LOW % 64));
	/* Another page. */
	EXIT_NOW(.reason = EXIT_CPUID);
	W(msr_bitmap, A_IO_A);
	*(u64 *)(void *)&fake_memory[A_IO_A + LOW_READ * 8] = 5;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(msr_word(LOW_READ), 5);
}

/* L0's bits are in each opened word, and an MSR that L0 wants is its own to emulate. */
static void opened_words_have_l0s_bits(void **state UNUSED)
{
	const u64 *l0 = vm.msr_bitmap01;
	u64 rip;

	everything();
	memset(&fake_memory[A_MSR], 0, PAGE_SIZE);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	for (u32 word = 0; word < PAGE_SIZE / 8; word++)
		if (l2_uses_msr_of_word(A_MSR, word))
			assert_int_equal(msr_word(word), l0[word]);
	/* No more than so many are open at once. */
	assert_true(machine_vcpu->nested.current->msr_opened_count <= MSR_OPENED_MAX);
	assert_true(l0[0] && l2_uses_msr_of_word(A_MSR, 0));
	rip = machine_field(VMCS_guest_rip);
	/* behind which L1's monitor trap flag comes */
	l2_msr(EXIT_RDMSR, MSR_IA32_FEATURE_CONTROL);
	assert_int_equal(R(exit_reason), EXIT_MTF);
	assert_int_equal(R(guest_rip), rip + 2);
	/* outside the page's ranges there is nothing to open */
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(msr_word(0), l0[0]);
	l2_msr(EXIT_RDMSR, 0x40000000);
	assert_int_equal(R(exit_reason), EXIT_RDMSR);
}

static void absent_bitmaps_intercept_all(void **state UNUSED)
{
	everything();
	W(msr_bitmap, M_WINDOW);
	W(io_bitmap_a, M_RAM_END + 0x1000);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_equal(((const u8 *)phys_to_ptr(HPA(machine_field(VMCS_io_bitmap_a))))[77], 0xff);
	assert_true(msr_word(77 / 8) == ~0ull);
	l2_msr(EXIT_RDMSR, 77 * 8);
	assert_false(machine_in_l2());
}

/* Fields that no check and no other field depends on: the next entry brings each by itself. */
static void single_fields_reach_vmcs02(void **state UNUSED)
{
	u64 proc;

	everything();
	proc = R(proc_controls) & ~(u64)PROC_TSC_OFFSETTING;
	W(proc_controls, proc);
	W(tsc_offset, 7);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc_controls, proc | PROC_TSC_OFFSETTING);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_tsc_offset), 7);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(tsc_offset, 9);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_tsc_offset), 9);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(exception_bitmap, BIT(VEC_BP));
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_exception_bitmap), BIT(VEC_BP));
	EXIT_NOW(.reason = EXIT_CPUID);
	W(eoi_exit_bitmap2, 0x55);
	W(cr0_guest_host_mask, CR0_TS);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_eoi_exit_bitmap2), 0x55);
	assert_true(machine_field(VMCS_cr0_guest_host_mask) & CR0_TS);
	/* the long way too, which a field of another group asks for */
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_ldtr_base, 0x1000);
	W(eoi_exit_bitmap2, 0x66);
	W(tsc_offset, 11);
	W(exception_bitmap, BIT(VEC_OF));
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_eoi_exit_bitmap2), 0x66);
	assert_int_equal(machine_field(VMCS_tsc_offset), 11);
	assert_int_equal(machine_field(VMCS_exception_bitmap), BIT(VEC_OF));
}

/* An entry does not load CR0.CD and NW: where L1 has changed them since L2's exit, L2 has them so. */
static void the_cache_bits_are_the_processors(void **state UNUSED)
{
	u64 cr0 = read_cr0() & ~(u64)(CR0_CD | CR0_NW);

	everything();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	for (u32 n = 1; n < 8; n++) {
		u64 bits = n % 3 == 0 ? 0 : n % 3 == 1 ? CR0_CD : CR0_CD | CR0_NW;

		EXIT_NOW(.reason = EXIT_CPUID);
		write_cr0(cr0 | bits);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_guest_cr0) & (CR0_CD | CR0_NW), bits);
	}
}

/* ---- control registers, events ---- */

static void read_shadows_show_what_l1_says(void **state UNUSED)
{
	everything();
	W(cr0_guest_host_mask, CR0_TS | CR0_CD);
	W(cr0_read_shadow, CR0_CD);
	W(cr4_guest_host_mask, CR4_VMXE);
	W(cr4_read_shadow, 0);
	W(guest_cr0, CR0_PE | CR0_PG | CR0_NE | CR0_TS);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	{
		u64 mask = machine_field(VMCS_cr0_guest_host_mask),
		    shadow = machine_field(VMCS_cr0_read_shadow);
		u64 seen = (machine_field(VMCS_guest_cr0) & ~mask) | (shadow & mask);

		assert_int_equal(mask & (CR0_TS | CR0_CD), CR0_TS | CR0_CD);
		assert_int_equal(seen & (CR0_TS | CR0_CD | CR0_NE | CR0_PE), CR0_CD | CR0_NE | CR0_PE);
		mask = machine_field(VMCS_cr4_guest_host_mask);
		seen = (machine_field(VMCS_guest_cr4) & ~mask) | (machine_field(VMCS_cr4_read_shadow) & mask);
		assert_false(seen & CR4_VMXE);
		assert_true(seen & CR4_PAE);
	}
}

static void injection_goes_through(void **state UNUSED)
{
	everything();
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_GP);
	W(entry_exception_error_code, 0x28);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	/* pending for L2, which is what l1_enter() reports as an exception for the guest that runs next */
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_injected & 0xff, VEC_GP);
	assert_int_equal(machine_injected_error_code, 0x28);
	assert_false(machine_in_l2());
	{
		u64 info;

		assert_int_equal(l1_vmread(VMCS_entry_intr_info, &info), 0);
		assert_false(info & INTR_INFO_VALID);
	}
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_injected, 0);
}

static void efer_follows_the_entry_controls(void **state UNUSED)
{
	everything();
	W(guest_efer, EFER_LME | EFER_LMA | EFER_NXE);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(machine_field(VMCS_guest_efer), EFER_LME | EFER_LMA | EFER_NXE);
	EXIT_NOW(.reason = EXIT_CPUID);
	/* Without "load IA32_EFER": L1's own, LMA and LME by the mode. */
	W(entry_controls, caps12.entry.allowed0 | ENTRY_IA32E_GUEST);
	W(exit_controls, caps12.exit.allowed0 | EXIT_HOST_64);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_efer), EFER_LME | EFER_LMA);
	EXIT_NOW(.reason = EXIT_CPUID);
	/* Real mode: LMA goes, LME stays as L1 has it. */
	W(entry_controls, caps12.entry.allowed0);
	W(guest_cr0, CR0_NE);
	W(guest_cs_ar, 0x809b);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_efer), EFER_LME);
	assert_false(machine_field(VMCS_entry_controls) & ENTRY_IA32E_GUEST);
}

/* Without "load debug controls" L1's IA32_DEBUGCTL stays, but for BTF where BS is checked against the
 * field's. */
static void debugctl_agrees_with_the_check_of_bs(void **state UNUSED)
{
	u32 k;

	everything();
	W(entry_controls, (caps12.entry.allowed0 & ~(u64)ENTRY_LOAD_DEBUG) | ENTRY_IA32E_GUEST);
	W(guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
	W(guest_activity_state, ACTIVITY_HLT);
	for (k = 0; k < 4; k++) {
		u64 own = k & 1 ? DEBUGCTL_BTF : 0, field = k & 2 ? DEBUGCTL_BTF : 0;

		machine_set_field(VMCS_guest_debugctl, own);
		W(guest_debugctl, field);
		W(guest_pending_debug, field ? 0 : PENDING_DEBUG_BS);
		assert_int_equal(l1_enter(k ? EXIT_VMRESUME : EXIT_VMLAUNCH), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_guest_debugctl), field);
		EXIT_NOW(.reason = EXIT_CPUID);
		W(guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
		W(guest_activity_state, ACTIVITY_HLT);
	}
	W(guest_activity_state, ACTIVITY_ACTIVE);
	W(guest_pending_debug, 0);
	machine_set_field(VMCS_guest_debugctl, DEBUGCTL_BTF);
	W(guest_debugctl, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_debugctl), DEBUGCTL_BTF);
}

/* PDPTEs are loaded with EPT12 and PAE paging, and not otherwise. */
static void pdptes_only_when_they_mean_something(void **state UNUSED)
{
	everything();
	W(guest_pdpte0, 0x5001);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_not_equal(machine_field(VMCS_guest_pdpte0), 0x5001);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(entry_controls, caps12.entry.allowed0);
	W(guest_cs_ar, 0xc09b);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x5001);
	/* Without EPT12 they come from L1's memory. */
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc2_controls, 0);
	W(guest_cr3, M_SPARE + 0x20);
	l1_write64(M_SPARE + 0x20, 0x9001);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x9001);
	EXIT_NOW(.reason = EXIT_CPUID);
	{
		u64 value;

		assert_int_equal(l1_vmread(VMCS_guest_pdpte0, &value), 0);
		assert_int_equal(value, 0x5001);
	}
}

/* The fields have been written before; L1 now makes paging PAE's, or hands it to EPT12, by another field
 * alone. */
static void pdptes_come_when_they_begin_to_mean_something(void **state UNUSED)
{
	everything();
	W(entry_controls, caps12.entry.allowed0);
	W(guest_cs_ar, 0xc09b);
	W(guest_cr0, R(guest_cr0) & ~(u64)CR0_PG);
	W(guest_pdpte1, 0x7001);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_not_equal(machine_field(VMCS_guest_pdpte1), 0x7001);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_cr0, R(guest_cr0) | CR0_PG);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte1), 0x7001);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc2_controls, 0);
	W(guest_cr3, M_SPARE + 0x20);
	l1_write64(M_SPARE + 0x28, 0x9001);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte1), 0x9001);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte1), 0x7001);
}

static void pf_intercept_is_one_value(void **state UNUSED)
{
	everything();
	W(pf_mask, PFEC_W);
	W(pf_match, PFEC_W);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	/* L0 wants none: L1's triple. */
	assert_false(machine_field(VMCS_exception_bitmap) & BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_W);
	assert_int_equal(machine_field(VMCS_pf_match), PFEC_W);
	assert_true(machine_field(VMCS_exception_bitmap) & BIT(VEC_UD));
}

static void pf_intercept_with_a_wish_of_l0s(void **state UNUSED)
{
	everything();
	W(pf_mask, PFEC_W);
	W(pf_match, PFEC_W);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	/* L0 wants some, L1 others: all. */
	assert_true(machine_field(VMCS_exception_bitmap) & BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), 0);
	assert_int_equal(machine_field(VMCS_pf_match), 0);
	/* L1's vmcs01 keeps L0's wish alone. */
	assert_true(machine_field01(VMCS_exception_bitmap) & BIT(VEC_PF));
}

/* L1's own page faults are undisturbed: nothing of the triple is left in vmcs01. */
/* L1's triple wants no error code at all, L0's wants some without the exception bitmap's bit. */
static void pf_intercept_of_nothing_yields(void **state UNUSED)
{
	machine_vcpu->wish.pf = (struct pf_intercept){ false, 1, 1 };
	everything();
	W(exception_bitmap, BIT(VEC_PF) | BIT(VEC_UD));
	W(pf_mask, 0);
	W(pf_match, 1);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(machine_field(VMCS_exception_bitmap), BIT(VEC_UD));
	assert_int_equal(machine_field(VMCS_pf_mask), 1);
	assert_int_equal(machine_field(VMCS_pf_match), 1);
}

static void pf_intercept_leaves_nothing_in_l1(void **state UNUSED)
{
	everything();
	W(exception_bitmap, BIT(VEC_UD) | BIT(VEC_PF));
	W(pf_mask, PFEC_W);
	W(pf_match, PFEC_W);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	assert_int_equal(machine_field(VMCS_exception_bitmap), 0);
	assert_int_equal(machine_field(VMCS_pf_mask), 0);
	assert_int_equal(machine_field(VMCS_pf_match), 0);
}

/* L0's wish changes while L2 runs: vmcs02 follows at once. */
static void pf_intercept_follows_l0s_wish(void **state UNUSED)
{
	everything();
	W(pf_mask, PFEC_W);
	W(pf_match, PFEC_W);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	wish_set_pf(machine_vcpu, (struct pf_intercept){ .eb = true });
	assert_true(machine_in_l2());
	assert_true(machine_field(VMCS_exception_bitmap) & BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), 0);
	assert_true(machine_field01(VMCS_exception_bitmap) & BIT(VEC_PF));
	wish_set_pf(machine_vcpu, (struct pf_intercept){ .eb = false });
	assert_false(machine_field(VMCS_exception_bitmap) & BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_W);
	assert_false(machine_field01(VMCS_exception_bitmap) & BIT(VEC_PF));
}

/* It changes while L1 runs: vmcs01 at once, each vmcs02 that there is at its next entry. */
static void pf_intercept_of_a_waiting_l2_follows(void **state UNUSED)
{
	everything();
	W(pf_mask, PFEC_W);
	W(pf_match, PFEC_W);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	wish_set_pf(machine_vcpu, (struct pf_intercept){ .eb = true, .mask = PFEC_P, .match = PFEC_P });
	assert_true(machine_field(VMCS_exception_bitmap) & BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_P);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_field(VMCS_exception_bitmap) & BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), 0);
	assert_int_equal(machine_field(VMCS_pf_match), 0);
}

/* The debug call: L0's wish at once, or by turns at each exit of L2's that L0 handles itself. */
static void pf_wish_by_the_debug_call(void **state UNUSED)
{
	everything();
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY | PROC_MSR_BITMAPS);
	machine_vcpu->gpr[GPR_RAX] = DEBUG_CALL_MAGIC;
	machine_vcpu->gpr[GPR_RBX] = 4;
	machine_vcpu->gpr[GPR_RCX] = 1;
	machine_vcpu->gpr[GPR_RSI] = PFEC_W;
	machine_vcpu->gpr[GPR_RDI] = 0;
	EXIT_NOW(.reason = EXIT_VMCALL);
	assert_true(machine_field(VMCS_exception_bitmap) & BIT(VEC_PF));
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_W);
	/* L1's applications may not ask: to them it is VMCALL in VMX root operation */
	machine_vcpu->gpr[GPR_RSI] = PFEC_P;
	machine_set_field(VMCS_guest_ss_ar, machine_field(VMCS_guest_ss_ar) | AR_DPL);
	EXIT_NOW(.reason = EXIT_VMCALL);
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_GP);
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_W);
	machine_set_field(VMCS_guest_ss_ar, machine_field(VMCS_guest_ss_ar) & ~(u64)AR_DPL);
	machine_vcpu->gpr[GPR_RCX] = 2; /* none, by turns */
	EXIT_NOW(.reason = EXIT_VMCALL);
	assert_int_equal(machine_field(VMCS_pf_mask), PFEC_W);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	for (int turn = 0; turn < 4; turn++) {
		assert_int_equal(!!(machine_field(VMCS_exception_bitmap) & BIT(VEC_PF)), !(turn & 1));
		machine_vcpu->gpr[GPR_RCX] = MSR_IA32_FEATURE_CONTROL;
		EXIT_NOW(.reason = EXIT_RDMSR);
		assert_true(machine_in_l2());
	}
}

/* One word of L1's controls bit by bit: what an entry takes and L0 has no need for is in vmcs02 as L1 has it.
 */
static unsigned int each_bit_passes(enum vmcs_field field, struct control_cap cap, u32 passed)
{
	unsigned int count = 0;
	u64 before;

	assert_int_equal(l1_vmread(field, &before), 0);
	for (unsigned int bit = 0; bit < 32; bit++) {
		if (!(passed & cap.allowed1 & ~cap.allowed0 & BIT(bit)))
			continue;
		for (u64 set = 0; set < 2; set++) {
			assert_int_equal(l1_vmwrite(field, (before & ~BIT(bit)) | set << bit), 0);
			if (l1_enter(EXIT_VMRESUME) || !machine_in_l2())
				continue;
			assert_int_equal(machine_field(field) >> bit & 1, set);
			count++;
			EXIT_NOW(.reason = EXIT_CPUID);
		}
	}
	assert_int_equal(l1_vmwrite(field, before), 0);
	return count;
}

static void each_passed_control_is_in_vmcs02_as_l1_has_it(void **state UNUSED)
{
	everything();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_true(each_bit_passes(VMCS_pin_controls, caps12.pin,
				    CONTROLS_WITH(WORD_PIN, L0_NO, L1_PASSED)) >= 4);
	assert_true(each_bit_passes(VMCS_proc_controls, caps12.proc,
				    CONTROLS_WITH(WORD_PROC, L0_NO, L1_PASSED)) >= 30);
	assert_true(each_bit_passes(VMCS_proc2_controls, caps12.proc2,
				    CONTROLS_WITH(WORD_PROC2, L0_NO | L0_VMCS01, L1_PASSED)) >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(each_field_is_written_at_most_once),
		MACHINE_TEST_BOTH(no_host_field_of_l1s_is_there),
		MACHINE_TEST_BOTH(each_passed_control_is_in_vmcs02_as_l1_has_it),
		MACHINE_TEST_BOTH(no_page_of_l1s_is_there_raw),
		MACHINE_TEST_BOTH(window_pages_are_kept_from_hardware),
		MACHINE_TEST_BOTH(a_virtual_apic_page_that_is_no_memory),
		MACHINE_TEST_BOTH(l0s_minimum_is_there),
		MACHINE_TEST_BOTH(random_control_words_merge),
		MACHINE_TEST_BOTH(primary_controls_alone_bring_what_they_govern),
		MACHINE_TEST_BOTH(the_apic_access_page_is_a_small_one),
		MACHINE_TEST_BOTH(untouched_fields_are_not_written_again),
		MACHINE_TEST_BOTH(every_touched_field_is_written),
		MACHINE_TEST_BOTH(two_vmcss_in_turn),
		MACHINE_TEST_BOTH(bitmaps_follow_l1s_pages),
		MACHINE_TEST_BOTH(single_fields_reach_vmcs02),
		MACHINE_TEST(opened_words_have_l0s_bits, ""),
		MACHINE_TEST_BOTH(absent_bitmaps_intercept_all),
		MACHINE_TEST_BOTH(read_shadows_show_what_l1_says),
		MACHINE_TEST(read_shadows_show_what_l1_says, "intercept=cr"),
		MACHINE_TEST_BOTH(injection_goes_through),
		MACHINE_TEST_BOTH(efer_follows_the_entry_controls),
		MACHINE_TEST_BOTH(debugctl_agrees_with_the_check_of_bs),
		MACHINE_TEST_BOTH(pdptes_only_when_they_mean_something),
		MACHINE_TEST_BOTH(pdptes_come_when_they_begin_to_mean_something),
		MACHINE_TEST_BOTH(the_cache_bits_are_the_processors),
		MACHINE_TEST(pf_intercept_is_one_value, ""),
		MACHINE_TEST(pf_intercept_with_a_wish_of_l0s, "intercept=pf"),
		MACHINE_TEST(pf_intercept_of_nothing_yields, ""),
		MACHINE_TEST_BOTH(pf_intercept_leaves_nothing_in_l1),
		MACHINE_TEST(pf_intercept_follows_l0s_wish, ""),
		MACHINE_TEST(pf_intercept_of_a_waiting_l2_follows, ""),
		MACHINE_TEST(pf_wish_by_the_debug_call, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
