/* SPDX-License-Identifier: MIT */
/*
 * Is Socle whole? Answers for who runs it hard: a checksum of what never
 * changes, and how much of each bounded thing is in use on this CPU.
 */
#ifndef VMX_AUDIT_H
#define VMX_AUDIT_H

#include "kernel/types.h"

struct vcpu;

/* Pieces of the image's code and constant data; each costs some 2,000 instructions. Any CPU. */
u32 audit_piece_count(void);
u64 audit_piece_checksum(u32 piece);

/*
 * Number `index` of what this CPU has in use, in the order of audit.c's table; all ones for one that is not
 * there. At the debug call of an L1 outside VMX operation each is 0 but the last, EPT01's tables, of which
 * none ever comes back.
 */
u64 audit_resource(struct vcpu *vcpu, u32 index);

#endif
