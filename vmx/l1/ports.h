/* SPDX-License-Identifier: MIT */
/*
 * The I/O ports that L0 wants, in one table: who they are, L0's I/O bitmaps,
 * and an access of a guest's that L0 carries out.  How the guest made the
 * access is vmx/l1/exit_io.c's, what L1 wants of L2's is vmx/nested's.
 * SDM: "I/O-Bitmap Addresses".
 */
#ifndef VMX_PORTS_H
#define VMX_PORTS_H

#include "kernel/types.h"

struct vcpu;

#define PORT_COUNT 0x10000u
#define PORT_HALF 0x8000u /* of each of the two bitmaps, A and B */

/* An access of a guest's.  One that begins at the last ports goes on at port 0. */
struct port_access {
	u16 port;
	u8 size; /* 1, 2 or 4 bytes, a port each */
	bool in;
	bool string; /* INS or OUTS: the value does not come from RAX */
	u32 value;   /* OUT: what the guest writes; IN: what the machine said, then what the guest reads */
};

struct port_range {
	u16 first, count;
	const char *name;
	/*
	 * Of an access that reaches one of the ports.  Before an OUT: false keeps it from the range's ports,
	 * the others get their bytes.  After an IN: may change what the guest reads.  Any CPU, the guest's.
	 * NULL: guests have no such ports; IN reads ones, OUT is dropped, and the machine is not asked.
	 */
	bool (*handler)(struct vcpu *vcpu, const struct port_range *range, struct port_access *access);
	const void *context; /* the handler's own */
};

/* BSP, before vm_init(): L0 wants these ports of every guest.  Ranges may overlap. */
void ports_add(const struct port_range *range);
/* The same for ports that L0 emulates: the machine is not asked, the handler says what an IN reads. */
void ports_add_emulated(const struct port_range *range);
/* BSP, once, when all have been added: makes L0's bitmaps.  Constant from then on but for ports_watch(). */
void ports_init(void);

/* L0 wants to see accesses to this port besides, or no longer does; they are made as they are. If
 * ports_wanted(). The machine stands still; for L2s see nested_close_bitmaps(). */
void ports_watch(u16 port, bool on);

/* There are such ports: in all, or in half 0 (to 7FFFH) or 1. */
bool ports_wanted(void);
bool ports_wanted_in(unsigned int half);
bool ports_are_wanted(u16 port, unsigned int size);
/* L0's page of bitmap A (0) or B (1), if ports_wanted(). */
const u64 *ports_bitmap(unsigned int half);

/* The byte that an OUT brings to `port`; false: none. */
bool port_access_byte(const struct port_access *access, u16 port, u8 *byte);

/*
 * Carries the access out, as wide as it is; only what a handler keeps back is left out, and the bytes beside
 * it are then written one by one.  This CPU's guest.
 */
void ports_access(struct vcpu *vcpu, struct port_access *access);

#endif
