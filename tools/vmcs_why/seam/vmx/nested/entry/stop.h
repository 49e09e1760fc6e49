/* SPDX-License-Identifier: MIT */
/*
 * In the place of the hypervisor's own: a check goes on behind a rule that is broken, so that all of them are
 * found.
 */
#ifndef VMX_NESTED_STOP_H
#define VMX_NESTED_STOP_H

#define CHECK_STOP(failed) (void)(failed)

#endif
