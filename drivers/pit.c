/* SPDX-License-Identifier: MIT */
/*
 * Channel 2, which is the speaker's: its gate and its output are in port 61H, and it raises no interrupt.
 * Intel: "8254 Programmable Interval Timer", mode 0.
 */
#include "drivers/pit.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"

#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_CHANNEL2_MODE0 0xb0 /* both bytes, interrupt on terminal count */
#define PORT_B 0x61
#define PORT_B_GATE2 BIT(0)
#define PORT_B_SPEAKER BIT(1)
#define PORT_B_OUTPUT2 BIT(5)
#define COUNTS_20MS 23864u /* of 1.193182 MHz */
/* A port read takes about 1 us. */
#define READS_MAX 200000u

u64 pit_measure_20ms(void)
{
	u8 before = inb(PORT_B);
	u64 start, end;
	u32 reads = 0;

	outb(PORT_B, (u8)((before & ~PORT_B_SPEAKER) | PORT_B_GATE2));
	outb(PIT_COMMAND, PIT_CHANNEL2_MODE0);
	outb(PIT_CHANNEL2, (u8)COUNTS_20MS);
	outb(PIT_CHANNEL2, COUNTS_20MS >> 8);
	start = rdtsc();
	while (!(inb(PORT_B) & PORT_B_OUTPUT2) && reads < READS_MAX)
		reads++;
	end = rdtsc();
	outb(PORT_B, before);
	return reads && reads < READS_MAX ? end - start : PIT_20MS_GUESSED;
}
