/* SPDX-License-Identifier: MIT */
/*
 * The port on which gdb is: bytes, packets and their acknowledgement. One CPU at a time uses it: the one
 * whose turn it is while the machine stands still, else the one that has taken the lock.
 */
#ifndef VMX_GDB_LINK_H
#define VMX_GDB_LINK_H

#include "drivers/uart.h"
#include "vmx/gdb/packet.h"

/* For whoever opens it. */
struct uart *link_port(void);

/* A byte that has arrived, if one has; complete packets are acknowledged, bad ones asked for again. */
enum packet_event link_receive(void);
/* The packet that was complete. */
const char *link_packet(void);

/* The reply in the making, empty at first. */
struct packet_output *link_reply(void);
/* Sends it. gdb may ask for it again, until the next one. */
void link_send(void);
/*
 * Text for gdb's console, from the output of a command or as a message while it waits for the machine; sent
 * again, three times at most, where gdb did not understand it.
 */
void link_print(const char *text, size_t length);

#endif
