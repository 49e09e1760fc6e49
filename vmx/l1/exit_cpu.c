/* SPDX-License-Identifier: MIT */
/*
 * CPUID by allow-list, XSETBV, INVD. L1 sees its processor, less the features
 * that would need VMCS support which Socle does not give, or that would let
 * the processor write where L0 does not look.
 * SDM: volume 2 "CPUID", "XSETBV"; volume 1 "Managing State Using the XSAVE Feature Set".
 */
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/event.h"
#include "vmx/l1/exit_cpu.h"
#include "vmx/guest/handlers.h"

/*
 * Hidden, because not named here: SMX; DS, DTES64, DS-CPL (the debug store would be written while L0
 * runs); HYPERVISOR. OSXSAVE is L1's CR4.
 */
#define LEAF1_ECX                                                                                            \
	(CPUID_1_ECX_SSE3 | CPUID_1_ECX_PCLMULQDQ | CPUID_1_ECX_MONITOR | CPUID_1_ECX_VMX |                  \
	 CPUID_1_ECX_EIST | CPUID_1_ECX_TM2 | CPUID_1_ECX_SSSE3 | CPUID_1_ECX_FMA | CPUID_1_ECX_CX16 |       \
	 CPUID_1_ECX_XTPR | CPUID_1_ECX_PDCM | CPUID_1_ECX_PCID | CPUID_1_ECX_DCA | CPUID_1_ECX_SSE4_1 |     \
	 CPUID_1_ECX_SSE4_2 | CPUID_1_ECX_X2APIC | CPUID_1_ECX_MOVBE | CPUID_1_ECX_POPCNT |                  \
	 CPUID_1_ECX_TSC_DEADLINE | CPUID_1_ECX_AES | CPUID_1_ECX_XSAVE | CPUID_1_ECX_AVX |                  \
	 CPUID_1_ECX_F16C | CPUID_1_ECX_RDRAND)
#define LEAF1_EDX (~(u32)CPUID_1_EDX_DS)

/* Hidden: SGX, PT. */
#define LEAF7_EBX                                                                                            \
	(CPUID_7_EBX_FSGSBASE | CPUID_7_EBX_TSC_ADJUST | CPUID_7_EBX_BMI1 | CPUID_7_EBX_HLE |                \
	 CPUID_7_EBX_AVX2 | CPUID_7_EBX_FDP_EXCPTN_ONLY | CPUID_7_EBX_SMEP | CPUID_7_EBX_BMI2 |              \
	 CPUID_7_EBX_ERMS | CPUID_7_EBX_INVPCID | CPUID_7_EBX_RTM | CPUID_7_EBX_RDT_M |                      \
	 CPUID_7_EBX_FCS_FDS | CPUID_7_EBX_RDT_A | CPUID_7_EBX_AVX512F | CPUID_7_EBX_AVX512DQ |              \
	 CPUID_7_EBX_RDSEED | CPUID_7_EBX_ADX | CPUID_7_EBX_SMAP | CPUID_7_EBX_AVX512_IFMA |                 \
	 CPUID_7_EBX_CLFLUSHOPT | CPUID_7_EBX_CLWB | CPUID_7_EBX_AVX512CD | CPUID_7_EBX_SHA |                \
	 CPUID_7_EBX_AVX512BW | CPUID_7_EBX_AVX512VL)

/* Hidden: 5-level paging, CET, TME, key locker, ENQCMD, SGX-LC, PKS. OSPKE is L1's CR4. */
#define LEAF7_ECX                                                                                            \
	(CPUID_7_ECX_PREFETCHWT1 | CPUID_7_ECX_AVX512_VBMI | CPUID_7_ECX_UMIP | CPUID_7_ECX_PKU |            \
	 CPUID_7_ECX_WAITPKG | CPUID_7_ECX_AVX512_VBMI2 | CPUID_7_ECX_GFNI | CPUID_7_ECX_VAES |              \
	 CPUID_7_ECX_VPCLMULQDQ | CPUID_7_ECX_AVX512_VNNI | CPUID_7_ECX_AVX512_BITALG |                      \
	 CPUID_7_ECX_AVX512_VPOPCNTDQ | CPUID_7_ECX_RDPID | CPUID_7_ECX_BUS_LOCK_DETECT |                    \
	 CPUID_7_ECX_CLDEMOTE | CPUID_7_ECX_MOVDIRI | CPUID_7_ECX_MOVDIR64B)

/* Hidden: SGX's keys, UINTR, PCONFIG, architectural LBRs, CET-IBT. */
#define LEAF7_EDX                                                                                            \
	(CPUID_7_EDX_AVX512_4VNNIW | CPUID_7_EDX_AVX512_4FMAPS | CPUID_7_EDX_FSRM |                          \
	 CPUID_7_EDX_AVX512_VP2INTERSECT | BIT(9) /* SRBDS_CTRL */ | CPUID_7_EDX_MD_CLEAR |                  \
	 BIT(11) /* RTM_ALWAYS_ABORT */ | BIT(13) /* TSX_FORCE_ABORT */ | CPUID_7_EDX_SERIALIZE |            \
	 CPUID_7_EDX_HYBRID | CPUID_7_EDX_TSXLDTRK | CPUID_7_EDX_AMX_BF16 | CPUID_7_EDX_AVX512_FP16 |        \
	 CPUID_7_EDX_AMX_TILE | CPUID_7_EDX_AMX_INT8 | CPUID_7_EDX_IBRS | CPUID_7_EDX_STIBP |                \
	 CPUID_7_EDX_L1D_FLUSH | CPUID_7_EDX_ARCH_CAPABILITIES | CPUID_7_EDX_CORE_CAPABILITIES |             \
	 CPUID_7_EDX_SSBD)

/* Hidden: hardware feedback (HFI, Thread Director), whose table the processor writes into memory by itself.
 */
#define LEAF6_EAX (~(u32)(BIT(19) | BIT(23)))
#define LEAF6_ECX 0x9u /* effective frequency, performance-energy bias */

/* IA32_SPEC_CTRL's: PSFD, IPRED_CTRL, RRSBA_CTRL, DDPD_U, BHI_CTRL; MCDT_NO. */
#define LEAF7_2_EDX GENMASK(5, 0)
#define LEAF7_SUBLEAF_LAST 2u
#define PERFMON_VERSION_LAST 5u

/*
 * Vector instructions and fast strings; hidden: LASS, leaf 23H, FRED and LKGS, WRMSRNS, NMI-source reporting,
 * HRESET, LAM, MSRLIST.
 */
#define LEAF7_1_EAX                                                                                          \
	(BIT(0) | BIT(1) | BIT(2) | BIT(3) | CPUID_7_1_EAX_AVX_VNNI | CPUID_7_1_EAX_AVX512_BF16 | BIT(7) |   \
	 BIT(10) | BIT(11) | BIT(12) | BIT(21) | BIT(23))

/* The MSRs of PPIN; CPUID's values are no more limited. */
#define LEAF7_1_EBX (BIT(0) | BIT(3))

/*
 * AVX-VNNI-INT8, AVX-NE-CONVERT, AMX-COMPLEX, AVX-VNNI-INT16, PREFETCHI, AVX10; hidden: user-timer events,
 * USER_MSR, UIRET_UIF, CET_SSS, APX.
 */
#define LEAF7_1_EDX (BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(14) | BIT(19))

/*
 * State components of XCR0 and of IA32_XSS that L1 may know of: all of user state but CET; of
 * supervisor state HDC and HWP.
 */
#define XCR0_OFFERED (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU | XCR0_TILECFG | XCR0_TILEDATA)

/* The last leaves that Socle knows. What came after them would have to be looked at first. */
#define BASIC_LEAF_LAST CPUID_LEAF_AVX10
#define EXT_LEAF_LAST CPUID_LEAF_ADDRESS_SIZE

/* "SocleSocle  " */
#define SIGNATURE_EBX 0x6c636f53u
#define SIGNATURE_ECX 0x636f5365u
#define SIGNATURE_EDX 0x2020656cu

/* Constant after cpuid_init(). */
static u32 leaf7_ebx, leaf7_ecx, ext1_edx, leaf_d1_eax;
static u64 xcr0_valid;
static u32 basic_leaf_max, ext_leaf_max, socle_level;

/* Another hypervisor's leaves, or the processor's last basic leaf, do not have the signature. */
static u32 level_above(struct cpuid_regs below)
{
	if (below.eax < CPUID_LEAF_LEVEL || below.ebx != SIGNATURE_EBX || below.ecx != SIGNATURE_ECX ||
	    below.edx != SIGNATURE_EDX)
		return 0;
	return cpuid(CPUID_LEAF_LEVEL, 0).eax + 1;
}

u32 cpuid_level(void)
{
	return socle_level;
}

void cpuid_init(void)
{
	struct cpuid_regs xsave = { 0 };
	u32 proc2 = l0_controls.proc2;

	basic_leaf_max = MIN(cpuid(CPUID_LEAF_MAX, 0).eax, (u32)BASIC_LEAF_LAST);
	ext_leaf_max = MIN(cpuid(CPUID_LEAF_EXT_MAX, 0).eax, (u32)EXT_LEAF_LAST);
	/* Without their VMCS control these instructions are #UD in any guest. */
	leaf7_ebx = (u32)LEAF7_EBX & (proc2 & PROC2_INVPCID ? ~0u : ~(u32)CPUID_7_EBX_INVPCID);
	leaf7_ecx = (u32)LEAF7_ECX & (proc2 & PROC2_USER_WAIT_PAUSE ? ~0u : ~(u32)CPUID_7_ECX_WAITPKG);
	leaf7_ecx &= proc2 & PROC2_RDTSCP ? ~0u : ~(u32)CPUID_7_ECX_RDPID;
	ext1_edx = proc2 & PROC2_RDTSCP ? ~0u : ~(u32)CPUID_EXT1_EDX_RDTSCP;
	leaf_d1_eax = proc2 & PROC2_XSAVES ? ~0u : ~(u32)CPUID_D_1_EAX_XSAVES;
	if (cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_XSAVE)
		xsave = cpuid(CPUID_LEAF_XSAVE, 0);
	xcr0_valid = (xsave.eax | (u64)xsave.edx << 32) & XCR0_OFFERED;
	socle_level = level_above(cpuid(CPUID_LEAF_HYPERVISOR, 0));
}

static void filter_xsave(struct cpuid_regs *r, u32 subleaf)
{
	if (subleaf == 0) {
		r->eax &= (u32)XCR0_OFFERED;
		r->edx = 0;
	} else if (subleaf == 1) {
		r->eax &= leaf_d1_eax;
		r->ecx &= (u32)CPUID_XSS_OFFERED;
		r->edx = 0;
	} else if (subleaf > 62 || !((XCR0_OFFERED | CPUID_XSS_OFFERED) & BIT(subleaf))) {
		*r = (struct cpuid_regs){ 0 };
	}
}

static void filter_extended_features(struct vcpu *vcpu, struct cpuid_regs *r, u32 subleaf)
{
	switch (subleaf) {
	case 0:
		r->eax = MIN(r->eax, LEAF7_SUBLEAF_LAST);
		r->ebx &= leaf7_ebx;
		r->ecx &= leaf7_ecx;
		r->edx &= (u32)LEAF7_EDX;
		if ((r->ecx & CPUID_7_ECX_PKU) && (vcpu_reg(vcpu, REG_CR4) & CR4_PKE))
			r->ecx |= (u32)CPUID_7_ECX_OSPKE;
		break;
	case 1:
		*r = (struct cpuid_regs){ .eax = r->eax & (u32)LEAF7_1_EAX,
					  .ebx = r->ebx & (u32)LEAF7_1_EBX,
					  .edx = r->edx & (u32)LEAF7_1_EDX };
		break;
	case LEAF7_SUBLEAF_LAST: *r = (struct cpuid_regs){ .edx = r->edx & (u32)LEAF7_2_EDX }; break;
	default: *r = (struct cpuid_regs){ 0 };
	}
}

static void filter_features(struct vcpu *vcpu, struct cpuid_regs *r)
{
	r->ecx &= (u32)LEAF1_ECX;
	r->edx &= LEAF1_EDX;
	if ((r->ecx & CPUID_1_ECX_XSAVE) && (vcpu_reg(vcpu, REG_CR4) & CR4_OSXSAVE))
		r->ecx |= (u32)CPUID_1_ECX_OSXSAVE;
}

/* SDM: beyond the last leaf of either kind, the processor answers as for the last basic one. */
static inline u32 clamp_leaf(u32 leaf)
{
	if (likely(leaf <= basic_leaf_max || leaf - CPUID_LEAF_EXT_MAX <= ext_leaf_max - CPUID_LEAF_EXT_MAX))
		return leaf;
	return leaf >> 24 == CPUID_LEAF_HYPERVISOR >> 24 ? leaf : basic_leaf_max;
}

/* Where the processor would answer as for its last basic leaf, Socle says its name. */
static void hypervisor_leaf(struct cpuid_regs *r, u32 leaf)
{
	*r = (struct cpuid_regs){ 0 };
	if (leaf == CPUID_LEAF_HYPERVISOR)
		*r = (struct cpuid_regs){ CPUID_LEAF_LEVEL, SIGNATURE_EBX, SIGNATURE_ECX, SIGNATURE_EDX };
	else if (leaf == CPUID_LEAF_LEVEL)
		r->eax = socle_level;
}

/* `r` is what the processor says. */
static inline void filter(struct vcpu *vcpu, struct cpuid_regs *r, u32 leaf, u32 subleaf)
{
	switch (leaf) {
	case CPUID_LEAF_MAX: r->eax = basic_leaf_max; break;
	case CPUID_LEAF_EXT_MAX: r->eax = ext_leaf_max; break;
	case CPUID_LEAF_FEATURES: filter_features(vcpu, r); break;
	case CPUID_LEAF_THERMAL:
		*r = (struct cpuid_regs){ r->eax & LEAF6_EAX, r->ebx, r->ecx & LEAF6_ECX, 0 };
		break;
	case CPUID_LEAF_PERFMON:
		/*
		 * Version 6 has counters with other MSR numbers, which leaf 23H describes. Leaf 23H is
		 * hidden, and so is version 6.
		 */
		if ((r->eax & 0xff) > PERFMON_VERSION_LAST)
			r->eax = (r->eax & ~0xffu) | PERFMON_VERSION_LAST;
		break;
	case CPUID_LEAF_EXTENDED_FEATURES: filter_extended_features(vcpu, r, subleaf); break;
	case CPUID_LEAF_XSAVE: filter_xsave(r, subleaf); break;
	case CPUID_LEAF_EXT_FEATURES: r->edx &= ext1_edx; break;
	case CPUID_LEAF_ADDRESS_SIZE: r->eax = (r->eax & ~0xff00u) | vmx_caps.linear_bits << 8; break;
	case CPUID_LEAF_SGX:
	case CPUID_LEAF_PT:
	case CPUID_LEAF_KEY_LOCKER:
	case 0x1b: /* PCONFIG */
	case CPUID_LEAF_LBR:
	case CPUID_LEAF_HRESET ... CPUID_LEAF_AVX10 - 1: /* also TDX, version 6 of the performance counters */
		*r = (struct cpuid_regs){ 0 };
		break;
	case CPUID_LEAF_AVX10:
		*r = subleaf ? (struct cpuid_regs){ 0 } : (struct cpuid_regs){ .ebx = r->ebx };
		break;
	default:
		if (unlikely(leaf >> 24 == CPUID_LEAF_HYPERVISOR >> 24))
			hypervisor_leaf(r, leaf);
	}
}

struct cpuid_regs cpuid_l1(struct vcpu *vcpu, u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	leaf = clamp_leaf(leaf);
	r = cpuid(leaf, subleaf);
	filter(vcpu, &r, leaf, subleaf);
	return r;
}

static inline enum outcome answer(struct vcpu *vcpu, struct cpuid_regs r)
{
	vcpu->gpr[GPR_RAX] = r.eax;
	vcpu->gpr[GPR_RBX] = r.ebx;
	vcpu->gpr[GPR_RCX] = r.ecx;
	vcpu->gpr[GPR_RDX] = r.edx;
	return OUTCOME_SKIP;
}

static NOINLINE enum outcome answer_filtered(struct vcpu *vcpu, u32 leaf, u32 subleaf)
{
	return answer(vcpu, cpuid_l1(vcpu, leaf, subleaf));
}

/* Basic leaves that filter() leaves as they are; a host test holds them against it. */
#define AS_THEY_ARE (BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(9) | BIT(0xb) | BIT(0x15) | BIT(0x16))

enum outcome exit_cpuid(struct vcpu *vcpu)
{
	u32 leaf = (u32)vcpu->gpr[GPR_RAX], subleaf = (u32)vcpu->gpr[GPR_RCX];
	struct cpuid_regs r;

	if (unlikely(leaf > basic_leaf_max ||
		     (leaf != CPUID_LEAF_MAX && (leaf >= 64 || !(AS_THEY_ARE & BIT(leaf))))))
		return answer_filtered(vcpu, leaf, subleaf);
	r = cpuid(leaf, subleaf);
	if (leaf == CPUID_LEAF_MAX)
		r.eax = basic_leaf_max;
	return answer(vcpu, r);
}

/* SDM volume 1, "Enabling the XSAVE Feature Set and XSAVE-Enabled Features". */
static bool xcr0_is_valid(u64 value)
{
	if ((value & ~xcr0_valid) || !(value & XCR0_X87))
		return false;
	if ((value & XCR0_AVX) && !(value & XCR0_SSE))
		return false;
	if ((value & XCR0_AVX512) && ((value & XCR0_AVX512) != XCR0_AVX512 || !(value & XCR0_AVX)))
		return false;
	if (((value >> 17) ^ (value >> 18)) & 1)
		return false;
	return true;
}

/*
 * SDM "Relative Priority of Faults and VM Exits": invalid opcodes and faults by privilege level come before
 * the exit, virtual-8086 mode's among them. So CR4.OSXSAVE is the processor's to check (its #UD was seen to
 * come first by those who tried); an emulated one may exit before it looks at the privilege level, which is
 * asked here. What the processor refuses of bits that CPUID has (a rule newer than Socle) is #GP as well, and
 * not Socle's own.
 */
enum outcome exit_xsetbv(struct vcpu *vcpu)
{
	u64 value = (u32)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;

	if (vcpu_cpl(vcpu) || (u32)vcpu->gpr[GPR_RCX] != 0 || !xcr0_is_valid(value) || !xsetbv_safe(0, value))
		return outcome_gp(vcpu, 0);
	return OUTCOME_SKIP;
}

/* L1's modified cache lines may be anybody's: they are written back. */
enum outcome exit_invd(struct vcpu *vcpu)
{
	(void)vcpu;
	wbinvd();
	return OUTCOME_SKIP;
}
