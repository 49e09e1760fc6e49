/* SPDX-License-Identifier: MIT */
/*
 * L1's processor: vmcs01 as it is made, its first state, INIT and shutdown.
 * Control registers are exit_cr.c's.
 * SDM: "Processor State After Reset, Power-up or INIT", "MP Initialization Protocol".
 */
#include "vmx/l1/l1.h"

#include "boot/l1.h"
#include "drivers/reset.h"
#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "vmx/guest/event.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/tlb.h"
#include "vmx/hw/vmx_cpu.h"
#include "vmx/l1/ports.h"
#include "vmx/l1/vm.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/l1/exit_msr.h"
#include "vmx/l1/guest1.h"

/* Access rights of usable segments as INIT leaves them, and of flat ones. */
#define AR_CODE16 0x9bu
#define AR_DATA16 0x93u
#define AR_CODE32 0xc09bu
#define AR_DATA32 0xc093u
#define AR_LDT 0x82u
#define AR_TSS_BUSY 0x8bu

void l1_write_exceptions(struct vcpu *vcpu)
{
	struct pf_intercept pf = vcpu->wish.pf;

	vmcs_write(VMCS_exception_bitmap, vcpu->wish.exceptions | (pf.eb ? BIT(VEC_PF) : 0));
	vmcs_write(VMCS_pf_mask, pf.mask);
	vmcs_write(VMCS_pf_match, pf.match);
}

static void write_controls01(struct vcpu *vcpu)
{
	u32 proc2 = l0_controls.proc2 | (tlb_uses_vpid() ? (u32)PROC2_VPID : 0);

	vmcs_write(VMCS_pin_controls, l0_controls.pin);
	vmcs_write(VMCS_proc_controls, l0_controls.proc);
	vmcs_write(VMCS_proc2_controls, proc2);
	vmcs_write(VMCS_exit_controls, l0_controls.exit);
	vmcs_write(VMCS_entry_controls, l0_controls.entry);
	l1_write_exceptions(vcpu);
	vm_write_msr_bitmap(vcpu->wish.ibrs_awaited);
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

/* INIT cancels every event that was on its way to the guest of vmcs01, and what L0 has begun for one. */
static void drop_events(struct vcpu *vcpu)
{
	vcpu->pending_valid = false;
	vcpu->nmi_pending = vcpu->machine_check_pending = false;
	event_set_step(vcpu, STEP_MACHINE_CHECK, false);
}

/* What INIT leaves alone (MSRs, TSC, x87 and vector state, CR0.CD and NW) is left alone here. */
void l1_reset(struct vcpu *vcpu)
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
	tlb_flush_guest();
}

/*
 * SDM "MP Initialization Protocol": after INIT an AP waits for a SIPI, the BSP starts at the reset vector.
 * There a firmware that finds no cold machine may be lost: bsp-init=reset makes one. A SIPI that finds the
 * processor here, in VMX root operation, is lost, and an operating system sends it right after the INIT: so
 * the AP waits first, and what nobody can see before its SIPI is reset at its SIPI.
 */
void l1_take_init(struct vcpu *vcpu)
{
	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	if (rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_BSP) {
		if (options.init_resets) {
			log_error("INIT of the first CPU; the machine is reset (bsp-init=reset)");
			reset_machine();
		}
		l1_reset(vcpu);
		return;
	}
	drop_events(vcpu);
	vcpu_set_reg(vcpu, REG_PENDING_DEBUG, 0);
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, 0);
	vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
}

void l1_shut_down(struct vcpu *vcpu)
{
	if (vmx_caps.misc & VMX_MISC_ACTIVITY(ACTIVITY_SHUTDOWN)) {
		vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_SHUTDOWN);
		return;
	}
	/* With RFLAGS.TF set, VM entry into the HLT state would demand a pending single-step exception. */
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

void l1_init(struct vcpu *vcpu)
{
	vcpu->l1.feature_control = vcpu->cpu->vmx->firmware_feature_control;
	msr_cpu_init();
	mtrr_read_hardware(&vcpu->l1.mtrr);
	absent_init(vcpu);
	vmcs_init(&vcpu->vmcs01, page_alloc(), &vcpu->counters.registers);
	vcpu->guest = &l1_guest;
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
}

void l1_start(struct vcpu *vcpu, const struct l1_start *start)
{
	write_controls01(vcpu);
	vcpu_write_host_state(vcpu);
	vcpu_set_pat(vcpu, rdmsr(MSR_IA32_PAT));
	vcpu_set_debugctl(vcpu, 0);
	vmcs_write(VMCS_guest_sysenter_cs, 0);
	vmcs_write(VMCS_guest_sysenter_esp, 0);
	vmcs_write(VMCS_guest_sysenter_eip, 0);
	for (enum reg reg = REG_PDPTE0; reg <= REG_PDPTE3; reg++)
		vcpu_set_reg(vcpu, reg, 0);
	vcpu_set_reg(vcpu, REG_CR0, 0);
	cr_update_masks(vcpu);
	l1_reset(vcpu);
	if (start)
		set_start_state(vcpu, start);
	else
		vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI);
}
