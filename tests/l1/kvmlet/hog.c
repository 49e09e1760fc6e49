/* SPDX-License-Identifier: MIT */
/*
 * Memory pressure: takes so much memory and goes over its pages for ever, each time with other contents, so
 * that the kernel must take pages from somebody and give them back. It is killed to end it.
 */
#include "kvmlet.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096
#define PAGES_A_BREATH 2048
#define BREATH_NS 20000000

int hog_run(const char *mib)
{
	size_t size = (size_t)atoi(mib) << 20, i;
	struct timespec breath = { 0, BREATH_NS };
	unsigned char *mem, turn;

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		die("memory");
	for (turn = 1;; turn++) {
		for (i = 0; i < size; i += PAGE) {
			mem[i] = turn;
			mem[i + 8 + i % 4000] ^= (unsigned char)(i >> 12);
			if (!(i / PAGE % PAGES_A_BREATH))
				nanosleep(&breath, NULL);
		}
	}
	return 0;
}
