/* SPDX-License-Identifier: MIT */
/*
 * A value of a VMCS field in words: which kind of thing the field is, and what its bits are called.
 */
#ifndef VMX_NESTED_EXPLAIN_WORDS_H
#define VMX_NESTED_EXPLAIN_WORDS_H

#include "kernel/types.h"

struct vmx_caps;

/* Text that grows in a buffer of the caller's; what does not fit is cut off. */
struct text {
	char *buffer;
	size_t size, used;
};
void text_add(struct text *text, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Appends what `value` means in the field of this row of vmcs_fields.def, from ": " on; nothing where there
 * is nothing to add. `caps` is what L1 is told of the processor. */
void words_value(struct text *text, unsigned int field, u64 value, const struct vmx_caps *caps);

/* Appends the names of the controls that are set in `value`, and the bits without one as a number.
 * False: the field is no control word. */
bool words_controls(struct text *text, unsigned int field, u64 value);

/* "bits 15 (CR3-load exiting) and 16 must be 1; bits 63:39 must be 0": those of `mask` in which `value` is
 * not `want`. */
void words_wrong(struct text *text, unsigned int field, u64 value, u64 mask, u64 want);

#endif
