/* SPDX-License-Identifier: MIT */
/* The number of the mutant: set by a test's server on the host, in the image by generated.py. */
#include "vmx/mutant_switch.h"

unsigned int mutant_now __attribute__((section(".data"))) = 0;
unsigned char *mutant_reached;
