/* SPDX-License-Identifier: MIT */
/*
 * What the value of a VMCS field means, in lines below it.
 */
#ifndef VMX_MONITOR_MEANING_H
#define VMX_MONITOR_MEANING_H

#include "vmx/monitor/view.h"

/* "  means  ...", of the field of this row of vmcs12_fields; nothing where there is nothing to say. */
void meaning_show(const struct view *view, unsigned int index, u64 value);
/* "  02     ...": what is different in vmcs02. */
void meaning_show_02(unsigned int index, u64 value, u64 in_02);

#endif
