/* SPDX-License-Identifier: MIT */
/*
 * The fake processor of host builds: VMCSs as arrays with a log of all writes, a table of MSRs, flat memory,
 * a log buffer, and panics that a test can expect. One CPU. The seam that it stands behind is kernel/hw/.
 */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <setjmp.h>

#include "kernel/hw/phys.h"
#include "kernel/percpu.h"
#include "kernel/types.h"
#include "vmx/hw/entry.h"

/* Everything as after power-on: no VMCS, default MSRs, zero memory, one CPU, empty logs. */
void fake_reset(void);

/*
 * Fuzzers: remembers all of the machine as it is now, and goes back there. Socle's own static data is found
 * by its section (tests/unit/Makefile); unit tests have none such, and use a process each.
 */
void fake_snapshot(void);
void fake_restore(void);

/* ---- VMX ---- */
struct trap_frame;

struct fake_write {
	u64 vmcs; /* physical address of the VMCS that was current */
	u32 field;
	u64 value;
};
extern struct fake_write fake_writes[];
extern size_t fake_write_count; /* goes on beyond the array's end; fake_log_clear() starts anew */
extern u64 fake_read_count, fake_load_count; /* VMREADs, VMPTRLDs since fake_log_clear() */
void fake_log_clear(void);
/* Writes of `field` in the log, to any VMCS or (vmcs != 0) to that one. */
size_t fake_writes_of(u64 vmcs, u32 field);

u64 fake_current_vmcs(void); /* ~0: none */
/* A field of any VMCS, without a trace: what the processor itself would do. */
u64 fake_get(u64 vmcs, u32 field);
void fake_set(u64 vmcs, u32 field, u64 value);
/* Has this VMCS been VMCLEARed, ever? */
bool fake_is_known(u64 vmcs);
/* VMREAD and VMWRITE of it fail: a processor without the field; and one that has it again. */
void fake_remove_field(u32 field);
void fake_restore_field(u32 field);
bool fake_is_removed(u32 field);
extern u32 fake_access_rights; /* the bits that VMWRITE keeps of a segment's */

extern u64 fake_invept_count, fake_invvpid_count;
extern u64 fake_invept_last, fake_invvpid_last; /* EPTP, VPID */

/* ---- the rest ---- */
void fake_msr_set(u32 msr, u64 value);
void fake_msr_remove(u32 msr);
u64 fake_msr_get(u32 msr); /* 0: there is none */
extern u32 fake_vmcalls;   /* VMCALLs of Socle's own, to another one below */
void fake_cpuid_set(u32 leaf, u32 subleaf, u32 eax, u32 ebx, u32 ecx, u32 edx);
extern u32 fake_pkru;
extern u32 fake_verws;			 /* so many so far */
extern u32 fake_work, fake_work_at_verw; /* writes of VMCSs and MSRs so far, and at the last VERW */
extern bool (*fake_machine_check)(struct trap_frame *frame); /* Socle's hook */
extern void (*fake_nmi)(struct trap_frame *frame);	     /* what the run loop has set for NMIs */
extern u64 fake_debugctl_reserved;			     /* bits that WRMSR of IA32_DEBUGCTL refuses */
extern u64 fake_xcr0_refused;				     /* bits that XSETBV refuses */
void fake_pass_time(void);				     /* by the time-stamp counter: a million ticks */
void fake_io_in(u32 value);				     /* what each IN reads from now on */
extern void (*fake_input_hook)(void); /* before each INB: time passes by them; NULL: none */
/* Ports of a test's own, of 1, 2 or 4 bytes: asked first if not NULL. False: not one of them. */
extern bool (*fake_port_in)(u16 port, unsigned int size, u32 *value);
extern bool (*fake_port_out)(u16 port, unsigned int size, u32 value);
struct fake_out {
	u16 port;
	u32 size, value;
	u64 gpr[16]; /* of an OUT with a guest's registers */
};
enum { FAKE_OUTS = 256 };
extern struct fake_out fake_outs[FAKE_OUTS];
extern size_t fake_out_count; /* goes on beyond the array's end */

extern struct percpu fake_cpu;
extern struct percpu *fake_other_cpu; /* NULL: there is one CPU */

/* Words of the stack that L0 is on: cpu_save_frame(). */
extern u64 fake_stack[64];

/* What vmx_enter() does: a test's own; without one, an entry ends the test. */
extern enum enter_result (*fake_enter)(struct vcpu *vcpu);

/* All that was logged, as text. */
const char *fake_log(void);

/* Runs `body`; true if it ended in panic() or in a halt, false if it came back. fake_log() has the message.
 */
extern jmp_buf fake_panic_jump;
extern bool fake_panic_expected;
#define fake_panics(body)                                                                                    \
	({                                                                                                   \
		volatile bool panicked_ = false;                                                             \
		fake_panic_expected = true;                                                                  \
		if (setjmp(fake_panic_jump))                                                                 \
			panicked_ = true;                                                                    \
		else {                                                                                       \
			body;                                                                                \
		}                                                                                            \
		fake_panic_expected = false;                                                                 \
		panicked_;                                                                                   \
	})

/* ---- random numbers of a test: the same sequence for the same seed ---- */
struct fake_random {
	u64 state;
};

static inline u64 fake_random(struct fake_random *r)
{
	u64 z = (r->state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

#endif
