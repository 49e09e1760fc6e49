/* SPDX-License-Identifier: MIT */
/*
 * As much of AML as sleep needs: the values that the packages _S1_ to _S5_ name, and where a name stands in a
 * table. Nothing is interpreted. Tables are untrusted: every length is checked, every loop ends with the
 * table. ACPI specification: "ACPI Machine Language (AML) Specification", "\_Sx (System States)".
 */
#ifndef DRIVERS_AML_H
#define DRIVERS_AML_H

#include "kernel/types.h"

#define AML_STATES 6	   /* S0 to S5 */
#define AML_SEGMENT_SIZE 4 /* of a name: "_S3_" */

/* What all tables together say of each sleep state. */
struct aml_sleep_types {
	u8 a[AML_STATES], b[AML_STATES]; /* bit n: a package of that state has SLP_TYPa, SLP_TYPb n */
	u32 packages;			 /* so many were found */
};

/*
 * Adds what the definition block `aml` (without its table's header) has. A package is taken where the bytes
 * have all of its form, in a branch that firmware may not take too; one whose values are no constants counts
 * and gives none.
 */
void aml_add_sleep_types(const u8 *aml, u32 length, struct aml_sleep_types *types);

/*
 * Where the name segment `name` stands in the block as a definition or a reference: offsets into `at`, which
 * has room for `max`. False: some occurrence of its bytes is not surely one (it is in a string or a buffer,
 * or where the block could not be read), or there are more than `max`; the offsets do not count then.
 */
bool aml_find_name(const u8 *aml, u32 length, const char *name, u32 *at, u32 max, u32 *count);

#endif
