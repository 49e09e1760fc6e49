/* SPDX-License-Identifier: MIT */
/*
 * The number of the round is odd while the machine is stopped. A CPU that stops writes the round's number
 * down, so that a second stop right behind a `go` is not taken for the first.
 */
#include "vmx/monitor/control.h"

#include "kernel/hw/cpu.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "vmx/monitor/break.h"

#define PERIODS_MAX 10
#define NOBODY (~0u)

static u64 period;		   /* constant after control_init() */
static u32 stop_round;		   /* any CPU, atomic */
static u32 kept_round;		   /* any CPU, atomic: the round that is not to end with its command */
static u64 stood;		   /* the CPU with the turn: ticks of the stops that are over */
static u64 stands_since;	   /* and when the present one began */
static u32 turn;		   /* any CPU, atomic: written by the one that has it */
static u32 alone = NOBODY;	   /* any CPU, atomic: written by the one that has the turn, and by itself */
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

/* The round is begun by one CPU only; it has the turn before anybody can see that. */
static bool begin_round(u32 self)
{
	u32 round = now();

	if (round & 1)
		return false;
	__atomic_store_n(&stopped_in[self], round + 1, __ATOMIC_RELAXED);
	if (!__atomic_compare_exchange_n(&stop_round, &round, round + 1, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return false;
	stands_since = rdtsc();
	return true;
}

bool control_stop(struct vcpu *vcpu)
{
	u32 self = vcpu->cpu->id;

	if (!begin_round(self))
		return false;
	control_give_turn(self);
	/* A CPU that is held, or not Socle's at all, has no vCPU. */
	for (u32 i = 0; i < percpu_count(); i++)
		if (i != self && percpu_get(i)->vcpu)
			request(percpu_get(i)->vcpu);
	for (u32 i = 0; i < percpu_count(); i++)
		if (i != self && percpu_get(i)->vcpu)
			await(i);
	return true;
}

void control_go(void)
{
	break_settle();
	stood += rdtsc() - stands_since;
	__atomic_fetch_add(&stop_round, 1, __ATOMIC_ACQ_REL);
}

u64 control_stood_still(void)
{
	return stood + (control_is_stopped() ? rdtsc() - stands_since : 0);
}

void control_keep(void)
{
	__atomic_store_n(&kept_round, now(), __ATOMIC_RELEASE);
}

bool control_go_behind(struct vcpu *vcpu)
{
	u32 round = now();

	control_go();
	return __atomic_load_n(&kept_round, __ATOMIC_ACQUIRE) != round || !control_stop(vcpu);
}

void control_go_alone(struct vcpu *vcpu)
{
	break_settle();
	__atomic_store_n(&alone, vcpu->cpu->id, __ATOMIC_RELEASE);
}

bool control_goes_alone(void)
{
	return __atomic_load_n(&alone, __ATOMIC_ACQUIRE) != NOBODY;
}

bool control_is_alone(const struct vcpu *vcpu)
{
	return __atomic_load_n(&alone, __ATOMIC_ACQUIRE) == vcpu->cpu->id;
}

bool control_end_alone(struct vcpu *vcpu)
{
	u32 self = vcpu->cpu->id;

	return __atomic_compare_exchange_n(&alone, &self, NOBODY, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
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

	if (!control_is_stopped() || (READ_ONCE(vcpu->request) & REQUEST_STOP) || control_is_alone(vcpu))
		return false;
	if (*mine != now() && vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_WAIT_FOR_SIPI)
		return false;
	__atomic_store_n(mine, now(), __ATOMIC_RELEASE);
	return true;
}
