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
#include "mm/guest_walk.h"
#include "vmx/guest/vcpu.h"

/* L1's guest-physical memory.  False: (some of it) was absent; reads gave ones there. */
bool guest_mem_read(struct vcpu *vcpu, gpa_t gpa, void *to, size_t length);
bool guest_mem_write(struct vcpu *vcpu, gpa_t gpa, const void *from, size_t length);
/* An aligned word there, and a bit of a bitmap. Absent memory reads as ones. */
u32 guest_mem_word(struct vcpu *vcpu, gpa_t gpa);
bool guest_mem_bit(struct vcpu *vcpu, gpa_t bitmap, u32 bit);

/*
 * A whole page of L1's RAM that L0 may read or write in place, or NULL if it is not RAM of L1's.
 * Snapshot before checking: L1 may write it meanwhile.
 */
void *guest_mem_page(struct vcpu *vcpu, gpa_t gpa);

/* L1's RAM. False is counted if it is a window's. */
bool guest_mem_is_ram(struct vcpu *vcpu, gpa_t gpa, size_t length);
/* The same of the range of it that was looked at last; false: guest_mem_is_ram() knows. */
static inline bool guest_mem_is_usual_ram(const struct vcpu *vcpu, gpa_t gpa, size_t length)
{
	u64 offset = gpa.v - vcpu->l1.ram_base;

	return likely(offset < vcpu->l1.ram_size && length <= vcpu->l1.ram_size - offset);
}

/* Likewise, where a whole page behind `gpa` is in that range too; *place: for L0. False says nothing. */
static ALWAYS_INLINE bool guest_mem_usual_place(const struct vcpu *vcpu, gpa_t gpa, const void **place)
{
	u64 offset = gpa.v - vcpu->l1.ram_base;

	/* As a number: before anybody has asked for RAM there is no place yet to count from. */
	*place = (const void *)((u64)vcpu->l1.ram_at + offset);
	return likely(offset < vcpu->l1.ram_pages);
}

/* Firmware's ROM as a whole, which L0 reads for its guests as it reads RAM. */
bool guest_mem_is_rom(gpa_t gpa, size_t length);

/*
 * An address of the guest that runs now, physical to it, becomes L1's: L1's own is, L2's goes through EPT12.
 * `access` is EPTV_READ|WRITE|FETCH, with EPTV_LINEAR_VALID and EPTV_TRANSLATED as of an EPT violation (a
 * table of the guest's, or the page itself).  OUTCOME_NONE: *gpa; else L1 gets an EPT violation or
 * misconfiguration.
 */
enum outcome guest_translate(struct vcpu *vcpu, u64 address, u64 access, gpa_t *gpa);

/*
 * Memory of the guest that runs now (L1 or L2) by linear address, with its own paging mode,
 * CPL, SMAP, SMEP, protection keys; sets A/D bits; L2's goes through EPT12; meets the guest's data
 * breakpoints (vmx/guest/watch.h).  OUTCOME_NONE: done; else what the instruction comes to, and nothing was
 * written.
 */
enum outcome guest_linear_read(struct vcpu *vcpu, gva_t va, void *to, size_t length);
enum outcome guest_linear_write(struct vcpu *vcpu, gva_t va, const void *from, size_t length);

/*
 * L1's usual case, for an instruction of its own in 64-bit mode at CPL 0 of which nobody has looked at a
 * register but RIP: four levels, a supervisor's page, one page, no flag to be set, all in RAM. False: the
 * long way has to say; nothing has changed. No data breakpoint is on either.
 */
struct plain_word {
	u64 value;
	bool read;
};
struct plain_word guest_read_word_plainly(struct vcpu *vcpu, u64 linear);
bool guest_read_pair_plainly(struct vcpu *vcpu, u64 linear, u64 to[2]);

/*
 * A walk by the paging of the guest that runs now, its own physical addresses in it; how its tables are read
 * is the caller's to add. It sets no flag and knows no protection key.
 */
struct guest_walk guest_walk_as_it_stands(struct vcpu *vcpu);

/* Only whether the access would fault. */
enum outcome guest_linear_probe(struct vcpu *vcpu, gva_t va, size_t length, bool write);

/*
 * The same with the access spelled out (WALK_* of mm/guest_walk.h): reads into `to` or writes `from`,
 * the other is NULL; with both NULL it only asks whether the access would fault.
 */
enum outcome guest_linear_access(struct vcpu *vcpu, gva_t va, void *to, const void *from, size_t length,
				 u32 access);

/*
 * The PDPTEs of PAE paging from `cr3`, into the register cache, dirty.  OUTCOME_NONE: loaded; a reserved bit
 * is #GP(0), and nothing has changed (vmx/guest/pdpte.c).
 */
enum outcome guest_load_pdptes(struct vcpu *vcpu, u64 cr3);

#endif
