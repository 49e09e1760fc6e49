/* SPDX-License-Identifier: MIT */
/*
 * vmcs02 after any entry that passes the checks, whatever L1 wrote into its VMCS before: each field is
 * written at most once, the guest's state and what goes through are L1's, host state and lists are L0's, no
 * page of L1's stands where hardware would take it for a bitmap, an EPT or a VMCS, and every control word is
 * one that the processor allows and L0 needs. Input: an entry after the other; 9 bytes for a field and its
 * value, a byte of 255 enters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/x86.h"
#include "mm/memmap.h"
#include "tests/unit/machine.h"
#include "vmx/l1/ports.h"
#include "vmx/l1/vm.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

enum { ENTER = 255, A_PAGES = M_SPARE };

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static void check_fields(u64 vmcs02, const struct vmcs12 *v12)
{
	static u8 writes[VMCS12_FIELD_COUNT];

	memset(writes, 0, sizeof(writes));
	for (size_t i = 0; i < fake_write_count; i++) {
		int row = vmcs12_find(fake_writes[i].field);

		if (fake_writes[i].vmcs == vmcs02 && row >= 0)
			require(++writes[row] <= 1, vmcs12_fields[row].name);
	}
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];
		u64 own = fake_get(vmcs02, f->encoding);

		if (fake_is_removed(f->encoding))
			continue;
		if (f->flow == FLOW_COPY || f->flow == FLOW_IN)
			require(own == ((const u64 *)&v12->vpid)[row], f->name);
		if (f->flow == FLOW_HOST)
			require(own == machine_field01(f->encoding), f->name);
	}
}

static void check_word(u64 value, struct control_cap cap, const char *name)
{
	require(!(cap.allowed0 & ~value) && !(value & ~(u64)cap.allowed1), name);
}

/* L0's own with its bits in it, or L1's in the half in which L0 wants no port. */
static void check_io_bitmap(u64 page, unsigned int half)
{
	const u64 *l0 = ports_bitmap(half), *words = phys_to_ptr(HPA(page));

	require(!ports_wanted_in(half) || memmap_in_window(page, PAGE_SIZE), "I/O bitmap of L1's");
	require(page >= M_RAM_END || memmap_is_ram(page, PAGE_SIZE) || memmap_in_window(page, PAGE_SIZE),
		"I/O bitmap that is no RAM");
	for (size_t i = 0; i < PAGE_SIZE / sizeof(u64); i++)
		require((words[i] & l0[i]) == l0[i], "L0's ports");
}

static void add_ports(void)
{
	ports_add(&(const struct port_range){ 0xb004, 2, "PM1a_CNT", NULL, NULL });
}

static void check_controls_of_hardware(void)
{
	u64 proc = machine_field(VMCS_proc_controls), proc2 = machine_field(VMCS_proc2_controls);

	check_word(machine_field(VMCS_pin_controls), vmx_caps.pin, "pin");
	check_word(proc, vmx_caps.proc, "proc");
	check_word(proc2, vmx_caps.proc2, "proc2");
	check_word(machine_field(VMCS_exit_controls), vmx_caps.exit, "exit");
	check_word(machine_field(VMCS_entry_controls), vmx_caps.entry, "entry");
	require(machine_field(VMCS_pin_controls) & PIN_NMI_EXITING, "NMI exiting");
	require(proc & PROC_MSR_BITMAPS && proc & PROC_SECONDARY && proc2 & PROC2_EPT, "mandatory controls");
	require(memmap_in_window(machine_field(VMCS_msr_bitmap), PAGE_SIZE), "MSR bitmap");
	require(memmap_in_window(machine_field(VMCS_ept_pointer) & PTE_ADDR, PAGE_SIZE), "EPT pointer");
	if (proc & PROC_IO_BITMAPS) {
		check_io_bitmap(machine_field(VMCS_io_bitmap_a), 0);
		check_io_bitmap(machine_field(VMCS_io_bitmap_b), 1);
	}
	if (proc & PROC_TPR_SHADOW)
		require(!memmap_in_window(machine_vcpu->nested.current->v12.virtual_apic_addr, 1) ||
				machine_field(VMCS_virtual_apic_addr) !=
					machine_vcpu->nested.current->v12.virtual_apic_addr,
			"virtual-APIC page");
	if (proc2 & PROC2_VMFUNC)
		require(!machine_field(VMCS_vm_function_controls), "VM functions");
	require(!(proc2 & PROC2_VPID) || (machine_field(VMCS_vpid) && machine_field(VMCS_vpid) != VPID_L1),
		"VPID");
	require(!machine_field(VMCS_exit_msr_store_count) && !machine_field(VMCS_exit_msr_load_count) &&
			!machine_field(VMCS_entry_msr_load_count),
		"MSR lists");
	require(machine_field(VMCS_vmcs_link_pointer) == ~0ull ||
			memmap_in_window(machine_field(VMCS_vmcs_link_pointer), PAGE_SIZE),
		"link pointer");
}

static void enter(void)
{
	struct nested_vmcs *slot = machine_vcpu->nested.current;

	fake_log_clear();
	l1_enter(slot->v12.launched ? EXIT_VMRESUME : EXIT_VMLAUNCH);
	if (!machine_in_l2())
		return;
	check_fields(slot->vmcs02.region.v, &slot->v12);
	check_controls_of_hardware();
	EXIT_NOW(.reason = EXIT_CPUID);
	require(!machine_in_l2(), "CPUID is L1's");
}

static void start(void)
{
	const char *options_line = getenv("FUZZ_OPTIONS");
	static const u32 pages[] = { VMCS_io_bitmap_a,	     VMCS_io_bitmap_b,		VMCS_msr_bitmap,
				     VMCS_virtual_apic_addr, VMCS_apic_access_addr,	VMCS_vmread_bitmap,
				     VMCS_vmwrite_bitmap,    VMCS_eptp_list_addr,	VMCS_pml_address,
				     VMCS_ve_info_addr,	     VMCS_posted_intr_desc_addr };

	machine_before_start = add_ports;
	machine_init(options_line ? options_line : "");
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		l1_vmwrite(pages[i], A_PAGES + i * PAGE_SIZE);
	l1_vmwrite(VMCS_ept_pointer, (A_PAGES + 0x20000) | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	l1_vmwrite(VMCS_vpid, 5);
	l1_vmwrite(VMCS_tsc_multiplier, BIT(48));
}

/* A list that loads something may write what L2 starts with; their own tests have that. */
static bool is_free(u32 field)
{
	return field != VMCS_entry_msr_load_count && field != VMCS_exit_msr_load_count &&
	       field != VMCS_exit_msr_store_count;
}

/* Another value, or one bit of the one that is there. */
static void change(u32 field, u64 value)
{
	u64 old;

	if (!is_free(field) || l1_vmread(field, &old))
		return;
	l1_vmwrite(field, value >> 62 ? old ^ BIT(value & 63) : value);
}

static void run(const u8 *data, size_t size)
{
	for (size_t at = 0; at < size;) {
		u64 value;

		if (data[at] == ENTER) {
			enter();
			at++;
			continue;
		}
		if (size - at < 9)
			break;
		memcpy(&value, data + at + 1, sizeof(value));
		change(vmcs12_fields[data[at] % VMCS12_FIELD_COUNT].encoding, value);
		at += 9;
	}
	enter();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static bool started;

	if (!started) {
		start();
		fake_snapshot();
		started = true;
	}
	fake_restore();
	if (fake_panics(run(data, size))) {
		fprintf(stderr, "%s\n", fake_log());
		abort();
	}
	return 0;
}
