/* SPDX-License-Identifier: MIT */
/*
 * Asks Socle for its exit counters: a VMCALL that it answers by lines on its console. Bare, or under another
 * hypervisor, VMCALL would be #UD or somebody else's call; the signature in CPUID leaf 0x40000000 is looked
 * at first. (Socle does not set CPUID's hypervisor-present bit: to L1 it is the bare processor.)
 */
#include "kvmlet.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#define CPUID_HYPERVISOR 0x40000000
#define CALL_COUNTERS 0x50434c53 /* "SLCP" */
#define CALL_COUNTERS_PRINT 1

int counters_ask(void)
{
	uint32_t eax, signature[3];

	__cpuid(CPUID_HYPERVISOR, eax, signature[0], signature[1], signature[2]);
	if (memcmp(signature, "SocleSocle  ", sizeof(signature)))
		goto bare;
	eax = CALL_COUNTERS;
	__asm__ volatile("vmcall" : "+a"(eax) : "b"(CALL_COUNTERS_PRINT) : "ecx", "edx", "memory", "cc");
	return 0;
bare:
	printf("no Socle below\n");
	return 0;
}
