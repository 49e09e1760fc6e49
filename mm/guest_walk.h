/* SPDX-License-Identifier: MIT */
/*
 * A walk of a guest's own page tables, as its processor would do it: pure, over callbacks that reach
 * the guest's physical memory. Everything that shapes the walk is in struct guest_walk; nothing is
 * remembered between walks. SDM volume 3, "Paging".
 */
#ifndef MM_GUEST_WALK_H
#define MM_GUEST_WALK_H

#include "kernel/bits.h"
#include "kernel/types.h"

/* The paging role: every control bit that changes what an entry means. */
#define WALK_PG BIT(0)
#define WALK_WP BIT(1)
#define WALK_PSE BIT(2)
#define WALK_PAE BIT(3)
#define WALK_SMEP BIT(4)
#define WALK_SMAP BIT(5)
#define WALK_PKE BIT(6)
#define WALK_LA57 BIT(7)
#define WALK_LMA BIT(8)
#define WALK_NXE BIT(9)

u32 guest_walk_role(u64 cr0, u64 cr4, u64 efer);

/* The access. */
#define WALK_WRITE BIT(0)
#define WALK_FETCH BIT(1)
#define WALK_USER BIT(2) /* at CPL 3, and not an implicit supervisor access */
#define WALK_AC BIT(3)	 /* explicit supervisor access with RFLAGS.AC = 1: SMAP does not apply */

enum walk_result {
	WALK_OK,
	WALK_FAULT,   /* #PF with *pfec */
	WALK_STOPPED, /* a callback refused */
};

enum walk_update { WALK_UPDATE_DONE, WALK_UPDATE_CHANGED, WALK_UPDATE_STOPPED };

struct guest_walk {
	u32 role;
	u64 cr3;
	u64 pdpte[4]; /* PAE paging: the PDPTE registers */
	u32 pkru;
	unsigned int physical_bits;
	bool has_1g;
	void *context;
	/* 4 or 8 bytes at a guest-physical address. */
	bool (*read)(void *context, u64 gpa, void *to, size_t length);
	/*
	 * Accessed and dirty flags: if the entry is still `old`, it becomes `value`. NULL: they stay as they
	 * are, for a walk that only looks.
	 */
	enum walk_update (*update)(void *context, u64 gpa, u64 old, u64 value, size_t length);
};

struct walk_page {
	u64 gpa;  /* of the byte */
	u64 size; /* of the page around it */
	u32 pfec; /* WALK_FAULT */
};

enum walk_result guest_walk(const struct guest_walk *walk, u64 linear, u32 access, struct walk_page *out);

#endif
