/* SPDX-License-Identifier: MIT */
/*
 * A rule of VM entry that is broken, as a value: the first one, by which an entry fails, or for a person all
 * of them. The rules are check_*.c's; tools/vmcs_why has a check_fail() of its own.
 */
#include "vmx/nested/entry/check.h"

/* Checks with `in_hand` collect, and nobody else's do. */
static struct check_failures all;
static struct check_failure in_hand;

/* Some rules are looked at on two ways. */
static bool is_noted(const struct check_failure *failure)
{
	for (u32 i = 0; i < all.count; i++)
		if (all.failures[i].rule == failure->rule && all.failures[i].field == failure->field)
			return true;
	return false;
}

static COLD bool note(const struct check_failure *failure)
{
	if (failure != &in_hand)
		return false;
	if (is_noted(failure))
		return true;
	if (all.count == CHECK_FAILURES_MAX)
		all.more++;
	else
		all.failures[all.count++] = *failure;
	return true;
}

struct check_failure *check_collect(void)
{
	all.count = all.more = 0;
	return &in_hand;
}

const struct check_failures *check_collected(void)
{
	return &all;
}

COLD bool check_fail_bits(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask,
			  u64 want)
{
	const struct rule_row *row = &rule_rows[rule & 0xffff];
	unsigned int field = row->field + (rule >> 16);

	*failure = (struct check_failure){
		.rule = (u16)rule,
		.field = (u16)field,
		.value = vmcs12_value(v12, field),
		.mask = mask,
		.want = want,
		.qualification = section_rows[row->section].qualification,
	};
	return note(failure);
}

COLD bool check_fail(struct check_failure *failure, const struct vmcs12 *v12, u32 rule)
{
	return check_fail_bits(failure, v12, rule, 0, 0);
}

COLD bool check_fail_clear(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask)
{
	return check_fail_bits(failure, v12, rule, mask, 0);
}

COLD bool check_fail_set(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask)
{
	return check_fail_bits(failure, v12, rule, mask, mask);
}
