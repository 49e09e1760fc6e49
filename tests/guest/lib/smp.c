/* SPDX-License-Identifier: MIT */
/*
 * The other CPUs: started by INIT and SIPI through a trampoline in low memory, then waiting for work in a
 * mailbox.
 */
#include "tests/guest/lib/trap.h"

extern u8 trampoline[], trampoline_end[];
extern u64 smp_stack;
void smp_main(void);

u64 smp_stack;
static volatile u32 starting, running; /* the CPU that is being started; the one that last came up */
static u8 stacks[CPU_MAX][CPU_STACK] ALIGNED(16);
static u32 started = 1;

void delay(u64 ticks)
{
	u64 end = rdtsc() + ticks;

	while (rdtsc() < end)
		cpu_pause();
}

void smp_main(void)
{
	u32 id = starting;
	struct cpu *cpu = &cpus[id];

	trap_init_cpu(cpu, id);
	cpu->guard_fault = NULL;
	cpu->vmx_on = false;
	cpu->vm = NULL;
	cpu->mailbox = NULL;
	apic_enable();
	cpu->apic_id = msr_read(MSR_APIC_BASE) & BIT(10) ? apic_read(0x20) : apic_read(0x20) >> 24;
	running = id;
	for (;;) {
		void (*fn)(void *) = cpu->mailbox;

		if (fn) {
			fn(cpu->mailbox_arg);
			cpu->mailbox = NULL;
		}
		cpu_pause();
	}
}

void smp_prepare(u32 id)
{
	memcpy(ptr_of(SMP_PAGE << 12), trampoline, trampoline_end - trampoline);
	smp_stack = addr_of(stacks[id]) + CPU_STACK;
	starting = id;
	running = 0;
}

bool smp_has_started(u32 id)
{
	return running == id;
}

static bool start(u32 id, bool init)
{
	u64 end;

	smp_prepare(id);
	if (init) {
		apic_ipi(id, ICR_INIT | ICR_ASSERT);
		delay(20000);
	}
	apic_ipi(id, ICR_SIPI | ICR_ASSERT | SMP_PAGE);
	for (end = rdtsc() + 400000; rdtsc() < end && running != id;)
		cpu_pause();
	return running == id;
}

/* The boot CPU is asked for the others by their APIC ids 1, 2, ...: that is how the platforms here number
 * them. */
u32 smp_start(void)
{
	while (started < CPU_MAX && start(started, true))
		started++;
	return started;
}

/*
 * The last CPU anew, in the way of an operating system that gives it back: INIT, a SIPI at once, and a second
 * one `gap` ticks later. False if it does not start.
 */
bool smp_restart(u64 gap)
{
	u32 id = started - 1, apic_id = cpus[id].apic_id;
	u64 end;

	smp_stack = addr_of(stacks[id]) + CPU_STACK;
	starting = id;
	running = 0;
	apic_ipi(apic_id, ICR_INIT | ICR_ASSERT);
	apic_ipi(apic_id, ICR_SIPI | ICR_ASSERT | SMP_PAGE);
	delay(gap);
	apic_ipi(apic_id, ICR_SIPI | ICR_ASSERT | SMP_PAGE);
	for (end = rdtsc() + 400000; rdtsc() < end && running != id;)
		cpu_pause();
	return running == id;
}

bool smp_revive(u32 cpu, bool init)
{
	return start(cpu, init);
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
