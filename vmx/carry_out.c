/* SPDX-License-Identifier: MIT */
/*
 * Outcomes that are more than going on are carried out here: an exception is injected, L2 ends, the machine
 * stops. SDM: "Event Injection", "VM Exits".
 */
#include "vmx/carry_out.h"

#include "drivers/apic.h"
#include "drivers/reset.h"
#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "vmx/crash.h"
#include "vmx/guest/vcpu.h"
#include "vmx/inject.h"
#include "vmx/nested/exit/exit.h"

/* The other CPUs stop before their next entry; the NMI makes them exit now. */
static void stop_others(void)
{
	const struct percpu *self = percpu_this();

	for (u32 i = 0; i < percpu_count(); i++) {
		const struct percpu *cpu = percpu_get(i);

		if (cpu == self || !cpu->vcpu)
			continue;
		__atomic_fetch_or(&cpu->vcpu->request, REQUEST_STOP, __ATOMIC_RELEASE);
		apic_send_nmi(cpu->apic_id);
	}
}

/* As boards do after a shutdown, but so much later that the reason can be read. */
static NORETURN void stop(void)
{
	crash_report();
	stop_others();
	if (options.stop_resets) {
		log_error("stopped; the machine is reset in %u seconds (on-stop=halt leaves it as it is)",
			  options.stop_seconds);
		for (u32 i = 0; i < options.stop_seconds; i++)
			apic_delay(1000000);
		reset_machine();
	}
	log_error("halted");
	cpu_halt_forever();
}

void run_panic_dump(void)
{
	stop_others();
	crash_report();
	crash_stack();
}

enum outcome run_carry_out(struct vcpu *vcpu, enum outcome outcome)
{
	for (;;) {
		switch (outcome) {
		case OUTCOME_STOP: stop();
		case OUTCOME_FAULT: outcome = inject_fault(vcpu); break;
		case OUTCOME_REFLECT:
		case OUTCOME_ENTRY_FAILURE: outcome = nested_end_l2(vcpu, outcome); break;
		default: return outcome;
		}
	}
}
