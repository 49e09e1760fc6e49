/* SPDX-License-Identifier: MIT */
/*
 * The nested state of one vCPU: its VMX operation, and one slot for each active vmcs12.
 * SDM: "Software Use of Virtual-Machine Control Structures".
 */
#ifndef VMX_NESTED_STATE_H
#define VMX_NESTED_STATE_H

#include "kernel/types.h"
#include "vmx/hw/vmcs.h"
#include "vmx/nested/explain/rules.h"
#include "vmx/nested/vmcs12/vmcs12.h"

struct ept02_cache; /* ept/ept02.c: this CPU's EPT02s and their budget */
struct ept02_root;
struct vpid02_map; /* ept/vpid.c: this CPU's hardware VPIDs */

#define NO_VMCS (~0ull) /* the current-VMCS pointer when there is none */
#define NESTED_BUCKET_COUNT 64
#define NESTED_VMCS_COUNT 64 /* vmcs12s that a CPU keeps active at once */
#define IO_OPENED_MAX 16     /* words of an I/O bitmap that L2's accesses have opened: io_bitmaps.c */
#define MSR_OPENED_MAX 32    /* the same of the MSR bitmap: bitmaps.c */

/* Pages of this CPU's that stand in for a page that L1 names but does not have: addresses.c. */
enum stand_in {
	STAND_IN_APIC,	  /* for the virtual-APIC page */
	STAND_IN_POSTED,  /* for the posted-interrupt descriptor's */
	STAND_IN_NOWHERE, /* for the APIC-access page: mapped by no EPT */
	STAND_IN_COUNT,
};

enum { ELSEWHERE_IN_02 = 0x1, ELSEWHERE_IN_SHADOW = 0x100 };

/*
 * One active vmcs12 of this CPU and everything that L0 made for it.  An
 * active vmcs12 stays here until VMCLEAR, VMXOFF or eviction: then it is
 * written back to L1's page.  All members: this CPU only.
 */
struct nested_vmcs {
	u64 gpa; /* of L1's VMCS region; NO_VMCS: free */
	u64 last_used;
	/*
	 * Where the newest value of a field is: vmcs12/newest.h, and docs/design.md, "Where a field's newest
	 * value is".
	 */
	struct vmcs12 v12;
	union {
		struct {
			bool rare_in_02;    /* guest state of the groups SEG and RARE is newer in vmcs02 */
			bool shadow_active; /* fields that are shadowed RW may be newer in `shadow` */
		};
		u16 elsewhere; /* ELSEWHERE_*: both of these */
	};
	bool same_in_02; /* vmcs02 has v12's guest state as the last exit saved it, but for `changed` and
			    `dirty` */
	bool entered;	 /* vmcs02 was made (merge.c) since this slot was taken */
	bool fast;	 /* an entry with few changes may go the short way: entry_fast.c */
	bool fetch_all;	 /* rows may be newer in `shadow` that an entry does not fetch any more: shadow_use.c
			  */
	u32 dirty;	 /* GROUP_*: L1 wrote there since the last entry that passed its checks */
	u64 changed;	 /* PLACE()s that vmcs02 may lack of v12: written since the last exit */
	u64 to_push;	 /* PLACE()s that `shadow` may lack of v12: shadow_push() */
	struct vmcs vmcs02;
	struct vmcs shadow;		/* shadow VMCS; linked into vmcs01 while this one is current */
	u64 *msr_bitmap02;		/* the page of vmcs02: bitmaps.c */
	u16 msr_opened[MSR_OPENED_MAX]; /* its words that have been opened */
	u8 msr_opened_count;
	const u64 *msr_page; /* L1's, if `msr_page_found` is its address | 1 */
	u64 msr_page_found;
	u64 *io_page;		      /* the closed page; NULL: L0 wants no port (io_bitmaps.c) */
	u16 io_opened[IO_OPENED_MAX]; /* its words that have been opened */
	u8 io_opened_count;
	void *page02;	  /* region of vmcs02 */
	u8 stand_ins;	  /* BIT(STAND_IN_*): those that hardware reads and writes */
	u32 timer_beyond; /* ticks of L1's preemption timer when vmcs02's is at 0: timer.c */
	bool tpr_relaxed; /* until L2 ends: tpr.c */
	u16 vpid02;	  /* hardware VPID: vpid.c */
	bool launching;	  /* the entry was a VMLAUNCH: a late failure leaves the state "clear" */
	bool nmi_blocked; /* until L2 ends: L1 has "NMI exiting" without "virtual NMIs" */
	struct {	  /* vmcs12/known02.h alone */
		u64 cr0_shadow, cr4_shadow, tpr_threshold, entry_controls, eptp, vpid, efer;
		u32 proc12;
	} known;
	/*
	 * What an exit loads for L1, worked out of v12 when that was checked: host_state_prepare(). Rights of
	 * segment registers; CR0 without CD and NW, which are the register's own.
	 */
	struct {
		u64 cs_ar, ss_ar, ds_ar, es_ar, fs_ar, gs_ar, cr0, cr4;
	} host;
	u64 host_tables;	  /* the number of those that an exit loads: host_prepare.c */
	struct ept02_root *ept02; /* NULL: L2 runs on EPT01, or none chosen yet */
	/* nested.translations when EPT pointer and VPID of vmcs02 were last found to stand, or 0: merge.c */
	u64 translation;
	/* vmcs02's own MSR-store list, of one entry, in use while L1's list has that MSR: msr_area.c. The
	 * processor writes it. */
	struct ALIGNED(16) {
		u32 index, reserved;
		u64 tsc; /* of L2's last exit since it was entered, or 0 */
	} exit_time;
	bool stores_time; /* vmcs02's count of it */
};

/* Their order is known to tests (vmx/counters.c). */
struct nested_counters {
	u64 entries, entry_failures, reflections;
	u64 ept02_fills, ept02_rebuilds, ept02_reclaims, vpid_flushes;
	u64 slot_evictions;
};

#define NESTED_ROOT_64 0x00010001u

/* All members: this CPU only. */
struct nested {
	union {
		struct {
			bool vmxon; /* L1 is in VMX operation (root, unless in_l2) */
			bool in_l2; /* vmcs02 of `current` is loaded and L2 runs */
			/* IA32_EFER.LMA of L1: cannot change in VMX operation (CR0.PG is fixed, exits load
			 * the mode of the entry). */
			bool l1_long_mode;
			bool aborted; /* VMX abort: L1's processor is shut down, nothing but a reset wakes it
				       */
		};
		u32 mode; /* all of these; NESTED_ROOT_64: L1 in VMX root operation in long mode */
	};
	bool init_pending; /* an INIT is held: L1 is in VMX root operation */
	/* Ticks of L2s' time until L0's own wish for the timer comes true, as of the last entry or look; what
	 * vmcs02's was given since. */
	u32 timer_rest, timer_loaded;
	bool dr7_is_reset; /* since the last entry: vmcs01 holds DR7 as an exit loads it */
	u64 vmxon_pointer;
	struct nested_vmcs *current; /* or NULL */
	/*
	 * The slot whose host state vmcs01 holds in the MSRs that L1 cannot write without an exit, or
	 * NULL: host_state.c.
	 */
	struct nested_vmcs *host_known;
	/*
	 * GDTR, IDTR and TR of L1's host state, and whether vmcs01 is known to hold them: host_tables.c.
	 */
	struct {
		u64 number; /* of the newest that were given one; never 0 then */
		u64 tr_selector, tr_base, gdtr_base, idtr_base;
		u64 since;	/* counters.reflections when the control was turned on */
		u32 wait, left; /* reflections until it is turned on again: in all, and from now */
		bool watched;	/* vmcs01 has "descriptor-table exiting" */
	} tables;
	struct nested_vmcs *slots; /* [NESTED_VMCS_COUNT], made at start */
	u64 clock;		   /* of last_used */
	/* Which of the shadowed rows L1 writes without an exit: shadow_use.c. PLACE()s but the first and
	 * last. */
	struct {
		u8 *vmwrite_bitmap; /* of vmcs01; NULL: there is no VMCS shadowing */
		u64 open;	    /* of the RW rows: each entry fetches them */
		u64 seen;	    /* L1 has changed them since the last count */
		u64 asked;	    /* closed ones that it has written since */
		u32 left;	    /* entries until the next count */
	} use;
	/* By slot_bucket() of their address: how many slots are active, and one of them. */
	u8 bucket_count[NESTED_BUCKET_COUNT], bucket_hint[NESTED_BUCKET_COUNT];
	/* Counted up whenever those that a slot has in vmcs02 may have ceased to stand for L1's: merge.c. */
	u64 translations;
	struct ept02_cache *ept;
	struct vpid02_map *vpid;
	u8 *stand_in[STAND_IN_COUNT]; /* constant after init */
	struct check_failure failure; /* why the last VM entry or VMX instruction of L1's failed */
	struct explain explain;
	struct nested_counters counters;
};

/* How much of each bounded thing this CPU has in use: all 0 outside VMX operation. */
struct nested_resources {
	u64 active_vmcs, ept02_roots, ept02_tables, vpids;
	u64 steps; /* pages of absent memory that an L2's instruction is being stepped over */
};

#endif
