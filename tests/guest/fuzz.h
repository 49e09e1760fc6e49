/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "fuzzentry" share: the fields, a guest's valid values, and what a case
 * changes.
 */
#ifndef TESTS_GUEST_FUZZ_H
#define TESTS_GUEST_FUZZ_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum {
#define FIELD(encoding, name) FUZZ_##name,
#include "tests/guest/lib/fields.def"
#undef FIELD
	FIELDS
};
extern const u16 all_fields[FIELDS];
extern bool exists[FIELDS];

struct template
{
	struct vm vm;
	bool ept;
	bool made;
	u64 values[FIELDS];   /* of writable fields, by index in all_fields */
	bool changed[FIELDS]; /* by the last case: to be written again */
};

struct msr_entry {
	u32 msr, reserved;
	u64 value;
};

struct mutation {
	u32 field;
	u64 value;
};

static inline bool read_only(u32 field)
{
	return (field >> 10 & 3) == 1;
}
static inline bool is_host(u32 field)
{
	return (field >> 10 & 3) == 3;
}
static inline bool is_guest(u32 field)
{
	return (field >> 10 & 3) == 2;
}

void fuzz_fill_lists(struct msr_entry *lists,
		     u64 *seed); /* three of 64 entries: exit store, exit load, entry load */
u32 fuzz_mutate(struct template *t, struct mutation m[4], u64 *seed);

#endif
