/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "storm" share: the CPUs of the storm, their guests, and the places that
 * everything is aimed at. All choices come from the seed of a CPU's burst, so that a storm can be had again.
 */
#ifndef TESTS_GUEST_STORM_H
#define TESTS_GUEST_STORM_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum {
	STORM_VMS = 6,
	STORM_REGIONS = 70, /* more than Socle keeps active */
	STORM_DATA = 8,	    /* pages of a CPU's that its L2s may write */
	STORM_TARGETS = 16,
	STORM_WINDOW = 8,  /* of the targets: absent memory, the window where there is one */
	STORM_STRIDE = 24, /* pages after which the aliases lead to the targets again */
	STORM_NO_EPT = 1,  /* the guest without EPT12 */
	STORM_FIELDS = 192,
	STORM_VECTOR = 8, /* of SIPIs: page 8 of memory */
	STORM_IRQ = 0x61,
};
#define STORM_ALIAS                                                                                          \
	0x40000000ull /* L2-physical addresses, 2 MiB by small pages, then 2 MiB by a large one              \
		       */

/* What is in the MSR list of exits, which no L1 of the storm makes a bad one. */
#define STORM_EXIT_MSRS MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_KERNEL_GS_BASE, MSR_LSTAR

/* The pages of a guest that its VMCS names and that others rewrite. */
enum storm_page {
	PAGE_MSR_BITMAP,
	PAGE_IO_A,
	PAGE_IO_B,
	PAGE_ENTRY_LIST,
	PAGE_EXIT_LIST, /* only valid entries: a bad one would be a VMX abort */
	PAGE_VMREAD,
	PAGE_VMWRITE,
	PAGE_EPTP_LIST,
	PAGE_PML,
	PAGE_VE,
	PAGE_POSTED,
	PAGE_SHADOW, /* a shadow VMCS */
	PAGE_VAPIC,  /* from here on L2 may write */
	PAGE_APIC_ACCESS,
	PAGE_GDT,
	PAGE_COUNT,
};

struct storm_vm {
	struct vm vm; /* first: the lib's */
	u64 page[PAGE_COUNT];
	u64 programs;	 /* of the guest without EPT: its own copy of the guests' code */
	u64 paging, ept; /* L2's tables and EPT12's: so many pages from the root on */
	u32 paging_pages, ept_pages;
	u64 alias_table, block_table; /* of EPT12: those with the small pages */
	u64 copy;		      /* of both, as they were made */
	u64 fields[STORM_FIELDS];     /* of the VMCS as it was made, in the order of storm_fields */
	u64 touched[3];		      /* fields that are not as they were made */
	volatile u32 epoch;	      /* changes with each rewriting of the VMCS region by another CPU */
	u32 fixed_epoch;	      /* the one at which the host state was last made right */
	bool host_wrong;	      /* by a VMWRITE of its own */
	volatile bool tables_changed; /* by anybody */
	u32 refused;		      /* entries one after the other that did not happen */
};

/* One CPU's part of the storm. Other CPUs read ops, and write what `vms` and the pages hold. */
struct storm_cpu {
	u32 id;
	u64 seed;
	volatile u64 ops, quota;
	volatile u32 finished; /* the burst after which it is back at base */
	volatile bool ready, dead;
	bool on; /* in VMX operation, as far as it knows */
	u64 vmxon_region, regions, data;
	struct storm_vm vms[STORM_VMS];
	struct storm_vm *current; /* or NULL: another region, none, unknown */
	u64 entries, exits, vmfails, bad_entries, faults, starts, reasons[80];
	u64 types[4], default_type; /* its MTRRs as they were */
	volatile u32 failures;
	const char *volatile failed; /* the first one */
	volatile u64 failed_value;
};

extern struct storm_cpu storm_cpus[CPU_MAX];
extern u32 storm_count; /* CPUs of the storm */
extern u64 storm_targets[STORM_TARGETS];
extern bool storm_in_socle;
extern volatile u32 storm_nmis, storm_inits, storm_sipis;

static inline u64 storm_choose(struct storm_cpu *c, u64 n)
{
	return random_next(&c->seed) % n;
}
static inline bool storm_chance(struct storm_cpu *c, u64 one_in)
{
	return !storm_choose(c, one_in);
}
/* A value of any size. */
static inline u64 storm_wild(struct storm_cpu *c)
{
	u64 v = random_next(&c->seed);

	return v >> (random_next(&c->seed) & 63);
}
static inline u64 storm_target(struct storm_cpu *c)
{
	u64 n = storm_choose(c, STORM_TARGETS + STORM_DATA);

	return n < STORM_TARGETS ? storm_targets[n] : c->data + (n - STORM_TARGETS) * PAGE_SIZE;
}
/* EPT12's permissions there. The emulator stops at code in device memory: only Socle's window and RAM have
 * any. */
static inline u64 storm_permissions(u64 at)
{
	u64 i;

	if (at - storm_targets[0] <= storm_targets[STORM_WINDOW - 1] - storm_targets[0])
		return storm_in_socle ? EPT_RWX : EPT_R | EPT_W;
	for (i = STORM_WINDOW; i < STORM_TARGETS; i++)
		if (at == storm_targets[i])
			return EPT_R | EPT_W;
	return EPT_RWX;
}
/* Where Socle's image is linked: no value of L1's or its L2s' is like that. */
static inline bool storm_is_socles(u64 value)
{
	return value >> 24 == 0xffffffff80;
}
u64 storm_ask(u64 call, u64 index, u64 *more); /* Socle's debug call */
enum { STORM_CALL_CHECKSUM = 5, STORM_CALL_RESOURCE = 6, STORM_RESOURCES = 7, STORM_STEPS = 4 };
void storm_nothing_stepped(struct storm_cpu *c);
void storm_check_image(struct storm_cpu *c);
void storm_check_resources(struct storm_cpu *c); /* this CPU's, outside VMX operation */
void storm_check_memory(struct storm_cpu *c);
void storm_check_absent(struct storm_cpu *c); /* while nobody else touches the window, as the next one */
void storm_check_window(struct storm_cpu *c);
/* The VMX-abort indicator of the VMCS that it used last; 0: none. May that come from the MSR list of exits?
 */
u32 storm_abort(const struct storm_cpu *c);
bool storm_exit_list_is_bad(const struct storm_vm *v);
void storm_set_targets(void);
void storm_failed(struct storm_cpu *c, const char *what, u64 value);

/* storm_make.c */
extern const u16 storm_fields[];
extern const u32 storm_field_count;
void storm_vm_setup(struct storm_cpu *c); /* once, in VMX operation */
void storm_tables_restore(struct storm_vm *v);

/* storm_vm.c */
void storm_vm_rebuild(struct storm_vm *v);		     /* all as it was made; VMX operation is on */
bool storm_vm_load(struct storm_cpu *c, struct storm_vm *v); /* current, with a host state that comes back */
void storm_vm_write(struct storm_vm *v, u32 field, u64 value); /* to be taken back by storm_vm_reset() */
void storm_vm_reset(struct storm_vm *v);
void storm_vm_fresh(struct storm_vm *v); /* before a burst: memory as it was made; the VMCS follows */
bool storm_vm_is_timed(const struct storm_cpu *c);

/* storm_l2.c */
void storm_l2_init(void); /* the 16-bit programs to LOW_CODE */
void storm_l2_program(struct storm_cpu *c, struct storm_vm *v);
void storm_l2_lower(struct storm_cpu *c, struct storm_vm *v); /* the one that undercuts its TPR threshold */

/* storm_enter.c */
void storm_tweak(struct storm_cpu *c, struct storm_vm *v);
void storm_enter(struct storm_cpu *c);

/* storm_meddle.c: rewrites something of some CPU's */
void storm_meddle(struct storm_cpu *c);

/* storm_ops.c: one operation, or a few */
void storm_ops_init(void);
void storm_op(struct storm_cpu *c);
void storm_vmxon(struct storm_cpu *c);

/* storm_machine.c */
extern bool storm_machine; /* on request: sleep registers, PCI configuration, MTRRs */
void storm_machine_init(void);
bool storm_sleep_access(struct storm_cpu *c, u64 *port, u64 *value);
void storm_machine_op(struct storm_cpu *c);
void storm_types_keep(struct storm_cpu *c);
void storm_types_restore(struct storm_cpu *c);

/* storm_modes.c: L1 in 32-bit and in real mode, on the boot CPU while the others wait */
void storm_modes(struct storm_cpu *c);

#endif
