/* SPDX-License-Identifier: MIT */
/*
 * Host builds: the privileged instructions as plain functions over tests/fake/fake.c. Shadows
 * kernel/hw/cpu.h, so the names and the signatures are that file's.
 */
#ifndef KERNEL_HW_CPU_H
#define KERNEL_HW_CPU_H

#include "kernel/cpuid.h"
#include "kernel/types.h"

struct percpu;

struct PACKED cpu_table_pointer {
	u16 limit;
	u64 base;
};

/* Where the caller is, and what it has to give back to its own caller: enough to unwind its stack. */
struct cpu_frame {
	u64 rip, rsp, rbx, rbp, r12, r13, r14, r15;
};

void cpu_save_frame(struct cpu_frame *frame); /* one on fake_stack */

u64 rdmsr(u32 msr);
void wrmsr(u32 msr, u64 value);
bool rdmsr_safe(u32 msr, u64 *value);
bool wrmsr_safe(u32 msr, u64 value);
struct cpuid_regs cpuid(u32 leaf, u32 subleaf);

/* Control and debug registers: an array each. */
u64 fake_read_register(char kind, unsigned int n);
void fake_write_register(char kind, unsigned int n, u64 value);

#define FAKE_REGISTER(kind, name, n)                                                                         \
	static inline u64 read_##name##n(void)                                                               \
	{                                                                                                    \
		return fake_read_register(kind, n);                                                          \
	}                                                                                                    \
	static inline void write_##name##n(u64 value)                                                        \
	{                                                                                                    \
		fake_write_register(kind, n, value);                                                         \
	}
FAKE_REGISTER('c', cr, 0)
FAKE_REGISTER('c', cr, 2)
FAKE_REGISTER('c', cr, 3)
FAKE_REGISTER('c', cr, 4)
FAKE_REGISTER('c', cr, 8)
FAKE_REGISTER('d', dr, 0)
FAKE_REGISTER('d', dr, 1)
FAKE_REGISTER('d', dr, 2)
FAKE_REGISTER('d', dr, 3)
FAKE_REGISTER('d', dr, 6)
FAKE_REGISTER('d', dr, 7)
#undef FAKE_REGISTER

u64 xgetbv(u32 index);
bool xsetbv_safe(u32 index, u64 value);
u32 rdpkru(void);
u64 rdtsc(void);
static inline void rdtsc_store(u64 *at)
{
	*at = rdtsc();
}
u8 inb(u16 port);
u16 inw(u16 port);
u32 inl(u16 port);
void outb(u16 port, u8 value);
void outw(u16 port, u16 value);
void outl(u16 port, u32 value);
void cpu_out_registers(u64 *gpr, u16 port, u32 size);
/* Ends the test: no host test can go on after a halt. */
void cpu_halt(void);
struct percpu *cpu_gs_self(void);

static inline void cpu_copy_forward(void *to, const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((u8 *)to)[i] = ((const u8 *)from)[i];
}

static inline void cpu_copy_backward(void *to, const void *from, size_t n)
{
	while (n--)
		((u8 *)to)[n] = ((const u8 *)from)[n];
}

static inline void cpu_fill(void *to, u8 byte, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile u8 *)to)[i] = byte;
}

/* Nothing to do without a processor. */
static inline void invlpg(u64 va UNUSED)
{
}
static inline void wbinvd(void)
{
}
extern u32 fake_verws, fake_work, fake_work_at_verw;
static inline void verw(u16 selector UNUSED)
{
	fake_verws++;
	fake_work_at_verw = fake_work;
}
/*
 * The images; #NM, #UD and #GP are the test's end, and without CR4.OSFXSR there is no MXCSR and no XMM
 * register. Of XSAVE's there is component 2 alone, where XCR0 has it.
 */
extern u8 fake_fpu[512];
extern u8 fake_ymm_high[256];
void fxsave(void *to);
void fxrstor(const void *from);
void xsave(void *to, u64 components);
void xrstor(const void *from, u64 components);
static inline void cpu_pause(void)
{
}
static inline void cpu_cli(void)
{
}
static inline void lgdt(const struct cpu_table_pointer *table UNUSED)
{
}
NORETURN void cpu_halt_forever(void);

static inline NORETURN void cpu_shut_down(void)
{
	cpu_halt_forever();
}

static inline void lidt(const struct cpu_table_pointer *table UNUSED)
{
}
static inline void sgdt(struct cpu_table_pointer *table)
{
	*table = (struct cpu_table_pointer){ 0 };
}
static inline void sidt(struct cpu_table_pointer *table)
{
	*table = (struct cpu_table_pointer){ 0 };
}
static inline void ltr(u16 selector UNUSED)
{
}
static inline void lldt(u16 selector UNUSED)
{
}
static inline void cpu_load_segments(u16 code UNUSED, u16 data UNUSED)
{
}
static inline u16 cpu_read_cs(void)
{
	return 0x08;
}
static inline u16 cpu_read_tr(void)
{
	return 0x18;
}

#endif
