/* SPDX-License-Identifier: MIT */
/*
 * Packets that let the machine go on, or a CPU of it, and those by which gdb leaves.
 * GDB's manual: "Packets", vCont.
 */
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

#define NO_THREAD 0u
#define ALL_THREADS (~(u64)0)

struct action {
	bool step;
	u64 thread;
};

/* c or s, or with a signal, which is dropped, C or S; and whose. */
static bool take_action(const char **text, struct action *action)
{
	bool has_signal = **text == 'C' || **text == 'S';
	u8 signal;

	*action = (struct action){ .step = **text == 's' || **text == 'S', .thread = NO_THREAD };
	if (!packet_take(text, 'c') && !packet_take(text, 's') && !packet_take(text, 'C') &&
	    !packet_take(text, 'S'))
		return false;
	if (has_signal && !packet_take_byte(text, &signal))
		return false;
	if (packet_take(text, ':')) {
		if (packet_take_word(text, "-1"))
			action->thread = ALL_THREADS;
		else if (!packet_take_number(text, &action->thread))
			return false;
	}
	return !**text || **text == ';';
}

u64 actions_thread(const char *text)
{
	struct action action;

	return take_action(&text, &action) && action.thread != ALL_THREADS ? action.thread : NO_THREAD;
}

/*
 * Actions of a thread, or of all that are left. The first is that of the thread in question, on whose CPU
 * this is called; whether the others stand still meanwhile, a later one says.
 */
void do_actions(struct vcpu *vcpu, const char *text)
{
	struct action action;
	bool others;

	if (!take_action(&text, &action)) {
		say("E01");
		return;
	}
	if (action.thread == NO_THREAD)
		others = !action.step;
	else if (action.thread == ALL_THREADS)
		others = true;
	else if (thread_select(action.thread))
		others = *text;
	else {
		say("E01");
		return;
	}
	go(vcpu, action.step, !others);
}

void session_begin(struct vcpu *vcpu)
{
	step_begin(vcpu, 0, 0);
	if (breaks_are_gdbs(step_last_stop()->hit))
		step_note_stop(vcpu);
	breaks_forget();
	session.waits = false;
}

static void leave(struct vcpu *vcpu)
{
	session_begin(vcpu);
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
