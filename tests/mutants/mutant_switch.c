/* SPDX-License-Identifier: MIT */
/*
 * The number of the mutant: set by a test's server on the host, in Socle's image by generated.py, which finds
 * it by this value that is nobody's number.
 */
#include "vmx/mutant_switch.h"

volatile unsigned int mutant_now = 0x4d55544e;
unsigned char *mutant_reached;
