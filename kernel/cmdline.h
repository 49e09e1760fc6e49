/* SPDX-License-Identifier: MIT */
/*
 * Socle's own command line. Parsed once, before anything else is decided; constant afterwards.
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

struct options {
	enum log_level log;	 /* log=error|warn|info|debug */
	u16 console_port;	 /* console=com1|com2|com3|com4|none|0xPORT; 0: none */
	u64 reserve;		 /* reserve=SIZE: L0's window in bytes; 0: by the number of CPUs */
	u32 cpus;		 /* cpus=N; 0: all */
	u64 intercept;		 /* intercept=cr,pf,...: INTERCEPT_* */
	u32 intercept_pfec_mask; /* intercept-pf=MASK:MATCH: #PF error codes wanted, with INTERCEPT_PF */
	u32 intercept_pfec_match;
	bool shadow_vmcs; /* shadow-vmcs=on|off */
	bool vpid;	  /* vpid=on|off */
	bool ept_large;	  /* ept-large=on|off: 2 MiB and 1 GiB pages in EPT01 and EPT02 */
	bool ibpb;	  /* ibpb=on|off: branch-prediction barrier at each exit from L2 to L1 */
	bool flush;	  /* flush=on|off: processor's buffers and L1 data cache before an L2 */
	bool check;	  /* check: report, then halt */
	u64 ept02_budget; /* ept02=SIZE: memory for EPT02 pages per CPU; 0: default */
};

extern struct options options;

/* Sets `options` to the defaults, then to what `line` says. */
enum status cmdline_parse(const char *line);

#endif
