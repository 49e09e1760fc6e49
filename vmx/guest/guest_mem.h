/* SPDX-License-Identifier: MIT */
/*
 * The only way to L1's and L2's memory.  Guest-physical addresses of L1 that
 * are not plain RAM (the window, holes, MMIO) read as ones and drop writes
 * and are counted; nothing here ever faults in L0.  Lengths up to one page;
 * addresses may cross a page.
 */
#ifndef VMX_GUEST_MEM_H
#define VMX_GUEST_MEM_H

#include "mm/addr.h"
#include "vmx/guest/vcpu.h"

/* L1's guest-physical memory.  False: (some of it) was absent; reads gave ones there. */
bool guest_mem_read(struct vcpu *vcpu, gpa_t gpa, void *to, size_t length);
bool guest_mem_write(struct vcpu *vcpu, gpa_t gpa, const void *from, size_t length);

/*
 * A whole page of L1's RAM that L0 may read or write in place, or NULL if it is not RAM of L1's.
 * Snapshot before checking: L1 may write it meanwhile.
 */
void *guest_mem_page(struct vcpu *vcpu, gpa_t gpa);

/* Firmware's ROM as a whole, which L0 reads for its guests as it reads RAM. */
bool guest_mem_is_rom(gpa_t gpa, size_t length);

/* The outcome of an access by linear address. */
enum guest_access_result { GUEST_ACCESS_OK, GUEST_ACCESS_FAULT, GUEST_ACCESS_EPT_VIOLATION };

struct guest_fault {
	u8 vector; /* VEC_PF, VEC_GP, VEC_SS, VEC_AC */
	bool has_error_code;
	u32 error_code;
	u64 cr2;		/* #PF: the linear address; also with GUEST_ACCESS_EPT_VIOLATION */
	struct ept12_fault ept; /* GUEST_ACCESS_EPT_VIOLATION: what L1 must be told */
};

/*
 * Memory of the guest that runs now (L1 or L2) by linear address, with its own paging mode,
 * CPL, SMAP, SMEP, protection keys; sets A/D bits; L2's goes through EPT12; meets the guest's data
 * breakpoints (vmx/guest/watch.h).  On a fault `fault` says what to inject and nothing was written.
 */
enum guest_access_result guest_linear_read(struct vcpu *vcpu, gva_t va, void *to, size_t length,
					   struct guest_fault *fault);
enum guest_access_result guest_linear_write(struct vcpu *vcpu, gva_t va, const void *from, size_t length,
					    struct guest_fault *fault);

/* Only whether the access would fault. */
enum guest_access_result guest_linear_probe(struct vcpu *vcpu, gva_t va, size_t length, bool write,
					    struct guest_fault *fault);

/*
 * The same with the access spelled out (WALK_* of mm/guest_walk.h): reads into `to` or writes `from`,
 * the other is NULL; with both NULL it only asks whether the access would fault.
 */
enum guest_access_result guest_linear_access(struct vcpu *vcpu, gva_t va, void *to, const void *from,
					     size_t length, u32 access, struct guest_fault *fault);

#endif
