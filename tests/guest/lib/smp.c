/* SPDX-License-Identifier: MIT */
/*
 * The other CPUs: started by INIT and SIPI through a trampoline in low memory, then waiting for work in a
 * mailbox.
 */
#include "tests/guest/lib/trap.h"

enum { TRAMPOLINE = 0x7000 };

extern u8 trampoline[], trampoline_end[];
extern u64 smp_stack;
void smp_main(void);

u64 smp_stack;
static u8 stacks[CPU_MAX][CPU_STACK] ALIGNED(16);
static volatile u32 started = 1;

void delay(u64 ticks)
{
	u64 end = rdtsc() + ticks;

	while (rdtsc() < end)
		cpu_pause();
}

void smp_main(void)
{
	u32 id = started;
	struct cpu *cpu = &cpus[id];

	trap_init_cpu(cpu, id);
	apic_enable();
	cpu->apic_id = msr_read(MSR_APIC_BASE) & BIT(10) ? apic_read(0x20) : apic_read(0x20) >> 24;
	started = id + 1;
	for (;;) {
		void (*fn)(void *) = cpu->mailbox;

		if (fn) {
			fn(cpu->mailbox_arg);
			cpu->mailbox = NULL;
		}
		cpu_pause();
	}
}

/* The boot CPU is asked for the others by their APIC ids 1, 2, ...: that is how the platforms here number
 * them. */
u32 smp_start(void)
{
	u32 apic_id;

	memcpy(ptr_of(TRAMPOLINE), trampoline, trampoline_end - trampoline);
	for (apic_id = started; apic_id < CPU_MAX && started == apic_id; apic_id++) {
		u64 end;

		smp_stack = addr_of(stacks[apic_id]) + CPU_STACK;
		apic_ipi(apic_id, ICR_INIT | ICR_ASSERT);
		delay(20000);
		apic_ipi(apic_id, ICR_SIPI | ICR_ASSERT | TRAMPOLINE >> 12);
		for (end = rdtsc() + 400000; rdtsc() < end && started == apic_id;)
			cpu_pause();
	}
	return started;
}

/*
 * The last CPU anew, in the way of an operating system that gives it back: INIT, a SIPI at once, and a second
 * one `gap` ticks later. False if it does not start.
 */
bool smp_restart(u64 gap)
{
	u32 id = started - 1, apic_id = cpus[id].apic_id;
	bool up;
	u64 end;

	started = id;
	smp_stack = addr_of(stacks[id]) + CPU_STACK;
	apic_ipi(apic_id, ICR_INIT | ICR_ASSERT);
	apic_ipi(apic_id, ICR_SIPI | ICR_ASSERT | TRAMPOLINE >> 12);
	delay(gap);
	apic_ipi(apic_id, ICR_SIPI | ICR_ASSERT | TRAMPOLINE >> 12);
	for (end = rdtsc() + 400000; rdtsc() < end && started == id;)
		cpu_pause();
	up = started != id;
	started = id + 1;
	return up;
}

void smp_call(u32 cpu, void (*fn)(void *), void *arg)
{
	cpus[cpu].mailbox_arg = arg;
	cpus[cpu].mailbox = fn;
}

bool smp_wait(u32 cpu, u64 ticks)
{
	u64 end = rdtsc() + ticks;

	while (cpus[cpu].mailbox && rdtsc() < end)
		cpu_pause();
	return !cpus[cpu].mailbox;
}
