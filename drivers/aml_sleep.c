/* SPDX-License-Identifier: MIT */
/*
 * The packages _S1_ to _S5_ of a table, wherever its bytes have their form: nothing of the code around them
 * is read, as aml.c does for names. ACPI specification: "\_Sx (System States)". See drivers/aml.h.
 */
#include "drivers/aml.h"
#include "drivers/aml_code.h"
#include "kernel/bits.h"
#include "kernel/string.h"

#define VALUE_UNKNOWN (~0ull)

/* An integer of a package, if it is a constant. False: nothing more can be read behind it. */
static bool read_constant(const u8 *aml, u32 length, u32 *at, u64 *value)
{
	u32 size;

	*value = 0;
	if (*at >= length)
		return false;
	switch (aml[*at]) {
	case OP_ZERO:
	case OP_ONE: *value = aml[(*at)++]; return true;
	case OP_BYTE: size = 1; break;
	case OP_WORD: size = 2; break;
	case OP_DWORD: size = 4; break;
	case OP_QWORD: size = 8; break;
	default: return false;
	}
	if (length - *at < 1 + size)
		return false;
	memcpy(value, aml + *at + 1, size);
	*at += 1 + size;
	return true;
}

/* "\_Sx": SLP_TYPa and SLP_TYPb; in a package of one element, both in it. */
static void read_package(const u8 *aml, u32 length, u32 state, struct aml_sleep_types *types)
{
	u32 at = 1, size, package;
	u64 a, b;

	if (length < 1 || (aml[0] != OP_PACKAGE && aml[0] != OP_VAR_PACKAGE) ||
	    !aml_read_length(aml + at, length - at, &package, &size) || package <= size ||
	    package > length - at)
		return;
	types->packages++;
	length = at + package;
	at += size;
	if (aml[0] == OP_VAR_PACKAGE && aml[at] == OP_BYTE)
		at++;
	size = at < length ? aml[at++] : 0;
	if (!read_constant(aml, length, &at, &a))
		return;
	b = a >> 8;
	if (size > 1 && !read_constant(aml, length, &at, &b))
		b = VALUE_UNKNOWN;
	if (size == 1)
		a &= 0xff;
	if (a < 8)
		types->a[state] |= (u8)BIT(a);
	if (b < 8)
		types->b[state] |= (u8)BIT(b);
}

void aml_add_sleep_types(const u8 *aml, u32 length, struct aml_sleep_types *types)
{
	for (u32 at = 0; at + 1 + AML_SEGMENT_SIZE < length; at++) {
		u32 name = at + 1;

		if (aml[at] != OP_NAME)
			continue;
		if (aml[name] == OP_ROOT)
			name++;
		if (length - name < AML_SEGMENT_SIZE || aml[name] != '_' || aml[name + 1] != 'S' ||
		    aml[name + 3] != '_' || aml[name + 2] < '0' || aml[name + 2] >= '0' + AML_STATES)
			continue;
		read_package(aml + name + AML_SEGMENT_SIZE, length - name - AML_SEGMENT_SIZE,
			     aml[name + 2] - (u32)'0', types);
	}
}
