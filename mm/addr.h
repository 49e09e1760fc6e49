/* SPDX-License-Identifier: MIT */
/*
 * Addresses have types: host-physical, guest-physical of L1, guest-physical of L2, linear of a guest. Each is
 * a struct of one member, so that mixing them does not compile. A leaf header: any folder may include it.
 */
#ifndef MM_ADDR_H
#define MM_ADDR_H

#include "kernel/types.h"

typedef struct {
	u64 v;
} hpa_t;

typedef struct {
	u64 v;
} gpa_t;

typedef struct {
	u64 v;
} l2gpa_t;

typedef struct {
	u64 v;
} gva_t;

#define HPA(x) ((hpa_t){ (x) })
#define GPA(x) ((gpa_t){ (x) })
#define L2GPA(x) ((l2gpa_t){ (x) })
#define GVA(x) ((gva_t){ (x) })

/* L1 owns the machine: its physical addresses are the machine's. Whether it may touch one is memmap's. */
static inline hpa_t gpa_to_hpa(gpa_t a)
{
	return HPA(a.v);
}

static inline gpa_t hpa_to_gpa(hpa_t a)
{
	return GPA(a.v);
}

#endif
