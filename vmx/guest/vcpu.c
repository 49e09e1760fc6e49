/* SPDX-License-Identifier: MIT */
/*
 * The guest that runs now: which VMCS is current, the mode it is in, and the
 * host state that every VMCS has. Making the vCPU is vmx/create.c's, running it
 * vmx/run.c's.
 * SDM: "Host-State Area", "Guest Register State".
 */
#include "vmx/guest/vcpu.h"

#include "kernel/cmdline.h"
#include "kernel/desc.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/entry.h"

void vcpu_load_vmcs(struct vcpu *vcpu, struct vmcs *vmcs)
{
	if (vcpu->vmcs == vmcs)
		return;
	if (vcpu->vmcs) {
		regcache_flush(&vcpu->vmcs->cache);
		ASSERT(regcache_is_clean(&vcpu->vmcs->cache));
		/*
		 * A step over absent memory changes tables on which the next guest may run. So the step
		 * ends before its VMCS is left.
		 */
		ASSERT(!(vcpu->vmcs->steps & STEP_ABSENT));
	}
	vmcs_load(vmcs);
	vcpu->vmcs = vmcs;
	vcpu->launched = vmcs->launched;
}

bool vcpu_is_long_mode(struct vcpu *vcpu)
{
	return vcpu_reg_hot(vcpu, REG_EFER) & EFER_LMA;
}

bool vcpu_is_64bit(struct vcpu *vcpu)
{
	return vcpu_is_long_mode(vcpu) && (vcpu_reg_hot(vcpu, REG_CS_AR) & AR_L);
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

u64 vcpu_cr2(void)
{
	return read_cr2();
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

bool vcpu_intercepts_cr(struct vcpu *vcpu)
{
	(void)vcpu;
	return options.intercept & INTERCEPT_CR;
}

/*
 * With "save VMX-preemption timer value" the timer goes on where it stood, after an exit of another kind.
 */
void vcpu_set_timer_wish(struct vcpu *vcpu, u32 ticks)
{
	ASSERT(vcpu->vmcs == &vcpu->vmcs01 && !vcpu->nested.vmxon && ticks);
	vcpu->wish.timer_ticks = ticks;
	vcpu->nested.timer_rest = ticks;
	vmcs_write(VMCS_pin_controls, caps_control(vmx_caps.pin, l0_controls.pin | PIN_PREEMPTION_TIMER));
	vmcs_write(VMCS_exit_controls,
		   caps_control(vmx_caps.exit, l0_controls.exit | EXIT_SAVE_PREEMPTION_TIMER));
	vmcs_write(VMCS_preemption_timer_value, ticks);
}

/*
 * The timer counts down by 1 each time that bit X of the TSC changes. SDM: "IA32_VMX_MISC", bits 4:0. Without
 * the control that saves it, it starts anew at each entry.
 */
void vcpu_set_quiet_timer(struct vcpu *vcpu, u64 tsc)
{
	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	if (vcpu->wish.timer_ticks || !(vmx_caps.pin.allowed1 & PIN_PREEMPTION_TIMER))
		return;
	vmcs_write(VMCS_pin_controls,
		   caps_control(vmx_caps.pin, l0_controls.pin | (tsc ? PIN_PREEMPTION_TIMER : 0)));
	vmcs_write(VMCS_preemption_timer_value, tsc >> (rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_RATE));
}
