/* SPDX-License-Identifier: MIT */
/*
 * A rule of VM entry that is broken, as a value. The rules are check_*.c's; tools/vmcs_why has a check_fail()
 * of its own, which collects.
 */
#include "vmx/nested/entry/require.h"

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
	return false;
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
