/* SPDX-License-Identifier: MIT */
/*
 * vmcs-why's judgement: a valid VMCS breaks nothing; what is called broken with a field missing is broken
 * whatever is in it; which fields a rule's row names are all that it depends on. Random dumps, the same ones
 * each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/vmcs_why/judge.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/vmx.h"

#define DUMPS 2
#define FILLS 1000

static const char *const valid[] = {
#define VALID(name, value) #name "=" #value "\n"
	/* a 64-bit guest with EPT, of a 64-bit host */
	VALID(pin_controls, 16) VALID(proc_controls, 840061f2) VALID(proc2_controls, a2) VALID(
		exit_controls, 36ffb) VALID(entry_controls, 13fb) VALID(vpid, 1) VALID(ept_pointer, 101e)
		VALID(vmcs_link_pointer, ffffffffffffffff) VALID(host_cr0, 80010021) VALID(
			host_cr3, 2000) VALID(host_cr4, 2020) VALID(host_cs_selector, 8)
			VALID(host_ss_selector, 10) VALID(host_tr_selector, 18) VALID(
				host_rip, ffffffff81000000) VALID(guest_cr0, 80010021) VALID(guest_cr3, 3000)
				VALID(guest_cr4, 2020) VALID(guest_rflags, 2) VALID(guest_rip, 100000) VALID(
					guest_cs_selector, 8) VALID(guest_cs_limit, ffffffff)
					VALID(guest_cs_ar, a09b) VALID(guest_ss_ar, 10000) VALID(guest_ds_ar,
												 10000)
						VALID(guest_es_ar, 10000) VALID(guest_fs_ar, 10000) VALID(
							guest_gs_ar, 10000) VALID(guest_ldtr_ar, 10000)
							VALID(guest_tr_selector, 18) VALID(guest_tr_limit, 67)
								VALID(guest_tr_ar, 8b) VALID(guest_dr7, 400)
};

static struct vmx_caps caps;
static u64 state = 7;

static u64 next(void)
{
	u64 z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void require(bool so, const char *what, unsigned int rule, unsigned int field)
{
	if (so)
		return;
	printf("judge: %s: rule %u, field %s\n", what, rule, vmcs12_fields[field].name);
	exit(1);
}

/* All fields known: those above, and 0. */
static void make_valid(struct dump *dump)
{
	memset(dump, 0, sizeof(*dump));
	dump_parse(dump, valid[0], strlen(valid[0]));
	for (unsigned int f = 0; f < VMCS12_FIELD_COUNT; f++)
		dump->known[f] = true;
}

static void change(struct dump *dump)
{
	for (u64 n = 1 + next() % 4; n; n--) {
		unsigned int field = (unsigned int)(next() % VMCS12_FIELD_COUNT);
		u64 *value = vmcs12_slot(&dump->v12, field);

		*value = next() % 2 ? next() : *value ^ BIT(next() % 64);
		*value = vmcs12_mask_width(vmcs12_fields[field].encoding, *value);
	}
}

/* What is broken without the field must be so with anything in it. */
static void drop_each_field(const struct dump *whole)
{
	static struct judgement without, with;

	for (unsigned int field = 0; field < VMCS12_FIELD_COUNT; field++) {
		struct dump dump = *whole;

		dump.known[field] = false;
		judge(&dump, &caps, &without);
		dump.known[field] = true;
		for (unsigned int i = 0; i < FILLS; i++) {
			*vmcs12_slot(&dump.v12, field) =
				vmcs12_mask_width(vmcs12_fields[field].encoding, next());
			judge(&dump, &caps, &with);
			for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
				for (unsigned int segment = 0; segment < SEGMENTS; segment++)
					require(without.verdict[rule][segment] != BROKEN ||
							with.verdict[rule][segment] == BROKEN,
						"called broken, and holds with another value", rule, field);
		}
	}
}

int main(void)
{
	static struct judgement j;
	struct dump dump;

	caps_any(&caps);
	make_valid(&dump);
	judge(&dump, &caps, &j);
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
		require(j.verdict[rule][0] != BROKEN, "a valid VMCS breaks it", rule,
			rule_rows[rule].field % VMCS12_FIELD_COUNT);
	for (unsigned int i = 0; i < DUMPS; i++) {
		make_valid(&dump);
		change(&dump);
		drop_each_field(&dump);
	}
	printf("judge: %u dumps, each field dropped, holds\n", DUMPS);
	return 0;
}
