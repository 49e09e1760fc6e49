/* SPDX-License-Identifier: MIT */
/*
 * The one vCPU of each CPU: L1's processor, its VMCSs and its nested state.
 * Owns the current VMCS and the general registers; the run loop is
 * vmx/run.c.
 */
#ifndef VMX_VCPU_H
#define VMX_VCPU_H

#include "kernel/types.h"
#include "vmx/guest/counters.h"
#include "vmx/guest/debugged.h"
#include "vmx/guest/guest.h"
#include "vmx/guest/outcome.h"
#include "vmx/l1/state.h"
#include "vmx/nested/state.h"
#include "vmx/hw/regcache.h"
#include "vmx/hw/vmcs.h"
#include "vmx/hw/vmx.h"

struct percpu;
struct vm;
struct l1_start;

/*
 * General registers by instruction encoding.  [GPR_RSP] is unused: RSP is in the VMCS (REG_RSP).
 * entry.S knows this layout.
 */
enum gpr {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_R9,
	GPR_R10,
	GPR_R11,
	GPR_R12,
	GPR_R13,
	GPR_R14,
	GPR_R15,
	GPR_COUNT,
};

/* Requests to a vCPU from another CPU or from an NMI: vcpu->request, atomic. */
#define REQUEST_NMI BIT(0)	     /* an NMI arrived while L0 ran */
#define REQUEST_EPT01_CHANGED BIT(1) /* flush this CPU's translations, drop EPT02s */
#define REQUEST_STOP BIT(2)	     /* the machine stops */
#define REQUEST_MACHINE_CHECK BIT(3) /* a machine check hit L0 */
#define REQUEST_MONITOR BIT(5)	     /* the monitor stops it, or has a line for it: vmx/monitor */
#define REQUEST_MONITOR_NMI BIT(6)   /* an NMI, with nmi=monitor: it stops the machine */
#define REQUEST_MTRRS_CHANGED BIT(4) /* of this CPU, by this CPU: EPT01 has not followed yet */

/* vcpu->looks */
#define LOOK_ABSENT BIT(0)
#define LOOK_BREAKS BIT(1)
#define LOOK_TRACE BIT(2)

/* An event to be injected at the next entry of the current VMCS. */
struct event {
	u8 vector;
	u8 type; /* enum intr_type */
	bool has_error_code;
	u32 error_code;
	u32 instruction_length; /* software events and privileged software exceptions */
};

/* #PF interception as one value: exit iff ((PFEC & mask) == match) == eb.  SDM: "Exception Bitmap". */
struct pf_intercept {
	bool eb;
	u32 mask, match;
};

/* What L0 itself wants of every guest of this CPU, whichever runs. All members: this CPU only. */
struct wish {
	/*
	 * Exits for exceptions, whoever runs: those whose bits are set, but #PF's, which is `pf`. Both follow
	 * from the three below; wish.c's.
	 */
	u32 exceptions;
	struct pf_intercept pf;
	u32 watched;		      /* by breakpoints: bits as in the exception bitmap */
	struct pf_intercept pf_asked; /* by intercept=pf and the debug call */
	struct pf_intercept pf_next;  /* changes places with it when L0 has handled an exit of L2's */
	bool pf_alternates;
	/*
	 * An exit after so many ticks of the VMX-preemption timer, whoever runs; 0: none. Constant after
	 * vcpu_set_timer_wish().
	 */
	u32 timer_ticks;
	bool nmi; /* NMIs, L1's too: nmi=monitor. Constant */
	/*
	 * A barrier between L2 and L1: from the moment that L1 has set IBRS here, for good. Until then its
	 * WRMSR of IA32_SPEC_CTRL exits (`ibrs_awaited`), if the processor has it and ibpb= is on.
	 */
	bool ibpb, ibrs_awaited;
	/* Constant: the processor has and needs it, and flush= is on. */
	bool flush_l1d;	    /* before L2 */
	bool flush_buffers; /* before L2, behind everything else: vmcs02's `flushes` */
};

#define CACHE_LINE 64

/*
 * One CPU's vCPU, in parts by owner: the guest that runs now (the members up to `vm`), what L0 wants (wish),
 * the machine that L1 owns (l1), L1's VMX (nested), what is counted. All members: this CPU only, except where
 * said. The one word that others write has a cache line of its own, so that no exit waits for a line that
 * another CPU took away, unless there is a request in it.
 */
struct vcpu {
	u64 gpr[GPR_COUNT];		  /* offset 0: entry.S */
	u64 request ALIGNED(CACHE_LINE);  /* REQUEST_*; any CPU, atomic.  offset 128: entry.S */
	u64 launched ALIGNED(CACHE_LINE); /* of the current VMCS: vcpu_load_vmcs(), the run loop; entry.S */
	u64 host_stack;			  /* L0's stack while the guest runs: entry.S */
	struct vmcs *vmcs; /* the current one: &vmcs01 or the current vmcs02; NULL before the first load */
	const struct guest *guest; /* which of them runs now: of the same VMCS */
	struct event pending;	   /* injected by event_commit() if pending_valid */
	union {
		struct {
			bool pending_valid;
			bool nmi_pending; /* an NMI waits for its window */
			bool machine_check_pending;
			u8 unused;
		};
		u32 attention; /* any of these: the next entry is not the usual one */
	};
	union {
		struct {
			/*
			 * What wants to look at each exit before it is handled: LOOK_ABSENT, the step over
			 * absent memory that L1 makes; LOOK_BREAKS, the breakpoints and steps of vmx/monitor;
			 * LOOK_TRACE, trace=.
			 */
			u8 looks;
			bool entered_unusually; /* prepare_unusual() came before the entry */
		};
		u16 behind; /* any of these: note_exit() comes behind the exit */
	};
	/* The exit being handled. */
	u32 exit_reason; /* whole field: with EXIT_REASON_ENTRY_FAILURE */
	struct outcome_details outcome;
	struct percpu *cpu; /* constant */
	struct vm *vm;	    /* constant */

	struct wish wish;
	struct vmcs vmcs01;
	struct l1 l1;
	struct nested nested;
	struct counters counters;
	struct debugged debugged;
};

static_assert(__builtin_offsetof(struct vcpu, request) == 128, "entry.S");
static_assert(__builtin_offsetof(struct vcpu, launched) == 192, "entry.S");
static_assert(__builtin_offsetof(struct vcpu, host_stack) == 200, "entry.S");
static_assert(__builtin_offsetof(struct vcpu, request) % CACHE_LINE == 0 &&
		      __builtin_offsetof(struct vcpu, launched) >=
			      __builtin_offsetof(struct vcpu, request) + CACHE_LINE,
	      "what other CPUs write shares no cache line");

/* The exit that came so many exits ago, up to TRACE_COUNT - 1; its `tsc` is 0 if there was none. */
static inline struct trace_event *vcpu_trace(struct vcpu *vcpu, u32 back)
{
	return back ? trace_ring_back(&vcpu->counters.trace, back) : vcpu->counters.trace.newest;
}

/* Registers of the guest that runs now: of the current VMCS. */
static inline u64 vcpu_reg(struct vcpu *vcpu, enum reg reg)
{
	return regcache_read(&vcpu->vmcs->cache, reg);
}

static inline void vcpu_set_reg(struct vcpu *vcpu, enum reg reg, u64 value)
{
	regcache_write(&vcpu->vmcs->cache, reg, value);
}

/* vcpu_reg() without a call, for the exit path and a constant `reg`. */
static inline u64 vcpu_reg_hot(struct vcpu *vcpu, enum reg reg)
{
	return regcache_read_hot(&vcpu->vmcs->cache, &vcpu->counters.registers, reg);
}

/* The same for several in a row: vmx/hw/regcache.h. */
static inline struct reg_batch vcpu_reg_batch(struct vcpu *vcpu)
{
	return reg_batch_begin(&vcpu->vmcs->cache, &vcpu->counters.registers);
}

/* The same past the cache: vmx/hw/regcache.h. Whoever reads it counts. */
static inline u64 vcpu_reg_past(struct vcpu *vcpu, enum reg reg)
{
	return regcache_read_past(&vcpu->vmcs->cache, reg);
}

/* vcpu_set_reg() and its flush in one: vmx/hw/regcache.h. Whoever writes it counts. */
static inline void vcpu_write_reg_hot(struct vcpu *vcpu, enum reg reg, u64 value)
{
	regcache_write_through(&vcpu->vmcs->cache, reg, value);
}

/* IA32_PAT of the guest that runs now, and its writer. */
static inline u64 vcpu_pat(const struct vcpu *vcpu)
{
	return vcpu->vmcs->pat;
}

static inline void vcpu_set_pat(struct vcpu *vcpu, u64 value)
{
	if (vcpu->vmcs->pat == value)
		return;
	vmcs_write_fast(VMCS_guest_pat, value);
	vcpu->vmcs->pat = value;
}

/* IA32_DEBUGCTL likewise. */
static inline u64 vcpu_debugctl(const struct vcpu *vcpu)
{
	return likely(!vcpu->vmcs->debugctl) ? 0 : vmcs_read_fast(VMCS_guest_debugctl);
}

static inline void vcpu_set_debugctl(struct vcpu *vcpu, u64 value)
{
	if (likely(!(vcpu->vmcs->debugctl | value)))
		return;
	vmcs_write_fast(VMCS_guest_debugctl, value);
	vcpu->vmcs->debugctl = value;
}

/* A general register by instruction encoding, RSP included. */
static inline u64 vcpu_gpr(struct vcpu *vcpu, unsigned int n)
{
	return n == GPR_RSP ? vcpu_reg(vcpu, REG_RSP) : vcpu->gpr[n];
}

static inline void vcpu_set_gpr(struct vcpu *vcpu, unsigned int n, u64 value)
{
	if (n == GPR_RSP)
		vcpu_set_reg(vcpu, REG_RSP, value);
	else
		vcpu->gpr[n] = value;
}

/*
 * Makes `vmcs` current, and before that writes the dirty registers of the one that is left into it. Both
 * caches stay valid. Nothing happens if it is current already. On the vCPU's own CPU.
 */
void vcpu_load_vmcs(struct vcpu *vcpu, struct vmcs *vmcs);

/* The same without a call, from one VMCS to another, on the ways from L2 to L1 and back. */
static ALWAYS_INLINE void vcpu_switch_vmcs(struct vcpu *vcpu, struct vmcs *vmcs)
{
	const struct vmcs *left = vcpu->vmcs;

	if (unlikely(!regcache_is_clean(&left->cache) || (left->steps & STEP_ABSENT))) {
		vcpu_load_vmcs(vcpu, vmcs);
		return;
	}
	vmcs_load(vmcs);
	vcpu->vmcs = vmcs;
	vcpu->launched = vmcs->launched;
}

/*
 * Is the guest that runs now in 64-bit mode / long mode / protected mode / v86; its CPL; PAE paging
 * (CR0.PG, CR4.PAE, !LMA).
 */
bool vcpu_is_64bit(struct vcpu *vcpu);
bool vcpu_is_long_mode(struct vcpu *vcpu);
bool vcpu_is_protected(struct vcpu *vcpu);
bool vcpu_is_v86(struct vcpu *vcpu);
unsigned int vcpu_cpl(struct vcpu *vcpu);
bool vcpu_is_pae_paging(struct vcpu *vcpu);

/*
 * What L0 itself needs in the control words of vmcs01, and as a minimum in every vmcs02.  Constant
 * after vm_init(). `proc2` holds the features that L1 is given (RDTSCP, INVPCID, XSAVES...) as far as
 * the processor has them; VPID and VMCS shadowing are not in it.
 */
struct l0_controls {
	u32 pin, proc, proc2, exit, entry;
};
extern struct l0_controls l0_controls;

/* CR2, which no VMCS has: L0 has no page fault of its own, so it is always the guest's. On its own CPU. */
u64 vcpu_cr2(void);

/* The host state of this CPU into the current VMCS (vmcs01, or a new vmcs02). */
void vcpu_write_host_state(struct vcpu *vcpu);

/*
 * Sets wish.timer_ticks, and with it the control in vmcs01, which is loaded. Once, before this CPU's guest
 * runs for the first time.
 */
void vcpu_set_timer_wish(struct vcpu *vcpu, u32 ticks);
/*
 * An exit from L1 whenever it has run for so long, in ticks of the TSC, without one; 0: no more. vmcs01
 * is current. Where L0 has a wish for the timer, or the processor has none, nothing happens.
 */
void vcpu_set_quiet_timer(struct vcpu *vcpu, u64 tsc);
/* True if L0 itself intercepts all accesses to CR0, CR3 and CR4 of any guest (intercept=cr). */
bool vcpu_intercepts_cr(struct vcpu *vcpu);

#endif
