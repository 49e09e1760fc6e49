/* SPDX-License-Identifier: MIT */
/*
 * What the three check_*.c files share: how a rule is written down, and the
 * few shapes that many rules have.  The rules themselves and their order are
 * those files'; what a failure means to L1 is entry.c's.
 */
#ifndef VMX_NESTED_CHECK_H
#define VMX_NESTED_CHECK_H

#include "kernel/x86.h"
#include "vmx/nested/internal.h"

/* Always false: `return check_fail(...)`. */
static inline bool check_fail(struct check_failure *failure, const char *rule, const char *field_name,
			      u64 value, u64 qualification)
{
	failure->rule = rule;
	failure->field_name = field_name;
	failure->value = value;
	failure->qualification = qualification;
	return false;
}

/* A rule over `v12`, in a function that returns false when the entry fails. `field` is the one that is told.
 */
#define REQUIRE_QUALIFIED(cond, field, qualification)                                                        \
	do {                                                                                                 \
		if (unlikely(!(cond)))                                                                       \
			return check_fail(failure, #cond, #field, v12->field, (qualification));              \
	} while (0)
/* Spelled out once more: passed on, the condition's text would have its macros expanded. */
#define REQUIRE(cond, field)                                                                                 \
	do {                                                                                                 \
		if (unlikely(!(cond)))                                                                       \
			return check_fail(failure, #cond, #field, v12->field, ENTRY_FAIL_DEFAULT);           \
	} while (0)

/* Does not set bits beyond the processor's physical-address width. */
static inline bool within_width(u64 address, const struct check_env *env)
{
	return !(address >> env->caps->physical_bits);
}

static inline bool is_page_address(u64 address, const struct check_env *env)
{
	return IS_ALIGNED(address, PAGE_SIZE) && within_width(address, env);
}

static inline bool canonical(u64 address, const struct check_env *env)
{
	return is_canonical(address, env->caps->linear_bits);
}

static inline bool fits_32(u64 value)
{
	return !(value >> 32);
}

#define CHECK_EFER_RESERVED (~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))

/* IA32_S_CET: reserved bits, and no suppressed tracker that waits for ENDBRANCH. */
#define CET_RESERVED GENMASK(9, 6)
#define CET_SUPPRESS BIT(10)
#define CET_TRACKER BIT(11)

static inline bool is_valid_s_cet(u64 value)
{
	return !(value & CET_RESERVED) &&
	       (value & (CET_SUPPRESS | CET_TRACKER)) != (CET_SUPPRESS | CET_TRACKER);
}

/* check_guest_segments.c, for check_guest.c. */
bool check_segments(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_tables(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);

#endif
