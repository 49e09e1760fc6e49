/* SPDX-License-Identifier: MIT */
/*
 * Where a name stands in a table of AML. AML is a prefix notation: what an operator takes as terms follows it
 * as further terms. So a list of terms is read as a flat row of operators, names and constants, without
 * knowing how many terms each takes; what has to be known of an operator is only what follows it that is no
 * term (drivers/aml.def). A package (whatever has a PkgLength) that does not end where it says is unsure,
 * with all in it; what follows it is read on. The packages of the sleep states are aml_sleep.c's. ACPI
 * specification: "AML Grammar Definition". See drivers/aml.h.
 */
#include "drivers/aml.h"

#include "drivers/aml_code.h"
#include "kernel/string.h"

#define DEPTH_MAX 64

/* What follows an operator that is no term. */
enum form {
	FORM_NONE,	  /* no operator at all */
	FORM_PLAIN,	  /* nothing */
	FORM_MATCH,	  /* nothing; comparisons may follow */
	FORM_COMPARISON,  /* nothing, in a Match */
	FORM_BYTES,	  /* `bytes` of data */
	FORM_STRING,	  /* characters and a 0 */
	FORM_NAME,	  /* a name, then `bytes` */
	FORM_MUTEX,	  /* a name or a variable, then `bytes` */
	FORM_BLOCK,	  /* PkgLength, `bytes`, terms */
	FORM_NAMED,	  /* PkgLength, a name, `bytes`, terms */
	FORM_RAW,	  /* PkgLength, and nothing that is looked at */
	FORM_FIELD,	  /* PkgLength, a name, flags, a list of fields */
	FORM_FIELD_INDEX, /* PkgLength, two names, flags, a list of fields */
	FORM_FIELD_BANK,  /* PkgLength, two names, a term, flags, a list of fields */
};

struct operator_form {
	u8 form, bytes;
};

#define ROW(first, last, form_, bytes_) [first... last] = { FORM_##form_, bytes_ },
static const struct operator_form plain_forms[256] = {
#define AML(first, last, form_, bytes_) ROW(first, last, form_, bytes_)
#define AML_EXTENDED(first, last, form_, bytes_)
#include "drivers/aml.def"
#undef AML
#undef AML_EXTENDED
};
static const struct operator_form extended_forms[256] = {
#define AML(first, last, form_, bytes_)
#define AML_EXTENDED(first, last, form_, bytes_) ROW(first, last, form_, bytes_)
#include "drivers/aml.def"
#undef AML
#undef AML_EXTENDED
};

struct package {
	u32 end;
	u32 found; /* names that had been found before it */
};

struct reader {
	const u8 *aml;
	u32 at;
	const char *name;
	u32 *found; /* where `name` stands */
	u32 found_count, found_max;
	u32 depth;
	bool match; /* a Match was seen */
	struct package packages[DEPTH_MAX];
};

static u32 left(const struct reader *r)
{
	return r->packages[r->depth - 1].end - r->at;
}

static bool skip(struct reader *r, u32 bytes)
{
	if (left(r) < bytes)
		return false;
	r->at += bytes;
	return true;
}

/* The package that starts with its PkgLength here; what is in it begins at `at` then. */
static bool enter_package(struct reader *r)
{
	u32 length, size;

	if (r->depth == DEPTH_MAX || !aml_read_length(r->aml + r->at, left(r), &length, &size) ||
	    length < size || length > left(r))
		return false;
	r->packages[r->depth] = (struct package){ r->at + length, r->found_count };
	r->at += size;
	r->depth++;
	return true;
}

static bool is_lead(u8 c)
{
	return (c >= 'A' && c <= 'Z') || c == '_';
}

static bool read_segments(struct reader *r, u32 count)
{
	for (; count; count--) {
		const u8 *p = r->aml + r->at;

		if (left(r) < AML_SEGMENT_SIZE || !is_lead(p[0]))
			return false;
		for (u32 i = 1; i < AML_SEGMENT_SIZE; i++)
			if (!is_lead(p[i]) && !(p[i] >= '0' && p[i] <= '9'))
				return false;
		if (!memcmp(p, r->name, AML_SEGMENT_SIZE)) {
			if (r->found_count < r->found_max)
				r->found[r->found_count] = r->at;
			r->found_count++;
		}
		r->at += AML_SEGMENT_SIZE;
	}
	return true;
}

/* "NameString" */
static bool read_name(struct reader *r)
{
	u32 count = 1;

	if (left(r) && r->aml[r->at] == OP_ROOT)
		r->at++;
	else
		while (left(r) && r->aml[r->at] == OP_PARENT)
			r->at++;
	if (!left(r))
		return false;
	switch (r->aml[r->at]) {
	case OP_ZERO: return skip(r, 1);
	case OP_DUAL_NAME: return skip(r, 1) && read_segments(r, 2);
	case OP_MULTI_NAME:
		if (!skip(r, 1) || !left(r))
			return false;
		count = r->aml[r->at++];
		return count && read_segments(r, count);
	}
	return read_segments(r, 1);
}

static bool read_string(struct reader *r)
{
	while (left(r))
		if (!r->aml[r->at++])
			return true;
	return false;
}

static bool is_variable(u8 op)
{
	return op >= OP_LOCAL0 && op <= OP_ARG6;
}

static bool skip_raw_package(struct reader *r)
{
	if (!enter_package(r))
		return false;
	r->at = r->packages[--r->depth].end;
	return true;
}

static bool skip_length(struct reader *r)
{
	u32 length, size;

	return aml_read_length(r->aml + r->at, left(r), &length, &size) && skip(r, size);
}

/* "FieldElement" */
static bool read_field_element(struct reader *r)
{
	u8 kind = r->aml[r->at];

	switch (kind) {
	case 0: return skip(r, 1) && skip_length(r);
	case 1: return skip(r, 3);
	case 2:
		if (!skip(r, 1) || !left(r))
			return false;
		return r->aml[r->at] == OP_BUFFER ? skip(r, 1) && skip_raw_package(r) : read_name(r);
	case 3: return skip(r, 4);
	}
	return read_segments(r, 1) && skip_length(r);
}

/* The value of a bank: one that is a constant or a name; a term that takes terms would have to be understood.
 */
static bool read_bank(struct reader *r)
{
	const struct operator_form *form;

	if (!left(r))
		return false;
	form = &plain_forms[r->aml[r->at]];
	if (r->aml[r->at] == OP_ZERO || r->aml[r->at] == OP_ONE)
		return skip(r, 1);
	return form->form == FORM_BYTES ? skip(r, 1u + form->bytes) : read_name(r);
}

static bool read_fields(struct reader *r, enum form form)
{
	if (!read_name(r) || (form != FORM_FIELD && !read_name(r)) ||
	    (form == FORM_FIELD_BANK && !read_bank(r)) || !skip(r, 1))
		return false;
	while (left(r))
		if (!read_field_element(r))
			return false;
	return true;
}

/* What follows the operator; a package is only entered. */
static bool read_operator(struct reader *r, const struct operator_form *form)
{
	switch ((enum form)form->form) {
	case FORM_NONE: return false;
	case FORM_PLAIN: return true;
	case FORM_MATCH: return r->match = true;
	case FORM_COMPARISON: return r->match;
	case FORM_BYTES: return skip(r, form->bytes);
	case FORM_STRING: return read_string(r);
	case FORM_NAME: return read_name(r) && skip(r, form->bytes);
	case FORM_MUTEX:
		if (left(r) && is_variable(r->aml[r->at]))
			return skip(r, 1u + form->bytes);
		return read_name(r) && skip(r, form->bytes);
	case FORM_BLOCK: return enter_package(r) && skip(r, form->bytes);
	case FORM_NAMED: return enter_package(r) && read_name(r) && skip(r, form->bytes);
	case FORM_RAW: return skip_raw_package(r);
	case FORM_FIELD:
	case FORM_FIELD_INDEX:
	case FORM_FIELD_BANK: return enter_package(r) && read_fields(r, (enum form)form->form);
	}
	return false;
}

static bool read_token(struct reader *r)
{
	u8 op = r->aml[r->at];

	if (is_lead(op) || op == OP_ROOT || op == OP_PARENT || op == OP_DUAL_NAME || op == OP_MULTI_NAME)
		return read_name(r);
	r->at++;
	if (op != OP_EXTENDED)
		return read_operator(r, &plain_forms[op]);
	if (!left(r))
		return false;
	return read_operator(r, &extended_forms[r->aml[r->at++]]);
}

/* Every name that is surely one. What a package that could not be read had given is forgotten. */
static void read_block(struct reader *r)
{
	while (r->depth) {
		if (!left(r)) {
			r->depth--;
		} else if (!read_token(r)) {
			const struct package *package = &r->packages[--r->depth];

			r->found_count = package->found;
			r->at = package->end;
		}
	}
}

bool aml_find_name(const u8 *aml, u32 length, const char *name, u32 *at, u32 max, u32 *count)
{
	struct reader r = { .aml = aml,
			    .name = name,
			    .found = at,
			    .found_max = max,
			    .depth = 1,
			    .packages = { { length, 0 } } };
	u32 occurrences = 0;

	read_block(&r);
	for (u32 i = 0; i + AML_SEGMENT_SIZE <= length; i++)
		occurrences += !memcmp(aml + i, name, AML_SEGMENT_SIZE);
	*count = r.found_count;
	return r.found_count == occurrences && r.found_count <= max;
}
