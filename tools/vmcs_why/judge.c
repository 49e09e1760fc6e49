/* SPDX-License-Identifier: MIT */
/*
 * See judge.h. Which fields decide about a rule, its row says. If all of them are known the rule is judged
 * once, with whatever in the other fields, for they do not matter. If one is missing, the rule is never
 * called broken: with many values in the missing fields it is seen whether it could be, and then it is open.
 */
#include "tools/vmcs_why/judge.h"

#include <string.h>

#include "vmx/hw/controls.h"
#include "vmx/nested/entry/check.h"

const struct vmcs12_field vmcs12_fields[VMCS12_FIELD_COUNT] = {
#define F(encoding_, name_, ...) [V12_##name_] = { .encoding = encoding_, .name = #name_ },
#include "vmx/hw/vmcs_fields.def"
#undef F
};

u64 vmcs12_mask_width(u32 encoding, u64 value)
{
	switch (VMCS_FIELD_WIDTH(encoding)) {
	case VMCS_WIDTH_16: return (u16)value;
	case VMCS_WIDTH_32: return (u32)value;
	default: return value;
	}
}

const char *caps_control_name(unsigned int word, unsigned int bit)
{
	static const struct {
		unsigned int word, bit;
		const char *name;
	} rows[] = {
#define ROW(unused, word, name, bit, need, l0, l1, text) { WORD_##word, bit, text },
		CONTROLS(ROW, 0)
#undef ROW
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].word == word && rows[i].bit == bit)
			return rows[i].name;
	return NULL;
}

/* ---- the checks' own function, which collects here ---- */

static struct judgement *found; /* what the run of the checks in hand breaks */

bool check_fail_bits(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask, u64 want)
{
	unsigned int segment = rule >> 16, id = rule & 0xffff, field = rule_rows[id].field + segment;

	(void)failure;
	found->verdict[id][segment] = BROKEN;
	found->failure[id][segment] = (struct check_failure){
		.rule = (u16)id,
		.field = (u16)field,
		.value = vmcs12_value(v12, field),
		.mask = mask,
		.want = want,
		.qualification = section_rows[rule_rows[id].section].qualification,
	};
	return false;
}

bool check_fail(struct check_failure *failure, const struct vmcs12 *v12, u32 rule)
{
	return check_fail_bits(failure, v12, rule, 0, 0);
}

bool check_fail_clear(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask)
{
	return check_fail_bits(failure, v12, rule, mask, 0);
}

bool check_fail_set(struct check_failure *failure, const struct vmcs12 *v12, u32 rule, u64 mask)
{
	return check_fail_bits(failure, v12, rule, mask, mask);
}

/* No dump has memory: what is there is as unknown as a missing field. */
static u64 memory_state;

static bool read_nothing(void *context, u64 gpa, void *to, size_t length)
{
	(void)context, (void)gpa;
	for (size_t i = 0; i < length; i++)
		((u8 *)to)[i] = (u8)(memory_state >> (8 * (i % 8)));
	return true;
}

static void run(const struct vmcs12 *v12, const struct vmx_caps *caps, struct judgement *into)
{
	struct check_failure unused;
	struct check_env env = {
		.caps = caps,
		/* A dump does not say; a host that is to be 64-bit is entered from IA-32e mode. */
		.l1_long_mode = v12->exit_controls & EXIT_HOST_64,
		.has_rtm = true,
		.has_sgx = true,
		.has_bus_lock_detect = true,
		.perf_global_valid = ~0ull,
		.vmcs_link_self = 1,
		.read = read_nothing,
	};

	found = into;
	check_controls(v12, &env, &unused);
	check_host(v12, &env, &unused);
	check_guest(v12, &env, &unused);
}

/* ---- three values ---- */

bool rule_looks_at(enum rule rule, unsigned int segment, unsigned int field)
{
	struct check_failure failure = { .rule = (u16)rule, .field = (u16)(rule_rows[rule].field + segment) };

	if (field == failure.field)
		return true;
	for (unsigned int n = 0; rule_other(&failure, n) != RULE_NO_FIELD; n++)
		if (rule_other(&failure, n) == field)
			return true;
	return false;
}

/* Rules that look into memory, or ask what the dump cannot say. */
static bool is_never_known(enum rule rule)
{
	return rule == RULE_tpr_threshold_vtpr || rule == RULE_link_revision || rule == RULE_link_self ||
	       rule == RULE_pdptes_memory;
}

static bool is_decided(const struct dump *dump, enum rule rule, unsigned int segment)
{
	for (unsigned int field = 0; field < VMCS12_FIELD_COUNT; field++)
		if (!dump->known[field] && rule_looks_at(rule, segment, field))
			return false;
	return !is_never_known(rule);
}

static bool is_whole(const struct dump *dump)
{
	for (unsigned int field = 0; field < VMCS12_FIELD_COUNT; field++)
		if (!dump->known[field])
			return false;
	return true;
}

static u64 random_next(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static u64 some_value(u64 *state)
{
	u64 random = random_next(state);

	switch (random % 4) {
	case 0: return 0;
	case 1: return ~0ull;
	case 2: return BIT(random >> 32 & 63);
	default: return random_next(state);
	}
}

#define TRIES 600
#define TRIES_MEMORY 4 /* where no field is missing */

void judge(const struct dump *dump, const struct vmx_caps *caps, struct judgement *judgement)
{
	static struct judgement tried;
	struct vmcs12 v12 = dump->v12;
	u64 state = 1;

	memset(judgement, 0, sizeof(*judgement));
	memset(&tried, 0, sizeof(tried));
	run(&v12, caps, judgement);
	for (unsigned int i = 0; i < (is_whole(dump) ? TRIES_MEMORY : TRIES); i++) {
		for (unsigned int field = 0; field < VMCS12_FIELD_COUNT; field++)
			if (!dump->known[field])
				*vmcs12_slot(&v12, field) =
					vmcs12_mask_width(vmcs12_fields[field].encoding, some_value(&state));
		memory_state = some_value(&state);
		run(&v12, caps, &tried);
	}
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
		for (unsigned int segment = 0; segment < SEGMENTS; segment++) {
			u8 *verdict = &judgement->verdict[rule][segment];

			if (!*verdict && !tried.verdict[rule][segment])
				continue;
			if (!is_decided(dump, rule, segment))
				*verdict = OPEN;
			judgement->broken += *verdict == BROKEN;
			judgement->open += *verdict == OPEN;
		}
}
