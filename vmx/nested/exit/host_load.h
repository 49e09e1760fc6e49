/* SPDX-License-Identifier: MIT */
/*
 * vmcs01 gets a field of L1's host state straight, past its register cache, which has forgotten them all
 * (KEPT_REGS in host_state.c): nearly every one of them is new to the cache, and none is looked at again
 * before L1 runs. For host_state.c and host_tables.c alone.
 */
#ifndef VMX_NESTED_EXIT_HOST_LOAD_H
#define VMX_NESTED_EXIT_HOST_LOAD_H

#include "vmx/hw/regcache.h"

#define LOAD(reg, value) vmcs_write_fast(regcache_field(REG_##reg), (value))

#define LOAD_SEGMENT(seg, selector, base, limit, rights)                                                     \
	do {                                                                                                 \
		LOAD(seg##_SELECTOR, selector);                                                              \
		LOAD(seg##_BASE, base);                                                                      \
		LOAD(seg##_LIMIT, limit);                                                                    \
		LOAD(seg##_AR, rights);                                                                      \
	} while (0)

#endif
