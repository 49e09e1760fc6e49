/* SPDX-License-Identifier: MIT */
/*
 * EPT02 with EPT12s, accesses and INVEPTs out of the fuzzer's hands, against the model of
 * tests/unit/ept_model.h.
 */
#include "tests/unit/ept_model.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	model_cpu_count = 1;
	model_build(1, 32, 16);
	/* A start from which accesses lead somewhere. */
	for (int i = 0; i < 400; i++)
		model_edit();
	model_run_input(data, size);
	model_check_cache(model_vcpus[0].nested.ept);
	model_free();
	return 0;
}
