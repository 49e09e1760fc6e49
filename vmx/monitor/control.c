/* SPDX-License-Identifier: MIT */
/*
 * The number of the round is odd while the machine is stopped. A CPU that stops writes the round's number
 * down, so that a second stop right behind a `go` is not taken for the first.
 */
#include "vmx/monitor/control.h"

#include "kernel/hw/cpu.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"

#define PERIODS_MAX 10

static u64 period;		   /* constant after control_init() */
static u32 stop_round;		   /* any CPU, atomic */
static u32 turn;		   /* any CPU, atomic: written by the one that has it */
static u32 stopped_in[PERCPU_MAX]; /* each written by its CPU, atomic */

void control_init(u64 ticks)
{
	period = ticks;
}

u64 control_period(void)
{
	return period;
}

static u32 now(void)
{
	return __atomic_load_n(&stop_round, __ATOMIC_ACQUIRE);
}

bool control_is_stopped(void)
{
	return now() & 1;
}

bool control_has_stopped(u32 id)
{
	return __atomic_load_n(&stopped_in[id], __ATOMIC_ACQUIRE) == now();
}

static void request(struct vcpu *vcpu)
{
	__atomic_fetch_or(&vcpu->request, REQUEST_MONITOR, __ATOMIC_RELEASE);
}

void control_request_this(struct vcpu *vcpu)
{
	request(vcpu);
}

/*
 * In wait-for-SIPI only a SIPI makes the processor exit. Another CPU's cache is looked at for the wait's sake
 * alone: what it says may be old.
 */
static bool waits_for_sipi(const struct vcpu *vcpu)
{
	u64 activity;

	return regcache_knows(&vcpu->vmcs01.cache, REG_ACTIVITY, &activity) &&
	       activity == ACTIVITY_WAIT_FOR_SIPI;
}

static void await(u32 id)
{
	u64 start = rdtsc();

	while (!control_has_stopped(id) && !waits_for_sipi(percpu_get(id)->vcpu) &&
	       rdtsc() - start < PERIODS_MAX * period)
		cpu_pause();
}

void control_stop(struct vcpu *vcpu)
{
	u32 self = vcpu->cpu->id;

	control_give_turn(self);
	__atomic_store_n(&stopped_in[self], now() + 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&stop_round, 1, __ATOMIC_ACQ_REL);
	/* A CPU that is held, or not Socle's at all, has no vCPU. */
	for (u32 i = 0; i < percpu_count(); i++)
		if (i != self && percpu_get(i)->vcpu)
			request(percpu_get(i)->vcpu);
	for (u32 i = 0; i < percpu_count(); i++)
		if (i != self && percpu_get(i)->vcpu)
			await(i);
}

void control_go(void)
{
	__atomic_fetch_add(&stop_round, 1, __ATOMIC_ACQ_REL);
}

u32 control_turn(void)
{
	return __atomic_load_n(&turn, __ATOMIC_ACQUIRE);
}

void control_give_turn(u32 id)
{
	__atomic_store_n(&turn, id, __ATOMIC_RELEASE);
}

/*
 * One that is about to wait for a SIPI does not stop: in VMX root operation it would lose the SIPI of a CPU
 * that has not stopped yet.
 */
bool control_stay(struct vcpu *vcpu)
{
	u32 *mine = &stopped_in[vcpu->cpu->id];

	if (!control_is_stopped() || (READ_ONCE(vcpu->request) & REQUEST_STOP))
		return false;
	if (*mine != now() && vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_WAIT_FOR_SIPI)
		return false;
	__atomic_store_n(mine, now(), __ATOMIC_RELEASE);
	return true;
}
