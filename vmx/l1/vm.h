/* SPDX-License-Identifier: MIT */
/*
 * The one VM: what all of L1's processors share.  EPT01 (pass-through with
 * L0's window cut out, memory types from the MTRRs), the MSR bitmap of L1,
 * and VPID numbers.  SDM: "VMX Support for Address Translation".
 */
#ifndef VMX_VM_H
#define VMX_VM_H

#include "kernel/status.h"
#include "mm/addr.h"

#define VPID_L1 1 /* L2's VPIDs start above */

struct mtrr;

struct vm {
	u64 ept01_pointer;     /* EPTP; constant */
	void *ept01_root;      /* any CPU, under the EPT01 lock */
	void *msr_bitmap01;    /* 4 KiB; written after init by vm_want_msr() alone */
	void *msr_bitmap_ibrs; /* the same with an exit for WRMSR of IA32_SPEC_CTRL: of CPUs on which L1 has
				  not set IBRS */
	/* RDMSR of what L1 is told of VMX (vmx/nested/vmcs12/caps12.c); false: #GP(0). Constant after init */
	bool (*read_capability)(u32 msr, u64 *value);
};
extern struct vm vm;

/* BSP, once. */
enum status vm_init(void);
/* Each CPU of L1's, in VMX operation, one at a time and before that: which fields and MSRs it has. `first`:
 * the BSP. */
void vm_probe_cpu(bool first);

/* L0 wants this MSR's reads, or writes, or no longer does; whether it did before. An MSR beyond the bitmap
 * exits anyhow. The machine stands still; for L2s see nested_close_bitmaps(). */
bool vm_want_msr(u32 msr, bool write, bool on);
/* The bitmap of vmcs01, which is loaded: one with an exit for IBRS, or the other. */
void vm_write_msr_bitmap(bool ibrs_exits);

/*
 * EPT01 for one GPA: makes a mapping if there should be one (MMIO on demand).
 * Returns the HPA of the page and by pointers the permission bits
 * (EPT_RWX), memory type (0..6), ignore-PAT and the size in bytes of the
 * largest aligned page that is uniform around it.  False: L0's window, or beyond the
 * physical address width.  Any CPU.
 */
struct ept01_mapping {
	u64 hpa;  /* of the start of the page of `size` */
	u64 size; /* 4 KiB, 2 MiB or 1 GiB */
	u32 rwx;
	u32 memory_type;
	bool ignore_pat;
};
bool vm_ept01_lookup(gpa_t gpa, struct ept01_mapping *out);

/* ---- passthru.c ---- */

/* BSP, once: EPT01 of all memory below 4 GiB and all RAM. */
enum status passthru_init(const struct mtrr *mtrr);

/*
 * L1's MTRRs on some CPU have changed: memory types of EPT01 follow, each when it is touched.  True: some
 * will; the caller has all CPUs flush.
 */
bool passthru_retype(const struct mtrr *mtrr);

/* Maps the page around `gpa`, which is mapped, by 4 KiB.  Any CPU; the caller flushes. */
void passthru_split(gpa_t gpa);

/*
 * The page around `gpa`, L1's RAM, is closed (closed.h) to these kinds of access from now on; 0: to none. The
 * machine stands still; the caller has all CPUs flush.  False: it is not L1's RAM, there are too many such
 * pages, or no table is left; then nothing has changed.
 */
bool passthru_close(gpa_t gpa, u32 bits);

/* Whether EPT01's tables have an entry for this address.  Any CPU. */
bool passthru_is_covered(gpa_t gpa);

/* Calls `build`, under EPT01's lock, with the root that has all of the step's pages as EPT01 is now; what it
 * says. */
struct ept01_step;
bool passthru_build_step(struct ept01_step *step, bool (*build)(struct ept01_step *step, const u64 *root));

/* How many tables of EPT01's fixed number are used up; none comes back. */
u32 passthru_tables_used(void);

#endif
