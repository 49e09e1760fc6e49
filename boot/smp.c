/* SPDX-License-Identifier: MIT */
/*
 * Records, stacks and the start of the processors; see boot/smp.h.  Each
 * CPU has four stacks (its own, NMI, #DF, #MC), each above a page that is
 * never mapped.
 */
#include "boot/smp.h"

#include "drivers/apic.h"
#include "kernel/bits.h"
#include "kernel/desc.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/trap.h"
#include "mm/host_map.h"
#include "mm/memmap.h"

#define STACK_PAGES 4
#define STACK_STRIDE ((STACK_PAGES + 1) * PAGE_SIZE)
#define STACKS_PER_CPU 4
enum { STACK_MAIN, STACK_NMI, STACK_DOUBLE_FAULT, STACK_MACHINE_CHECK };

#define ONLINE_OK 1u
#define ONLINE_FAILED 2u

/* An input from port 80h takes about a microsecond. */
#define DELAY_PORT 0x80
#define INIT_DELAY 10000
#define SIPI_DELAY 200
#define ONLINE_DELAY 1000000

extern const u8 trampoline_start[], trampoline_parameters[], trampoline_end[];

struct trampoline_parameters {
	u64 stack, function, argument, cr3;
};

static enum status ap_status; /* of the AP that is being started; before `online` is set */
static u32 barrier_count;     /* any CPU, atomic */

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

enum status smp_check(const struct acpi_cpus *found, u32 limit)
{
	u32 total = found->count, self = apic_id();
	bool named = false;

	for (u32 i = 0; i < MIN(total, (u32)ACPI_CPU_MAX); i++)
		named |= found->apic_id[i] == self;
	total += !named;
	if (total > ACPI_CPU_MAX)
		return status_with(STATUS_MANY_CPUS, "%u", total);
	if (limit > total)
		return status_with(STATUS_TOO_MANY_CPUS, "%u", limit);
	return STATUS_OK;
}

void smp_create_cpus(const struct acpi_cpus *found, u32 limit)
{
	u32 self = apic_id(), count = 1;

	make_stacks(percpu_create(self, false));
	for (u32 i = 0; i < found->count; i++) {
		struct percpu *cpu;

		if (found->apic_id[i] == self)
			continue;
		cpu = percpu_create(found->apic_id[i], limit && count >= limit);
		ASSERT(cpu);
		make_stacks(cpu);
		count++;
	}
}

void smp_setup_this(struct percpu *cpu)
{
	desc_load(cpu);
	percpu_load(cpu);
	trap_load();
}

static void delay(u32 microseconds)
{
	while (microseconds--)
		(void)inb(DELAY_PORT);
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
		delay(1);
	}
	return status_with(STATUS_CPU_START, "%u", cpu->apic_id);
}

static enum status start_one(struct percpu *cpu, u8 page)
{
	apic_send_init(cpu->apic_id);
	delay(INIT_DELAY);
	apic_send_sipi(cpu->apic_id, page);
	delay(SIPI_DELAY);
	if (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE))
		apic_send_sipi(cpu->apic_id, page);
	return wait_online(cpu);
}

static void write_trampoline(u8 *at, const struct percpu *cpu, void (*main)(struct percpu *cpu))
{
	const struct trampoline_parameters parameters = {
		.stack = cpu->stack_top,
		.function = (u64)main,
		.argument = (u64)cpu,
		.cr3 = read_cr3(),
	};

	memcpy(at, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	memcpy(at + (trampoline_parameters - trampoline_start), &parameters, sizeof(parameters));
}

enum status smp_start(void (*main)(struct percpu *cpu))
{
	static u8 saved[PAGE_SIZE];
	u64 pa = memmap_find_low(PAGE_SIZE, PAGE_SIZE, 0x1000, 0xa0000, (struct memmap_avoid){ NULL, 0 });
	enum status status = STATUS_OK;
	u32 others = 0;

	for (struct percpu *cpu; (cpu = percpu_next(others + 1)); others++)
		if (!pa)
			return status_with(STATUS_CPU_START, "%u", cpu->apic_id);
	if (!others)
		return STATUS_OK;
	memcpy(saved, phys_to_ptr(HPA(pa)), PAGE_SIZE);
	host_map_identity(pa, true);
	for (u32 i = 1; i <= others && status == STATUS_OK; i++) {
		write_trampoline(phys_to_ptr(HPA(pa)), percpu_next(i), main);
		status = start_one(percpu_next(i), (u8)(pa >> PAGE_SHIFT));
	}
	host_map_identity(pa, false);
	memcpy(phys_to_ptr(HPA(pa)), saved, PAGE_SIZE);
	return status;
}

void smp_barrier(void)
{
	__atomic_fetch_add(&barrier_count, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&barrier_count, __ATOMIC_ACQUIRE) < percpu_count())
		cpu_pause();
}
