/* SPDX-License-Identifier: MIT */
/*
 * Version and build id.  The Makefile defines SOCLE_VERSION for this file alone, so that a commit compiles
 * one file anew. The build id is the ELF note that the linker makes (ELF gABI: "Note Section").
 */
#include "kernel/version.h"

#include "kernel/print.h"
#include "kernel/types.h"

#define NOTE_HEADER 16 /* three lengths and types, and the name "GNU" */
#define ID_BYTES 20

extern const u8 build_id_note[];

#ifndef SOCLE_VERSION
#define SOCLE_VERSION "of no known version" /* compiled by a tool, not by the Makefile */
#endif

const char version_text[] = SOCLE_VERSION;

void version_build_id(char text[VERSION_BUILD_ID_SIZE])
{
	for (u32 i = 0; i < ID_BYTES; i++)
		print_format(text + 2 * i, 3, "%02x", build_id_note[NOTE_HEADER + i]);
}
