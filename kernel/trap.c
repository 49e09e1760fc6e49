/* SPDX-License-Identifier: MIT */
/*
 * L0's IDT and what happens to an exception of its own. External interrupts never come: IF is 0 for ever in
 * L0. SDM volume 3: "Interrupt and Exception Handling".
 */
#include "kernel/trap.h"

#include "kernel/desc.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/x86.h"

#define GATE_COUNT 32
#define ENTRY_SIZE 16
#define GATE_INTERRUPT 0x8eull

extern const char trap_entries[];

/* Places relative to themselves: kernel/hw/cpu.h. */
struct extable_entry {
	i32 at, to;
};
extern const struct extable_entry extable_begin[], extable_end[];

struct gate {
	u64 low, high;
};
static struct gate idt[GATE_COUNT] ALIGNED(16);
static void (*nmi_hook)(struct trap_frame *frame);
static bool (*machine_check_hook)(struct trap_frame *frame);

void trap_set_nmi_hook(void (*hook)(struct trap_frame *frame))
{
	nmi_hook = hook;
}

void trap_set_machine_check_hook(bool (*hook)(struct trap_frame *frame))
{
	machine_check_hook = hook;
}

static u64 ist_of(unsigned int vector)
{
	switch (vector) {
	case VEC_NMI: return TRAP_IST_NMI;
	case VEC_DF: return TRAP_IST_DF;
	case VEC_MC: return TRAP_IST_MC;
	default: return 0;
	}
}

void trap_init(void)
{
	for (unsigned int i = 0; i < GATE_COUNT; i++) {
		u64 entry = (u64)trap_entries + i * ENTRY_SIZE;

		idt[i].low = (entry & 0xffff) | GDT_CODE << 16 | ist_of(i) << 32 | GATE_INTERRUPT << 40 |
			     (entry >> 16 & 0xffff) << 48;
		idt[i].high = entry >> 32;
	}
}

void trap_load(void)
{
	struct cpu_table_pointer pointer = { .limit = sizeof(idt) - 1, .base = (u64)idt };

	lidt(&pointer);
}

u64 trap_idt_base(void)
{
	return (u64)idt;
}

static bool fix_up(struct trap_frame *frame)
{
	for (const struct extable_entry *e = extable_begin; e < extable_end; e++)
		if (frame->rip == (u64)&e->at + (u64)(i64)e->at) {
			frame->rip = (u64)&e->to + (u64)(i64)e->to;
			return true;
		}
	return false;
}

static const char *vector_name(u64 vector)
{
	static const char names[GATE_COUNT][4] = { "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
						   "#DF", "9",	 "#TS", "#NP", "#SS", "#GP", "#PF", "15",
						   "#MF", "#AC", "#MC", "#XM", "#VE", "#CP" };

	return vector < GATE_COUNT && names[vector][0] ? names[vector] : "?";
}

static void dump(const struct trap_frame *f)
{
	log_error("%s in L0, error code %lx, RIP %lx, CR2 %lx, CR3 %lx", vector_name(f->vector),
		  f->error_code, f->rip, read_cr2(), read_cr3());
	log_error("  RAX %016lx RBX %016lx RCX %016lx RDX %016lx", f->rax, f->rbx, f->rcx, f->rdx);
	log_error("  RSI %016lx RDI %016lx RBP %016lx RSP %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
	log_error("  R8  %016lx R9  %016lx R10 %016lx R11 %016lx", f->r8, f->r9, f->r10, f->r11);
	log_error("  R12 %016lx R13 %016lx R14 %016lx R15 %016lx", f->r12, f->r13, f->r14, f->r15);
	log_error("  RFLAGS %lx CS %lx SS %lx", f->rflags, f->cs, f->ss);
}

void trap_handle(struct trap_frame *frame)
{
	if (frame->vector == VEC_NMI) {
		if (nmi_hook)
			nmi_hook(frame);
		return;
	}
	if (frame->vector == VEC_MC && machine_check_hook && machine_check_hook(frame))
		return;
	if ((frame->vector == VEC_GP || frame->vector == VEC_UD || frame->vector == VEC_PF) && fix_up(frame))
		return;
	log_break_lock();
	dump(frame);
	panic("%s", vector_name(frame->vector));
}
