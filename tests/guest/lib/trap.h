/* SPDX-License-Identifier: MIT */
/*
 * Exceptions of the tests' L1 and the CPUs: per-CPU data, IDT, and the guard: guard_call() runs a function
 * and returns the fault that ended it, if one did. exec_run() runs raw code in any ring and segment and
 * records how it ended.
 */
#ifndef TESTS_GUEST_LIB_TRAP_H
#define TESTS_GUEST_LIB_TRAP_H

#include "tests/guest/lib/x86.h"

struct trap_frame {
	struct gprs regs; /* regs.rsp is not used; rsp below is */
	u64 vector;
	u64 error;
	u64 rip, cs, rflags, rsp, ss;
};

enum { NO_FAULT = 0x100 };

struct fault {
	u32 vector; /* NO_FAULT if none */
	u32 error;
	u64 cr2;
	struct trap_frame frame;
};

/* One for each CPU, GS points to it; all but mailbox belongs to that CPU. trap_entry.S knows the first
 * members. */
struct cpu {
	struct cpu *self;
	u64 guard_rsp;
	struct fault *guard_fault;
	u32 id;
	u32 apic_id;
	bool vmx_on;
	u64 vmxon_page;
	u64 vmxon_cr4;
	struct vm *vm; /* whose VMCS is current */
	u64 gdt[SEL_COUNT];
	struct PACKED {
		u32 reserved0;
		u64 rsp[3];
		u64 reserved1;
		u64 ist[7];
		u64 reserved2;
		u16 reserved3;
		u16 io_base;
	} tss;
	u8 tss_pad[24];
	struct table_register gdt_register;
	volatile u32 nmi_count;
	volatile u32 irq_count[256];
	void (*volatile mailbox)(void *); /* set by another CPU, cleared by this one when done */
	void *volatile mailbox_arg;
};

enum { CPU_MAX = 8, CPU_STACK = 16384 };
extern struct cpu cpus[CPU_MAX];

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	asm volatile("mov %%gs:0, %0" : "=r"(c));
	return c;
}

void trap_init_cpu(struct cpu *cpu, u32 id);
void trap_reset(void);		     /* the pristine IDT again */
void gdt_set(u16 selector, u64 low); /* this CPU's GDT */

/* A hook sees the trap first; true means handled: return to where it came from. */
void trap_hook(u32 vector, bool (*hook)(struct trap_frame *));

u64 guard_call(struct fault *f, u64 (*fn)(u64, u64, u64), u64 a, u64 b, u64 c);
const char *fault_name(const struct fault *f, char buf[48]);

/* exec.c: code run with all registers given. It ends with EXEC_END, or by a fault, or by a VM exit. */
#define EXEC_END "int $0xf0\n\t"

struct exec {
	struct gprs regs; /* in; regs.rsp is the stack */
	u64 rip, cs, rflags, ss;
	struct fault out; /* vector VEC_EXEC_DONE, VEC_EXEC_EXIT or the fault; frame has the registers then */
};

void exec_init(struct exec *e, u64 rip); /* 64-bit ring 0, a stack of its own, no flag set */
void exec_user(struct exec *e);		 /* ring 3, 64-bit */
void exec_run(struct exec *e);
extern u8 exec_vmexit[]; /* for HOST_RIP */

/* Local APIC (xAPIC or x2APIC, as found). */
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 v);
void apic_enable(void);
void apic_eoi(void);
void apic_ipi(u32 apic_id, u32 icr_low);
void apic_self(u32 vector);
enum { ICR_NMI = 0x400, ICR_INIT = 0x500, ICR_SIPI = 0x600, ICR_ASSERT = 0x4000, ICR_OTHERS = 3 << 18 };

/* Other CPUs: started once on demand; smp_start() returns how many there are in all. */
u32 smp_start(void);
bool smp_restart(u64 gap); /* the last one, by INIT and two SIPIs `gap` ticks apart: is it there again? */
bool smp_revive(u32 cpu, bool init);		       /* by SIPI, or INIT and SIPI; true: it came up */
void smp_call(u32 cpu, void (*fn)(void *), void *arg); /* does not wait */
bool smp_wait(u32 cpu, u64 ticks);		       /* true: it is done */
/* For who sends by itself: the page of SIPIs, what is to be there before the first, whether it came up. */
enum { SMP_PAGE = 7 };
void smp_prepare(u32 cpu);
bool smp_has_started(u32 cpu);
void delay(u64 ticks);

#endif
