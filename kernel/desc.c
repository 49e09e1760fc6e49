/* SPDX-License-Identifier: MIT */
/*
 * One GDT and one TSS per CPU, in the image. Flat 64-bit code and data, no user segments; the TSS only names
 * the interrupt stacks. SDM volume 3: "Protection", "Task Management in 64-bit Mode".
 */
#include "kernel/desc.h"

#include "kernel/x86.h"

struct PACKED tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 io_map;
};
static_assert(sizeof(struct tss) == 104, "64-bit TSS");

struct desc_cpu {
	u64 gdt[5] ALIGNED(16); /* null, code, data, TSS (two slots) */
	struct tss tss ALIGNED(16);
};

static struct desc_cpu tables[PERCPU_MAX];

#define DESC_CODE64 0x00af9b000000ffffull
#define DESC_DATA 0x00cf93000000ffffull

void desc_init(struct percpu *cpu, const struct desc_stacks *stacks)
{
	struct desc_cpu *desc = &tables[cpu->id];
	u64 tss = (u64)&desc->tss;

	desc->tss = (struct tss){ .io_map = sizeof(struct tss) };
	desc->tss.ist[0] = stacks->nmi;
	desc->tss.ist[1] = stacks->double_fault;
	desc->tss.ist[2] = stacks->machine_check;
	desc->gdt[GDT_CODE / 8] = DESC_CODE64;
	desc->gdt[GDT_DATA / 8] = DESC_DATA;
	desc->gdt[GDT_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 |
				 (u64)(SEG_TYPE_TSS_AVAILABLE | SEG_AR_P) << 40 | (tss >> 24 & 0xff) << 56;
	desc->gdt[GDT_TSS / 8 + 1] = tss >> 32;
	cpu->desc = desc;
}

void desc_load(const struct percpu *cpu)
{
	struct cpu_table_pointer gdt = { .limit = sizeof(cpu->desc->gdt) - 1, .base = (u64)cpu->desc->gdt };

	lgdt(&gdt);
	cpu_load_segments(GDT_CODE, GDT_DATA);
	lldt(0);
	ltr(GDT_TSS);
}

u64 desc_gdt_base(const struct percpu *cpu)
{
	return (u64)cpu->desc->gdt;
}

u64 desc_tss_base(const struct percpu *cpu)
{
	return (u64)&cpu->desc->tss;
}
