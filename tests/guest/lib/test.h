/* SPDX-License-Identifier: MIT */
/*
 * The harness: TEST(name) registers a test, TEST_VMX(name) one that runs in VMX operation. A test prints
 * RESULT lines that must be the same on every platform, INFO lines that need not be, and CHECKs what the SDM
 * promises.
 */
#ifndef TESTS_GUEST_LIB_TEST_H
#define TESTS_GUEST_LIB_TEST_H

#include "tests/guest/lib/base.h"

struct test {
	const char *name;
	void (*run)(void);
	u64 vmx; /* VMXON before, VMXOFF after */
};

#define TEST_ENTRY(fn, in_vmx)                                                                               \
	static void test_##fn(void);                                                                         \
	static const struct test entry_##fn                                                                  \
		__attribute__((used, section(".tests"), aligned(8))) = { #fn, test_##fn, in_vmx };           \
	static void test_##fn(void)
#define TEST(fn) TEST_ENTRY(fn, 0)
#define TEST_VMX(fn) TEST_ENTRY(fn, 1)

#define CHECK(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			test_fail(__FILE__, __LINE__, #cond);                                                \
	} while (0)

/* Leaves the test where the processor lacks what it needs. */
#define NEED(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			test_skip(#cond);                                                                    \
			return;                                                                              \
		}                                                                                            \
	} while (0)

void test_fail(const char *file, int line, const char *what);
void test_failed(void);
void test_skip(const char *why);
const char *test_name(void);
void result(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

u64 option_number(const char *name, u64 otherwise); /* name=value on the command line; value a-b gives a */
u64 option_range_end(const char *name, u64 otherwise);
bool option_flag(const char *name);

/* The loader's memory map: calls fn for each range that is no usable RAM. */
void memory_holes(void (*fn)(u64 base, u64 size, u32 type));
bool under_socle(void);
/* What Socle has counted on this CPU: struct nested_counters of vmx/nested/state.h. 0 on the bare processor.
 */
enum socle_counter {
	COUNT_ENTRIES,
	COUNT_ENTRY_FAILURES,
	COUNT_REFLECTIONS,
	COUNT_EPT02_FILLS,
	COUNT_EPT02_REBUILDS,
	COUNT_EPT02_RECLAIMS,
	COUNT_VPID_FLUSHES,
	COUNT_SLOT_EVICTIONS,
};
u64 socle_count(enum socle_counter which);
/* What a Socle that counts (COUNT=1) has executed: VMREADs, VMWRITEs, VMPTRLDs and VMCLEARs, VM entries,
 * RDMSRs and WRMSRs, INVEPTs and INVVPIDs. All ones where nobody counts. */
enum { HW_COUNTED = 6 };
u64 socle_hw_count(u64 which);

u64 random_next(u64 *state);

#endif
