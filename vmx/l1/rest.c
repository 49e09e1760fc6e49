/* SPDX-License-Identifier: MIT */
/*
 * An AP of L1's outside VMX operation has to take an INIT at once, for the SIPI comes right behind. In VMX
 * operation it holds INITs and loses SIPIs by itself, and so does L0; the BSP needs no SIPI. The guest is one
 * of INIT state in HLT, whose interrupts stay with the local APIC.
 * SDM: "INIT signals are blocked in VMX root operation", "Other Causes of VM Exits".
 */
#include "vmx/l1/rest.h"

#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "mm/page_alloc.h"
#include "vmx/guest/event.h"
#include "vmx/guest/handlers.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/entry.h"
#include "vmx/l1/l1.h"

#define PARTS 256u /* moments in the monitor's period */

static struct resting {
	hpa_t region; /* 0: it does not rest */
	bool launched;
} resting[PERCPU_MAX]; /* each its CPU's */

/* An AP's vmcs01 as it is made is of such a guest; L1 gets another one. */
void rest_init(struct vcpu *vcpu)
{
	if ((rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_BSP) || !(vmx_caps.misc & VMX_MISC_ACTIVITY(ACTIVITY_HLT)))
		return;
	vmcs_write(VMCS_exception_bitmap, ~0u);
	regcache_flush(&vcpu->vmcs01.cache);
	resting[vcpu->cpu->id].region = vcpu->vmcs01.region;
	vmcs_init(&vcpu->vmcs01, page_alloc(), &vcpu->counters.registers);
	vcpu->vmcs = NULL;
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	l1_start(vcpu, NULL);
	vcpu_set_timer_wish(vcpu, vcpu->wish.timer_ticks);
}

/* What comes besides is told as L0's handlers tell what finds them (vmx/before_entry.c). */
static u64 request_of(struct vcpu *vcpu, u32 reason)
{
	if (reason == EXIT_PREEMPTION_TIMER || reason == EXIT_INIT)
		return 0;
	if (reason == EXIT_EXCEPTION_NMI && (u8)vmcs_read(VMCS_exit_intr_info) == VEC_NMI)
		return vcpu->wish.nmi ? REQUEST_MONITOR_NMI : REQUEST_NMI;
	return REQUEST_MACHINE_CHECK;
}

/* Requests are the next entry's into L1. The exit's reason, or as if nothing had come. */
static NOINLINE u32 enter(struct vcpu *vcpu, bool *launched)
{
	u64 request = __atomic_exchange_n(&vcpu->request, 0, __ATOMIC_ACQ_REL);
	enum enter_result result;
	u32 reason = EXIT_PREEMPTION_TIMER;

	vmcs_write(VMCS_guest_activity_state, ACTIVITY_HLT);
	vmcs_write(VMCS_preemption_timer_value, vcpu->wish.timer_ticks / PARTS);
	vcpu->launched = *launched;
	vcpu = vmx_enter(vcpu, &result);
	if (result == ENTER_EXITED) {
		*launched = true;
		reason = (u32)vmcs_read(VMCS_exit_reason);
		request |= request_of(vcpu, reason);
	}
	__atomic_fetch_or(&vcpu->request, request, __ATOMIC_RELEASE);
	return reason;
}

/* For others, who look at its registers, the guest is the one that stands still: vcpu->vmcs. */
bool rest_a_moment(struct vcpu *vcpu)
{
	struct resting *mine = &resting[vcpu->cpu->id];
	u32 reason;

	if (vcpu->nested.vmxon || (vcpu->vmcs->steps & STEP_ABSENT) || !mine->region.v) {
		cpu_pause();
		return false;
	}
	if (!hw_vmptrld_ok(&mine->region.v))
		panic("the VMCS of a CPU that rests cannot be loaded");
	reason = enter(vcpu, &mine->launched);
	vmcs_load(vcpu->vmcs);
	vcpu->launched = vcpu->vmcs->launched;
	if (reason != EXIT_INIT)
		return false;
	vcpu->counters.exits_l1[EXIT_INIT]++;
	l1_take_init(vcpu);
	return true;
}
