/* SPDX-License-Identifier: MIT */
/*
 * The privileged instructions that are not VMX's, one function each. Host builds put tests/fake/kernel/hw
 * before this folder. What ends in _safe() survives a #GP through the exception table (trap.S).
 */
#ifndef KERNEL_HW_CPU_H
#define KERNEL_HW_CPU_H

#include "kernel/cpuid.h"
#include "kernel/hw/count.h"
#include "kernel/hw/fpu.h"
#include "kernel/hw/port.h"
#include "kernel/types.h"

struct percpu;

struct PACKED cpu_table_pointer {
	u16 limit;
	u64 base;
};

/* An entry of the exception table: a fault at `at` continues at `to`. Both relative to their own place. */
#define CPU_EXTABLE(at, to)                                                                                  \
	".pushsection .extable, \"a\"\n\t"                                                                   \
	".balign 4\n\t"                                                                                      \
	".long " at " - .\n\t"                                                                               \
	".long " to " - .\n\t"                                                                               \
	".popsection\n\t"

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	HW_COUNT(MSR);
	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 value)
{
	HW_COUNT(MSR);
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

/* False if the MSR does not exist; *value is 0 then. */
static inline bool rdmsr_safe(u32 msr, u64 *value)
{
	u32 lo = 0, hi = 0;
	u8 ok = 0;

	HW_COUNT(MSR);
	asm volatile("1: rdmsr\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" CPU_EXTABLE("1b", "2b")
		     : "+a"(lo), "+d"(hi), [ok] "+r"(ok)
		     : "c"(msr)
		     : "memory");
	*value = ok ? (u64)hi << 32 | lo : 0;
	return ok;
}

/* False if the MSR does not exist or refuses the value. */
static inline bool wrmsr_safe(u32 msr, u64 value)
{
	u8 ok = 0;

	HW_COUNT(MSR);
	asm volatile("1: wrmsr\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" CPU_EXTABLE("1b", "2b")
		     : [ok] "+r"(ok)
		     : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32))
		     : "memory");
	return ok;
}

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
	return r;
}

#define CPU_CONTROL_REGISTER(n)                                                                              \
	static inline u64 read_cr##n(void)                                                                   \
	{                                                                                                    \
		u64 value;                                                                                   \
		asm volatile("mov %%cr" #n ", %0" : "=r"(value) : : "memory");                               \
		return value;                                                                                \
	}                                                                                                    \
	static inline void write_cr##n(u64 value)                                                            \
	{                                                                                                    \
		asm volatile("mov %0, %%cr" #n : : "r"(value) : "memory");                                   \
	}
CPU_CONTROL_REGISTER(0)
CPU_CONTROL_REGISTER(2)
CPU_CONTROL_REGISTER(3)
CPU_CONTROL_REGISTER(4)
CPU_CONTROL_REGISTER(8)
#undef CPU_CONTROL_REGISTER

#define CPU_DEBUG_REGISTER(n)                                                                                \
	static inline u64 read_dr##n(void)                                                                   \
	{                                                                                                    \
		u64 value;                                                                                   \
		asm volatile("mov %%dr" #n ", %0" : "=r"(value) : : "memory");                               \
		return value;                                                                                \
	}                                                                                                    \
	static inline void write_dr##n(u64 value)                                                            \
	{                                                                                                    \
		asm volatile("mov %0, %%dr" #n : : "r"(value) : "memory");                                   \
	}
CPU_DEBUG_REGISTER(0)
CPU_DEBUG_REGISTER(1)
CPU_DEBUG_REGISTER(2)
CPU_DEBUG_REGISTER(3)
CPU_DEBUG_REGISTER(6)
CPU_DEBUG_REGISTER(7)
#undef CPU_DEBUG_REGISTER

/* Needs CR4.OSXSAVE. */
static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;

	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (u64)hi << 32 | lo;
}

/* False if the processor refuses the value. Needs CR4.OSXSAVE. */
static inline bool xsetbv_safe(u32 index, u64 value)
{
	u8 ok = 0;

	asm volatile("1: xsetbv\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" CPU_EXTABLE("1b", "2b")
		     : [ok] "+r"(ok)
		     : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
		     : "memory");
	return ok;
}

/* Needs CR4.PKE. */
static inline u32 rdpkru(void)
{
	u32 value;

	asm volatile("rdpkru" : "=a"(value) : "c"(0) : "rdx");
	return value;
}

static inline void invlpg(u64 va)
{
	asm volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void wbinvd(void)
{
	asm volatile("wbinvd" : : : "memory");
}

/* SDM "IA32_ARCH_CAPABILITIES", MD_CLEAR: the form with a memory operand overwrites the processor's buffers.
 */
static inline void verw(u16 selector)
{
	asm volatile("verw %0" : : "m"(selector) : "cc", "memory");
}

/* Where the caller is, and what it has to give back to its own caller: enough to unwind its stack. */
struct cpu_frame {
	u64 rip, rsp, rbx, rbp, r12, r13, r14, r15;
};

static inline void cpu_save_frame(struct cpu_frame *frame)
{
	asm volatile("leaq (%%rip), %%rax\n\t"
		     "movq %%rax, 0(%0)\n\t"
		     "movq %%rsp, 8(%0)\n\t"
		     "movq %%rbx, 16(%0)\n\t"
		     "movq %%rbp, 24(%0)\n\t"
		     "movq %%r12, 32(%0)\n\t"
		     "movq %%r13, 40(%0)\n\t"
		     "movq %%r14, 48(%0)\n\t"
		     "movq %%r15, 56(%0)"
		     :
		     : "r"(frame)
		     : "rax", "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

/* The same into memory, without putting the halves together. */
static inline void rdtsc_store(u64 *at)
{
	asm volatile("rdtsc\n\tmovl %%eax, %0\n\tmovl %%edx, 4+%0" : "=m"(*at) : : "eax", "edx", "memory");
}

static inline void cpu_copy_forward(void *to, const void *from, size_t n)
{
	size_t words = n / 8, rest = n % 8;

	asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
}

static inline void cpu_copy_backward(void *to, const void *from, size_t n)
{
	void *last = (char *)to + n - 1;
	const void *from_last = (const char *)from + n - 1;

	asm volatile("std\n\trep movsb\n\tcld" : "+D"(last), "+S"(from_last), "+c"(n) : : "memory");
}

static inline void cpu_fill(void *to, u8 byte, size_t n)
{
	asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
}

static inline void cpu_pause(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void cpu_halt(void)
{
	asm volatile("hlt" : : : "memory");
}

static inline void cpu_cli(void)
{
	asm volatile("cli" : : : "memory");
}

static inline void lgdt(const struct cpu_table_pointer *table)
{
	asm volatile("lgdt %0" : : "m"(*table) : "memory");
}

static inline void lidt(const struct cpu_table_pointer *table)
{
	asm volatile("lidt %0" : : "m"(*table) : "memory");
}

/* For a reset: without an IDT no exception can be delivered. */
static inline NORETURN void cpu_shut_down(void)
{
	const struct cpu_table_pointer none = { 0, 0 };

	asm volatile("lidt %0; ud2" : : "m"(none) : "memory");
	__builtin_unreachable();
}

static inline void sgdt(struct cpu_table_pointer *table)
{
	asm volatile("sgdt %0" : "=m"(*table) : : "memory");
}

static inline void sidt(struct cpu_table_pointer *table)
{
	asm volatile("sidt %0" : "=m"(*table) : : "memory");
}

static inline void ltr(u16 selector)
{
	asm volatile("ltr %0" : : "r"(selector) : "memory");
}

static inline void lldt(u16 selector)
{
	asm volatile("lldt %0" : : "r"(selector) : "memory");
}

/* Reloads CS by a far return, and the data segments. FS and GS become null: their bases are MSRs. */
static inline void cpu_load_segments(u16 code, u16 data)
{
	asm volatile("pushq %q0\n\t"
		     "leaq 1f(%%rip), %%rax\n\t"
		     "pushq %%rax\n\t"
		     "lretq\n\t"
		     "1:\n\t"
		     "movl %k1, %%ds\n\t"
		     "movl %k1, %%es\n\t"
		     "movl %k1, %%ss\n\t"
		     "movl %k2, %%fs\n\t"
		     "movl %k2, %%gs\n\t"
		     :
		     : "r"((u64)code), "r"((u32)data), "r"(0u)
		     : "rax", "memory");
}

static inline u16 cpu_read_cs(void)
{
	u16 value;

	asm volatile("mov %%cs, %0" : "=r"(value));
	return value;
}

static inline u16 cpu_read_tr(void)
{
	u16 value;

	asm volatile("str %0" : "=r"(value));
	return value;
}

/* The first word of the record that GS points to. */
static inline struct percpu *cpu_gs_self(void)
{
	struct percpu *self;

	asm volatile("movq %%gs:0, %0" : "=r"(self));
	return self;
}

#endif
