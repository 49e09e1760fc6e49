/* SPDX-License-Identifier: MIT */
/*
 * What a processor has said of a refusal: numbers in words, to standard output.
 */
#ifndef TOOLS_VMCS_WHY_ERRORS_H
#define TOOLS_VMCS_WHY_ERRORS_H

#include "kernel/types.h"

/* A VM-instruction error, with its rules of rules.def. False: there is none of this number. */
bool error_print(u64 number);

/* An exit reason that is a failed VM entry; of others nothing. */
void failure_print(u64 exit_reason);

#endif
