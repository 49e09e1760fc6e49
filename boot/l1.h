/* SPDX-License-Identifier: MIT */
/*
 * From the first module to an L1 that lies in memory, ready to start in flat 32-bit protected mode. One file
 * per boot protocol (l1_multiboot1.c, l1_multiboot2.c, l1_linux.c); which one, the image's content says.
 */
#ifndef BOOT_L1_H
#define BOOT_L1_H

#include "boot/boot_info.h"
#include "kernel/status.h"
#include "kernel/types.h"

/*
 * CS and the data segments are flat 4 GiB, 32 bits, ring 0; CS = 0x10, the others 0x18, GDT as in l1_gdt
 * below; paging off; RFLAGS = 2; EFER = 0.
 */
struct l1_start {
	u32 eip, eax, ebx, ecx, edx, esi, edi, ebp, esp;
	u32 cr0;       /* CD and NW as they were before Socle */
	u32 gdt_base;  /* guest-physical: four descriptors that L1 may read; */
	u16 gdt_limit; /* selectors 0x10 code, 0x18 data */
	u16 code_selector, data_selector;
	const char *kind; /* "Linux", "multiboot1", "multiboot2": for the log */
};

/*
 * What can be said of L1's image without loading it: asked before the machine is taken over, so that a wrong
 * file is told at once. l1_load() asks again.
 */
enum status l1_check(const struct boot_info *info);

enum status l1_load(struct boot_info *info, struct l1_start *start);

#endif
