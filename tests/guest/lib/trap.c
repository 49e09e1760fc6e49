/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU tables (GDT, TSS, IDT) of the tests' L1, what becomes of a trap, and the local APIC.
 * An unexpected trap outside of any guard ends the test run with a line that says so.
 */
#include "tests/guest/lib/trap.h"

extern u8 trap_stubs[];
extern u64 boot_gdt[];
void NORETURN guard_unwind(void);
void trap_handle(struct trap_frame *frame);

struct cpu cpus[CPU_MAX];
static u64 idt[256][2] ALIGNED(4096);
static u8 trap_stacks[CPU_MAX][2][CPU_STACK] ALIGNED(16);
static bool (*hooks[256])(struct trap_frame *);

static void set_gate(u32 vector, u64 handler, u64 type_dpl, u64 ist)
{
	idt[vector][0] = (handler & 0xffff) | (u64)SEL_CODE64 << 16 | ist << 32 | (0x80 | type_dpl) << 40 |
			 ((handler >> 16) & 0xffff) << 48;
	idt[vector][1] = handler >> 32;
}

void trap_reset(void)
{
	u32 v;

	for (v = 0; v < 256; v++) {
		u64 dpl = v == VEC_EXEC_DONE || v == VEC_BP || v == VEC_OF ? 0x60 : 0;

		hooks[v] = NULL;
		set_gate(v, addr_of(trap_stubs) + v * 16, 0xe | dpl, v == VEC_DF ? 1 : 0);
	}
}

void trap_init_cpu(struct cpu *cpu, u32 id)
{
	struct table_register idt_register = { sizeof(idt) - 1, addr_of(idt) };
	u64 tss = addr_of(&cpu->tss);

	cpu->self = cpu;
	cpu->id = id;
	memcpy(cpu->gdt, boot_gdt, sizeof(cpu->gdt));
	cpu->tss.rsp[0] = addr_of(trap_stacks[id][0]) + CPU_STACK;
	cpu->tss.ist[0] = addr_of(trap_stacks[id][1]) + CPU_STACK;
	cpu->tss.io_base = sizeof(cpu->tss);
	cpu->gdt[SEL_TSS / 8] =
		(sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
	cpu->gdt_register.limit = sizeof(cpu->gdt) - 1;
	cpu->gdt_register.base = addr_of(cpu->gdt);
	gdt_load(&cpu->gdt_register);
	tr_load(SEL_TSS);
	if (!id)
		trap_reset();
	idt_load(&idt_register);
	msr_write(MSR_GS_BASE, addr_of(cpu));
}

void gdt_set(u16 selector, u64 low)
{
	this_cpu()->gdt[selector / 8] = low;
}

void trap_hook(u32 vector, bool (*hook)(struct trap_frame *))
{
	hooks[vector] = hook;
}

void trap_handle(struct trap_frame *frame)
{
	struct cpu *cpu = this_cpu();
	u32 v = (u32)frame->vector & 0xff;
	char name[48];

	if (hooks[v] && hooks[v](frame))
		return;
	if (v == VEC_NMI) {
		cpu->nmi_count++;
		return;
	}
	if (v >= 32 && v < VEC_EXEC_DONE) {
		cpu->irq_count[v]++;
		apic_eoi();
		return;
	}
	if (cpu->guard_fault) {
		struct fault *f = cpu->guard_fault;

		f->vector = v;
		f->error = (u32)frame->error;
		f->cr2 = v == VEC_PF ? cr2_read() : 0;
		f->frame = *frame;
		guard_unwind();
	}
	{
		struct fault f = { v, (u32)frame->error, cr2_read(), *frame };

		print("\nFAIL unexpected %s at rip=%lx rsp=%lx cpu=%u\nDONE\n", fault_name(&f, name),
		      frame->rip, frame->rsp, cpu->id);
	}
	machine_stop();
}

const char *fault_name(const struct fault *f, char buf[48])
{
	static const char *const names[] = { "DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM",
					     "DF", "9",	 "TS",	"NP", "SS", "GP", "PF", "15",
					     "MF", "AC", "MC",	"XM", "VE", "CP" };

	if (f->vector == NO_FAULT)
		return "none";
	if (f->vector == VEC_PF)
		format(buf, 48, "#PF(%x,%lx)", f->error, f->cr2);
	else if (f->vector >= ARRAY_SIZE(names))
		format(buf, 48, "#%u", f->vector);
	else if (f->vector == 8 || (f->vector >= 10 && f->vector <= 13) || f->vector == 17 || f->vector == 21)
		format(buf, 48, "#%s(%x)", names[f->vector], f->error);
	else
		format(buf, 48, "#%s", names[f->vector]);
	return buf;
}

static bool x2apic(void)
{
	return msr_read(MSR_APIC_BASE) & BIT(10);
}

u32 apic_read(u32 reg)
{
	if (x2apic())
		return (u32)msr_read(0x800 + reg / 16);
	return *(volatile u32 *)(0xfee00000ull + reg);
}

void apic_write(u32 reg, u32 v)
{
	if (x2apic())
		msr_write(0x800 + reg / 16, v);
	else
		*(volatile u32 *)(0xfee00000ull + reg) = v;
}

void apic_enable(void)
{
	apic_write(0xf0, 0x1ff);
}
void apic_eoi(void)
{
	apic_write(0xb0, 0);
}

void apic_ipi(u32 apic_id, u32 icr_low)
{
	if (x2apic()) {
		msr_write(0x830, (u64)apic_id << 32 | icr_low);
		return;
	}
	apic_write(0x310, apic_id << 24);
	apic_write(0x300, icr_low);
	while (apic_read(0x300) & BIT(12))
		cpu_pause();
}

void apic_self(u32 vector)
{
	apic_ipi(this_cpu()->apic_id, ICR_ASSERT | vector);
}
