/* SPDX-License-Identifier: MIT */
/*
 * Architectural bits with the SDM's names: control registers, EFER, RFLAGS, vectors, error codes, paging
 * entries, XCR0, debug registers, segments. MSR numbers are in kernel/msr.h, CPUID bits in kernel/cpuid.h.
 * SDM volume 3: "System Architecture Overview", "Paging", "Interrupt and Exception Handling", "Debug".
 */
#ifndef KERNEL_X86_H
#define KERNEL_X86_H

#include "kernel/bits.h"

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

#define CR3_PWT BIT(3)
#define CR3_PCD BIT(4)
#define CR3_PCID_MASK GENMASK(11, 0)
#define CR3_LAM_U57 BIT(61)
#define CR3_LAM_U48 BIT(62)
#define CR3_NO_FLUSH BIT(63)

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
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_VMXE BIT(13)
#define CR4_SMXE BIT(14)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_KL BIT(19)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)
#define CR4_CET BIT(23)
#define CR4_PKS BIT(24)
#define CR4_UINTR BIT(25)
#define CR4_LASS BIT(27)
#define CR4_LAM_SUP BIT(28)

#define CR8_TPR_MASK GENMASK(3, 0)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

#define RFLAGS_CF BIT(0)
#define RFLAGS_FIXED1 BIT(1)
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_DF BIT(10)
#define RFLAGS_OF BIT(11)
#define RFLAGS_IOPL GENMASK(13, 12)
#define RFLAGS_IOPL_SHIFT 12
#define RFLAGS_NT BIT(14)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)
#define RFLAGS_AC BIT(18)
#define RFLAGS_VIF BIT(19)
#define RFLAGS_VIP BIT(20)
#define RFLAGS_ID BIT(21)
/* The six flags by which a VMX instruction reports its outcome. */
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
/* VM entry: bits 63:22, 15, 5 and 3 must be zero, bit 1 must be one. */
#define RFLAGS_RESERVED0 (GENMASK(63, 22) | BIT(15) | BIT(5) | BIT(3))

#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_BR 5
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_MF 16
#define VEC_AC 17
#define VEC_MC 18
#define VEC_XM 19
#define VEC_VE 20
#define VEC_CP 21

/* Vectors below 32 whose delivery pushes an error code. */
#define VEC_HAS_ERROR_CODE                                                                                   \
	(BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC) |   \
	 BIT(VEC_CP))
/* Contributory exceptions (SDM: "Interrupt 8, double fault"). */
#define VEC_CONTRIBUTORY (BIT(VEC_DE) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_CP))

#define ERROR_EXT BIT(0)
#define ERROR_IDT BIT(1)
#define ERROR_TI BIT(2)

#define PFEC_P BIT(0)
#define PFEC_W BIT(1)
#define PFEC_U BIT(2)
#define PFEC_RSVD BIT(3)
#define PFEC_I BIT(4)
#define PFEC_PK BIT(5)
#define PFEC_SS BIT(6)
#define PFEC_HLAT BIT(7)
#define PFEC_SGX BIT(15)

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_PAT BIT(7)
#define PTE_G BIT(8)
#define PTE_PAT_LARGE BIT(12)
#define PTE_PKEY_SHIFT 59
#define PTE_PKEY GENMASK(62, 59)
#define PTE_NX BIT(63)
#define PTE_ADDR GENMASK(51, 12)
/* PSE (4 MiB pages of 32-bit paging): physical address bits 39:32 are entry bits 20:13. */
#define PDE_PSE36 GENMASK(20, 13)

/* PDPTEs of PAE paging: must be zero when present, apart from address bits above MAXPHYADDR. */
#define PDPTE_RESERVED (GENMASK(63, 52) | GENMASK(8, 5) | GENMASK(2, 1))

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_BNDREGS BIT(3)
#define XCR0_BNDCSR BIT(4)
#define XCR0_OPMASK BIT(5)
#define XCR0_ZMM_HI256 BIT(6)
#define XCR0_HI16_ZMM BIT(7)
#define XCR0_AVX512 (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)
#define XCR0_PKRU BIT(9)
#define XCR0_TILECFG BIT(17)
#define XCR0_TILEDATA BIT(18)

#define DR6_B0 BIT(0)
#define DR6_B1 BIT(1)
#define DR6_B2 BIT(2)
#define DR6_B3 BIT(3)
#define DR6_BLD BIT(11)
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define DR6_BT BIT(15)
#define DR6_RTM BIT(16)
#define DR6_FIXED1 0xffff0ff0ull
#define DR6_RESET 0xffff0ff0ull

#define DR7_L0 BIT(0)
#define DR7_G0 BIT(1)
#define DR7_LE BIT(8)
#define DR7_GE BIT(9)
#define DR7_FIXED1 BIT(10)
#define DR7_RTM BIT(11)
#define DR7_GD BIT(13)
#define DR7_RESET 0x400ull
#define DR7_RESERVED0 (GENMASK(63, 32) | GENMASK(15, 14) | BIT(12))

#define DEBUGCTL_LBR BIT(0)
#define DEBUGCTL_BTF BIT(1)
#define DEBUGCTL_BLD BIT(2)
#define DEBUGCTL_TR BIT(6)
#define DEBUGCTL_BTS BIT(7)
#define DEBUGCTL_BTINT BIT(8)
#define DEBUGCTL_FREEZE_IN_SMM BIT(14)
#define DEBUGCTL_RTM BIT(15)

/* Memory types as in the PAT, the MTRRs and EPT. */
#define MEMTYPE_UC 0
#define MEMTYPE_WC 1
#define MEMTYPE_WT 4
#define MEMTYPE_WP 5
#define MEMTYPE_WB 6
#define MEMTYPE_UC_MINUS 7
#define PAT_RESET 0x0007040600070406ull

/* Segment descriptor: the second byte pair as VMX's access-rights format has it. */
#define SEG_AR_TYPE GENMASK(3, 0)
#define SEG_AR_ACCESSED BIT(0)
#define SEG_AR_WRITABLE BIT(1)
#define SEG_AR_EXPAND_DOWN BIT(2)
#define SEG_AR_CODE BIT(3)
#define SEG_AR_S BIT(4)
#define SEG_AR_DPL GENMASK(6, 5)
#define SEG_AR_DPL_SHIFT 5
#define SEG_AR_P BIT(7)
#define SEG_AR_AVL BIT(12)
#define SEG_AR_L BIT(13)
#define SEG_AR_DB BIT(14)
#define SEG_AR_G BIT(15)
#define SEG_AR_UNUSABLE BIT(16)

#define SEG_TYPE_LDT 2
#define SEG_TYPE_TSS16_AVAILABLE 1
#define SEG_TYPE_TSS_IS_BUSY 2
#define SEG_TYPE_TSS16_BUSY 3
#define SEG_TYPE_TSS_AVAILABLE 9
#define SEG_TYPE_TSS_BUSY 11
#define SEG_TYPE_DATA_RW_ACCESSED 3
#define SEG_TYPE_CODE_RX_ACCESSED 11

#define SELECTOR_RPL GENMASK(1, 0)
#define SELECTOR_TI BIT(2)
#define SELECTOR_INDEX GENMASK(15, 3)

/* L0's own descriptor table (kernel/desc.c); TSS last, since it takes two slots. */
#define GDT_CODE 0x08
#define GDT_DATA 0x10
#define GDT_TSS 0x18

#ifndef __ASSEMBLER__
/* A canonical address of a processor with `bits` linear-address bits (48 or 57). */
static inline bool is_canonical(u64 va, unsigned int bits)
{
	return (u64)((i64)(va << (64 - bits)) >> (64 - bits)) == va;
}

/* SDM "PDPTE Registers": a PDPTE of PAE paging that is present has no reserved bit. Width of addresses in
 * bits. */
static inline bool pdpte_is_valid(u64 pdpte, unsigned int physical_bits)
{
	u64 reserved = PDPTE_RESERVED | (GENMASK(51, 0) & ~GENMASK(physical_bits - 1, 0));

	return !(pdpte & PTE_P) || !(pdpte & reserved);
}

/* SDM "IA32_PAT MSR": all eight entries name a memory type that the PAT can hold. */
static inline bool pat_is_valid(u64 pat)
{
	const u64 each = 0x0101010101010101ull;

	/* 0, 1 and 4 to 7: nothing above bit 2, and bit 1 only with it. */
	return !(pat & ~(7 * each)) && !(pat & ~(pat >> 1) & (2 * each));
}

#endif

#endif
