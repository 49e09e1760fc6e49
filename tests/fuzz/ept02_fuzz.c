/* SPDX-License-Identifier: MIT */
/*
 * EPT02 with EPT12s, accesses and INVEPTs out of the fuzzer's hands, against the model of
 * tests/unit/ept_model.h.
 */
#define CPUS 1
#include "tests/unit/ept_model.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	random_input = NULL;
	build_world(1, 32, 16);
	/* A start from which accesses lead somewhere. */
	for (int i = 0; i < 400; i++)
		step_edit();
	random_input = data;
	random_left = size;
	while (random_left)
		run_step(false);
	for (cpu = 0; cpu < CPUS; cpu++)
		check_cache(vcpus[cpu].nested.ept);
	free_world();
	return 0;
}
