/* SPDX-License-Identifier: MIT */
/*
 * See valid12.h.
 */
#include "tests/unit/valid12.h"

#include <string.h>

#include "kernel/x86.h"

u8 valid12_memory[VALID12_MEMORY];

/* Control words: what must be 1 is what processors ask for; nearly all may be 1. */
struct vmx_caps valid12_caps = {
	.basic = 0x00da100000000000ull | VMCS12_REVISION,
	.misc = 0x700401e5, /* length 0 of software events, shutdown and wait-for-SIPI, 4 CR3 targets */
	.ept_vpid = 0xf0106734141 | BIT(7),
	.vmfunc = 1,
	.debugctl_valid = 0xffc7,
	.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
	.cr0_fixed1 = 0xffffffff,
	.cr4_fixed0 = CR4_VMXE,
	.cr4_fixed1 = 0xf77fff,
	.pin = { 0x16, 0xff },
	.proc = { 0x04006172, 0xfff9fffe },
	.proc2 = { 0, 0x7ffffff },
	.exit = { 0x36dfb, 0x1f7fffff },
	.entry = { 0x11fb, 0x1fffff },
	.physical_bits = 39,
	.linear_bits = 48,
};

static bool read_memory(void *context, u64 gpa, void *to, size_t length)
{
	(void)context;
	for (size_t i = 0; i < length; i++)
		((u8 *)to)[i] = gpa + i < VALID12_MEMORY ? valid12_memory[gpa + i] : 0xff;
	return gpa + length <= VALID12_MEMORY;
}

static void put32(u64 at, u32 value)
{
	memcpy(valid12_memory + at, &value, sizeof(value));
}

static void set_controls(struct vmcs12 *v12)
{
	v12->pin_controls = 0x16;
	v12->proc_controls = 0x04006172 | PROC_SECONDARY | PROC_HLT_EXITING;
	v12->proc2_controls = PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_VPID;
	v12->exit_controls = 0x36dfb | EXIT_HOST_64 | EXIT_LOAD_EFER | EXIT_SAVE_EFER;
	v12->entry_controls = 0x11fb | ENTRY_IA32E_GUEST | ENTRY_LOAD_EFER;
	v12->vpid = 1;
	v12->ept_pointer = 0x1000 | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB;
	v12->vmcs_link_pointer = ~0ull;
	v12->tsc_multiplier = BIT(48);
}

static void set_host(struct vmcs12 *v12)
{
	v12->host_cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_WP;
	v12->host_cr3 = 0x2000;
	v12->host_cr4 = CR4_PAE | CR4_VMXE;
	v12->host_cs_selector = 0x08;
	v12->host_es_selector = v12->host_ss_selector = v12->host_ds_selector = 0x10;
	v12->host_fs_selector = v12->host_gs_selector = 0x10;
	v12->host_tr_selector = 0x18;
	v12->host_efer = EFER_LME | EFER_LMA | EFER_NXE;
	v12->host_pat = PAT_RESET;
	v12->host_rip = 0xffffffff81000000;
}

static void set_segment(struct vmcs12 *v12, unsigned int n, u64 selector, u64 limit, u64 ar)
{
	*vmcs12_slot(v12, V12_guest_es_selector + n) = selector;
	*vmcs12_slot(v12, V12_guest_es_base + n) = 0;
	*vmcs12_slot(v12, V12_guest_es_limit + n) = limit;
	*vmcs12_slot(v12, V12_guest_es_ar + n) = ar;
}

static void set_guest(struct vmcs12 *v12)
{
	v12->guest_cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_WP;
	v12->guest_cr3 = 0x3000;
	v12->guest_cr4 = CR4_PAE | CR4_VMXE;
	v12->guest_efer = EFER_LME | EFER_LMA;
	v12->guest_pat = PAT_RESET;
	v12->guest_dr7 = DR7_RESET;
	v12->guest_rflags = RFLAGS_FIXED1;
	v12->guest_rip = 0x100000;
	for (unsigned int n = SEG_ES; n <= SEG_GS; n++)
		set_segment(v12, n, 0x10, 0xffffffff, n == SEG_CS ? 0xa09b : 0xc093);
	v12->guest_cs_selector = 0x08;
	set_segment(v12, SEG_LDTR, 0, 0, AR_UNUSABLE);
	set_segment(v12, SEG_TR, 0x18, 0x67, 0x8b);
	v12->guest_gdtr_limit = v12->guest_idtr_limit = 0xffff;
}

void valid12_init(struct vmcs12 *v12, struct check_env *env)
{
	static const u64 pdptes[4] = { 0xa001, 0, 0xb001, 0 };

	memset(valid12_memory, 0, sizeof(valid12_memory));
	put32(VALID12_SELF, VMCS12_REVISION);
	put32(VALID12_SHADOW, VMCS12_REVISION | (u32)VMCS_SHADOW_INDICATOR);
	put32(VALID12_ORDINARY, VMCS12_REVISION);
	memcpy(valid12_memory + VALID12_PDPTES, pdptes, sizeof(pdptes));
	*v12 = (struct vmcs12){ .revision = VMCS12_REVISION };
	set_controls(v12);
	set_host(v12);
	set_guest(v12);
	*env = (struct check_env){
		.caps = &valid12_caps,
		.l1_long_mode = true,
		.perf_global_valid = 0x70000000f,
		.vmcs_link_self = VALID12_SELF,
		.read = read_memory,
	};
}

void valid12_protected(struct vmcs12 *v12)
{
	v12->entry_controls &= ~(u64)ENTRY_IA32E_GUEST;
	v12->guest_efer = 0;
	v12->guest_cr4 = CR4_VMXE | CR4_PSE;
	v12->guest_cs_ar = 0xc09b;
}

void valid12_pae(struct vmcs12 *v12)
{
	valid12_protected(v12);
	v12->guest_cr4 = CR4_VMXE | CR4_PAE;
	v12->guest_pdpte0 = 0xa001;
}

void valid12_real(struct vmcs12 *v12)
{
	valid12_protected(v12);
	v12->guest_cr0 = CR0_NE;
	for (unsigned int n = SEG_ES; n <= SEG_GS; n++)
		set_segment(v12, n, 0, 0xffff, 0x93);
}

void valid12_v86(struct vmcs12 *v12)
{
	valid12_protected(v12);
	v12->guest_rflags = RFLAGS_FIXED1 | RFLAGS_VM;
	for (unsigned int n = SEG_ES; n <= SEG_GS; n++) {
		set_segment(v12, n, 0x1000 + n, 0xffff, 0xf3);
		*vmcs12_slot(v12, V12_guest_es_base + n) = (0x1000 + n) << 4;
	}
}
