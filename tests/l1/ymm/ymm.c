/* SPDX-License-Identifier: MIT */
/*
 * ymm SEED: holds values made of SEED in all YMM registers, turn after turn, while others (another guest's
 * ymm with another seed) run on the same processors, and looks whether they are still there. It ends at
 * SIGTERM, with the number of good turns, or at the first wrong value. Above all it shows that AVX works in
 * the guest: where the processor's XCR0 is not what the guest set, its first instruction is #UD.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ymm.h"

#define SPINS 50000

static volatile sig_atomic_t ended;

static void end(int signal_number)
{
	(void)signal_number;
	ended = 1;
}

/* No two bytes near each other are the same, nor the same byte in the next turn. */
static void fill(uint8_t *bytes, unsigned long seed, unsigned long turn)
{
	for (size_t i = 0; i < YMM_BYTES; i++)
		bytes[i] = (uint8_t)(seed * 101 + turn * 7 + i * 13 + i / 32);
}

int main(int argc, char **argv)
{
	uint8_t have[YMM_BYTES], found[YMM_BYTES];
	unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	unsigned long turns = 0;

	signal(SIGTERM, end);
	while (!ended) {
		fill(have, seed, turns);
		ymm_keep(have, found, SPINS);
		if (memcmp(have, found, sizeof(have)) != 0) {
			printf("AVX FAILED in turn %lu\n", turns);
			return 1;
		}
		if (turns++ == 0) {
			puts("AVX begins");
			fflush(stdout);
		}
	}
	printf("AVX kept its values in %lu turns\n", turns);
	return 0;
}
