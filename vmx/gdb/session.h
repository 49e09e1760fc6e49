/* SPDX-License-Identifier: MIT */
/*
 * What the stub remembers of gdb between two packets, and the two things that act on it: packets, and stops
 * of the machine. All of it on the CPU whose turn it is while the machine stands still.
 */
#ifndef VMX_GDB_SESSION_H
#define VMX_GDB_SESSION_H

#include "vmx/gdb/packet.h"
#include "vmx/guest/vcpu.h"

/* All members: the CPU whose turn it is. A thread is a CPU and a level of it. */
struct session {
	bool waits; /* for a stop of the machine: nothing is said until then */
	u32 cpu;    /* of the thread that packets are about */
	u8 level;
};
extern struct session session;

/* ---- serve.c ---- */

/* The CPU on which the packet is to be served: the thread's that it names, or the session's. */
u32 serve_cpu(const char *packet);
/* Answers a packet, on that CPU. */
void serve_packet(struct vcpu *vcpu, const char *packet);
/* The machine stands still, and gdb waits for that. */
void serve_stop(struct vcpu *vcpu);

/* ---- serve_go.c ---- */

/* As after `detach`, but that the machine stands where it stands: no breakpoints of gdb's, and no steps. */
void session_begin(struct vcpu *vcpu);

/* ---- gdb_breaks.c ---- */

/* Z and z: what stands behind the letter. */
void breaks_insert(struct vcpu *vcpu, const char *text, struct packet_output *reply);
void breaks_remove(const char *text, struct packet_output *reply);
/* gdb has gone: its own, and those that it has set by the monitor's commands. */
void breaks_forget(void);
/* A breakpoint of the monitor's list is one of gdb's. */
bool breaks_are_gdbs(unsigned int number);
/* Adds to a stop's reply which of gdb's breakpoints it is, if it is one. */
void breaks_explain(unsigned int hit, struct packet_output *reply);

#endif
