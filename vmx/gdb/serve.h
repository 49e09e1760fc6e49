/* SPDX-License-Identifier: MIT */
/*
 * What the files that serve packets share: threads, short answers, and the functions of the table. A thread's
 * number is twice its CPU's, plus its level.
 */
#ifndef VMX_GDB_SERVE_H
#define VMX_GDB_SERVE_H

#include "vmx/guest/vcpu.h"

/* ---- threads.c ---- */

u64 thread_of(u32 cpu, unsigned int level);
/* Its CPU stands still, and has such a level. */
bool thread_is_there(u64 thread);
/* The thread that packets are about from now on. False: it is not there. */
bool thread_select(u64 thread);

/* A whole reply. */
void say(const char *text);
void say_whether(bool done); /* OK, or an error */

/* ---- serve_go.c ---- */

/* The thread that actions are about, from behind "vCont;". Any number that is no thread's: none. */
u64 actions_thread(const char *text);

/* ---- the table's functions: `text` is what stands behind the prefix ---- */

/* clang-format off */
#define SERVE_FUNCTIONS(H) \
	/* serve_go.c */ \
	H(do_continue) H(do_step) H(do_actions) H(do_actions_known) H(do_detach) H(do_kill) \
	/* serve_query.c */ \
	H(do_supported) H(do_features) H(do_first_threads) H(do_more_threads) H(do_thread_text) H(do_current) H(do_attached) \
	H(do_command)
/* clang-format on */
#define H(name) void name(struct vcpu *vcpu, const char *text);
SERVE_FUNCTIONS(H)
#undef H

#endif
