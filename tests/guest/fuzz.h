/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "fuzzentry" share: the fields, a guest's valid values (fuzz_template.c),
 * what a case changes (fuzz_theme.c chooses fields, fuzz_values.c values), what is compared (fuzz_hash.c).
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
	u64 values[FIELDS]; /* of writable fields, by index in all_fields */
	u64 now[FIELDS];    /* what the VMCS holds, where known[] */
	bool known[FIELDS];
	u64 intr, idt, length; /* exit information as the last case left it */
	u64 pdptes;	       /* PAE without EPT: a page with room for 128 sets of PDPTEs; else 0 */
};

struct msr_entry {
	u32 msr, reserved;
	u64 value;
};

/* Where no change of one or two bits of a good address leads: VMCS regions, and below them the APIC-access
 * page. */
enum { FUZZ_FAR = 0x3e00000 };

/* The lists, of which a case uses up to 8 entries each, in one page. */
enum fuzz_list { FUZZ_STORE, FUZZ_EXIT_LOAD, FUZZ_ENTRY_LOAD, FUZZ_LISTS };
#define FUZZ_LIST(lists, which) (&(lists)[(which)*64])

struct mutation {
	u32 field;
	u64 value;
};
enum { FUZZ_MOST = 8 };

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
u32 fuzz_index(u32 field); /* in all_fields */

void fuzz_make_template(struct template *t, enum vm_mode mode, bool ept, u64 spare, u64 lists);

extern u64 fuzz_pool;			/* where the templates' pages begin, at least 1 MiB of them */
bool fuzz_is_ept_table(u64 address);	/* in a table of a template's EPT, which only EPTP may name */
u64 fuzz_keep_address(u64 v, bool ept); /* one of those, in place of any other below 4 GiB */
u64 fuzz_any_value(u64 old, u64 *seed);
u64 fuzz_event_value(u64 *seed);
u64 fuzz_value(u32 field, u64 old, u64 *seed); /* one that the field's format invites */
void fuzz_fill_lists(struct msr_entry *lists, u64 *seed);
u32 fuzz_mutate(struct template *t, struct mutation m[FUZZ_MOST], u64 *seed);

/* All that L1 may see after the entry; all: fields too that it should not have changed. */
u64 fuzz_hash(struct template *t, u32 reason, const struct msr_entry *lists, bool all);

#endif
