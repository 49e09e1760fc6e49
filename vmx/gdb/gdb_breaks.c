/* SPDX-License-Identifier: MIT */
/*
 * gdb's breakpoints: it takes them all away whenever the machine stops, and sets them again before it goes
 * on, whatever thread a person looks at meanwhile. So an address stays with the level for which it was set
 * first.
 * GDB's manual: "Packets", Z0 to Z4; "Stop Reply Packets".
 */
#include "vmx/gdb/session.h"
#include "vmx/monitor/break.h"

enum type { TYPE_SOFTWARE, TYPE_HARDWARE, TYPE_WRITE, TYPE_READ, TYPE_ACCESS, TYPE_COUNT };

static const u8 kinds[TYPE_COUNT] = {
	[TYPE_SOFTWARE] = BREAK_CODE, [TYPE_HARDWARE] = BREAK_CODE, [TYPE_WRITE] = BREAK_WRITE,
	[TYPE_READ] = BREAK_READ,     [TYPE_ACCESS] = BREAK_ACCESS,
};

/* How a stop is told: with the address behind a watchpoint's. */
static const char words[TYPE_COUNT][10] = {
	[TYPE_SOFTWARE] = "swbreak:", [TYPE_HARDWARE] = "hwbreak:", [TYPE_WRITE] = "watch:",
	[TYPE_READ] = "rwatch:",      [TYPE_ACCESS] = "awatch:",
};

/* All members: the CPU whose turn it is. */
static struct set {
	u64 address, length;
	unsigned int number; /* 0: gdb has taken it away for now */
	u8 type, level;	     /* level 0: a free row */
} sets[BREAKS_MAX];

struct wanted {
	u64 type, address, length;
};

/* type,address,kind; conditions and commands, which gdb was not offered, do not follow. */
static bool parse(const char *text, struct wanted *wanted)
{
	return packet_take_number(&text, &wanted->type) && packet_take(&text, ',') &&
	       packet_take_number(&text, &wanted->address) && packet_take(&text, ',') &&
	       packet_take_number(&text, &wanted->length) && !*text;
}

static bool is_of(const struct set *set, const struct wanted *wanted)
{
	return set->level && set->type == wanted->type && set->address == wanted->address &&
	       set->length == wanted->length;
}

static struct set *find(const struct wanted *wanted)
{
	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (is_of(&sets[i], wanted))
			return &sets[i];
	return NULL;
}

/* A free row, else one that gdb has not set again. NULL: all are set. */
static struct set *make(const struct wanted *wanted)
{
	struct set *found = NULL;

	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (!sets[i].number && (!found || !sets[i].level))
			found = &sets[i];
	if (found)
		*found = (struct set){ .type = (u8)wanted->type,
				       .address = wanted->address,
				       .length = wanted->length };
	return found;
}

static bool add(struct vcpu *vcpu, struct set *set, unsigned int level)
{
	struct breakpoint b = { .kind = kinds[set->type],
				.level = (u8)level,
				.of_gdb = true,
				.address = set->address,
				.length = (u32)MIN(set->length, (u64)UINT32_MAX) };
	unsigned int number;

	if (break_add(vcpu, &b, &number))
		return false;
	set->level = (u8)level;
	set->number = number;
	return true;
}

/* False: it has been answered. By nothing if it is not of a kind that there is: gdb tells the person. */
static bool understand(const char *text, struct wanted *wanted, struct packet_output *reply)
{
	bool whole = parse(text, wanted);

	if (!whole)
		packet_add(reply, "E01");
	return whole && wanted->type < TYPE_COUNT;
}

void breaks_insert(struct vcpu *vcpu, const char *text, struct packet_output *reply)
{
	struct wanted wanted;
	struct set *set;

	if (!understand(text, &wanted, reply))
		return;
	set = find(&wanted);
	if (!set)
		set = make(&wanted);
	if (set && (set->number || (set->level && add(vcpu, set, set->level)) ||
		    add(vcpu, set, session.level) || add(vcpu, set, 3u - session.level)))
		packet_add(reply, "OK");
	else
		packet_add(reply, "E02");
}

void breaks_remove(const char *text, struct packet_output *reply)
{
	struct wanted wanted;
	struct set *set;

	if (!understand(text, &wanted, reply))
		return;
	set = find(&wanted);
	if (set && set->number) {
		break_remove(set->number);
		set->number = 0;
	}
	packet_add(reply, "OK");
}

void breaks_forget(void)
{
	for (unsigned int i = 0; i < BREAKS_MAX; i++) {
		const struct breakpoint *b = break_get(i + 1);

		if (b && b->of_gdb)
			break_remove(i + 1);
		sets[i] = (struct set){ 0 };
	}
}

static const struct set *set_of(unsigned int number)
{
	for (unsigned int i = 0; number && i < BREAKS_MAX; i++)
		if (sets[i].number == number)
			return &sets[i];
	return NULL;
}

bool breaks_are_gdbs(unsigned int number)
{
	return set_of(number);
}

void breaks_explain(unsigned int hit, struct packet_output *reply)
{
	const struct set *set = set_of(hit);

	if (!set)
		return;
	packet_add(reply, words[set->type]);
	if (set->type >= TYPE_WRITE)
		packet_add_number(reply, set->address);
	packet_add(reply, ";");
}
