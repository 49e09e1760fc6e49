/* SPDX-License-Identifier: MIT */
/*
 * The vCPU of each CPU: made once, its first state, its INIT state, which VMCS
 * is current. Running it is vmx/run.c's; control registers are exit_cr.c's.
 * SDM: "Host-State Area", "Processor State After Reset, Power-up or INIT".
 */
#include "vmx/guest/vcpu.h"

#include "boot/l1.h"
#include "drivers/reset.h"
#include "kernel/cmdline.h"
#include "kernel/desc.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/percpu.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/entry.h"
#include "vmx/guest/event.h"
#include "vmx/exit.h"
#include "vmx/l1/ports.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/vm.h"
#include "vmx/hw/vmx_cpu.h"

/* Access rights of usable segments as INIT leaves them, and of flat ones. */
#define AR_CODE16 0x9bu
#define AR_DATA16 0x93u
#define AR_CODE32 0xc09bu
#define AR_DATA32 0xc093u
#define AR_LDT 0x82u
#define AR_TSS_BUSY 0x8bu

void vcpu_load_vmcs(struct vcpu *vcpu, struct vmcs *vmcs)
{
	if (vcpu->vmcs == vmcs)
		return;
	if (vcpu->vmcs) {
		regcache_flush(&vcpu->vmcs->cache);
		ASSERT(!vcpu->vmcs->cache.dirty);
		/* Such a step changes tables that the next guest may run on: it ends before its VMCS is left.
		 */
		ASSERT(!(vcpu->vmcs->steps & STEP_ABSENT));
	}
	vmcs_load(vmcs);
	vcpu->vmcs = vmcs;
}

bool vcpu_is_long_mode(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, REG_EFER) & EFER_LMA;
}

bool vcpu_is_64bit(struct vcpu *vcpu)
{
	return vcpu_is_long_mode(vcpu) && (vcpu_reg(vcpu, REG_CS_AR) & AR_L);
}

bool vcpu_is_protected(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, REG_CR0) & CR0_PE;
}

bool vcpu_is_v86(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, REG_RFLAGS) & RFLAGS_VM;
}

/* SDM "Guest Register State": the DPL of SS is the CPL. */
unsigned int vcpu_cpl(struct vcpu *vcpu)
{
	return (vcpu_reg(vcpu, REG_SS_AR) & AR_DPL) >> AR_DPL_SHIFT;
}

bool vcpu_is_pae_paging(struct vcpu *vcpu)
{
	return (vcpu_reg(vcpu, REG_CR0) & CR0_PG) && (vcpu_reg(vcpu, REG_CR4) & CR4_PAE) &&
	       !vcpu_is_long_mode(vcpu);
}

void vcpu_write_host_state(struct vcpu *vcpu)
{
	const struct percpu *cpu = vcpu->cpu;

	vmcs_write(VMCS_host_cr0, read_cr0());
	vmcs_write(VMCS_host_cr3, read_cr3());
	vmcs_write(VMCS_host_cr4, read_cr4());
	vmcs_write(VMCS_host_efer, rdmsr(MSR_IA32_EFER));
	vmcs_write(VMCS_host_pat, rdmsr(MSR_IA32_PAT));
	vmcs_write(VMCS_host_cs_selector, GDT_CODE);
	vmcs_write(VMCS_host_ss_selector, GDT_DATA);
	vmcs_write(VMCS_host_ds_selector, GDT_DATA);
	vmcs_write(VMCS_host_es_selector, GDT_DATA);
	vmcs_write(VMCS_host_fs_selector, 0);
	vmcs_write(VMCS_host_gs_selector, 0);
	vmcs_write(VMCS_host_tr_selector, GDT_TSS);
	vmcs_write(VMCS_host_fs_base, 0);
	vmcs_write(VMCS_host_gs_base, (u64)cpu);
	vmcs_write(VMCS_host_tr_base, desc_tss_base(cpu));
	vmcs_write(VMCS_host_gdtr_base, desc_gdt_base(cpu));
	vmcs_write(VMCS_host_idtr_base, trap_idt_base());
	vmcs_write(VMCS_host_sysenter_cs, 0);
	vmcs_write(VMCS_host_sysenter_esp, 0);
	vmcs_write(VMCS_host_sysenter_eip, 0);
	vmcs_write(VMCS_host_rsp, (u64)vcpu);
	vmcs_write(VMCS_host_rip, (u64)vmx_exit);
}

static struct pf_intercept pf_wish_of_options(void)
{
	if (!(options.intercept & INTERCEPT_PF))
		return (struct pf_intercept){ .eb = false };
	return (struct pf_intercept){ true, options.intercept_pfec_mask, options.intercept_pfec_match };
}

bool vcpu_intercepts_cr(struct vcpu *vcpu)
{
	(void)vcpu;
	return options.intercept & INTERCEPT_CR;
}

static void write_exceptions01(struct vcpu *vcpu)
{
	struct pf_intercept pf = vcpu->pf_wish;

	vmcs_write(VMCS_exception_bitmap, pf.eb ? BIT(VEC_PF) : 0);
	vmcs_write(VMCS_pf_mask, pf.mask);
	vmcs_write(VMCS_pf_match, pf.match);
}

void vcpu_set_pf_wish(struct vcpu *vcpu, struct pf_intercept wish)
{
	struct vmcs *back = vcpu->vmcs;

	vcpu->pf_wish = wish;
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	write_exceptions01(vcpu);
	vcpu_load_vmcs(vcpu, back);
	nested_update_intercepts(vcpu);
}

void vcpu_alternate_pf_wish(struct vcpu *vcpu)
{
	struct pf_intercept wish = vcpu->pf_wish_next;

	vcpu->pf_wish_next = vcpu->pf_wish;
	vcpu_set_pf_wish(vcpu, wish);
}

static void write_controls01(struct vcpu *vcpu)
{
	u32 proc2 = l0_controls.proc2 | (tlb_uses_vpid() ? (u32)PROC2_VPID : 0);

	vmcs_write(VMCS_pin_controls, l0_controls.pin);
	vmcs_write(VMCS_proc_controls, l0_controls.proc);
	vmcs_write(VMCS_proc2_controls, proc2);
	vmcs_write(VMCS_exit_controls, l0_controls.exit);
	vmcs_write(VMCS_entry_controls, l0_controls.entry);
	write_exceptions01(vcpu);
	vmcs_write(VMCS_msr_bitmap, ptr_to_phys(vm.msr_bitmap01).v);
	if (ports_wanted()) {
		vmcs_write(VMCS_io_bitmap_a, page_phys(ports_bitmap(0)).v);
		vmcs_write(VMCS_io_bitmap_b, page_phys(ports_bitmap(1)).v);
	}
	vmcs_write(VMCS_ept_pointer, vm.ept01_pointer);
	vmcs_write(VMCS_vmcs_link_pointer, ~0ull);
	if (tlb_uses_vpid())
		vmcs_write(VMCS_vpid, VPID_L1);
	if (proc2 & PROC2_XSAVES)
		vmcs_write(VMCS_xss_exit_bitmap, 0);
	vmcs_write(VMCS_cr3_target_count, 0);
	vmcs_write(VMCS_exit_msr_store_count, 0);
	vmcs_write(VMCS_exit_msr_load_count, 0);
	vmcs_write(VMCS_entry_msr_load_count, 0);
	vmcs_write(VMCS_entry_intr_info, 0);
}

static void set_segment(struct vcpu *vcpu, enum seg seg, u16 selector, u64 base, u32 limit, u32 ar)
{
	vcpu_set_reg(vcpu, REG_SEG_SELECTOR(seg), selector);
	vcpu_set_reg(vcpu, REG_SEG_BASE(seg), base);
	vcpu_set_reg(vcpu, REG_SEG_LIMIT(seg), limit);
	vcpu_set_reg(vcpu, REG_SEG_AR(seg), ar);
}

/* What an INIT finds on its way to vmcs01's guest is gone, with what L0 began for it. */
static void drop_events(struct vcpu *vcpu)
{
	vcpu->pending_valid = false;
	vcpu->nmi_pending = vcpu->machine_check_pending = false;
	event_set_step(vcpu, STEP_MACHINE_CHECK, false);
}

/* What INIT leaves alone (MSRs, TSC, x87 and vector state, CR0.CD and NW) is left alone here. */
void vcpu_init_reset(struct vcpu *vcpu)
{
	static const enum seg data[] = { SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[GPR_RDX] = cpuid(CPUID_LEAF_FEATURES, 0).eax;
	drop_events(vcpu);
	vcpu_set_reg(vcpu, REG_RIP, 0xfff0);
	vcpu_set_reg(vcpu, REG_RSP, 0);
	vcpu_set_reg(vcpu, REG_RFLAGS, RFLAGS_FIXED1);
	set_segment(vcpu, SEG_CS, 0xf000, 0xffff0000, 0xffff, AR_CODE16);
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		set_segment(vcpu, data[i], 0, 0, 0xffff, AR_DATA16);
	set_segment(vcpu, SEG_LDTR, 0, 0, 0xffff, AR_LDT);
	set_segment(vcpu, SEG_TR, 0, 0, 0xffff, AR_TSS_BUSY);
	vcpu_set_reg(vcpu, REG_GDTR_BASE, 0);
	vcpu_set_reg(vcpu, REG_GDTR_LIMIT, 0xffff);
	vcpu_set_reg(vcpu, REG_IDTR_BASE, 0);
	vcpu_set_reg(vcpu, REG_IDTR_LIMIT, 0xffff);
	cr_set_l1_cr0(vcpu, (vcpu_reg(vcpu, REG_CR0) & (CR0_CD | CR0_NW)) | CR0_ET);
	vcpu_set_reg(vcpu, REG_CR3, 0);
	cr_set_l1_cr4(vcpu, 0);
	cr_set_efer(vcpu, 0);
	write_cr2(0);
	write_dr0(0);
	write_dr1(0);
	write_dr2(0);
	write_dr3(0);
	write_dr6(DR6_RESET);
	vcpu_set_reg(vcpu, REG_DR7, DR7_RESET);
	vcpu_set_reg(vcpu, REG_PENDING_DEBUG, 0);
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, 0);
	vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_ACTIVE);
	tlb_flush_guest(vcpu);
}

/*
 * SDM "MP Initialization Protocol": after INIT an AP waits for a SIPI, the BSP starts at the reset vector.
 * There a firmware that finds no cold machine may be lost: bsp-init=reset makes one. A SIPI that finds the
 * processor here, in VMX root operation, is lost, and an operating system sends it right after the INIT: so
 * the AP waits first, and what nobody can see before its SIPI is reset at its SIPI.
 */
void vcpu_take_init(struct vcpu *vcpu)
{
	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	if (rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_BSP) {
		if (options.init_resets) {
			log_error("INIT of the first CPU; the machine is reset (bsp-init=reset)");
			reset_machine();
		}
		vcpu_init_reset(vcpu);
		return;
	}
	drop_events(vcpu);
	vcpu_set_reg(vcpu, REG_PENDING_DEBUG, 0);
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, 0);
	vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
}

void vcpu_shut_down(struct vcpu *vcpu)
{
	if (vmx_caps.misc & VMX_MISC_ACTIVITY(ACTIVITY_SHUTDOWN)) {
		vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_SHUTDOWN);
		return;
	}
	/* With TF, an entry into HLT would want a pending single step. */
	vcpu_set_reg(vcpu, REG_RFLAGS, vcpu_reg(vcpu, REG_RFLAGS) & ~(u64)(RFLAGS_IF | RFLAGS_TF));
	vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_HLT);
}

/* Flat 32-bit protected mode at L1's entry point. */
static void set_start_state(struct vcpu *vcpu, const struct l1_start *start)
{
	static const enum seg data[] = { SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

	set_segment(vcpu, SEG_CS, start->code_selector, 0, 0xffffffff, AR_CODE32);
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		set_segment(vcpu, data[i], start->data_selector, 0, 0xffffffff, AR_DATA32);
	vcpu_set_reg(vcpu, REG_GDTR_BASE, start->gdt_base);
	vcpu_set_reg(vcpu, REG_GDTR_LIMIT, start->gdt_limit);
	cr_set_l1_cr0(vcpu, CR0_PE | CR0_ET | start->cr0);
	vcpu_set_reg(vcpu, REG_RIP, start->eip);
	vcpu_set_reg(vcpu, REG_RSP, start->esp);
	vcpu->gpr[GPR_RAX] = start->eax;
	vcpu->gpr[GPR_RBX] = start->ebx;
	vcpu->gpr[GPR_RCX] = start->ecx;
	vcpu->gpr[GPR_RDX] = start->edx;
	vcpu->gpr[GPR_RSI] = start->esi;
	vcpu->gpr[GPR_RDI] = start->edi;
	vcpu->gpr[GPR_RBP] = start->ebp;
}

/*
 * What L1 flushes before it enters L2 does not stay flushed: L0 works in between. SDM
 * "IA32_ARCH_CAPABILITIES": the L1 data cache needs it without RDCL_NO, unless a hypervisor below does it
 * ("SKIP_L1DFL_VMENTRY").
 */
static void choose_flushes(struct vcpu *vcpu)
{
	u32 has = options.flush ? cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).edx : 0;
	u64 arch = 0;

	if (has & CPUID_7_EDX_ARCH_CAPABILITIES)
		arch = rdmsr(MSR_IA32_ARCH_CAPABILITIES);
	vcpu->flush_buffers =
		has && ((has & CPUID_7_EDX_MD_CLEAR) || (arch & (ARCH_CAP_FB_CLEAR | ARCH_CAP_RFDS_CLEAR)));
	vcpu->flush_l1d = (has & CPUID_7_EDX_L1D_FLUSH) && !(arch & (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_L1DFL));
}

struct vcpu *vcpu_create(struct percpu *cpu, struct vm *the_vm, const struct l1_start *start)
{
	struct vcpu *vcpu = page_alloc_contig(ALIGN_UP(sizeof(*vcpu), PAGE_SIZE) / PAGE_SIZE);

	vcpu->cpu = cpu;
	vcpu->vm = the_vm;
	vcpu->pf_wish = pf_wish_of_options();
	vcpu->feature_control = cpu->vmx->firmware_feature_control;
	vcpu->ibpb = options.ibpb && (cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).edx & CPUID_7_EDX_IBRS);
	choose_flushes(vcpu);
	msr_cpu_init();
	mtrr_read_hardware(&vcpu->mtrr);
	absent_init(vcpu);
	vmcs_init(&vcpu->vmcs01, page_alloc(), &vcpu->reg_counters);
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	nested_init(vcpu);

	write_controls01(vcpu);
	vcpu_write_host_state(vcpu);
	vmcs_write(VMCS_guest_pat, rdmsr(MSR_IA32_PAT));
	vmcs_write(VMCS_guest_debugctl, 0);
	vmcs_write(VMCS_guest_sysenter_cs, 0);
	vmcs_write(VMCS_guest_sysenter_esp, 0);
	vmcs_write(VMCS_guest_sysenter_eip, 0);
	for (enum reg reg = REG_PDPTE0; reg <= REG_PDPTE3; reg++)
		vcpu_set_reg(vcpu, reg, 0);
	vcpu_set_reg(vcpu, REG_CR0, 0);
	cr_update_masks(vcpu);
	vcpu_init_reset(vcpu);
	if (start)
		set_start_state(vcpu, start);
	else
		vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
	cpu->vcpu = vcpu;
	return vcpu;
}
