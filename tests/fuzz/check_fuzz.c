/* SPDX-License-Identifier: MIT */
/*
 * The checks at VM entry on arbitrary bytes: they end, read nothing that they should not, and agree with one
 * another. Input: pairs of field number and value that change a valid vmcs12.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/x86.h"
#include "tests/unit/valid12.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct PACKED change {
	u8 row, how;
	u64 value;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void apply(struct vmcs12 *v12, const struct change *c)
{
	u64 *field = vmcs12_slot(v12, c->row % VMCS12_FIELD_COUNT);
	u32 encoding = vmcs12_fields[c->row % VMCS12_FIELD_COUNT].encoding;

	switch (c->how % 4) {
	case 0: *field = c->value; break;
	case 1: *field ^= BIT(c->value & 63); break;
	case 2: *field |= BIT(c->value & 63); break;
	default: *field &= ~BIT(c->value & 63); break;
	}
	*field = vmcs12_mask_width(encoding, *field);
}

/* A rule of VM entry, and a field of its own or of another segment. */
static bool names_a_row(const struct check_failure *failure)
{
	return failure->rule < RULE_COUNT && failure->field < VMCS12_FIELD_COUNT &&
	       failure->field >= rule_rows[failure->rule].field;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct check_failure failure = { .rule = RULE_COUNT };
	struct check_env env;
	struct vmcs12 v12;

	valid12_init(&v12, &env);
	if (size && data[0] & 1)
		valid12_pae(&v12);
	if (size && data[0] & 2)
		valid12_real(&v12);
	if (size && data[0] & 4)
		valid12_v86(&v12);
	for (size_t at = 1; at + sizeof(struct change) <= size; at += sizeof(struct change)) {
		struct change c;

		memcpy(&c, data + at, sizeof(c));
		apply(&v12, &c);
	}
	if (!check_controls(&v12, &env, &failure)) {
		require(names_a_row(&failure) && failure.qualification == 0);
		return 0;
	}
	require(check_event_injection(&v12, &env, &failure));
	if (!check_host(&v12, &env, &failure)) {
		require(names_a_row(&failure) && failure.qualification == 0);
		return 0;
	}
	/* What is loaded into vmcs01 without another look. */
	require((v12.host_cr0 & CR0_PG) && !(v12.host_cr4 & ~env.caps->cr4_fixed1));
	if (!check_guest(&v12, &env, &failure)) {
		require(names_a_row(&failure));
		return 0;
	}
	require(check_guest_hot(&v12, &env, &failure));
	require(!(v12.guest_cr0 & CR0_PG) || (v12.guest_cr0 & CR0_PE));
	return 0;
}
