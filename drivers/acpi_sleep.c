/* SPDX-License-Identifier: MIT */
/*
 * The sleep registers from the FADT, and the values of SLP_TYP from the DSDT and the SSDTs, as they are
 * before L1 can write them.  See drivers/acpi_sleep.h.  ACPI specification: "Fixed ACPI Description Table",
 * "Generic Address Structure", "\_Sx (System States)".
 */
#include "drivers/acpi_sleep.h"

#include "drivers/acpi_blocks.h"
#include "drivers/aml.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "mm/memmap.h"

#define FADT_SMI_CMD 48
#define FADT_S4BIOS_REQ 54
#define FADT_PM1A_CNT 64
#define FADT_PM1B_CNT 68
#define FADT_PM1_CNT_LEN 89
#define FADT_X_PM1A_CNT 172
#define FADT_X_PM1B_CNT 184
#define FADT_SLEEP_CONTROL 244
#define GAS_SIZE 12u

#define GAS_MEMORY 0
#define GAS_IO 1

#define PM1_CNT_LEN 2u

/* SLP_TYP of a state with number x is in the tables; S2 and S3 wake by the waking vector, S0 does not sleep.
 */
#define STATES_ALLOWED (BIT(1) | BIT(4) | BIT(5))
#define STATES_REFUSED (BIT(2) | BIT(3))

static struct sleep_register io_register(const u8 *fadt, u32 at)
{
	u32 port = acpi_get32(fadt + at);

	if (port > 0xffff)
		log_warn("acpi: a sleep register at %x, which is no port, is not watched", port);
	if (!port || port > 0xffff)
		return (struct sleep_register){ SLEEP_ABSENT, 0, 0 };
	return (struct sleep_register){ SLEEP_IO, port, MAX((u32)fadt[FADT_PM1_CNT_LEN], PM1_CNT_LEN) };
}

/* Memory of L1's is no register, whatever the table says: its page would be read-only for most of L1's
 * stores. */
static bool is_memory(const struct sleep_register *r)
{
	return memmap_is_usable(r->address, 1) || memmap_in_window(r->address, r->width);
}

/* "Generic Address Structure" */
static struct sleep_register wide_register(const u8 *fadt, u32 length, u32 at, u32 width)
{
	struct sleep_register r = { SLEEP_ABSENT, 0, 0 };

	if (length < at + GAS_SIZE)
		return r;
	r.address = acpi_get64(fadt + at + 4);
	r.width = MAX(fadt[at + 1] / 8u, width);
	if (r.address && fadt[at] == GAS_IO && r.address <= 0xffff)
		r.space = SLEEP_IO;
	else if (r.address && fadt[at] == GAS_MEMORY && !is_memory(&r))
		r.space = SLEEP_MEMORY;
	else if (r.address)
		log_warn("acpi: a sleep register at %llx of address space %u is not watched",
			 (unsigned long long)r.address, fadt[at]);
	if (r.space == SLEEP_ABSENT)
		r.address = r.width = 0;
	return r;
}

/* "X_PM1a_CNT_BLK ... if this field contains a nonzero value which can be used by the OSPM, then the
 * PM1a_CNT_BLK field must be ignored": not every OSPM does. */
static void take_pm1(const u8 *fadt, u32 length, u32 at, u32 wide_at, struct sleep_register *now,
		     struct sleep_register *old)
{
	*old = io_register(fadt, at);
	*now = wide_register(fadt, length, wide_at, PM1_CNT_LEN);
	if (now->space != SLEEP_ABSENT && (now->space != old->space || now->address != old->address)) {
		if (old->space != SLEEP_ABSENT)
			log_warn("acpi: the FADT has a sleep register at %llx and at %llx: both are watched",
				 (unsigned long long)old->address, (unsigned long long)now->address);
		return;
	}
	if (now->space == SLEEP_ABSENT || old->width > now->width)
		*now = *old;
	*old = (struct sleep_register){ SLEEP_ABSENT, 0, 0 };
}

static u8 types_of(const u8 *types, u64 states)
{
	u8 all = 0;

	for (u32 state = 0; state < AML_STATES; state++)
		if (states & BIT(state))
			all |= types[state];
	return all;
}

/* A value that leads to a waking vector too is refused: S3 must never pass, S5 may be had by other ways. */
static u8 allowed(const u8 *types, char which)
{
	u8 wanted = types_of(types, STATES_ALLOWED), both = wanted & types_of(types, STATES_REFUSED);

	if (both)
		log_warn("acpi: a value of SLP_TYP%c is that of _S3_ (or _S2_) and of another sleep state: "
			 "refused "
			 "for both (%x)",
			 which, both);
	return wanted & (u8)~both;
}

static void find_types(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_sleep *out)
{
	static struct acpi_blocks found;
	struct aml_sleep_types types = { .packages = 0 };

	acpi_find_blocks(rsdp, rsdp_size, bios, &found);
	for (u32 i = 0; i < found.count; i++)
		aml_add_sleep_types(found.blocks[i].table + ACPI_HEADER_SIZE,
				    found.blocks[i].length - ACPI_HEADER_SIZE, &types);
	out->pm1a_allowed = allowed(types.a, 'a');
	out->pm1b_allowed = allowed(types.b, 'b');
	if (!out->pm1a_allowed)
		log_warn("acpi: no table names a value of SLP_TYP for _S5_ (or _S1_, _S4_): L1 cannot switch "
			 "the "
			 "machine off by ACPI");
	if (!types.a[3])
		log_debug("acpi: no table names a value of SLP_TYP for _S3_");
}

void acpi_find_sleep(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_sleep *out)
{
	u32 length;
	const u8 *fadt = acpi_find_fadt(rsdp, rsdp_size, bios, &length);

	memset(out, 0, sizeof(*out));
	if (!fadt)
		return;
	out->has_fadt = true;
	take_pm1(fadt, length, FADT_PM1A_CNT, FADT_X_PM1A_CNT, &out->pm1a, &out->pm1a_old);
	take_pm1(fadt, length, FADT_PM1B_CNT, FADT_X_PM1B_CNT, &out->pm1b, &out->pm1b_old);
	/* Whether hardware is "reduced" or not: what is there can be written. */
	out->control = wide_register(fadt, length, FADT_SLEEP_CONTROL, 1);
	if (out->pm1a.space == SLEEP_ABSENT && out->control.space == SLEEP_ABSENT)
		log_warn("acpi: the FADT names no sleep register that can be watched");
	out->smi_port = acpi_get32(fadt + FADT_SMI_CMD);
	out->s4bios_request = fadt[FADT_S4BIOS_REQ];
	find_types(rsdp, rsdp_size, bios, out);
}
