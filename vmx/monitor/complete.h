/* SPDX-License-Identifier: MIT */
/*
 * The Tab key: commands, and the words that vmcs, ept and regs take.
 */
#ifndef VMX_MONITOR_COMPLETE_H
#define VMX_MONITOR_COMPLETE_H

#include "vmx/monitor/line.h"

/* Adds to the line what all words that its last one begins have in common. Where that is nothing, they are
 * listed, and the answer is true: the line must be shown again. */
bool complete_line(struct line *line);

#endif
