/* SPDX-License-Identifier: MIT */
/*
 * Microcode updates: which one of a file is this processor's, and its loading. Files are untrusted: every
 * length is checked, and so are the sums; the processor itself checks who made the update. SDM: "Microcode
 * Update Facilities".
 */
#ifndef DRIVERS_MICROCODE_H
#define DRIVERS_MICROCODE_H

#include "kernel/types.h"

/* The processor that an update is for. */
struct microcode_cpu {
	u32 signature; /* CPUID.1:EAX */
	u32 platform;  /* a bit: IA32_PLATFORM_ID[52:50] as its number */
	u32 revision;  /* that it has */
};

/* Of the CPU that calls. */
void microcode_this_cpu(struct microcode_cpu *out);

/*
 * The newest update in the file for this processor that is newer than what it has, and its bytes (the header
 * included); NULL: none. A file is updates one after the other.
 */
const u8 *microcode_pick(const u8 *file, u64 size, const struct microcode_cpu *cpu, u32 *update_size);

/*
 * Each CPU once, before its capabilities are read: loads the update if it is for this CPU and newer than what
 * it has; its header lies on 16 bytes. What the CPU has afterwards is in `*now`. False: the CPU did not take
 * it.
 */
bool microcode_load(const u8 *update, u32 update_size, struct microcode_cpu *now);

#endif
