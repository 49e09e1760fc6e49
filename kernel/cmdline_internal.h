/* SPDX-License-Identifier: MIT */
/*
 * What the files of the command line share.
 */
#ifndef KERNEL_CMDLINE_INTERNAL_H
#define KERNEL_CMDLINE_INTERNAL_H

#include "kernel/types.h"

#define CMDLINE_WORD_MAX 64 /* a longer word is refused */

/* Decimal, or hexadecimal with 0x; false: no such number, or one beyond 64 bits. */
bool cmdline_parse_number(const char *s, u64 *value);

/* `where` is a struct console_option. False: not a value that console= can have. */
bool cmdline_parse_console(const char *value, void *where);
/* A letter, of which `where` gets the control character; not one that a line or flow control has. */
bool cmdline_parse_key(const char *value, void *where);
/* For gdb=: a port by name or number, or off; and for monitor=, where it may be shared. */
bool cmdline_parse_port(const char *value, void *where);
bool cmdline_parse_monitor(const char *value, void *where);

#endif
