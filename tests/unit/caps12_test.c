/* SPDX-License-Identifier: MIT */
/*
 * What L1 is told on processors that lack something or have more than Socle knows, and which fields L1 reads
 * and writes without an exit. SDM: appendix "VMX Capability Reporting Facility", "VMCS Shadowing".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/l1/vm.h"

static bool is_readable(u32 msr)
{
	u64 value;

	return vm.read_capability(msr, &value);
}

/* A processor with all that Socle offers, and more. */
static struct vmx_caps everything(void)
{
	struct vmx_caps caps = vmx_caps;

	caps.pin.allowed1 = caps.proc.allowed1 = caps.proc2.allowed1 = ~0u;
	caps.exit.allowed1 = caps.entry.allowed1 = ~0u;
	caps.ept_vpid = caps.vmfunc = caps.misc = caps.basic = caps.cr4_fixed1 = ~0ull;
	return caps;
}

static void tell(struct vmx_caps caps)
{
	vmx_caps = caps;
	nested_caps_init();
}

static void what_hangs_on_a_control(void **state UNUSED)
{
	const struct vmx_caps all = everything();
	struct vmx_caps less = all;

	tell(all);
	assert_true(is_readable(MSR_IA32_VMX_PROCBASED_CTLS2) && is_readable(MSR_IA32_VMX_EPT_VPID_CAP) &&
		    is_readable(MSR_IA32_VMX_VMFUNC) && is_readable(MSR_IA32_VMX_TRUE_ENTRY_CTLS));
	assert_true((caps12.proc2.allowed1 & PROC2_UNRESTRICTED_GUEST) &&
		    (caps12.proc2.allowed1 & PROC2_PML) &&
		    (caps12.proc2.allowed1 & PROC2_MODE_BASED_EXECUTE));
	less.proc.allowed1 = ~(u32)PROC_SECONDARY;
	tell(less);
	assert_int_equal(caps12.proc2.allowed1, 0);
	assert_false(is_readable(MSR_IA32_VMX_PROCBASED_CTLS2) || is_readable(MSR_IA32_VMX_EPT_VPID_CAP) ||
		     is_readable(MSR_IA32_VMX_VMFUNC));
	less = all;
	less.proc2.allowed1 = ~(u32)PROC2_EPT;
	tell(less);
	assert_false(caps12.proc2.allowed1 & PROC2_UNRESTRICTED_GUEST);
	assert_true(is_readable(MSR_IA32_VMX_EPT_VPID_CAP) && caps12.ept_vpid);
	less.proc2.allowed1 = ~(u32)PROC2_VPID;
	tell(less);
	assert_true(is_readable(MSR_IA32_VMX_EPT_VPID_CAP) && caps12.ept_vpid);
	less.proc2.allowed1 = ~(u32)(PROC2_VPID | PROC2_EPT);
	tell(less);
	assert_false(is_readable(MSR_IA32_VMX_EPT_VPID_CAP) || caps12.ept_vpid);
	less.proc2.allowed1 = ~(u32)PROC2_VMFUNC;
	tell(less);
	assert_false(is_readable(MSR_IA32_VMX_VMFUNC) || caps12.vmfunc);
	less.proc2.allowed1 = ~(u32)PROC2_VMCS_SHADOWING;
	tell(less);
	assert_false(caps12.has_shadow_vmcs);
}

static void what_hangs_on_a_capability(void **state UNUSED)
{
	const struct vmx_caps all = everything();
	struct vmx_caps less = all;

	tell(all);
	assert_true(caps12.has_shadow_vmcs);
	less.ept_vpid = ~(u64)EPT_CAP_AD;
	tell(less);
	assert_false(caps12.proc2.allowed1 & PROC2_PML);
	assert_true(caps12.proc2.allowed1 & PROC2_MODE_BASED_EXECUTE);
	less.ept_vpid = ~(u64)EPT_CAP_ADVANCED;
	tell(less);
	assert_true(caps12.proc2.allowed1 & PROC2_PML);
	assert_false(caps12.proc2.allowed1 & PROC2_MODE_BASED_EXECUTE);
	less = all;
	less.basic = ~(u64)VMX_BASIC_TRUE_CONTROLS;
	tell(less);
	for (u32 msr = MSR_IA32_VMX_TRUE_PINBASED_CTLS; msr <= MSR_IA32_VMX_TRUE_ENTRY_CTLS; msr++)
		assert_false(is_readable(msr));
	assert_true(is_readable(MSR_IA32_VMX_VMFUNC));
}

/*
 * The controls that L1 is told of, by the SDM's bit numbers: a second spelling of controls.h, on purpose. A
 * control that is offered from now on is added here.
 */
static void each_control_that_is_offered(void **state UNUSED)
{
	const u32 pin = BIT(0) | BIT(3) | GENMASK(7, 5);
	const u32 proc =
		GENMASK(3, 2) | BIT(7) | GENMASK(12, 9) | GENMASK(16, 15) | GENMASK(25, 19) | GENMASK(31, 27);
	const u32 proc2 = GENMASK(14, 0) | GENMASK(18, 16) | BIT(20) | BIT(22) | GENMASK(26, 25);
	const u32 exit = BIT(2) | BIT(9) | BIT(12) | BIT(15) | GENMASK(23, 18);
	const u32 entry = BIT(2) | BIT(9) | GENMASK(16, 13);
	struct vmx_caps all = everything();

	all.pin.allowed0 = all.proc.allowed0 = all.proc2.allowed0 = all.exit.allowed0 = all.entry.allowed0 =
		0;
	tell(all);
	assert_int_equal(caps12.pin.allowed1 & ~0x16u, pin & ~0x16u);
	assert_int_equal(caps12.proc.allowed1 & ~0x0401e172u, proc & ~0x0401e172u);
	assert_int_equal(caps12.proc2.allowed1, proc2);
	assert_int_equal(caps12.exit.allowed1 & ~0x00036dffu, exit & ~0x00036dffu);
	assert_int_equal(caps12.entry.allowed1 & ~0x000011ffu, entry & ~0x000011ffu);
}

/* What Socle does not know L1 is not told of; a reserved bit that must be 1, or may by its class, stays. */
static void no_more_than_socle_knows(void **state UNUSED)
{
	struct vmx_caps all = everything();

	all.proc.allowed0 = 0x0401e172u | BIT(17);
	all.pin.allowed0 = 0;
	tell(all);
	assert_true(caps12.proc.allowed1 & BIT(17));
	assert_false(caps12.proc.allowed1 & BIT(18));
	assert_true(caps12.proc.allowed1 & BIT(4));
	assert_int_equal(caps12.pin.allowed1 & (BIT(1) | BIT(2) | BIT(4) | BIT(8)), BIT(1) | BIT(2) | BIT(4));
	assert_true((caps12.pin.allowed1 & PIN_NMI_EXITING) && (caps12.pin.allowed1 & PIN_VIRTUAL_NMIS));
	assert_false(caps12.exit.allowed1 & BIT(31));
	assert_true(caps12.exit.allowed1 & EXIT_SAVE_EFER);
	assert_int_equal(caps12.entry.allowed1 & BIT(31), 0);
	assert_int_equal(caps12.vmfunc, BIT(VMFUNC_EPTP_SWITCHING));
	assert_false(caps12.ept_vpid & EPT_CAP_WALK_5);
	assert_false(caps12.ept_vpid & BIT(63));
	assert_true(caps12.ept_vpid & EPT_CAP_WALK_4);
	assert_false(caps12.misc & BIT(14)); /* processor trace in VMX operation */
	assert_true(caps12.misc & VMX_MISC_VMWRITE_ANY);
	assert_false(caps12.cr4_fixed1 & BIT(23)); /* CET */
	assert_true(caps12.cr4_fixed1 & CR4_PAE);
	assert_int_equal((u32)caps12.basic, VMCS12_REVISION);
	assert_int_equal(caps12.basic >> 32 & 0x1fff, PAGE_SIZE);
	assert_false(caps12.basic & BIT(49)); /* dual-monitor treatment of SMIs */
	assert_true(caps12.basic & VMX_BASIC_TRUE_CONTROLS);
}

static bool exits(u32 bitmap, u32 encoding)
{
	return fake_memory[machine_field01(bitmap) + encoding / 8] >> encoding % 8 & 1;
}

static bool is_optional(u32 encoding)
{
	return encoding == VMCS_guest_pml_index || encoding == VMCS_guest_intr_status ||
	       encoding == VMCS_preemption_timer_value;
}

/* Each encoding there can be: no exit for a field that the table shadows, both halves of a wide one. */
static void the_bitmaps_are_the_table(void **state UNUSED)
{
	l1_start_vmx();
	for (u32 encoding = 0; encoding < 0x8000; encoding++) {
		bool wide = VMCS_FIELD_WIDTH(encoding) == VMCS_WIDTH_64;
		int row = vmcs12_find(wide ? encoding & ~1u : encoding);
		unsigned int shadow = row < 0 ? SHADOW_NO : vmcs12_fields[row].shadow;

		if (is_optional(encoding))
			continue;
		if (row >= 0 && vmcs12_fields[row].encoding != (wide ? encoding & ~1u : encoding))
			shadow = SHADOW_NO;
		/* The TSC offset is shadowed for writes when L1 has shown that it writes it:
		 * shadow_use_test.c.
		 */
		if (exits(VMCS_vmread_bitmap, encoding) != (shadow == SHADOW_NO) ||
		    exits(VMCS_vmwrite_bitmap, encoding) !=
			    (shadow != SHADOW_RW || (encoding & ~1u) == VMCS_tsc_offset))
			fail_msg("encoding %x", encoding);
	}
}

/* The shadow VMCS is one by its revision, and linked while L1 has a current VMCS. */
static void the_link_follows_the_current_vmcs(void **state UNUSED)
{
	u64 proc2 = machine_field01(VMCS_proc2_controls), link;
	u32 revision;

	l1_start_vmx();
	assert_int_equal(machine_field01(VMCS_proc2_controls), proc2 | PROC2_VMCS_SHADOWING);
	assert_true(machine_field01(VMCS_vmcs_link_pointer) == ~0ull);
	l1_load_vmcs(0);
	link = machine_field01(VMCS_vmcs_link_pointer);
	memcpy(&revision, fake_memory + link, sizeof(revision));
	assert_true(revision & VMCS_SHADOW_INDICATOR);
	l1_load_vmcs(1);
	assert_true(machine_field01(VMCS_vmcs_link_pointer) != link);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(1)), 0);
	assert_true(machine_field01(VMCS_vmcs_link_pointer) == ~0ull);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(machine_field01(VMCS_vmcs_link_pointer), link);
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(machine_field01(VMCS_proc2_controls), proc2);
	assert_true(machine_field01(VMCS_vmcs_link_pointer) == ~0ull);
}

/* Each field that L1 writes in the shadow VMCS counts at the next entry, and is in memory after VMCLEAR. */
static void what_l1_writes_without_an_exit_counts(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];
		u64 value;

		if (f->shadow != SHADOW_RW || vmcs12_find(f->encoding) < 0 ||
		    exits(VMCS_vmwrite_bitmap, f->encoding))
			continue;
		value = vmcs12_mask_width(f->encoding, 0x1234567812345600 + row);
		assert_int_equal(l1_vmwrite(f->encoding, value), 0);
		machine_vcpu->nested.current->dirty = 0;
		shadow_pull(machine_vcpu, machine_vcpu->nested.current);
		assert_int_equal(*vmcs12_slot(l2_v12(), row), value);
		assert_int_equal(machine_vcpu->nested.current->dirty, f->group);
	}
}

static void processor_with_few_access_rights(void)
{
	fake_access_rights = 0x1f0ff;
}

/* Some processors have no room for the reserved bits of access rights: L1 finds the same. */
static void access_rights_as_the_processor_keeps_them(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	for (u32 n = 0; n < 8; n++) {
		assert_int_equal(l1_vmwrite(VMCS_guest_es_ar + 2 * n, 0xffffffff), 0);
		assert_int_equal(l1_vmwrite(VMCS_guest_es_limit + 2 * n, 0xffffffff), 0);
	}
	assert_int_equal(l1_vmwrite(VMCS_guest_interruptibility, 0xffffffff), 0);
	for (u32 n = 0; n < 8; n++) {
		u64 value;

		assert_int_equal(l1_vmread(VMCS_guest_es_ar + 2 * n, &value), 0);
		assert_int_equal(value, fake_access_rights);
		assert_int_equal(l1_vmread(VMCS_guest_es_limit + 2 * n, &value), 0);
		assert_int_equal(value, 0xffffffff);
	}
	assert_int_equal(R(guest_interruptibility), 0xffffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(what_hangs_on_a_control, ""),
		MACHINE_TEST(each_control_that_is_offered, ""),
		MACHINE_TEST(access_rights_as_the_processor_keeps_them, "shadow-vmcs=off"),
		MACHINE_TEST_BEFORE(access_rights_as_the_processor_keeps_them, "",
				    processor_with_few_access_rights),
		MACHINE_TEST(what_hangs_on_a_capability, ""),
		MACHINE_TEST(no_more_than_socle_knows, ""),
		MACHINE_TEST(the_bitmaps_are_the_table, "shadow-vmcs=on"),
		MACHINE_TEST(the_link_follows_the_current_vmcs, "shadow-vmcs=on"),
		MACHINE_TEST(what_l1_writes_without_an_exit_counts, "shadow-vmcs=on"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
