/* SPDX-License-Identifier: MIT */
/*
 * Lines of a report that the user asked for (`check`): names one after the other, as many as a text screen is
 * wide.  log= does not filter it.  BSP only, one list at a time.
 */
#ifndef KERNEL_REPORT_H
#define KERNEL_REPORT_H

#include "kernel/types.h"

/* `title` stands before the first line, and its width of blanks before the others. It must outlive the list.
 */
void report_begin(const char *title);
void report_item(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Prints what is left; "none" if there was nothing. */
void report_end(void);

#endif
