/* SPDX-License-Identifier: MIT */
/*
 * The rows of status.def as text.
 */
#include "kernel/status.h"

#include "kernel/log.h"
#include "kernel/print.h"
#include "kernel/string.h"

static const struct {
	const char *what, *advice;
} rows[STATUS_COUNT] = {
	[STATUS_OK] = { "no error", "nothing" },
#define STATUS(name, what, advice) [STATUS_##name] = { what, advice },
#include "kernel/status.def"
#undef STATUS
};

static char detail[400]; /* all names of options fit */
#define WHAT_MAX 400

enum status status_with(enum status status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_vformat(detail, sizeof(detail), fmt, args);
	va_end(args);
	for (char *c = detail; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?'; /* it may be the user's text: one line stays one line */
	return status;
}

void status_what(enum status status, char *buf, size_t n)
{
	const char *what = rows[status].what;
	const char *hole = strchr(what, '%');

	if (hole)
		print_format(buf, n, "%.*s%s%s", (int)(hole - what), what, detail, hole + 2);
	else
		print_format(buf, n, "%s", what);
}

void status_format(enum status status, char *buf, size_t n)
{
	char what[WHAT_MAX];

	status_what(status, what, sizeof(what));
	print_format(buf, n, "%s; %s", what, rows[status].advice);
}

void status_report(enum status status)
{
	char text[600];

	status_format(status, text, sizeof(text));
	log_error("error: %s", text);
}
