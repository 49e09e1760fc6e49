/* SPDX-License-Identifier: MIT */
/*
 * Packets that let the machine go on, or a CPU of it, and those by which gdb leaves.
 * GDB's manual: "Packets", vCont.
 */
#include "kernel/string.h"
#include "vmx/gdb/packet.h"
#include "vmx/gdb/serve.h"
#include "vmx/gdb/session.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/step.h"

/* gdb hears no more before the machine stops. Steps of an earlier time that are not over are void. */
static void go(struct vcpu *vcpu, bool step, bool alone)
{
	session.waits = true;
	step_begin(vcpu, step, session.level);
	if (alone)
		control_go_alone(vcpu);
	else
		control_go();
}

void do_continue(struct vcpu *vcpu, const char *text)
{
	(void)text;
	go(vcpu, false, false);
}

void do_step(struct vcpu *vcpu, const char *text)
{
	(void)text;
	go(vcpu, true, true);
}

/*
 * Actions: c and s, with a signal that is dropped, of a thread or of all that are left. The first is that of
 * the thread in question; whether the others stand still meanwhile, a later one says.
 */
void do_actions(struct vcpu *vcpu, const char *text)
{
	bool step = *text == 's' || *text == 'S', others;
	const char *thread = strchr(text, ':'), *next = strchr(text, ';');
	u64 number;

	if (!step && *text != 'c' && *text != 'C') {
		say("E01");
		return;
	}
	if (thread && (!next || thread < next)) {
		thread++;
		if (packet_take_word(&thread, "-1"))
			others = true;
		else if (!packet_take_number(&thread, &number) || !thread_select(number)) {
			say("E01");
			return;
		} else
			others = next;
	} else {
		others = !step;
	}
	go(vcpu, step, !others);
}

static void leave(struct vcpu *vcpu)
{
	step_begin(vcpu, 0, 0);
	breaks_forget();
	session.waits = false;
	session.level = 1;
	control_go();
}

void do_detach(struct vcpu *vcpu, const char *text)
{
	(void)text;
	say("OK");
	leave(vcpu);
}

/* It kills nobody. */
void do_kill(struct vcpu *vcpu, const char *text)
{
	(void)text;
	leave(vcpu);
}

void do_actions_known(struct vcpu *vcpu, const char *text)
{
	(void)vcpu, (void)text;
	say("vCont;c;C;s;S");
}
