/* SPDX-License-Identifier: MIT */
/*
 * The report of a panic or a stop of the machine.
 */
#ifndef VMX_CRASH_H
#define VMX_CRASH_H

/* The exit in hand, the guest's registers, the last exits. On the CPU that it happened on. */
void crash_report(void);

/* For a panic: where L0 is, and the top of its stack. */
void crash_stack(void);

#endif
