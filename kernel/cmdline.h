/* SPDX-License-Identifier: MIT */
/*
 * Socle's own command line. Parsed once, before anything else is decided; constant afterwards. options.def
 * says what each option means and what it may be.
 */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/status.h"

/* intercept=: what L0 intercepts though it need not. */
#define INTERCEPT_CR BIT(0)
#define INTERCEPT_PF BIT(1)
#define INTERCEPT_CR3 BIT(2)
#define INTERCEPT_EXCEPTION(vector) BIT(32 + (vector))

enum console_serial {
	SERIAL_NONE,
	SERIAL_AUTO, /* what ACPI names, else COM1, else one on PCI */
	SERIAL_PORT,
	SERIAL_MMIO,   /* registers a byte apart */
	SERIAL_MMIO32, /* four bytes apart, and as wide */
	SERIAL_ACPI,
	SERIAL_PCI,
};

struct console_option {
	bool screen;
	enum console_serial serial;
	u64 address; /* of SERIAL_PORT, SERIAL_MMIO, SERIAL_MMIO32 */
	u32 baud;    /* 0: not said */
	bool shared; /* of monitor=: L1 uses the port too */
};

enum explain_option { EXPLAIN_OFF, EXPLAIN_FIRST, EXPLAIN_ALL };

struct options {
	enum log_level log;
	struct console_option console;
	struct console_option monitor;	       /* SERIAL_NONE or SERIAL_PORT */
	struct console_option gdb, trace_port; /* the same */
	bool monitor_write;
	u8 monitor_key; /* a control character */
	bool nmi_stops;
	u64 reserve;		 /* L0's memory in bytes; 0: by the number of CPUs */
	u32 cpus;		 /* 0: all */
	u64 intercept;		 /* INTERCEPT_* */
	u32 intercept_pfec_mask; /* #PF error codes wanted, with INTERCEPT_PF */
	u32 intercept_pfec_match;
	enum explain_option explain;
	bool find_cpus;
	bool unheld_cpus;
	bool stop_resets;
	u32 stop_seconds; /* before that */
	bool init_resets;
	bool shadow_vmcs;
	bool vpid;
	bool ept_large; /* 2 MiB and 1 GiB pages in EPT01 and EPT02 */
	bool ibpb;
	bool flush;
	bool counters; /* the debug call from any privilege level of L1, not from ring 0 alone */
	bool iommu;    /* protect */
	bool dma_test;
	bool check;
	bool help;
	u64 trace_size;	  /* bytes per CPU for the exit trace, a power of 2; 0: off */
	u64 ept02_budget; /* bytes per CPU; 0: boot/window.c has not chosen it yet */
};

extern struct options options;

/* Sets `options` to the defaults, then to what `line` says. */
enum status cmdline_parse(const char *line);

/* What cmdline_parse() found odd but took, in one line; NULL if nothing. Printed when there is a console. */
const char *cmdline_note(void);

/* Calls `line` for each option with its name, values and meaning: `help`. */
void cmdline_help(void (*line)(const char *text));

#endif
