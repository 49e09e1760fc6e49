/* SPDX-License-Identifier: MIT */
/*
 * Records, stacks and the start of the processors; see boot/smp.h.  Each
 * CPU has four stacks (its own, NMI, #DF, #MC), each above a page that is
 * never mapped.
 */
#include "boot/smp.h"

#include "boot/trampoline.h"
#include "drivers/apic.h"
#include "kernel/bits.h"
#include "kernel/cmdline.h"
#include "kernel/desc.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/trap.h"
#include "mm/host_map.h"
#include "mm/page_alloc.h"

#define STACK_PAGES 4
#define STACK_STRIDE ((STACK_PAGES + 1) * PAGE_SIZE)
#define STACKS_PER_CPU 4
enum { STACK_MAIN, STACK_NMI, STACK_DOUBLE_FAULT, STACK_MACHINE_CHECK };

#define ONLINE_OK 1u
#define ONLINE_FAILED 2u

/* Microseconds. */
#define INIT_DELAY 10000
#define SIPI_DELAY 200
#define ONLINE_DELAY 1000000

static enum status ap_status; /* of the AP that is being started; before `online` is set */
static u32 barrier_count;     /* any CPU, atomic */
static u32 absent_count;      /* BSP; any CPU reads: CPUs of L1's that never come to the barrier */
static u32 turn;	      /* any CPU, atomic: the AP whose vCPU is made; 0: none */

static u64 stack_top(const struct percpu *cpu, u32 which)
{
	return STACK_BASE + ((u64)cpu->id * STACKS_PER_CPU + which + 1) * STACK_STRIDE;
}

u64 smp_stack_top(const struct percpu *cpu)
{
	return stack_top(cpu, STACK_MAIN);
}

static void make_stacks(struct percpu *cpu)
{
	const struct desc_stacks stacks = {
		.nmi = stack_top(cpu, STACK_NMI),
		.double_fault = stack_top(cpu, STACK_DOUBLE_FAULT),
		.machine_check = stack_top(cpu, STACK_MACHINE_CHECK),
	};

	for (u32 i = 0; i < STACKS_PER_CPU; i++)
		host_map_stack(stack_top(cpu, i) - STACK_PAGES * PAGE_SIZE, STACK_PAGES);
	cpu->stack_top = smp_stack_top(cpu);
	desc_init(cpu, &stacks);
}

void smp_create_cpus(const struct roster *roster)
{
	for (u32 i = 0; i < roster->count; i++) {
		struct percpu *cpu = percpu_create(roster->apic_id[i], i >= roster->usable);

		ASSERT(cpu);
		cpu->node = roster->node[i];
		page_alloc_near(cpu->node);
		make_stacks(cpu);
	}
	page_alloc_near(PAGE_ALLOC_ANY);
}

void smp_setup_this(struct percpu *cpu)
{
	desc_load(cpu);
	percpu_load(cpu);
	trap_load();
}

void smp_report(struct percpu *cpu, enum status status)
{
	ap_status = status;
	__atomic_store_n(&cpu->online, status == STATUS_OK ? ONLINE_OK : ONLINE_FAILED, __ATOMIC_RELEASE);
}

static enum status wait_online(struct percpu *cpu)
{
	for (u32 i = 0; i < ONLINE_DELAY; i++) {
		u32 online = __atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE);

		if (online)
			return online == ONLINE_OK ? STATUS_OK : ap_status;
		apic_delay(1);
	}
	return status_with(STATUS_CPU_START, "%x", cpu->apic_id);
}

static enum status start_one(struct percpu *cpu)
{
	if (!apic_reaches(cpu->apic_id))
		return STATUS_CPU_X2APIC;
	apic_send_init(cpu->apic_id);
	apic_delay(INIT_DELAY);
	apic_send_sipi(cpu->apic_id, trampoline_page());
	apic_delay(SIPI_DELAY);
	if (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE))
		apic_send_sipi(cpu->apic_id, trampoline_page());
	return wait_online(cpu);
}

/* Whoever starts uninvited finds nobody wanted, or another APIC ID. */
static enum status start_in_trampoline(struct trampoline *at, struct percpu *cpu,
				       void (*main)(struct percpu *cpu))
{
	enum status status;

	at->stack = cpu->stack_top;
	at->function = (u64)main;
	at->argument = (u64)cpu;
	at->cr3 = read_cr3();
	__atomic_store_n(&at->wanted, cpu->apic_id, __ATOMIC_RELEASE);
	status = start_one(cpu);
	__atomic_store_n(&at->wanted, TRAMPOLINE_NOBODY, __ATOMIC_RELEASE);
	return status;
}

/*
 * What did not come into VMX operation may go on to be started by L1, outside. An INIT keeps one that never
 * came from coming late; it is not held by one, for it is not in VMX operation.
 */
static enum status unheld(struct percpu *cpu, enum status status)
{
	char why[64];

	if (status != STATUS_CPU_START) {
		status_what(status, why, sizeof(why));
		status = status_with(STATUS_CPU_UNHELD, "%x (%s)", cpu->apic_id, why);
	}
	if (!options.unheld_cpus)
		return status;
	if (!cpu->online && apic_reaches(cpu->apic_id))
		apic_send_init(cpu->apic_id);
	log_warn("the CPU with APIC ID %x is not held: L1 can start it outside Socle", cpu->apic_id);
	if (!cpu->parked)
		__atomic_fetch_add(&absent_count, 1, __ATOMIC_RELAXED);
	return STATUS_OK;
}

static enum status start_all(struct trampoline *at, void (*main)(struct percpu *cpu))
{
	struct percpu *cpu;

	for (u32 i = 1; (cpu = percpu_next(i)); i++) {
		enum status status = start_in_trampoline(at, cpu, main);

		if (status != STATUS_OK && !cpu->vmx)
			status = unheld(cpu, status);
		else if (cpu->parked && i < percpu_count())
			__atomic_fetch_add(&absent_count, 1, __ATOMIC_RELAXED);
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

enum status smp_start(u32 counted, void (*main)(struct percpu *cpu))
{
	enum status status = STATUS_OK;
	struct trampoline *at;

	if (percpu_next(1)) {
		at = trampoline_take();
		if (!at)
			return STATUS_NO_LOW_PAGE;
		status = start_all(at, main);
		if (status == STATUS_OK && at->count != counted)
			status = status_with(STATUS_CPUS_RESTLESS, "%u", at->count);
	}
	trampoline_give_back();
	return status;
}

void smp_await_turn(const struct percpu *cpu)
{
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != cpu->id)
		cpu_pause();
}

void smp_end_turn(void)
{
	__atomic_store_n(&turn, 0, __ATOMIC_RELEASE);
}

void smp_take_turns(void)
{
	for (u32 i = 1; i < percpu_count(); i++) {
		const struct percpu *cpu = percpu_get(i);

		if (!cpu->vmx || cpu->parked)
			continue;
		__atomic_store_n(&turn, i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE))
			cpu_pause();
	}
}

void smp_barrier(void)
{
	__atomic_fetch_add(&barrier_count, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&barrier_count, __ATOMIC_ACQUIRE) +
		       __atomic_load_n(&absent_count, __ATOMIC_RELAXED) <
	       percpu_count())
		cpu_pause();
}
