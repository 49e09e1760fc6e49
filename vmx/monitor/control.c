/* SPDX-License-Identifier: MIT */
/*
 * The number of the round is odd while the machine is stopped. A CPU that stops writes the round's number
 * down, so that a second stop right behind a `go` is not taken for the first.
 */
#include "vmx/monitor/control.h"

#include "kernel/hw/cpu.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "vmx/l1/rest.h"
#include "vmx/monitor/break.h"

#define PERIODS_MAX 10
#define START_PART 64 /* of a period: from L0 into a guest that waits, many times over */
#define NOBODY (~0u)
#define LEFT(round) (~(round))

static u64 period;		   /* constant after control_init() */
static u32 stop_round;		   /* any CPU, atomic */
static u32 kept_round;		   /* any CPU, atomic: the round that is not to end with its command */
static u64 stood;		   /* the CPU with the turn: ticks of the stops that are over */
static u64 stands_since;	   /* and when the present one began */
static u32 turn;		   /* any CPU, atomic: written by the one that has it */
static u32 alone = NOBODY;	   /* any CPU, atomic: written by the one that has the turn, and by itself */
static bool going;		   /* any CPU, atomic: who waits for a SIPI goes first, the others behind */
static u32 stopped_in[PERCPU_MAX]; /* each written by its CPU, atomic; LEFT: no more, it waits for a SIPI */

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

bool control_waits_for_sipi(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_WAIT_FOR_SIPI;
}

/*
 * In wait-for-SIPI only a SIPI makes the processor exit. Another CPU's cache is looked at for the wait's sake
 * alone: what it says may be old.
 */
static bool seems_to_wait(u32 id)
{
	const struct vcpu *vcpu = percpu_get(id)->vcpu;
	u64 activity;

	return regcache_knows(&vcpu->vmcs->cache, REG_ACTIVITY, &activity) &&
	       activity == ACTIVITY_WAIT_FOR_SIPI;
}

/* An INIT that comes meanwhile leads to a wait for a SIPI, which nobody does here. */
bool control_rest(struct vcpu *vcpu)
{
	if (!rest_a_moment(vcpu))
		return true;
	__atomic_store_n(&stopped_in[vcpu->cpu->id], LEFT(now()), __ATOMIC_RELEASE);
	return false;
}

static bool await(struct vcpu *vcpu, u32 id)
{
	u64 start = rdtsc();

	while (!control_has_stopped(id) && !seems_to_wait(id) && rdtsc() - start < PERIODS_MAX * period)
		if (!control_rest(vcpu))
			return false;
	return true;
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
		if (i != self && percpu_get(i)->vcpu && !await(vcpu, i))
			return false;
	return true;
}

/* Another CPU that can take the turn. */
static bool has_another(u32 self)
{
	for (u32 i = 0; i < percpu_count(); i++)
		if (i != self && control_has_stopped(i) && !seems_to_wait(i))
			return true;
	return false;
}

/*
 * A SIPI that finds a CPU on its way into the wait is lost: so whoever is to wait goes first, this CPU too,
 * and then another one has its turn and comes here again.
 */
void control_go(void)
{
	u32 self = control_turn();
	u64 start = rdtsc();

	break_settle();
	__atomic_store_n(&going, true, __ATOMIC_RELEASE);
	if (seems_to_wait(self) && has_another(self))
		return;
	while (rdtsc() - start < period / START_PART)
		cpu_pause();
	__atomic_store_n(&going, false, __ATOMIC_RELEASE);
	stood += rdtsc() - stands_since;
	__atomic_fetch_add(&stop_round, 1, __ATOMIC_ACQ_REL);
}

bool control_is_going(void)
{
	return __atomic_load_n(&going, __ATOMIC_ACQUIRE);
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

/* Of a CPU that has left. */
static void take_turn(u32 self, u32 round)
{
	u32 had = control_turn();

	if (__atomic_load_n(&stopped_in[had], __ATOMIC_ACQUIRE) == LEFT(round))
		__atomic_compare_exchange_n(&turn, &had, self, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/*
 * One that is about to wait for a SIPI does not stop: in VMX root operation it would lose the SIPI of a CPU
 * that has not stopped yet, or of one that goes alone. One that was stepped into the wait does, until all go.
 */
bool control_stay(struct vcpu *vcpu)
{
	u32 *mine = &stopped_in[vcpu->cpu->id], round = now();

	if (!(round & 1) || (READ_ONCE(vcpu->request) & REQUEST_STOP) || control_is_alone(vcpu))
		return false;
	if ((*mine != round || control_is_going()) && control_waits_for_sipi(vcpu)) {
		__atomic_store_n(mine, LEFT(round), __ATOMIC_RELEASE);
		return false;
	}
	__atomic_store_n(mine, round, __ATOMIC_RELEASE);
	take_turn(vcpu->cpu->id, round);
	return true;
}
