/* SPDX-License-Identifier: MIT */
/*
 * The processor as the guest tests see it: registers' bits, MSR numbers, and one inline function an
 * instruction. The VMX instructions' functions return their outcome (enum vmx_result); a fault goes to the
 * guard, see trap.h.
 */
#ifndef TESTS_GUEST_LIB_X86_H
#define TESTS_GUEST_LIB_X86_H

#include "tests/guest/lib/base.h"

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_VME BIT(0)
#define CR4_PVI BIT(1)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_UMIP BIT(11)
#define CR4_VMXE BIT(13)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

#define RFLAGS_CF BIT(0)
#define RFLAGS_FIXED BIT(1)
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_DF BIT(10)
#define RFLAGS_OF BIT(11)
#define RFLAGS_IOPL GENMASK(13, 12)
#define RFLAGS_NT BIT(14)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)
#define RFLAGS_AC BIT(18)
#define RFLAGS_STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

enum vector {
	VEC_DE = 0,
	VEC_DB = 1,
	VEC_NMI = 2,
	VEC_BP = 3,
	VEC_OF = 4,
	VEC_BR = 5,
	VEC_UD = 6,
	VEC_NM = 7,
	VEC_DF = 8,
	VEC_TS = 10,
	VEC_NP = 11,
	VEC_SS = 12,
	VEC_GP = 13,
	VEC_PF = 14,
	VEC_MF = 16,
	VEC_AC = 17,
	VEC_MC = 18,
	VEC_EXEC_DONE = 0xf0, /* INT from code run by exec.c: it came to its end */
	VEC_EXEC_EXIT = 0xf1, /* a VM exit arrived while exec.c ran a VMLAUNCH or VMRESUME */
};

enum selector {
	SEL_CODE32 = 0x08,
	SEL_DATA = 0x10,
	SEL_CODE64 = 0x18,
	SEL_USER32 = 0x23,
	SEL_USER_DATA = 0x2b,
	SEL_USER64 = 0x33,
	SEL_CODE16 = 0x38,
	SEL_DATA16 = 0x40,
	SEL_TSS = 0x48,
	SEL_FREE = 0x58,
	SEL_COUNT = 24,
};

enum msr {
	MSR_TSC = 0x10,
	MSR_APIC_BASE = 0x1b,
	MSR_FEATURE_CONTROL = 0x3a,
	MSR_TSC_ADJUST = 0x3b,
	MSR_SYSENTER_CS = 0x174,
	MSR_SYSENTER_ESP = 0x175,
	MSR_SYSENTER_EIP = 0x176,
	MSR_DEBUGCTL = 0x1d9,
	MSR_PAT = 0x277,
	MSR_PERF_GLOBAL_CTRL = 0x38f,
	MSR_VMX_BASIC = 0x480,
	MSR_VMX_PIN = 0x481,
	MSR_VMX_PROC = 0x482,
	MSR_VMX_EXIT = 0x483,
	MSR_VMX_ENTRY = 0x484,
	MSR_VMX_MISC = 0x485,
	MSR_VMX_CR0_FIXED0 = 0x486,
	MSR_VMX_CR0_FIXED1 = 0x487,
	MSR_VMX_CR4_FIXED0 = 0x488,
	MSR_VMX_CR4_FIXED1 = 0x489,
	MSR_VMX_VMCS_ENUM = 0x48a,
	MSR_VMX_PROC2 = 0x48b,
	MSR_VMX_EPT_VPID = 0x48c,
	MSR_VMX_TRUE_PIN = 0x48d,
	MSR_VMX_TRUE_PROC = 0x48e,
	MSR_VMX_TRUE_EXIT = 0x48f,
	MSR_VMX_TRUE_ENTRY = 0x490,
	MSR_VMX_VMFUNC = 0x491,
	MSR_VMX_PROC3 = 0x492,
	MSR_XSS = 0xda0,
};
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

struct gprs {
	u64 rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

struct PACKED table_register {
	u16 limit;
	u64 base;
};

#define CR_ACCESSORS(n)                                                                                      \
	static inline u64 cr##n##_read(void)                                                                 \
	{                                                                                                    \
		u64 v;                                                                                       \
		asm volatile("mov %%cr" #n ", %0" : "=r"(v));                                                \
		return v;                                                                                    \
	}                                                                                                    \
	static inline void cr##n##_write(u64 v)                                                              \
	{                                                                                                    \
		asm volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                                       \
	}
CR_ACCESSORS(0)
CR_ACCESSORS(2)
CR_ACCESSORS(3)
CR_ACCESSORS(4)
CR_ACCESSORS(8)

#define DR_ACCESSORS(n)                                                                                      \
	static inline u64 dr##n##_read(void)                                                                 \
	{                                                                                                    \
		u64 v;                                                                                       \
		asm volatile("mov %%db" #n ", %0" : "=r"(v));                                                \
		return v;                                                                                    \
	}                                                                                                    \
	static inline void dr##n##_write(u64 v)                                                              \
	{                                                                                                    \
		asm volatile("mov %0, %%db" #n : : "r"(v));                                                  \
	}
DR_ACCESSORS(0)
DR_ACCESSORS(6)
DR_ACCESSORS(7)

static inline u64 msr_read(u32 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void msr_write(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
	return r;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static inline u8 io_in8(u16 port)
{
	u8 v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void io_out8(u16 port, u8 v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void cpu_cli(void)
{
	asm volatile("cli" : : : "memory");
}
static inline void cpu_sti(void)
{
	asm volatile("sti" : : : "memory");
}
static inline void cpu_hlt(void)
{
	asm volatile("hlt" : : : "memory");
}
static inline void cpu_pause(void)
{
	asm volatile("pause" : : : "memory");
}
static inline void invlpg(u64 va)
{
	asm volatile("invlpg (%0)" : : "r"(va) : "memory");
}
static inline void xsetbv(u32 index, u64 v)
{
	asm volatile("xsetbv" : : "c"(index), "a"((u32)v), "d"((u32)(v >> 32)));
}

static inline u64 rflags_read(void)
{
	u64 v;

	asm volatile("pushfq; popq %0" : "=r"(v));
	return v;
}

static inline void gdt_read(struct table_register *r)
{
	asm volatile("sgdt %0" : "=m"(*r));
}
static inline void gdt_load(const struct table_register *r)
{
	asm volatile("lgdt %0" : : "m"(*r));
}
static inline void idt_read(struct table_register *r)
{
	asm volatile("sidt %0" : "=m"(*r));
}
static inline void idt_load(const struct table_register *r)
{
	asm volatile("lidt %0" : : "m"(*r));
}
static inline void tr_load(u16 sel)
{
	asm volatile("ltr %0" : : "r"(sel));
}

enum vmx_result { VMX_OK = 0, VMX_FAIL_INVALID = 1, VMX_FAIL_VALID = 2 };

/* CF is VMfailInvalid, ZF is VMfailValid. */
#define VMX_INSTRUCTION(text, ...)                                                                           \
	({                                                                                                   \
		bool cf_, zf_;                                                                               \
		asm volatile(text : "=@ccc"(cf_), "=@ccz"(zf_) : __VA_ARGS__ : "memory");                    \
		(enum vmx_result)(cf_ ? VMX_FAIL_INVALID : zf_ ? VMX_FAIL_VALID : VMX_OK);                   \
	})

static inline enum vmx_result vmxon(u64 pa)
{
	return VMX_INSTRUCTION("vmxon %2", "m"(pa));
}
static inline enum vmx_result vmxoff(void)
{
	return VMX_INSTRUCTION("vmxoff", "r"(0));
}
static inline enum vmx_result vmclear(u64 pa)
{
	return VMX_INSTRUCTION("vmclear %2", "m"(pa));
}
static inline enum vmx_result vmptrld(u64 pa)
{
	return VMX_INSTRUCTION("vmptrld %2", "m"(pa));
}

static inline u64 vmptrst(void)
{
	u64 pa = 0x5a5a5a5a5a5a5a5aull;

	asm volatile("vmptrst %0" : "+m"(pa) : : "cc");
	return pa;
}

static inline enum vmx_result vmread_checked(u64 field, u64 *v)
{
	bool cf, zf;

	asm volatile("vmread %3, %0" : "+r"(*v), "=@ccc"(cf), "=@ccz"(zf) : "r"(field));
	return cf ? VMX_FAIL_INVALID : zf ? VMX_FAIL_VALID : VMX_OK;
}

static inline enum vmx_result vmwrite_checked(u64 field, u64 v)
{
	return VMX_INSTRUCTION("vmwrite %2, %3", "rm"(v), "r"(field));
}

struct inv_descriptor {
	u64 low, high;
};

static inline enum vmx_result invept(u64 type, u64 eptp)
{
	struct inv_descriptor d = { eptp, 0 };

	return VMX_INSTRUCTION("invept %2, %3", "m"(d), "r"(type));
}

static inline enum vmx_result invvpid(u64 type, u16 vpid, u64 va)
{
	struct inv_descriptor d = { vpid, va };

	return VMX_INSTRUCTION("invvpid %2, %3", "m"(d), "r"(type));
}

#endif
