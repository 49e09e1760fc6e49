/* SPDX-License-Identifier: MIT */
/*
 * Which rules of VM entry a dump breaks, by the hypervisor's own checks (vmx/nested/entry/check_*.c).
 * Three-valued: a rule is broken if it is with whatever the missing fields may hold, and open if that depends
 * on them.
 */
#ifndef TOOLS_VMCS_WHY_JUDGE_H
#define TOOLS_VMCS_WHY_JUDGE_H

#include "tools/vmcs_why/dump.h"
#include "vmx/nested/explain/rules.h"

#define SEGMENTS 8

enum verdict { HOLDS, OPEN, BROKEN };

struct judgement {
	/* By rule and segment; a rule that is about no segment has segment 0. */
	u8 verdict[RULE_COUNT][SEGMENTS];
	struct check_failure failure[RULE_COUNT][SEGMENTS]; /* where BROKEN */
	unsigned int broken, open;
};

void judge(const struct dump *dump, const struct vmx_caps *caps, struct judgement *judgement);

/* Is this field one that a rule looks at, for that segment? Its own, and the other ones. */
bool rule_looks_at(enum rule rule, unsigned int segment, unsigned int field);

#endif
