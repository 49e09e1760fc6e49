/* SPDX-License-Identifier: MIT */
/*
 * GDT and TSS of each CPU. Selectors are in kernel/x86.h (GDT_*); VMX host state needs the bases.
 */
#ifndef KERNEL_DESC_H
#define KERNEL_DESC_H

#include "kernel/percpu.h"
#include "kernel/types.h"

/* Top addresses of the stacks that the TSS names. */
struct desc_stacks {
	u64 nmi, double_fault, machine_check;
};

/* Builds the tables of `cpu` in memory of their own (boot only). */
void desc_init(struct percpu *cpu, const struct desc_stacks *stacks);
/* Loads GDT, segments and TR on the CPU itself. GS base is percpu_load()'s. */
void desc_load(const struct percpu *cpu);

/* For the host-state area. */
u64 desc_gdt_base(const struct percpu *cpu);
u64 desc_tss_base(const struct percpu *cpu);
u64 trap_idt_base(void);

#endif
