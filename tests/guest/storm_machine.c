/* SPDX-License-Identifier: MIT */
/*
 * What an L1 of the storm does to the machine itself, on request (`machine`) and only under Socle: the ports
 * that Socle wants, with values that would put the machine to sleep or move the registers, and its MTRRs. The
 * bare machine would do as it is told, and end the test.
 */
#include "tests/guest/ports.h"
#include "tests/guest/storm.h"

enum {
	MSR_MTRRCAP = 0xfe,
	MSR_PHYSBASE0 = 0x200,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	VARIABLE = 4, /* of the registers: two pairs */
	CONFIG = 0xcf8,
	CONFIG_DATA = 0xcfc,
	PIIX4 = 0x71138086,
	PIIX4_PM = 0x80000b00, /* its function 3, where the emulator has it */
	S3 = 0x24,	       /* the byte with SLP_EN and SLP_TYP; 1 is the emulator's S3 */
};

bool storm_machine;
static u16 pm1;
static bool has_piix4;

void storm_machine_init(void)
{
	storm_machine = storm_in_socle && option_flag("machine");
	if (!storm_machine)
		return;
	pm1 = pm1_port();
	io_out32(CONFIG, PIIX4_PM);
	has_piix4 = io_in32(CONFIG_DATA) == PIIX4;
}

/*
 * A port from which four bytes reach the one that puts the machine to sleep, and the value that does it
 * there: nothing else of it is set, for the neighbours are real. False: there is none.
 */
bool storm_sleep_access(struct storm_cpu *c, u64 *port, u64 *value)
{
	u64 before = storm_choose(c, 4);

	if (!pm1)
		return false;
	*port = pm1 + 1u - before;
	*value = (u64)S3 << (8 * before);
	return true;
}

static void sleep(struct storm_cpu *c)
{
	u64 port, value;

	if (!storm_sleep_access(c, &port, &value))
		return;
	switch (storm_choose(c, 4)) {
	case 0: io_out32((u16)port, (u32)value); break;
	case 1: io_out16((u16)port, (u16)value); break;
	case 2: io_out8((u16)port, (u8)value); break;
	case 3: io_in32((u16)port); break;
	}
}

/* All CPUs name only registers that are guarded: what one writes to the data is no other register's. */
static void configuration(struct storm_cpu *c)
{
	u16 data = (u16)(CONFIG_DATA + storm_choose(c, 4));

	if (!has_piix4)
		return;
	io_out32(CONFIG, PIIX4_PM | (storm_chance(c, 2) ? 0x40 : 0x80));
	switch (storm_choose(c, 4)) {
	case 0: io_out32(CONFIG_DATA, (u32)storm_wild(c)); break;
	case 1: io_out16((u16)(data & ~1), (u16)storm_wild(c)); break;
	case 2: io_out8(data, (u8)storm_wild(c)); break;
	case 3: io_in32(CONFIG_DATA); break;
	}
}

/* Few places, so that they cut EPT01 into few tables. */
static void types(struct storm_cpu *c)
{
	static const u8 sizes[] = { 12, 21, 24, 30 };
	u64 at = storm_chance(c, 3) ? c->data : storm_targets[storm_choose(c, STORM_WINDOW)];
	u64 size = 1ull << sizes[storm_choose(c, ARRAY_SIZE(sizes))];
	u32 msr = MSR_PHYSBASE0 + (u32)storm_choose(c, VARIABLE);

	if (storm_chance(c, 3))
		msr_write(MSR_MTRR_DEF_TYPE, (storm_choose(c, 4) << 10) | storm_choose(c, 8));
	else if (storm_chance(c, 10))
		msr_write(msr, storm_wild(c));
	else if (msr & 1)
		msr_write(msr, ((1ull << 36) - size) | (storm_chance(c, 4) ? 0 : BIT(11)));
	else
		msr_write(msr, (at & ~(size - 1)) | storm_choose(c, 8));
}

void storm_machine_op(struct storm_cpu *c)
{
	static void (*const ways[])(struct storm_cpu *) = { sleep, configuration, types };

	ways[storm_choose(c, ARRAY_SIZE(ways))](c);
}

/* This CPU's MTRRs, before the storm and after each burst. */
void storm_types_keep(struct storm_cpu *c)
{
	u32 i;

	for (i = 0; i < VARIABLE && storm_machine; i++)
		c->types[i] = msr_read(MSR_PHYSBASE0 + i);
	if (storm_machine)
		c->default_type = msr_read(MSR_MTRR_DEF_TYPE);
}

void storm_types_restore(struct storm_cpu *c)
{
	u32 i;

	for (i = 0; i < VARIABLE && storm_machine; i++)
		msr_write(MSR_PHYSBASE0 + i, c->types[i]);
	if (storm_machine)
		msr_write(MSR_MTRR_DEF_TYPE, c->default_type);
}
