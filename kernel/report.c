/* SPDX-License-Identifier: MIT */
/*
 * Items into lines.  See kernel/report.h.
 */
#include "kernel/report.h"

#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/print.h"
#include "kernel/string.h"

#define WIDTH 70u /* with the log's own `socle: ` before it, 80 columns are enough */

static const char *first;
static char line[WIDTH + 1];
static size_t used, items;

static void flush(void)
{
	log_report("%s%s", first, line);
	first = "    ";
	used = 0;
	line[0] = '\0';
}

void report_begin(const char *title)
{
	first = title;
	used = items = 0;
	line[0] = '\0';
}

void report_item(const char *fmt, ...)
{
	char item[WIDTH + 1];
	va_list args;
	size_t length;

	va_start(args, fmt);
	length = print_vformat(item, sizeof(item), fmt, args);
	va_end(args);
	if (items && used && strlen(first) + used + length + 2 > WIDTH) {
		print_format(line + used, sizeof(line) - used, ",");
		flush();
	}
	used += print_format(line + used, sizeof(line) - used, "%s%s", used ? ", " : "", item);
	items++;
}

void report_end(void)
{
	if (!items)
		report_item("none");
	flush();
}
