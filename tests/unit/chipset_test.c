/* SPDX-License-Identifier: MIT */
/*
 * The chipset's power-management function on a fake PCI bus: by the port that the FADT names, by its own name
 * where there is no FADT.
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/acpi_sleep.h"
#include "drivers/chipset.h"
#include "kernel/cmdline.h"
#include "tests/fake/fake.h"

#define FUNCTION(device, function) ((device) << 3 | (function))
#define PIIX4 0x71138086u
#define ICH9 0x29188086u
#define OTHER 0x12341022u
#define BRIDGE 0x06010000u

/* One function of a bus. */
static struct {
	u32 function, id, class, base, ich_enable;
} bus[2];
static u32 config_address;

static bool port_in(u16 port, unsigned int size, u32 *value)
{
	*value = ~0u;
	if (port == PCI_CONFIG_ADDRESS && size == 4)
		*value = config_address;
	for (size_t i = 0; i < ARRAY_SIZE(bus) && port == PCI_CONFIG_DATA; i++) {
		if (!bus[i].id || config_address >> 8 != (PCI_CONFIG_ENABLE >> 8 | bus[i].function))
			continue;
		switch (config_address & 0xff) {
		case 0: *value = bus[i].id; break;
		case 8: *value = bus[i].class; break;
		case 0x40: *value = bus[i].base; break;
		case 0x44: *value = bus[i].ich_enable; break;
		default: *value = 0;
		}
	}
	return true;
}

static bool port_out(u16 port, unsigned int size, u32 value)
{
	assert_int_equal(port, PCI_CONFIG_ADDRESS);
	assert_int_equal(size, 4);
	config_address = value;
	return true;
}

static int setup(void **state UNUSED)
{
	fake_reset();
	cmdline_parse("");
	memset(bus, 0, sizeof(bus));
	config_address = 0x12345678;
	fake_port_in = port_in;
	fake_port_out = port_out;
	return 0;
}

static int teardown(void **state UNUSED)
{
	fake_port_in = NULL;
	fake_port_out = NULL;
	return 0;
}

static void the_fadts_port_finds_the_function(void **state UNUSED)
{
	struct acpi_sleep sleep = { .has_fadt = true, .pm1a = { SLEEP_IO, 0xb004, 2 }, .pm1a_allowed = 1 };
	struct chipset_pm pm;

	chipset_find_pm(&sleep, &pm);
	assert_false(pm.found);
	bus[0].function = FUNCTION(1, 3);
	bus[0].id = PIIX4;
	bus[0].base = 0xb001;
	chipset_find_pm(&sleep, &pm);
	assert_true(pm.found);
	assert_int_equal(pm.function, FUNCTION(1, 3));
	assert_int_equal(pm.base, 0x40);
	assert_int_equal(pm.enable, 0x80);
	assert_int_equal(sleep.pm1a_allowed, 1);
	/* a function of the PCH's that is no bridge */
	bus[0].id = 0xa1218086;
	chipset_find_pm(&sleep, &pm);
	assert_true(pm.found);
	assert_int_equal(pm.enable, 0x44);
	/* L1's own CF8H is as it was */
	assert_int_equal(config_address, 0x12345678);
	/* elsewhere, in memory, of another maker */
	bus[0].base = 0xb101;
	chipset_find_pm(&sleep, &pm);
	assert_false(pm.found);
	bus[0].base = 0xb000;
	chipset_find_pm(&sleep, &pm);
	assert_false(pm.found);
	bus[0].base = 0xb001;
	bus[0].id = OTHER;
	chipset_find_pm(&sleep, &pm);
	assert_false(pm.found);
	assert_null(strstr(fake_log(), "says where the sleep registers are"));
}

static void without_an_fadt_the_chipset_is_asked(void **state UNUSED)
{
	struct acpi_sleep sleep = { .has_fadt = false };
	struct chipset_pm pm;

	bus[1].function = FUNCTION(1, 3);
	bus[1].id = PIIX4;
	bus[1].base = 0xb001;
	chipset_find_pm(&sleep, &pm);
	assert_true(pm.found);
	assert_int_equal(sleep.pm1a.space, SLEEP_IO);
	assert_int_equal(sleep.pm1a.address, 0xb004);
	/* soft off alone: 1 is suspend to RAM */
	assert_int_equal(sleep.pm1a_allowed, 1);
	/* not placed yet: it is the function that is watched */
	sleep = (struct acpi_sleep){ .has_fadt = false };
	bus[1].base = 1;
	chipset_find_pm(&sleep, &pm);
	assert_true(pm.found);
	assert_int_equal(sleep.pm1a.space, SLEEP_ABSENT);
}

static void an_ich_without_an_fadt(void **state UNUSED)
{
	struct acpi_sleep sleep = { .has_fadt = false };
	struct chipset_pm pm;

	bus[0].function = FUNCTION(31, 0);
	bus[0].id = ICH9;
	bus[0].class = BRIDGE;
	bus[0].base = 0x1801;
	bus[0].ich_enable = 0x80;
	chipset_find_pm(&sleep, &pm);
	assert_true(pm.found);
	assert_int_equal(pm.enable, 0x44);
	assert_int_equal(sleep.pm1a.address, 0x1804);
	assert_int_equal(sleep.pm1a_allowed, BIT(6) | BIT(7));
	/* switched off: it may be any bridge */
	sleep = (struct acpi_sleep){ .has_fadt = false };
	bus[0].ich_enable = 0;
	chipset_find_pm(&sleep, &pm);
	assert_false(pm.found);
	assert_non_null(strstr(fake_log(), "says where the sleep registers are"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_fadts_port_finds_the_function, setup, teardown),
		cmocka_unit_test_setup_teardown(without_an_fadt_the_chipset_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(an_ich_without_an_fadt, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
