/* SPDX-License-Identifier: MIT */
/*
 * What a check does when a rule is broken: it ends, and its function returns false. tools/vmcs_why has a
 * header of this name in which it goes on to the next rule, so that all broken ones are found by the same
 * code.
 */
#ifndef VMX_NESTED_STOP_H
#define VMX_NESTED_STOP_H

#define CHECK_STOP(failed) return failed

#endif
