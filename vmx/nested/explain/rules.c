/* SPDX-License-Identifier: MIT */
/*
 * rules.def and sections.def as tables, and their texts, which lie one behind the other in a short form: a
 * byte from 80H on stands for a piece that comes again and again (texts.def). tests/lint/rule_texts.py makes
 * it.
 */
#include "vmx/nested/explain/rules.h"

#include "vmx/hw/vmx.h"

#define FIRST_PIECE 0x80

struct texts {
#define PIECE(number, text) char piece_##number[sizeof(text)];
#define TEXT(id, text) char rule_##id[sizeof(text)];
#define NAME(id, text) char section_##id[sizeof(text)];
#include "vmx/nested/explain/texts.def"
#undef NAME
#undef TEXT
#undef PIECE
};
static_assert(sizeof(struct texts) < 0x10000, "a place has 16 bits");
static_assert(VMCS12_FIELD_COUNT < RULE_NO_FIELD, "a row's field has 8 bits");
static_assert(RULE_COUNT < 0x10000 && SET_COUNT <= 0x100, "the numbers in a row");

static const struct texts texts = {
#define PIECE(number, text) text,
#define TEXT(id, text) text,
#define NAME(id, text) text,
#include "vmx/nested/explain/texts.def"
#undef NAME
#undef TEXT
#undef PIECE
};

/* Where each begins. */
static const u16 pieces[] = {
#define PIECE(number, text) offsetof(struct texts, piece_##number),
#define TEXT(id, text)
#define NAME(id, text)
#include "vmx/nested/explain/texts.def"
#undef NAME
#undef TEXT
#undef PIECE
};

const struct rule_row rule_rows[RULE_COUNT] = {
#define RULE(id, section_, field_, set_, text_)                                                              \
	[RULE_##id] = { offsetof(struct texts, rule_##id), SECTION_##section_, V12_##field_, SET_##set_, 0 },
#define REFUSAL(id, outcome_, section_, text_)                                                               \
	[RULE_##id] = { offsetof(struct texts, rule_##id), SECTION_##section_, RULE_NO_FIELD, SET_NONE,      \
			outcome_ },
#include "vmx/nested/explain/rules.def"
#undef REFUSAL
#undef RULE
};

#define V12_none RULE_NO_FIELD
static const u8 sets[SET_COUNT][RULE_OTHERS] = {
#define SET(id, ...) [SET_##id] = { SET_OF(__VA_ARGS__, none, none, none, none, none) },
#define SET_OF(a, b, c, d, e, ...) V12_##a, V12_##b, V12_##c, V12_##d, V12_##e
#include "vmx/nested/explain/sets.def"
#undef SET
};

const struct section_row section_rows[SECTION_COUNT] = {
#define TITLE(id, stage, qualification, title)                                                               \
	[SECTION_##id] = { offsetof(struct texts, section_##id), STAGE_##stage, qualification },
#include "vmx/nested/explain/sections.def"
#undef TITLE
};

/* A piece may have other pieces in it, of lower numbers. */
static size_t put(char *to, size_t size, size_t used, const char *from)
{
	for (; *from && used + 1 < size; from++) {
		unsigned int byte = (u8)*from;

		if (byte < FIRST_PIECE)
			to[used++] = *from;
		else
			used = put(to, size, used, (const char *)&texts + pieces[byte - FIRST_PIECE]);
	}
	return used;
}

void rule_expand(u16 place, char *to, size_t size)
{
	to[put(to, size, 0, (const char *)&texts + place)] = 0;
}

unsigned int rule_other(const struct check_failure *failure, unsigned int n)
{
	const struct rule_row *row = &rule_rows[failure->rule];
	unsigned int other = n < RULE_OTHERS ? sets[row->set][n] : RULE_NO_FIELD;
	bool own = other == V12_guest_es_selector || other == V12_guest_es_base ||
		   other == V12_guest_es_limit || other == V12_guest_es_ar;

	return own ? other + (failure->field - row->field) : other;
}
