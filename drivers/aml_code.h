/* SPDX-License-Identifier: MIT */
/*
 * How AML is encoded, as far as both of its readers (aml.c, aml_sleep.c) know it: operators and the length of
 * a package. ACPI specification: "AML Byte Stream Byte Values", "Package Length Encoding".
 */
#ifndef DRIVERS_AML_CODE_H
#define DRIVERS_AML_CODE_H

#include "kernel/types.h"

#define OP_ZERO 0x00
#define OP_ONE 0x01
#define OP_NAME 0x08
#define OP_BYTE 0x0a
#define OP_WORD 0x0b
#define OP_DWORD 0x0c
#define OP_QWORD 0x0e
#define OP_BUFFER 0x11
#define OP_PACKAGE 0x12
#define OP_VAR_PACKAGE 0x13
#define OP_DUAL_NAME 0x2e
#define OP_MULTI_NAME 0x2f
#define OP_EXTENDED 0x5b
#define OP_ROOT 0x5c
#define OP_PARENT 0x5e
#define OP_LOCAL0 0x60
#define OP_ARG6 0x6e

/* "PkgLength": bits 7:6 of the first byte say how many follow. */
static inline bool aml_read_length(const u8 *aml, u32 available, u32 *length, u32 *size)
{
	u32 more = available ? aml[0] >> 6 : 0;

	if (available < 1 + more)
		return false;
	*length = more ? aml[0] & 0xfu : aml[0] & 0x3fu;
	for (u32 i = 0; i < more; i++)
		*length |= (u32)aml[1 + i] << (4 + 8 * i);
	*size = 1 + more;
	return true;
}

#endif
