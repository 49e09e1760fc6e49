/* SPDX-License-Identifier: MIT */
/*
 * The registers of either level as gdb numbers them (registers.def), behind them vmcs12's fields, and
 * target.xml, which describes them all.
 * GDB's manual: "Target Descriptions".
 */
#ifndef VMX_GDB_REGISTERS_H
#define VMX_GDB_REGISTERS_H

#include "vmx/gdb/packet.h"
#include "vmx/guest/vcpu.h"

/* How many a `g` packet has; vmcs12's follow. */
unsigned int registers_count(void);

/* On this CPU. Adds the register's bytes, x's where nobody knows them. False: there is no such register. */
bool registers_add(struct vcpu *vcpu, unsigned int level, unsigned int number, struct packet_output *output);

/*
 * Takes a register's bytes from the text, for the guest that runs; x's change nothing. What would make its
 * next VM entry fail is not taken. False: the text is no such value, or the register cannot be written.
 */
bool registers_take(struct vcpu *vcpu, unsigned int level, unsigned int number, const char **text);

/* The same of all of a `G` packet: those that cannot be written are passed over. */
bool registers_take_all(struct vcpu *vcpu, unsigned int level, const char **text);

/* `length` characters of target.xml from `offset` on, behind an m or, with its end, an l. */
void registers_describe(struct packet_output *output, u64 offset, u64 length);

#endif
