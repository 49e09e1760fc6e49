/* SPDX-License-Identifier: MIT */
/*
 * See boot/census.h. A processor that firmware keeps asleep, or one of another socket, may take its time: the
 * count must have stood still before anybody relies on it.
 */
#include "boot/census.h"

#include "drivers/apic.h"
#include "kernel/bits.h"
#include "kernel/string.h"

/* Microseconds. */
#define INIT_DELAY 10000
#define SIPI_DELAY 200
#define STEP 10
#define QUIET 100000
#define LONGEST 10000000

/* False: the count grew for ever. */
static bool wait_until_quiet(const struct trampoline *at)
{
	u32 count = 0, quiet = 0;

	for (u32 passed = 0; passed < LONGEST; passed += STEP) {
		u32 now = __atomic_load_n(&at->count, __ATOMIC_ACQUIRE);

		quiet = now == count ? quiet + STEP : 0;
		count = now;
		if (quiet >= QUIET)
			return true;
		apic_delay(STEP);
	}
	return false;
}

/*
 * The page is filled when nobody runs in it: where firmware left a processor in memory that it has given
 * away, the INIT has taken it out by then.
 */
enum status census_take(struct census *out)
{
	struct trampoline *at;

	out->count = 0;
	if (!apic_is_enabled())
		return STATUS_APIC_OFF;
	apic_send_init_others();
	apic_delay(INIT_DELAY);
	at = trampoline_take();
	if (!at)
		return STATUS_NO_LOW_PAGE;
	apic_send_sipi_others(trampoline_page());
	apic_delay(SIPI_DELAY);
	apic_send_sipi_others(trampoline_page());
	if (!wait_until_quiet(at))
		return status_with(STATUS_CPUS_RESTLESS, "%u", at->count);
	out->count = at->count;
	memcpy(out->apic_id, at->apic_id, sizeof(out->apic_id));
	return STATUS_OK;
}
