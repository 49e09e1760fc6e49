/* SPDX-License-Identifier: MIT */
/*
 * Guest test "storm": CPUs that do to VMX whatever comes, all at once and to each other: instructions with
 * wild and half-valid operands, memory rewritten while it is used, NMI, INIT and SIPI at any time, L2s as
 * hostile as L1. After each burst Socle is asked whether it is whole (its debug call), absent memory must be
 * all ones, and what VMX operation took must have been given back.
 *
 * Options: seed=N ops=N (of all CPUs) cpus=N burst=N (operations of a burst) from=N (the first burst: each
 * begins from the same state, so that one can be had again by itself) machine (storm_machine.c).
 */
#include "tests/guest/storm.h"

enum {
	STACK = 16384,
	QUIET = 150000,
	PATIENCE = 60,
};

struct storm_cpu storm_cpus[CPU_MAX];
u32 storm_count;
bool storm_in_socle;

extern u8 storm_trampoline[], storm_trampoline_end[], storm_nmi16[], storm_nmi32[], storm_nmi64[];
extern u64 storm_stacks[CPU_MAX];
void storm_ap_main(u32 id);

u64 storm_stacks[CPU_MAX];
static u8 stacks[CPU_MAX][STACK] ALIGNED(16);
static volatile u32 to_finish; /* the burst that is over */

/* ---- the CPUs ---- */

static bool on_nmi(struct trap_frame *frame)
{
	(void)frame;
	return true;
}

static u64 vmxoff_now(u64 unused1, u64 unused2, u64 unused3)
{
	(void)unused1;
	(void)unused2;
	(void)unused3;
	vmxoff();
	return 0;
}

/* Back at base: outside VMX operation, nothing pending, memory as it was made. An INIT that was held comes
 * now. */
static void finish(struct storm_cpu *c, u32 burst)
{
	struct fault f;
	u32 i;

	nmi_unblock();
	cpu_sti();
	cpu_pause();
	cpu_cli();
	c->current = NULL;
	guard_call(&f, vmxoff_now, 0, 0, 0);
	c->on = false;
	storm_types_restore(c);
	storm_check_resources(c);
	storm_check_memory(c);
	for (i = 0; i < STORM_VMS; i++)
		storm_vm_fresh(&c->vms[i]);
	c->ops = 0;
	c->quota = 0;
	c->finished = burst;
}

static void set_up(struct storm_cpu *c)
{
	vmx_enable();
	c->vmxon_region = this_cpu()->vmxon_page;
	storm_vm_setup(c);
	storm_types_keep(c);
	vmx_disable();
	c->ready = true;
}

void storm_ap_main(u32 id)
{
	struct storm_cpu *c = &storm_cpus[id];
	struct cpu *cpu = &cpus[id];

	trap_init_cpu(cpu, id);
	cpu->guard_fault = NULL;
	cpu->vmx_on = false;
	cpu->vm = NULL;
	nmi_unblock();
	apic_enable();
	c->starts++;
	c->on = false;
	c->current = NULL;
	if (!c->ready)
		set_up(c);
	for (;;) {
		u32 burst = to_finish;

		if (c->ops < c->quota)
			storm_op(c);
		else if (c->finished != burst)
			finish(c, burst);
		else
			cpu_pause();
	}
}

/* SIPIs find the trampoline, NMIs on its way a handler in each mode: real (vector 2), protected, long. */
static void prepare_low_memory(void)
{
	u64 *table = ptr_of(0), at = addr_of(storm_nmi32), wide = addr_of(storm_nmi64);

	memcpy(ptr_of(STORM_VECTOR * PAGE_SIZE), storm_trampoline,
	       (size_t)(storm_trampoline_end - storm_trampoline));
	asm("" : "+r"(table)); /* address 0 is no null pointer here */
	((u32 *)table)[2] = STORM_VECTOR << 24 | (u32)(storm_nmi16 - storm_trampoline);
	table[2] = (at & 0xffff) | SEL_CODE32 << 16 | 0x8e00ul << 32 | (at >> 16) << 48;
	table[4] = (wide & 0xffff) | SEL_CODE64 << 16 | 0x8e00ul << 32 | (wide >> 16 & 0xffff) << 48;
	table[5] = wide >> 32;
}

static bool start_cpu(u32 id)
{
	u64 end = rdtsc() + 40000000;

	storm_stacks[id] = addr_of(stacks[id]) + STACK;
	apic_ipi(cpus[id].apic_id, ICR_INIT | ICR_ASSERT);
	delay(20000);
	apic_ipi(cpus[id].apic_id, ICR_SIPI | ICR_ASSERT | STORM_VECTOR);
	while (!storm_cpus[id].ready && rdtsc() < end)
		cpu_pause();
	return storm_cpus[id].ready;
}

/*
 * A CPU may be halted, shut down or waiting for a SIPI, as L1 or in its L2: what can wake it, one after the
 * other. (An INIT that comes while it is at work waits, or is one more of the storm's.)
 */
static bool wait_for(struct storm_cpu *c, bool finishing)
{
	static const u32 wake[] = { ICR_NMI, ICR_SIPI | STORM_VECTOR, ICR_INIT, ICR_SIPI | STORM_VECTOR };
	u64 seen = ~0ul, since = rdtsc();
	u32 tries = 0;

	while (finishing ? c->finished != to_finish : c->ops < c->quota) {
		if (c->ops != seen) {
			seen = c->ops;
			since = rdtsc();
			tries = 0;
		}
		if (rdtsc() - since > QUIET) {
			if (++tries > PATIENCE)
				return false;
			/* one that finishes has nobody to wait for but a SIPI, if a held INIT came */
			apic_ipi(cpus[c->id].apic_id,
				 (finishing ? ICR_SIPI | STORM_VECTOR : wake[tries & 3]) | ICR_ASSERT);
			since = rdtsc();
		}
		cpu_pause();
	}
	return true;
}

/* ---- bursts ---- */

/*
 * A CPU that nothing wakes. A VMX abort is the one way in which the SDM lets that happen here: a bad entry in
 * an MSR list of VM exits; the CPU is then shut down for good, and the storm goes on without it.
 */
static void lost(struct storm_cpu *c, u32 number, const char *what)
{
	u32 indicator = storm_abort(c);

	c->dead = true;
	if (indicator && storm_exit_list_is_bad(c->current))
		info("abort=%u cpu=%u in burst %u after %lu operations: its MSR list is bad", indicator,
		     c->id, number, c->ops);
	else
		storm_failed(c, indicator ? "a CPU is gone by a VMX abort with a good MSR list" : what,
			     c->ops);
}

static void wait_for_all(u32 number, bool finishing)
{
	u32 i;

	for (i = 1; i < storm_count; i++)
		if (!storm_cpus[i].dead && !wait_for(&storm_cpus[i], finishing))
			lost(&storm_cpus[i], number,
			     finishing ? "a CPU is gone, in finishing" : "a CPU is gone, in its operation");
}

/* `each` operations, of the CPUs that there are still; how many they did. */
static u64 burst(u32 number, u64 seed, u64 each)
{
	struct storm_cpu *own = &storm_cpus[0];
	u64 mix = seed * 0xd1342543de82ef95ul + number, done = 0;
	u32 living = 0, i;

	for (i = 0; i < storm_count; i++) {
		storm_cpus[i].seed = random_next(&mix);
		living += !storm_cpus[i].dead;
	}
	for (i = storm_count; i-- > 0;)
		if (!storm_cpus[i].dead)
			storm_cpus[i].quota = each / living;
	while (own->ops < own->quota)
		storm_op(own);
	wait_for_all(number, false);
	for (i = 0; i < storm_count; i++) {
		done += storm_cpus[i].ops < storm_cpus[i].quota ? storm_cpus[i].ops : storm_cpus[i].quota;
		/* it does none in the bursts to come */
		if (storm_cpus[i].dead)
			storm_cpus[i].ops = storm_cpus[i].quota = 0;
	}
	to_finish = number + 1;
	finish(own, to_finish);
	wait_for_all(number, true);
	storm_check_absent(own);
	storm_check_image(own);
	return done;
}

static bool any_failed(void)
{
	u32 i;

	for (i = 0; i < storm_count && !storm_cpus[i].failures; i++)
		;
	return i < storm_count;
}

static bool report(u32 number, u64 done)
{
	u64 entries = 0, exits = 0, vmfails = 0, bad = 0, faults = 0, starts = 0;
	bool good = true;
	u32 i;

	for (i = 0; i < storm_count; i++) {
		struct storm_cpu *c = &storm_cpus[i];

		entries += c->entries;
		exits += c->exits;
		vmfails += c->vmfails;
		bad += c->bad_entries;
		faults += c->faults;
		starts += c->starts;
		if (c->failures) {
			info("burst=%u cpu=%u %s: %lx (%u failures)", number, i, c->failed, c->failed_value,
			     c->failures);
			c->failures = 0;
			good = false;
		}
	}
	info("bursts=%u ops=%lu entries=%lu exits=%lu vmfails=%lu bad=%lu faults=%lu starts=%lu nmis=%u "
	     "inits=%u sipis=%u",
	     number, done, entries, exits, vmfails, bad, faults, starts, storm_nmis, storm_inits,
	     storm_sipis);
	return good;
}

/* What L2s did, on request: how often each exit reason came. */
static void report_reasons(void)
{
	u32 reason, i;

	for (reason = 0; reason < ARRAY_SIZE(storm_cpus[0].reasons); reason++) {
		u64 sum = 0;

		for (i = 0; i < storm_count; i++)
			sum += storm_cpus[i].reasons[reason];
		if (sum)
			info("exit=%u times=%lu", reason, sum);
	}
}

/* How many CPUs: those that there are, or fewer on request; each gets its guests. */
static void gather(void)
{
	u32 i;

	storm_count = (u32)option_number("cpus", CPU_MAX);
	i = smp_start();
	storm_count = storm_count < i ? storm_count : i;
	prepare_low_memory();
	storm_l2_init();
	storm_ops_init();
	storm_machine_init();
	trap_hook(VEC_NMI, on_nmi);
	for (i = 0; i < storm_count; i++)
		storm_cpus[i].id = i;
	set_up(&storm_cpus[0]);
	for (i = 1; i < storm_count; i++)
		CHECK(start_cpu(i));
}

TEST(storm)
{
	u64 seed = option_number("seed", 1), ops = option_number("ops", 20000),
	    each = option_number("burst", 800);
	u64 done = 0, said = 0;
	u32 number = (u32)option_number("from", 0);
	bool good = true;

	NEED(caps_proc2(PROC2_EPT));
	storm_in_socle = under_socle();
	storm_set_targets();
	gather();
	info("seed=%lu ops=%lu cpus=%u", seed, ops, storm_count);
	storm_check_image(&storm_cpus[0]);
	while (done < ops && good) {
		done += burst(number, seed, each);
		storm_modes(&storm_cpus[0]);
		number++;
		if (any_failed() || done - said >= 20000 || done >= ops) {
			good = report(number, done);
			said = done;
		}
	}
	storm_check_window(&storm_cpus[0]);
	good &= report(number, done);
	if (option_flag("reasons"))
		report_reasons();
	CHECK(good);
	info("alive");
}
