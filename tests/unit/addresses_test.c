/* SPDX-License-Identifier: MIT */
/*
 * Each address in a VMCS of L1's (vmx/nested/vmcs12/addresses.def), aimed at L0's window, at memory that is
 * not there, MMIO, ROM, the end of RAM and beyond the processor's width: what the processor then gets in
 * vmcs02 is what the table says, and never a page of L0's but one that is meant for it.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "tests/unit/l2_support.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/l1/vm.h"
#include "vmx/l1/exit_msr.h"

enum fate { MERGED, HALF, OWN, COMPARED, TABLES, TRANSLATED, SOFT, UNUSED_FIELD, NONE };
#define FATE_MERGED MERGED
#define FATE_HALF HALF
#define FATE_OWN OWN
#define FATE_COMPARED COMPARED
#define FATE_TABLES TABLES
#define FATE_TRANSLATED TRANSLATED
#define FATE_SOFT SOFT
#define FATE_UNUSED UNUSED_FIELD
#define FATE_NONE NONE

static const struct address {
	const char *name;
	u32 field;
	enum fate fate;
} addresses[] = {
#define A(field, fate) { #field, VMCS_##field, FATE_##fate },
#include "vmx/nested/vmcs12/addresses.def"
#undef A
};

static const struct place {
	const char *name;
	u64 at;
	bool ram, window;
} places[] = {
	{ "the window's first page", M_WINDOW, false, true },
	{ "the window", M_WINDOW + 0x6000, false, true },
	{ "the window's last page", M_WINDOW + M_WINDOW_SIZE - PAGE_SIZE, false, true },
	{ "absent memory", M_RAM_END + 0x100000, false, false },
	{ "MMIO", 0xfed00000, false, false },
	{ "ROM", 0xfffff000, false, false },
	{ "the end of RAM", M_WINDOW - PAGE_SIZE, true, false },
};

#define GOOD(n) (M_SPARE + 0x50000 + (n)*PAGE_SIZE)

/* A good value of each field; all features on that use an address. */
static u64 good_value(u32 n)
{
	u64 page = GOOD(n);

	switch (addresses[n].field) {
	case VMCS_ept_pointer: return page | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB;
	case VMCS_guest_pdpte0:
	case VMCS_guest_pdpte1:
	case VMCS_guest_pdpte2:
	case VMCS_guest_pdpte3: return page | 1;
	case VMCS_vmcs_link_pointer: return ~0ull;
	case VMCS_host_cr3: return 0x1000;
	default: return page;
	}
}

static u64 aimed_value(u32 n, u64 at)
{
	return at | (good_value(n) == ~0ull ? 0 : good_value(n) & 0xfff);
}

/* PDPTEs count in PAE paging alone. */
static void everything(bool pae)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_EXTERNAL_INTERRUPT | PIN_POSTED_INTERRUPTS);
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY | PROC_HLT_EXITING | PROC_TPR_SHADOW |
				 PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
	W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_APIC_ACCESS | PROC2_VIRTUAL_INTERRUPT |
				  PROC2_VMFUNC | PROC2_VMCS_SHADOWING |
				  (caps12.proc2.allowed1 & (PROC2_PML | PROC2_VE)));
	W(exit_controls, R(exit_controls) | EXIT_ACK_INTERRUPT);
	W(vm_function_controls, 1);
	if (pae) {
		W(entry_controls, caps12.entry.allowed0 | ENTRY_LOAD_EFER);
		W(guest_efer, 0);
		W(guest_cs_ar, 0xc09b);
	}
	for (u32 n = 0; n < ARRAY_SIZE(addresses); n++)
		if (addresses[n].fate != NONE && vmcs12_find(addresses[n].field) >= 0)
			assert_int_equal(l1_vmwrite(addresses[n].field, good_value(n)), 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
}

/* A page that L0 made for the L2 that is current. */
static bool is_slots(u64 page)
{
	const struct nested_vmcs *slot = machine_vcpu->nested.current;

	return page == page_phys(slot->msr_bitmap02).v;
}

/* All ports of a half: what absent memory reads as. Where L0 wants a port, ports_test.c has the page. */
static bool is_of_ones(u64 page)
{
	const u8 *bytes = phys_to_ptr(HPA(page));

	for (u32 i = 0; i < PAGE_SIZE; i++)
		if (bytes[i] != 0xff)
			return false;
	return true;
}

static bool is_stand_in(u64 page, enum stand_in which)
{
	return page == page_phys(machine_vcpu->nested.stand_in[which]).v;
}

static enum stand_in stand_in_of(u32 field)
{
	return field == VMCS_virtual_apic_addr ? STAND_IN_APIC : STAND_IN_POSTED;
}

static bool is_table_of_l0s(u64 eptp)
{
	const struct ept02_cache *cache = machine_vcpu->nested.ept;

	return (eptp & EPT_ADDRESS) - cache->pages_phys < cache->count * PAGE_SIZE;
}

/* What the processor may hold for an address of this fate that L1 aimed at `place`. */
static bool is_as_told(const struct address *address, const struct place *place, u64 aimed, u64 value)
{
	u64 page = ALIGN_DOWN(value, PAGE_SIZE);

	switch (address->fate) {
	case MERGED: return is_slots(page);
	case HALF: return place->ram ? value == aimed : value != aimed && is_of_ones(page);
	case OWN: return place->ram ? value == aimed : is_stand_in(page, stand_in_of(address->field));
	case COMPARED: return place->window ? is_stand_in(page, STAND_IN_NOWHERE) : value == aimed;
	case TABLES: return is_table_of_l0s(value);
	case TRANSLATED: return value == aimed;
	default: return false;
	}
}

/* No field of any VMCS was given the address, but where the fate lets it through. */
static void assert_never_raw(u32 n, const struct place *place, u64 aimed)
{
	u64 vmcs02 = machine_vcpu->nested.current->vmcs02.region.v;

	for (size_t i = 0; i < fake_write_count; i++) {
		const struct fake_write *write = &fake_writes[i];

		if (write->vmcs != vmcs02 || ALIGN_DOWN(write->value, PAGE_SIZE) != place->at)
			continue;
		if (write->field != addresses[n].field ||
		    !is_as_told(&addresses[n], place, aimed, write->value))
			fail_msg("%s at %s: %s is %llx", addresses[n].name, place->name,
				 vmcs_field_name(write->field), (unsigned long long)write->value);
	}
}

static void assert_field(u32 n, const struct place *place, u64 aimed)
{
	const struct address *address = &addresses[n];
	u64 value = machine_field(address->field);
	bool host = VMCS_FIELD_TYPE(address->field) == VMCS_TYPE_HOST;

	if (address->fate == SOFT || address->fate == UNUSED_FIELD || host) {
		assert_true(value != aimed);
		return;
	}
	if (!is_as_told(address, place, aimed, value))
		fail_msg("%s at %s: %llx", address->name, place->name, (unsigned long long)value);
}

/* What a stand-in shows is what L0's own reads of the place give; a merged page, what L0 needs besides. */
static void assert_shown(u32 n, u64 aimed)
{
	u8 expected[PAGE_SIZE] ALIGNED(8);
	const u8 *shown = fake_memory + ALIGN_DOWN(machine_field(addresses[n].field), PAGE_SIZE);

	guest_mem_read(machine_vcpu, GPA(ALIGN_DOWN(aimed, PAGE_SIZE)), expected, PAGE_SIZE);
	/* Of a bitmap, the words that L2 has used. */
	if (addresses[n].fate == MERGED) {
		for (u32 word = 0; word < PAGE_SIZE / 8; word += 37) {
			if (!l2_uses_msr_of_word(aimed, word))
				continue;
			assert_true(((const u64 *)(const void *)shown)[word] ==
				    (((const u64 *)(void *)expected)[word] |
				     ((const u64 *)vm.msr_bitmap01)[word]));
		}
		return;
	}
	assert_memory_equal(shown, expected, PAGE_SIZE);
}

static void aim(u32 n, const struct place *place)
{
	u64 aimed = aimed_value(n, place->at);

	assert_int_equal(l1_vmwrite(addresses[n].field, aimed), 0);
	fake_log_clear();
	l1_enter(EXIT_VMRESUME);
	assert_never_raw(n, place, aimed);
	if (machine_in_l2()) {
		assert_field(n, place, aimed);
		if (addresses[n].fate == OWN || addresses[n].fate == MERGED)
			assert_shown(n, aimed);
		/* L2 and the processor may write there; the next entry shows no trace of it */
		if (addresses[n].fate == OWN && !place->ram) {
			memset(fake_memory + ALIGN_DOWN(machine_field(addresses[n].field), PAGE_SIZE), 0x11,
			       PAGE_SIZE);
			EXIT_NOW(.reason = EXIT_CPUID);
			assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
			assert_shown(n, aimed);
		}
		EXIT_NOW(.reason = EXIT_CPUID);
	} else {
		/* a shadow VMCS that is none; rubbish for L2's PDPTEs would be hardware's to find */
		assert_true(addresses[n].field == VMCS_vmcs_link_pointer);
	}
	assert_false(machine_in_l2());
	assert_int_equal(l1_vmwrite(addresses[n].field, good_value(n)), 0);
}

static void aim_all(bool pae)
{
	fake_memory[0xfffff000 + VTPR_OFFSET] = 0x42;
	everything(pae);
	for (u32 n = 0; n < ARRAY_SIZE(addresses); n++)
		for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
			/* L1 itself would be gone */
			if (addresses[n].fate == NONE || addresses[n].field == VMCS_host_cr3 ||
			    vmcs12_find(addresses[n].field) < 0)
				continue;
			if (!pae && addresses[n].field >= VMCS_guest_pdpte0 &&
			    addresses[n].field <= VMCS_guest_pdpte3)
				continue;
			aim(n, &places[i]);
		}
}

static void each_address_becomes_what_the_table_says(void **state UNUSED)
{
	aim_all(false);
}

static void and_in_pae_paging(void **state UNUSED)
{
	aim_all(true);
}

/* Beyond the processor's width no entry comes about, for no field that is used. */
static void nothing_is_entered_beyond_the_width(void **state UNUSED)
{
	static const u32 areas[] = { VMCS_exit_msr_store_addr, VMCS_exit_msr_load_addr,
				     VMCS_entry_msr_load_addr };
	u64 beyond = BIT(caps12.physical_bits);

	everything(true);
	for (u32 n = 0; n < ARRAY_SIZE(addresses); n++) {
		u32 count = 0;

		if (addresses[n].fate == NONE || addresses[n].fate == UNUSED_FIELD ||
		    vmcs12_find(addresses[n].field) < 0)
			continue;
		for (u32 i = 0; i < ARRAY_SIZE(areas); i++)
			if (addresses[n].field == areas[i])
				count = VMCS_exit_msr_store_count + 2 * i + (i == 2 ? 2 : 0);
		if (count)
			assert_int_equal(l1_vmwrite(count, 1), 0);
		assert_int_equal(l1_vmwrite(addresses[n].field, aimed_value(n, beyond)), 0);
		fake_log_clear();
		l1_enter(EXIT_VMRESUME);
		if (machine_in_l2())
			fail_msg("%s", addresses[n].name);
		for (size_t i = 0; i < fake_write_count; i++)
			assert_true(fake_writes[i].vmcs != machine_vcpu->nested.current->vmcs02.region.v ||
				    fake_writes[i].value < beyond || fake_writes[i].value == ~0ull);
		assert_int_equal(l1_vmwrite(addresses[n].field, good_value(n)), 0);
		if (count)
			assert_int_equal(l1_vmwrite(count, 0), 0);
	}
}

/* Two pages that are both absent do not show each other's writes. */
static void stand_ins_are_apart(void **state UNUSED)
{
	everything(false);
	W(virtual_apic_addr, M_WINDOW);
	W(posted_intr_desc_addr, M_WINDOW + 0x40);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_field(VMCS_posted_intr_desc_addr) - machine_field(VMCS_virtual_apic_addr) !=
		    0x40);
	assert_int_equal(machine_field(VMCS_posted_intr_desc_addr) & 0xfff, 0x40);
}

/* Nor does the APIC-access page that stands in for one in the window lie where L2 gets. */
static void the_page_that_is_nowhere_is_mapped_nowhere(void **state UNUSED)
{
	u64 nowhere = page_phys(machine_vcpu->nested.stand_in[STAND_IN_NOWHERE]).v;
	struct ept01_mapping mapping;

	assert_true(memmap_in_window(nowhere, PAGE_SIZE));
	assert_false(vm_ept01_lookup(GPA(nowhere), &mapping));
	assert_int_not_equal(nowhere, page_phys(machine_vcpu->nested.ept->absent).v);
	assert_int_not_equal(nowhere, page_phys(machine_vcpu->l1.absent.scratch).v);
}

/* The local APIC's page is decoded before memory is: not over the window, by whatever way it is moved. */
static void the_apic_base_stays_off_the_window(void **state UNUSED)
{
	u64 base = APIC_BASE_ENABLE | APIC_BASE_BSP | 0xfee00000, over = (base & 0xfff) | (M_WINDOW + 0x3000);

	fake_msr_set(MSR_IA32_APIC_BASE, base);
	for (u32 l2 = 0; l2 < 2; l2++) {
		if (l2)
			l1_run_l2();
		assert_false(msr_write(machine_vcpu, MSR_IA32_APIC_BASE, over));
		assert_true(fake_msr_get(MSR_IA32_APIC_BASE) == base);
		assert_true(msr_write(machine_vcpu, MSR_IA32_APIC_BASE, base));
	}
	/* and nobody gets there without L0's look */
	assert_true(((const u8 *)vm.msr_bitmap01)[0x800 + MSR_IA32_APIC_BASE / 8] &
		    BIT(MSR_IA32_APIC_BASE % 8));
	assert_true(fake_memory[machine_field(VMCS_msr_bitmap) + 0x800 + MSR_IA32_APIC_BASE / 8] &
		    BIT(MSR_IA32_APIC_BASE % 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(each_address_becomes_what_the_table_says),
		MACHINE_TEST_BOTH(and_in_pae_paging),
		MACHINE_TEST(nothing_is_entered_beyond_the_width, ""),
		MACHINE_TEST(stand_ins_are_apart, ""),
		MACHINE_TEST(the_page_that_is_nowhere_is_mapped_nowhere, ""),
		MACHINE_TEST(the_apic_base_stays_off_the_window, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
