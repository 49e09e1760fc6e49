/* SPDX-License-Identifier: MIT */
/*
 * `check`: a start without L1, with a report that a person can paste.  Between the two calls everything
 * happens that happens at a start; what goes wrong there is the verdict.
 */
#ifndef VMX_REHEARSAL_H
#define VMX_REHEARSAL_H

#include "boot/boot_info.h"

/* The processor, the firmware and the machine as they are found. BSP, on the early tables. */
void rehearsal_begin(const struct boot_info *info);

/* Every CPU is in VMX operation: what L1 would not see. BSP. */
void rehearsal_end(void);

/* The last line. */
void rehearsal_verdict(bool good);

#endif
