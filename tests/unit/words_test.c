/* SPDX-License-Identifier: MIT */
/*
 * Values of VMCS fields in words (explain/words.h): each kind of field, and how wrong bits are listed.
 */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/valid12.h"
#include "vmx/nested/explain/words.h"

static char buffer[512];

static struct text empty(void)
{
	buffer[0] = 0;
	return (struct text){ buffer, sizeof(buffer), 0 };
}

static void values_in_words(void **state)
{
	static const struct vmx_caps caps = { .pin = { 0x16, 0xff },
					      .proc = { 0x1, 0x2 },
					      .proc2 = { 0x3, 0x4 },
					      .exit = { 0x5, 0x6 },
					      .entry = { 0x7, 0x8 } };
	static const struct {
		unsigned int field;
		u64 value;
		const char *words;
	} rows[] = {
		{ V12_guest_rip, 0x1234, "" },
		{ V12_pin_controls, 1, ": allowed-0 16, allowed-1 ff" },
		{ V12_proc_controls, 1, ": allowed-0 1, allowed-1 2" },
		{ V12_proc2_controls, 1, ": allowed-0 3, allowed-1 4" },
		{ V12_exit_controls, 1, ": allowed-0 5, allowed-1 6" },
		{ V12_entry_controls, 1, ": allowed-0 7, allowed-1 8" },
		{ V12_entry_intr_info, 0x80000b0e,
		  ": valid, hardware exception, vector 14, with error code" },
		{ V12_entry_intr_info, 0x00000441,
		  ": not valid, software interrupt, vector 65, no error code" },
		{ V12_exit_intr_info, 0x80000202, ": valid, NMI, vector 2, no error code" },
		{ V12_idt_vectoring_info, 0x800000ff,
		  ": valid, external interrupt, vector 255, no error code" },
		{ V12_idt_vectoring_info, 0x80000700, ": valid, other event, vector 0, no error code" },
		{ V12_idt_vectoring_info, 0x80000500,
		  ": valid, privileged software exception, vector 0, no error code" },
		{ V12_idt_vectoring_info, 0x80000600,
		  ": valid, software exception, vector 0, no error code" },
		{ V12_guest_activity_state, 0, ": active" },
		{ V12_guest_activity_state, 1, ": HLT" },
		{ V12_guest_activity_state, 2, ": shutdown" },
		{ V12_guest_activity_state, 3, ": wait-for-SIPI" },
		{ V12_guest_activity_state, 4, ": unknown" },
		{ V12_ept_pointer, 0x12301e, ": memory type 6, walk of 4 levels" },
		{ V12_ept_pointer, 0x123060, ": memory type 0, walk of 5 levels, A/D" },
		{ V12_guest_es_selector, 0x2b, ": index 5, TI 0, RPL 3" },
		{ V12_guest_tr_selector, 0x14, ": index 2, TI 1, RPL 0" },
		{ V12_host_es_selector, 0x9, ": index 1, TI 0, RPL 1" },
		{ V12_host_tr_selector, 0, ": index 0, TI 0, RPL 0" },
		{ V12_guest_cr0, 0, ": none" },
		{ V12_guest_cr0, 0x80000021, ": PE NE PG" },
		{ V12_host_cr0, 0x60000000, ": NW CD" },
		{ V12_guest_cr4, 0x2020, ": PAE VMXE" },
		{ V12_host_cr4, 0x40, ": MCE" },
		{ V12_guest_efer, 0x500, ": LME LMA" },
		{ V12_host_efer, 0x801, ": SCE NXE" },
		{ V12_guest_rflags, 0x20202, ": IF VM" },
		{ V12_guest_rflags, 0x243ed5, ": CF PF AF ZF SF IF DF OF AC ID IOPL 3" },
		{ V12_guest_rflags, 0x1002, ": IOPL 1" },
		{ V12_exception_bitmap, 0x6002, ": #DB #GP #PF" },
		{ V12_cr0_guest_host_mask, 0x80000001, ": PE PG" },
		{ V12_cr0_read_shadow, 0x10, ": ET" },
		{ V12_cr4_guest_host_mask, 0x2000, ": VMXE" },
		{ V12_cr4_read_shadow, 0x20, ": PAE" },
		{ V12_guest_interruptibility, 0x1f, ": by STI by MOV SS by SMI by NMI enclave" },
		{ V12_guest_pending_debug, 0x1500f, ": enabled breakpoint BS RTM" },
		{ V12_guest_es_ar, 0xc0f3, ": type 3, DPL 3, S P D/B G" },
		{ V12_guest_tr_ar, 0x1008b, ": type 11, DPL 0, P unusable" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct text text = empty();

		words_value(&text, rows[i].field, rows[i].value, &caps);
		assert_string_equal(buffer, rows[i].words);
	}
}

static void controls_in_words(void **state)
{
	struct text text = empty();

	(void)state;
	assert_true(words_controls(&text, V12_pin_controls, 0x7e));
	assert_string_equal(buffer, "NMI exiting, virtual NMIs, VMX-preemption timer, and 16");
	text = empty();
	assert_true(words_controls(&text, V12_proc_controls, BIT(40) | 2));
	assert_string_equal(buffer, "and 10000000002");
	text = empty();
	assert_true(words_controls(&text, V12_entry_controls, 0x200));
	assert_string_equal(buffer, "IA-32e mode guest");
	text = empty();
	assert_true(words_controls(&text, V12_exit_controls, 0));
	assert_false(words_controls(&text, V12_guest_cr0, 1));
	assert_string_equal(buffer, "");
}

static void wrong_bits_in_words(void **state)
{
	static const struct {
		unsigned int field;
		u64 value, mask, want;
		const char *words;
	} rows[] = {
		{ V12_guest_rip, 0, ~0ull, BIT(63), "bit 63 must be 1" },
		{ V12_guest_rip, BIT(0), ~0ull, 0, "bit 0 must be 0" },
		{ V12_guest_rip, 0xff, 0xf0, 0, "bits 7:4 must be 0" },
		{ V12_guest_rip, 5, ~0ull, 2, "bit 1 must be 1; bits 0, 2 must be 0" },
		{ V12_guest_rip, ~0ull, ~0ull, 0, "bits 63:0 must be 0" },
		{ V12_guest_rip, 3ull << 62, ~0ull, 0, "bits 63:62 must be 0" },
		{ V12_guest_rip, 0x1b, ~0ull, 0, "bits 1:0, 4:3 must be 0" },
		{ V12_guest_rip, 7, 7, 7, "" },
		{ V12_pin_controls, BIT(32), ~0ull, 0, "bit 32 must be 0" },
		{ V12_proc_controls, 0, 0x18000, 0x18000,
		  "bits 15 (CR3-load exiting), 16 (CR3-store exiting) must be 1" },
		{ V12_proc2_controls, 0x3, 0x3, 0, "bits 0 (virtualize APIC accesses), 1 (EPT) must be 0" },
		{ V12_guest_cr0, 0x80000000, 0x80000001, 1, "bit 0 (PE) must be 1; bit 31 (PG) must be 0" },
		{ V12_guest_cr0, 0x1ffc0, 0x1ffc0, 0, "bits 15:6, 16 (WP) must be 0" },
		{ V12_guest_cr0, 0x30000, 0x30000, 0, "bits 16 (WP), 17 must be 0" },
		{ V12_guest_efer, 0xfe, ~0ull, 0x400, "bit 10 (LMA) must be 1; bits 7:1 must be 0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct text text = empty();

		words_wrong(&text, rows[i].field, rows[i].value, rows[i].mask, rows[i].want);
		assert_string_equal(buffer, rows[i].words);
	}
}

/* What does not fit is cut off. */
static void words_that_do_not_fit(void **state)
{
	char small[8] = "";
	struct text text = { small, sizeof(small), 0 };

	(void)state;
	text_add(&text, "%s", "123456789");
	text_add(&text, "%s", "abc");
	assert_string_equal(small, "1234567");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_in_words),
		cmocka_unit_test(controls_in_words),
		cmocka_unit_test(wrong_bits_in_words),
		cmocka_unit_test(words_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
