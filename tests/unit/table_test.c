/* SPDX-License-Identifier: MIT */
/*
 * The one table of VMCS fields: encodings, widths, lookup, VMCS_ENUM; and the pure merge of page-fault
 * interception.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/machine.h"

static void encodings_are_unique_and_well_formed(void **state UNUSED)
{
	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++) {
		u32 encoding = vmcs12_fields[i].encoding;

		assert_int_equal(encoding & ~0x6ffeu, 0);
		assert_string_equal(vmcs12_fields[i].name, vmcs_field_name(encoding));
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(encoding, vmcs12_fields[j].encoding);
	}
}

static void flows_fit_types(void **state UNUSED)
{
	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++) {
		const struct vmcs12_field *f = &vmcs12_fields[i];
		u32 type = VMCS_FIELD_TYPE(f->encoding);

		assert_int_equal(f->flow == FLOW_OUT, type == VMCS_TYPE_READ_ONLY);
		assert_int_equal(f->flow == FLOW_HOST, type == VMCS_TYPE_HOST);
		if (f->flow == FLOW_COPY)
			assert_int_equal(type, VMCS_TYPE_GUEST);
		if (f->flow == FLOW_IN)
			assert_int_equal(type, VMCS_TYPE_CONTROL);
		if (type == VMCS_TYPE_READ_ONLY)
			assert_int_not_equal(f->shadow, SHADOW_RW);
		/* L1's writes of these are looked at as they come */
		if (type == VMCS_TYPE_CONTROL && f->shadow == SHADOW_RO)
			assert_true(f->group & GROUP_COOL);
		/* SDM: of all host state, VM entry checks nothing of RSP */
		if (f->flow == FLOW_HOST)
			assert_int_equal(f->group, f->encoding == VMCS_host_rsp ? GROUP_FREE : GROUP_HST);
		else if (type != VMCS_TYPE_READ_ONLY)
			assert_int_not_equal(f->group, GROUP_INFO);
	}
}

static void every_encoding_finds_its_row(void **state UNUSED)
{
	for (u32 encoding = 0; encoding < 0x20000; encoding++) {
		int row = vmcs12_find(encoding), expected = -1;

		for (int i = 0; i < VMCS12_FIELD_COUNT; i++)
			if (vmcs12_fields[i].encoding == encoding && vmcs_field_exists(encoding))
				expected = i;
		assert_int_equal(row, expected);
	}
	assert_int_equal(vmcs12_find(0xffffffff), -1);
}

static void widths_truncate(void **state UNUSED)
{
	assert_true(vmcs12_mask_width(VMCS_guest_es_selector, ~0ull) == 0xffff);
	assert_true(vmcs12_mask_width(VMCS_guest_es_limit, ~0ull) == 0xffffffff);
	assert_true(vmcs12_mask_width(VMCS_io_bitmap_a, ~0ull) == ~0ull);
	assert_true(vmcs12_mask_width(VMCS_guest_rip, ~0ull) == ~0ull);
}

static void slots_address_members(void **state UNUSED)
{
	static struct vmcs12 v12;

#define F(encoding, name, flow, shadow, group) assert_ptr_equal(vmcs12_slot(&v12, V12_##name), &v12.name);
#include "vmx/hw/vmcs_fields.def"
#undef F
}

static void enum_is_the_highest_index(void **state UNUSED)
{
	u64 highest = 0;

	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++)
		if (vmcs_field_exists(vmcs12_fields[i].encoding) &&
		    (vmcs12_fields[i].encoding & 0x3fe) > highest)
			highest = vmcs12_fields[i].encoding & 0x3fe;
	assert_int_equal(vmcs12_enum(), highest);
}

static void remove_fields_of_high_index(void)
{
	fake_remove_field(VMCS_exit2_controls);
	fake_remove_field(VMCS_tsc_multiplier);
}

static void remove_fields(void)
{
	fake_remove_field(VMCS_tsc_multiplier);
	fake_remove_field(VMCS_guest_s_cet);
}

static void an_absent_field_is_unsupported(void **state UNUSED)
{
	u64 value;

	assert_int_equal(vmcs12_find(VMCS_tsc_multiplier), -1);
	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_vmread(VMCS_tsc_multiplier, &value), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(l1_vmwrite(VMCS_guest_s_cet, 0), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(l1_vmread(0x6fff, &value), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(l1_vmread(BIT(32) | VMCS_guest_rip, &value), VMXERR_UNSUPPORTED_FIELD);
	/* nor does anybody fetch it with the rest of L2's state */
	l1_write_valid_vmcs();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_set_field(VMCS_guest_gs_base, 0x7000);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_vmread(VMCS_guest_gs_base, &value), 0);
	assert_int_equal(value, 0x7000);
}

static void remove_fields_that_kvm_lacks(void)
{
	fake_remove_field(VMCS_guest_smbase);
	fake_remove_field(VMCS_executive_vmcs_pointer);
}

/* Every processor has them; a hypervisor below may not: they are L1's in software. */
static void fields_of_smm_are_always_there(void **state UNUSED)
{
	u64 value = 0;

	assert_false(vmcs_field_exists(VMCS_guest_smbase));
	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_vmwrite(VMCS_guest_smbase, 0x30000), 0);
	assert_int_equal(l1_vmread(VMCS_guest_smbase, &value), 0);
	assert_int_equal(value, 0x30000);
	assert_int_equal(l1_vmwrite(VMCS_executive_vmcs_pointer, 0x5000), 0);
	assert_int_equal(l1_vmread(VMCS_executive_vmcs_pointer, &value), 0);
	assert_int_equal(value, 0x5000);
}

static void no_read_only_writes(void)
{
	fake_msr_set(0x485, fake_msr_get(0x485) & ~BIT(29));
}

static void read_only_fields_refuse_writes(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_vmwrite(VMCS_exit_reason, 1), VMXERR_READ_ONLY_FIELD);
	assert_int_equal(l1_vmread(VMCS_exit_reason, &value), 0);
}

/* ---- #PF interception as one value, exhaustively over three bits of error code ---- */

#define PFEC_SPACE 8

static unsigned int set_of(struct pf_intercept p)
{
	unsigned int set = 0;

	for (u32 pfec = 0; pfec < PFEC_SPACE; pfec++)
		set |= (unsigned int)(((pfec & p.mask) == p.match) == p.eb) << pfec;
	return set;
}

static struct pf_intercept nth(unsigned int n)
{
	return (struct pf_intercept){ n & 1, (n >> 1) & 15, (n >> 5) & 15 };
}

static void pf_wants_is_the_sdms_formula(void **state UNUSED)
{
	for (unsigned int n = 0; n < 512; n++)
		for (u32 pfec = 0; pfec < PFEC_SPACE; pfec++)
			assert_int_equal(pf_intercept_wants(nth(n), pfec), (set_of(nth(n)) >> pfec) & 1);
	/* EB.PF = 0 with a nonzero mask still exits. */
	assert_true(pf_intercept_wants((struct pf_intercept){ false, PFEC_W, PFEC_W }, 0));
}

/* "L1's if L0 wants none, L0's if L1 wants none, the common one if equal, else all": never less than both. */
static void pf_merge_gives_at_least_both(void **state UNUSED)
{
	for (unsigned int i = 0; i < 512; i++) {
		for (unsigned int j = 0; j < 512; j++) {
			struct pf_intercept l0 = nth(i), l1 = nth(j), merged = merge_pf(l0, l1);
			unsigned int both = set_of(l0) | set_of(l1);

			assert_int_equal(set_of(merged) & both, both);
			if (!set_of(l0) && l0.match <= 7 && l0.mask <= 7)
				assert_int_equal(set_of(merged), set_of(l1));
			else if (!set_of(l1) && l1.match <= 7 && l1.mask <= 7)
				assert_int_equal(set_of(merged), set_of(l0));
			else if (i == j)
				assert_int_equal(set_of(merged), set_of(l1));
			else
				assert_true(set_of(merged) == both || set_of(merged) == 0xff);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodings_are_unique_and_well_formed),
		cmocka_unit_test(flows_fit_types),
		MACHINE_TEST(every_encoding_finds_its_row, ""),
		cmocka_unit_test(widths_truncate),
		cmocka_unit_test(slots_address_members),
		MACHINE_TEST(enum_is_the_highest_index, ""),
		MACHINE_TEST_BEFORE(enum_is_the_highest_index, "", remove_fields_of_high_index),
		MACHINE_TEST_BEFORE(an_absent_field_is_unsupported, "shadow-vmcs=off", remove_fields),
		MACHINE_TEST_BEFORE(an_absent_field_is_unsupported, "shadow-vmcs=on", remove_fields),
		MACHINE_TEST_BEFORE(fields_of_smm_are_always_there, "", remove_fields_that_kvm_lacks),
		MACHINE_TEST_BEFORE(read_only_fields_refuse_writes, "shadow-vmcs=on", no_read_only_writes),
		MACHINE_TEST_BEFORE(read_only_fields_refuse_writes, "shadow-vmcs=off", no_read_only_writes),
		cmocka_unit_test(pf_wants_is_the_sdms_formula),
		cmocka_unit_test(pf_merge_gives_at_least_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
