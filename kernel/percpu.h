/* SPDX-License-Identifier: MIT */
/*
 * One record per CPU, reached by GS:0 on its own CPU and by number from others. CPU 0 is the BSP.
 */
#ifndef KERNEL_PERCPU_H
#define KERNEL_PERCPU_H

#include "kernel/hw/cpu.h"
#include "kernel/types.h"

#define PERCPU_MAX 512

struct vcpu;
struct vmx_cpu;
struct desc_cpu;

struct ALIGNED(64) percpu {
	struct percpu *self;   /* constant after init; at GS:0 */
	u32 id;		       /* constant after init; 0..n-1, index of percpu_get() */
	u32 apic_id;	       /* constant after init */
	u32 node;	       /* constant after init: NUMA node from 1; 0: not known */
	struct vcpu *vcpu;     /* constant after vcpu_create(); NULL before */
	struct vmx_cpu *vmx;   /* this CPU only, vmx's own; others: whether it is in VMX operation */
	struct desc_cpu *desc; /* constant after init: GDT, TSS */
	u64 stack_top;	       /* constant after init */
	u32 online;	       /* any CPU, atomic: set once by its owner */
	bool parked; /* constant after its owner's start: beyond cpus=, named by no table, or unlike the
			others; in VMX operation, so that INIT and SIPI of L1 cannot start it, and halted */
	bool vmcs_comparing; /* this CPU only, in a build with DEBUG=1: vmx/nested/debug.c */
};

static inline struct percpu *percpu_this(void)
{
	return cpu_gs_self();
}

struct percpu *percpu_get(u32 id);
/* As percpu_get(), parked CPUs too; NULL past the last. */
struct percpu *percpu_next(u32 id);
/* The CPUs that L1 has; records with greater numbers are parked CPUs. */
u32 percpu_count(void);

/* Boot only: makes the record of the next CPU; parked ones last. NULL: more than PERCPU_MAX. */
struct percpu *percpu_create(u32 apic_id, bool parked);
/* Boot only, on the CPU itself: GS base to its record. */
void percpu_load(struct percpu *cpu);

#endif
