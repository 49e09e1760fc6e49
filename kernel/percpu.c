/* SPDX-License-Identifier: MIT */
/*
 * The records of all CPUs and the way to one's own.
 */
#include "kernel/percpu.h"

#include "kernel/msr.h"
#include "kernel/panic.h"

static struct percpu cpus[PERCPU_MAX] ALIGNED(64);
static u32 created, usable;

struct percpu *percpu_get(u32 id)
{
	ASSERT(id < created);
	return &cpus[id];
}

struct percpu *percpu_next(u32 id)
{
	return id < created ? &cpus[id] : NULL;
}

u32 percpu_count(void)
{
	return usable;
}

struct percpu *percpu_create(u32 apic_id, bool parked)
{
	struct percpu *cpu = &cpus[created];

	if (created == PERCPU_MAX)
		return NULL;
	ASSERT(parked || usable == created);
	*cpu = (struct percpu){ .self = cpu, .id = created, .apic_id = apic_id, .parked = parked };
	created++;
	usable += !parked;
	return cpu;
}

void percpu_load(struct percpu *cpu)
{
	wrmsr(MSR_IA32_GS_BASE, (u64)cpu);
}
