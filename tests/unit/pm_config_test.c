/* SPDX-License-Identifier: MIT */
/*
 * The chipset's sleep registers cannot be moved by CF8H and CFCH: in every width and at every port that
 * reaches the registers of that function, and nothing else is touched.
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/chipset.h"
#include "tests/unit/machine.h"
#include "vmx/l1/pm_config.h"
#include "vmx/l1/ports.h"

#define FUNCTION (1 << 3 | 3)
#define ADDRESS(at) (PCI_CONFIG_ENABLE | FUNCTION << 8 | (at))

/* The function's registers, and what is at the ports around. */
static u8 registers[256], others[16];
static u32 outside; /* bytes written there */
static u32 latch;

static bool is_ours(void)
{
	return latch >> 8 == (PCI_CONFIG_ENABLE >> 8 | FUNCTION);
}

static bool port_in(u16 port, unsigned int size, u32 *value)
{
	*value = ~0u;
	if (port == PCI_CONFIG_ADDRESS && size == 4)
		*value = latch;
	else if (port >= PCI_CONFIG_DATA && is_ours())
		memcpy(value, registers + (latch & 0xfc) + (port - PCI_CONFIG_DATA), size);
	return true;
}

static bool port_out(u16 port, unsigned int size, u32 value)
{
	if (port == PCI_CONFIG_ADDRESS && size == 4) {
		latch = value;
		return true;
	}
	for (unsigned int i = 0; i < size; i++, port++, value >>= 8) {
		if (port >= PCI_CONFIG_DATA && port < PCI_CONFIG_DATA + 4 && is_ours())
			registers[(latch & 0xfc) + (port - PCI_CONFIG_DATA)] = (u8)value;
		else
			others[port & 15] = (u8)value, outside++;
	}
	return true;
}

static void add_function(void)
{
	static const struct chipset_pm pm = { true, FUNCTION, 0x40, 0x80 };

	pm_config_add_ports(&pm);
	fake_port_in = port_in;
	fake_port_out = port_out;
}

static void out(u16 port, u8 size, u32 value)
{
	struct port_access access = { .port = port, .size = size, .value = value };

	machine_vcpu->gpr[GPR_RAX] = value;
	ports_access(machine_vcpu, &access);
}

static u32 in(u16 port, u8 size)
{
	struct port_access access = { .port = port, .size = size, .in = true };

	ports_access(machine_vcpu, &access);
	return access.value;
}

static void the_ports_are_wanted(void **state UNUSED)
{
	assert_true(ports_are_wanted(PCI_CONFIG_ADDRESS, 1));
	assert_true(ports_are_wanted(PCI_CONFIG_DATA + 3, 1));
	assert_false(ports_are_wanted(PCI_CONFIG_DATA + 4, 4));
	assert_false(ports_are_wanted(PCI_CONFIG_ADDRESS - 4, 4));
}

static void the_base_stays(void **state UNUSED)
{
	static const u8 guarded[] = { 0x40, 0x80 };

	for (size_t g = 0; g < ARRAY_SIZE(guarded); g++)
		for (u16 port = PCI_CONFIG_DATA - 3; port < PCI_CONFIG_DATA + 4; port++)
			for (u8 size = 1; size <= 4; size *= 2) {
				memset(registers, 0x11, sizeof(registers));
				out(PCI_CONFIG_ADDRESS, 4, ADDRESS(guarded[g] | 3));
				out(port, size, 0xb2b2b2b2);
				for (u32 i = 0; i < sizeof(registers); i++)
					assert_int_equal(registers[i], 0x11);
			}
}

static void everything_else_passes(void **state UNUSED)
{
	static const u32 addresses[] = { ADDRESS(0x3c), ADDRESS(0x44), ADDRESS(0x84), ADDRESS(0x04) };

	for (size_t a = 0; a < ARRAY_SIZE(addresses); a++) {
		u8 at = (u8)(addresses[a] & 0xfc);

		memset(registers, 0, sizeof(registers));
		out(PCI_CONFIG_ADDRESS, 4, addresses[a]);
		assert_int_equal(latch, addresses[a]);
		out(PCI_CONFIG_DATA, 4, 0x44332211);
		assert_int_equal(in(PCI_CONFIG_DATA, 4), 0x44332211);
		out(PCI_CONFIG_DATA + 2, 2, 0x6655);
		out(PCI_CONFIG_DATA + 1, 1, 0x77);
		assert_memory_equal(registers + at, "\x11\x77\x55\x66", 4);
		/* beside the four ports, the rest is where it belongs */
		out(PCI_CONFIG_DATA + 3, 2, 0x9988);
		assert_int_equal(registers[at + 3], 0x88);
		assert_int_equal(others[0], 0x99);
		/* and on the other side, once */
		outside = 0;
		out(PCI_CONFIG_DATA - 1, 2, 0x5544);
		assert_int_equal(registers[at], 0x55);
		assert_int_equal(others[(PCI_CONFIG_DATA - 1) & 15], 0x44);
		assert_int_equal(outside, 1);
	}
	/* another function, or no configuration access at all: the same register */
	memset(registers, 0x11, sizeof(registers));
	out(PCI_CONFIG_ADDRESS, 4, ADDRESS(0x40) + (1 << 8));
	out(PCI_CONFIG_DATA, 4, 0x44332211);
	assert_int_equal(others[PCI_CONFIG_DATA & 15], 0x11);
	out(PCI_CONFIG_ADDRESS, 4, ADDRESS(0x40) & ~PCI_CONFIG_ENABLE);
	out(PCI_CONFIG_DATA, 4, 0x88776655);
	assert_int_equal(others[PCI_CONFIG_DATA & 15], 0x55);
	/* the reset register, and a byte of CF8H, are none of it */
	out(PCI_CONFIG_ADDRESS + 1, 1, 0x06);
	assert_int_equal(others[9], 0x06);
	assert_int_equal(latch, ADDRESS(0x40) & ~PCI_CONFIG_ENABLE);
}

static void a_byte_of_the_address_is_none(void **state UNUSED)
{
	out(PCI_CONFIG_ADDRESS, 4, ADDRESS(0x3c));
	out(PCI_CONFIG_ADDRESS, 1, 0x40);
	assert_int_equal(others[PCI_CONFIG_ADDRESS & 15], 0x40);
	out(PCI_CONFIG_ADDRESS, 2, 0x1240);
	assert_int_equal(others[(PCI_CONFIG_ADDRESS + 1) & 15], 0x12);
	assert_int_equal(latch, ADDRESS(0x3c));
}

/* Firmware's habit: what is there is written again. Once it is something else, there is one warning. */
static void what_is_there_may_be_written(void **state UNUSED)
{
	const char *first;

	memcpy(registers + 0x40, "\1\xb0\0\0", 4);
	out(PCI_CONFIG_ADDRESS, 4, ADDRESS(0x40));
	out(PCI_CONFIG_DATA, 4, 0xb001);
	assert_null(strstr(fake_log(), "would move"));
	out(PCI_CONFIG_DATA + 1, 1, 0xb1);
	out(PCI_CONFIG_DATA, 2, 0xb101);
	assert_int_equal(in(PCI_CONFIG_DATA, 4), 0xb001);
	first = strstr(fake_log(), "would move");
	assert_non_null(first);
	assert_null(strstr(first + 1, "would move"));
}

int main(void)
{
#define T(test) MACHINE_TEST_BEFORE(test, "", add_function)
	const struct CMUnitTest tests[] = {
		T(the_ports_are_wanted),	 T(the_base_stays),
		T(everything_else_passes),	 T(a_byte_of_the_address_is_none),
		T(what_is_there_may_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
