/* SPDX-License-Identifier: MIT */
/*
 * `break`: sets breakpoints, lists and deletes them.
 */
#include "kernel/string.h"
#include "kernel/x86.h"
#include "vmx/hw/exits.h"
#include "vmx/monitor/break.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/output.h"

static const char kinds[][10] = {
	[BREAK_CODE] = "code",		 [BREAK_WRITE] = "write", [BREAK_EXIT] = "exit",
	[BREAK_ENTRY] = "entry",	 [BREAK_MSR] = "msr",	  [BREAK_PORT] = "port",
	[BREAK_EXCEPTION] = "exception", [BREAK_READ] = "read",	  [BREAK_ACCESS] = "access",
};

/* By vector: those that can be given back to a guest as they were. */
static const char exceptions[][3] = {
	[VEC_DB] = "db", [VEC_BP] = "bp", [VEC_UD] = "ud", [VEC_GP] = "gp", [VEC_PF] = "pf",
};

static void show(unsigned int number)
{
	const struct breakpoint *b = break_get(number);

	switch (b->kind) {
	case BREAK_CODE:
	case BREAK_WRITE:
	case BREAK_READ:
	case BREAK_ACCESS:
		output("%u %s l%u %llx length %u, L1's %llx", number, kinds[b->kind], b->level,
		       LL(b->address), b->length, LL(b->place));
		break;
	case BREAK_EXIT: output("%u exit %s l%u", number, exit_reason_name(b->number), b->level); break;
	case BREAK_ENTRY: output("%u entry", number); break;
	case BREAK_EXCEPTION: output("%u exception %s l%u", number, exceptions[b->number], b->level); break;
	default: output("%u %s %x l%u", number, kinds[b->kind], b->number, b->level);
	}
}

static bool list_all(void)
{
	bool any = false;

	for (unsigned int number = 1; number <= BREAKS_MAX; number++)
		if (break_get(number)) {
			show(number);
			any = true;
		}
	if (!any)
		output("there are no breakpoints");
	return true;
}

static bool delete (const char *word)
{
	u64 number;

	if (!strcmp(word, "all")) {
		for (unsigned int n = 1; n <= BREAKS_MAX; n++)
			break_remove(n);
		return true;
	}
	if (!line_decimal(word, BREAKS_MAX, &number))
		return false;
	if (!break_remove((unsigned int)number))
		output("error: there is no breakpoint %llu", LL(number));
	return true;
}

static bool parse_reason(const char *word, u32 *reason)
{
	u64 number;

	for (*reason = 0; *reason < EXIT_REASON_COUNT; ++*reason)
		if (!strcmp(exit_reason_name(*reason), word))
			return true;
	if (!line_decimal(word, EXIT_REASON_COUNT - 1, &number))
		return false;
	*reason = (u32)number;
	return true;
}

static bool parse_exception(const char *word, u32 *vector)
{
	for (*vector = 0; *vector < ARRAY_SIZE(exceptions); ++*vector)
		if (exceptions[*vector][0] && !strcmp(exceptions[*vector], word))
			return true;
	return false;
}

static enum break_kind kind_of(const char *word)
{
	for (enum break_kind kind = BREAK_WRITE; kind < ARRAY_SIZE(kinds); kind++)
		if (!strcmp(kinds[kind], word))
			return kind;
	return BREAK_CODE;
}

/* What follows the kind: `count` words. */
static bool parse_rest(struct breakpoint *b, char *const *word, unsigned int count)
{
	u64 number = 0, length = BREAK_LENGTH_MAX;

	if (b->kind == BREAK_ENTRY)
		return count == 0;
	if (!count || count > (b->kind >= BREAK_WRITE && b->kind <= BREAK_ACCESS ? 2u : 1u))
		return false;
	if (b->kind == BREAK_EXIT)
		return parse_reason(word[0], &b->number);
	if (b->kind == BREAK_EXCEPTION)
		return parse_exception(word[0], &b->number);
	if (!line_hex(word[0],
		      b->kind == BREAK_PORT  ? 0xffff
		      : b->kind == BREAK_MSR ? UINT32_MAX
					     : UINT64_MAX,
		      &number) ||
	    (count == 2 && !line_decimal(word[1], BREAK_LENGTH_MAX, &length)))
		return false;
	b->number = (u32)number;
	b->address = number;
	b->length = (u32)length;
	return true;
}

bool command_break(struct vcpu *vcpu, const struct words *words)
{
	char *const *word = words->word + 1;
	unsigned int count = words->count - 1, number;
	struct breakpoint b = { .kind = BREAK_CODE, .of_gdb = output_is_diverted() };
	const char *wrong;

	if (!count)
		return list_all();
	if (count == 2 && !strcmp(word[0], "delete"))
		return delete (word[1]);
	if (!strcmp(word[0], "l1") || !strcmp(word[0], "l2")) {
		b.level = (u8)(word[0][1] - '0');
		word++, count--;
	}
	if (count)
		b.kind = kind_of(word[0]);
	if (b.kind != BREAK_CODE)
		word++, count--;
	if (!parse_rest(&b, word, count))
		return false;
	if (!b.level && b.kind <= BREAK_ACCESS)
		b.level = (u8)vcpu->guest->level;
	wrong = break_add(vcpu, &b, &number);
	if (wrong)
		output("error: %s", wrong);
	else
		show(number);
	return true;
}
