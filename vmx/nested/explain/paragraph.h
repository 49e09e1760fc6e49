/* SPDX-License-Identifier: MIT */
/*
 * The lines that say what is wrong, without a prefix, each ended by '\n'. Pure: also tools/vmcs_why's.
 */
#ifndef VMX_NESTED_EXPLAIN_PARAGRAPH_H
#define VMX_NESTED_EXPLAIN_PARAGRAPH_H

#include "vmx/nested/explain/rules.h"
#include "vmx/nested/explain/words.h"

struct check_env;

/* "  field  NAME (ENCODING) = VALUE: what that means" */
void paragraph_field(struct text *text, unsigned int field, u64 value, const struct vmx_caps *caps);
/* "  with   NAME = VALUE, ...": the other fields that decide. Nothing if there are none. */
void paragraph_others(struct text *text, const struct check_failure *failure, const struct vmcs12 *v12);
/* "  rule   ... (section)" */
void paragraph_rule(struct text *text, enum rule rule);
/* "  wrong  bits ... must be ..." Nothing if it is no matter of bits. */
void paragraph_wrong(struct text *text, const struct check_failure *failure);

#endif
