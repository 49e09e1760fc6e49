/* SPDX-License-Identifier: MIT */
/*
 * How the check_*.c files write a rule down: by the identifier of its row in rules.def, without which it does
 * not compile. All of these stand in a function of `v12` and `failure` that returns false when the entry
 * fails.
 */
#ifndef VMX_NESTED_REQUIRE_H
#define VMX_NESTED_REQUIRE_H

#include "vmx/nested/explain/rules.h"

/* A segment's rule: its field is so many rows further. */
#define RULE_OF(rule, segment) ((u32)(rule) | (u32)(segment) << 16)

/*
 * Says in `failure` that `rule` (RULE_OF() for a segment) is broken: with the field of its row and its value.
 * Of that the bits of `mask` should have been those of `want`; all 0 or all 1 in check_fail_clear() and
 * _set(). False: the check ends with it; true: all broken rules are wanted, and it goes on to the next.
 */
bool check_fail(struct check_failure *failure, const struct vmcs12 *v12, u32 rule);
bool check_fail_bits(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask, u64 want);
bool check_fail_clear(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask);
bool check_fail_set(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask);

/* Files on the way of each entry, whose code is shorter if it always ends, have another one. */
#ifndef CHECK_STOP
#define CHECK_STOP(failed)                                                                                   \
	do {                                                                                                 \
		if (!(failed))                                                                               \
			return false;                                                                        \
	} while (0)
#endif

/* The value of the rule's own field. */
#define RULE_VALUE(rule) (vmcs12_value(v12, (unsigned int)RULE_FIELD_##rule))

#define REQUIRE_OR(cond, failed)                                                                             \
	do {                                                                                                 \
		if (unlikely(!(cond)))                                                                       \
			CHECK_STOP(failed);                                                                  \
	} while (0)

/* The condition holds. If not, then: the bits of `mask` are to be 0, or 1. */
#define REQUIRE(rule, cond) REQUIRE_OR(cond, check_fail(failure, v12, RULE_##rule))
#define REQUIRE_OR_CLEAR(rule, cond, mask) REQUIRE_OR(cond, check_fail_clear(failure, v12, RULE_##rule, mask))
#define REQUIRE_OR_SET(rule, cond, mask) REQUIRE_OR(cond, check_fail_set(failure, v12, RULE_##rule, mask))
/* The bits of `mask` in the rule's field are all 0, all 1, or those of `want`. */
#define REQUIRE_CLEAR(rule, mask) REQUIRE_OR_CLEAR(rule, !(RULE_VALUE(rule) & (mask)), mask)
#define REQUIRE_SET(rule, mask) REQUIRE_OR_SET(rule, !(~RULE_VALUE(rule) & (mask)), mask)
#define REQUIRE_BITS(rule, mask, want)                                                                       \
	REQUIRE_OR(!((RULE_VALUE(rule) ^ (want)) & (mask)),                                                  \
		   check_fail_bits(failure, v12, RULE_##rule, mask, want))

/* As REQUIRE and the like, for the segment `s`. */
#define REQUIRE_SEGMENT(rule, cond)                                                                          \
	REQUIRE_OR(cond, check_fail(failure, v12, RULE_OF(RULE_##rule, s->number)))
#define REQUIRE_SEGMENT_OR_CLEAR(rule, cond, mask)                                                           \
	REQUIRE_OR(cond, check_fail_clear(failure, v12, RULE_OF(RULE_##rule, s->number), mask))
#define REQUIRE_SEGMENT_OR_SET(rule, cond, mask)                                                             \
	REQUIRE_OR(cond, check_fail_set(failure, v12, RULE_OF(RULE_##rule, s->number), mask))

#endif
