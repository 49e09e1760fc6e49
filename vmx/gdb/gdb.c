/* SPDX-License-Identifier: MIT */
/*
 * Who looks at gdb's port, and when: while the machine runs, each CPU at the exits of its VMX-preemption
 * timer; while it stands still, the CPU whose turn it is. The first byte of a packet, or Ctrl-C, stops the
 * machine.
 */
#include "vmx/gdb/gdb.h"

#include "kernel/cmdline.h"
#include "kernel/percpu.h"
#include "vmx/gdb/link.h"
#include "vmx/gdb/session.h"
#include "vmx/monitor/claim.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/monitor.h"
#include "vmx/monitor/step.h"

#define BYTES_MAX 64u /* at one look */

static u32 locked;    /* any CPU, atomic: one looks at the port while the machine runs */
static bool unserved; /* a packet is complete; the CPU whose turn it is */

/* ---- the machine runs, or one CPU of it ---- */

/* By which gdb wants it to stop: Ctrl-C, or the beginning of a packet; else PACKET_NOTHING. */
static enum packet_event call(void)
{
	for (unsigned int i = 0; i < BYTES_MAX; i++) {
		enum packet_event event = link_receive();

		if (event == PACKET_INTERRUPT || event == PACKET_BEGUN)
			return event;
	}
	return PACKET_NOTHING;
}

/*
 * Who waits for the machine to stop says Ctrl-C alone. So a packet is another gdb's, whose predecessor has
 * gone without a word: nothing is to come before its answer. The machine stands still, and `?` says where.
 */
static bool calls(void)
{
	enum packet_event event = call();

	if (event == PACKET_BEGUN)
		WRITE_ONCE(session.waits, false);
	return event != PACKET_NOTHING;
}

static void attend_running(struct vcpu *vcpu)
{
	if (__atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE))
		return;
	if (calls() && control_stop(vcpu)) {
		step_note_stop(vcpu);
		session.cpu = vcpu->cpu->id;
		session.level = (u8)vcpu->guest->level;
	}
	__atomic_store_n(&locked, 0, __ATOMIC_RELEASE);
}

/* The port is its alone: another CPU could stop nobody, and would have taken what gdb says from it. */
static void attend_alone(struct vcpu *vcpu)
{
	if (!control_is_alone(vcpu) || !calls())
		return;
	step_begin(vcpu, 0, 0);
	step_note_stop(vcpu);
	control_end_alone(vcpu);
}

/* ---- it stands still ---- */

static void serve(struct vcpu *vcpu)
{
	u32 cpu = serve_cpu(link_packet());

	/* Another thread's registers are another CPU's to read. */
	if (cpu != vcpu->cpu->id && control_has_stopped(cpu)) {
		control_give_turn(cpu);
		return;
	}
	unserved = false;
	serve_packet(vcpu, link_packet());
}

static void attend(struct vcpu *vcpu)
{
	if (!control_is_stopped())
		attend_running(vcpu);
	else if (control_goes_alone())
		attend_alone(vcpu);
	else if (control_turn() != vcpu->cpu->id)
		return;
	else if (READ_ONCE(session.waits))
		serve_stop(vcpu);
	else if (unserved)
		serve(vcpu);
	else
		unserved = link_receive() == PACKET_COMPLETE;
}

void gdb_open(void)
{
	if (claim_port("gdb", &options.gdb, link_port()))
		monitor_set_client(attend);
}
