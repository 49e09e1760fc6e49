/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzentry": which fields a case changes: one to four of all, or some of those that decide
 * together, so that combinations are tried that single changes seldom make. What a case does depends on the
 * seed alone, never on the platform.
 */
#include "tests/guest/fuzz.h"

#define PICK(list) ((list)[random_next(seed) % ARRAY_SIZE(list)])

static const u16 hot[] = { F_ENTRY_INTR_INFO,
			   F_GUEST_INTERRUPTIBILITY,
			   F_GUEST_ACTIVITY,
			   F_GUEST_RFLAGS,
			   F_GUEST_CR0,
			   F_GUEST_CR4,
			   F_GUEST_EFER,
			   F_ENTRY,
			   F_PROC2,
			   F_GUEST_CS_RIGHTS,
			   F_GUEST_SS_RIGHTS,
			   F_GUEST_PENDING_DEBUG,
			   F_EPTP,
			   F_ENTRY_MSR_LOAD_COUNT,
			   F_GUEST_PDPTE2 };

/* Fields that decide together; a case changes two to six of a row. */
static const u16 themes[][8] = {
	{ F_ENTRY_INTR_INFO, F_GUEST_INTERRUPTIBILITY, F_GUEST_ACTIVITY, F_GUEST_RFLAGS, F_PIN,
	  F_ENTRY_LENGTH, F_ENTRY_ERROR_CODE, F_GUEST_CR0 },
	{ F_GUEST_PENDING_DEBUG, F_GUEST_INTERRUPTIBILITY, F_GUEST_ACTIVITY, F_GUEST_RFLAGS, F_GUEST_DEBUGCTL,
	  F_GUEST_DR7, F_ENTRY, F_ENTRY_INTR_INFO },
	{ F_GUEST_CR0, F_GUEST_CR4, F_GUEST_EFER, F_ENTRY, F_PROC2, F_GUEST_RFLAGS, F_GUEST_CS_RIGHTS,
	  F_GUEST_CR3 },
	{ F_GUEST_PDPTE0, F_GUEST_PDPTE1, F_GUEST_PDPTE2, F_GUEST_PDPTE3, F_GUEST_CR3, F_GUEST_CR4, F_PROC2,
	  F_ENTRY },
	{ F_EPTP, F_PROC2, F_EPTP, F_VPID, F_GUEST_CR3, F_PML_ADDRESS, F_VMFUNC_CONTROLS, F_VE_ADDRESS },
	{ F_ENTRY_MSR_LOAD_COUNT, F_ENTRY_MSR_LOAD_COUNT, F_ENTRY_MSR_LOAD, F_EXIT_MSR_STORE_COUNT,
	  F_EXIT_MSR_LOAD_COUNT, F_EXIT_MSR_LOAD, F_GUEST_EFER, F_ENTRY },
	{ F_PROC, F_PROC2, F_TPR_THRESHOLD, F_PIN, F_EXIT, F_GUEST_INTR_STATUS, F_POSTED_VECTOR,
	  F_POSTED_DESCRIPTOR },
	{ F_GUEST_CS, F_GUEST_CS_RIGHTS, F_GUEST_SS, F_GUEST_SS_RIGHTS, F_GUEST_CS_LIMIT, F_GUEST_SS_LIMIT,
	  F_GUEST_RFLAGS, F_GUEST_CS_BASE },
	{ F_PIN, F_PROC, F_GUEST_INTERRUPTIBILITY, F_ENTRY_INTR_INFO, F_GUEST_TIMER, F_GUEST_RFLAGS, F_EXIT,
	  F_GUEST_ACTIVITY },
	{ F_HOST_CR0, F_HOST_CR4, F_HOST_EFER, F_EXIT, F_HOST_CS, F_HOST_TR, F_HOST_PAT, F_HOST_SYSENTER_CS },
};

static bool may_change(u32 field)
{
	return exists[fuzz_index(field)] && !read_only(field) && field != F_HOST_RSP &&
	       field != F_HOST_PERF_GLOBAL;
}

/* One of the sets of PDPTEs in memory, spoiled: CR3 points to it. */
static void spoil_pdptes(struct template *t, struct mutation *m, u64 *seed)
{
	u64 at = t->pdptes + random_next(seed) % 128 * 32;
	u64 *set = ptr_of(at), r = random_next(seed);
	u64 good[4];

	memcpy(good, ptr_of(t->values[FUZZ_GUEST_CR3]), sizeof(good));
	memcpy(set, good, sizeof(good));
	set[r & 3] = fuzz_keep_address(fuzz_any_value(set[r & 3], seed), false);
	m->field = F_GUEST_CR3;
	m->value = at | (r >> 2 & 0x18);
}

static void choose(struct template *t, struct mutation *m, u32 field, u64 *seed)
{
	if (!may_change(field))
		field = F_ENTRY_INTR_INFO;
	m->field = field;
	if (field == F_GUEST_TIMER)
		m->value = 0; /* expires at once; any other time is no result */
	else if (field == F_GUEST_CR3 && t->pdptes && random_next(seed) & 3)
		spoil_pdptes(t, m, seed);
	else
		m->value = fuzz_value(field, t->values[fuzz_index(field)], seed);
}

u32 fuzz_mutate(struct template *t, struct mutation m[FUZZ_MOST], u64 *seed)
{
	u32 n, i;

	if (random_next(seed) % 3 == 0) {
		const u16 *theme = themes[random_next(seed) % ARRAY_SIZE(themes)];

		n = 2 + random_next(seed) % 5;
		for (i = 0; i < n; i++)
			choose(t, &m[i], theme[random_next(seed) % ARRAY_SIZE(themes[0])], seed);
		return n;
	}
	n = 1 + random_next(seed) % 4;
	for (i = 0; i < n; i++)
		choose(t, &m[i], random_next(seed) & 7 ? all_fields[random_next(seed) % FIELDS] : PICK(hot),
		       seed);
	return n;
}
