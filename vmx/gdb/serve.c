/* SPDX-License-Identifier: MIT */
/*
 * The packets: a table of prefixes, and a function for each. One that is not there is answered by an empty
 * packet, which tells gdb so. What lets the machine go on is serve_go.c's, what is only asked
 * serve_query.c's.
 * GDB's manual: "Packets", "General Query Packets", "Stop Reply Packets".
 */
#include "vmx/gdb/link.h"
#include "vmx/gdb/registers.h"
#include "vmx/gdb/serve.h"
#include "vmx/gdb/session.h"

#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vmx/monitor/lookup.h"
#include "vmx/monitor/step.h"

#define MEMORY_MAX (PACKET_SIZE / 2)
#define SIGNAL_INTERRUPT "T02"
#define SIGNAL_TRAP "T05"

struct session session = { .level = 1 };

/* ---- replies ---- */

static void say_stop(struct vcpu *vcpu)
{
	const struct stop *stop = step_last_stop();
	struct packet_output *reply = link_reply();

	packet_add(reply, stop->hit ? SIGNAL_TRAP : SIGNAL_INTERRUPT);
	breaks_explain(stop->hit, reply);
	packet_add(reply, "thread:");
	packet_add_number(reply, thread_of(vcpu->cpu->id, vcpu->guest->level));
	packet_add(reply, ";");
	link_send();
}

void serve_stop(struct vcpu *vcpu)
{
	char text[160];

	session.waits = false;
	session.cpu = vcpu->cpu->id;
	session.level = (u8)vcpu->guest->level;
	/* gdb knows where its own are. */
	if (!breaks_are_gdbs(step_last_stop()->hit) && step_describe(vcpu, text, sizeof(text)))
		link_print(text, strlen(text));
	say_stop(vcpu);
}

/* ---- the functions: `text` stands behind the prefix ---- */

static void do_reason(struct vcpu *vcpu, const char *text)
{
	(void)text;
	session.cpu = vcpu->cpu->id;
	session.level = (u8)vcpu->guest->level;
	say_stop(vcpu);
}

static void do_read_all(struct vcpu *vcpu, const char *text)
{
	struct packet_output *reply = link_reply();

	(void)text;
	for (unsigned int i = 0; i < registers_count(); i++)
		registers_add(vcpu, session.level, i, reply);
	link_send();
}

static void do_write_all(struct vcpu *vcpu, const char *text)
{
	say_whether(registers_take_all(vcpu, session.level, &text) && !*text);
}

static void do_read(struct vcpu *vcpu, const char *text)
{
	u64 number;

	if (!packet_take_number(&text, &number) || *text || number > UINT16_MAX ||
	    !registers_add(vcpu, session.level, (unsigned int)number, link_reply()))
		say("E01");
	else
		link_send();
}

static void do_write(struct vcpu *vcpu, const char *text)
{
	u64 number;

	say_whether(packet_take_number(&text, &number) && packet_take(&text, '=') && number <= UINT16_MAX &&
		    registers_take(vcpu, session.level, (unsigned int)number, &text) && !*text);
}

static void do_read_memory(struct vcpu *vcpu, const char *text)
{
	u8 bytes[MEMORY_MAX];
	u64 address, length;
	size_t done = 0;

	if (packet_take_range(&text, &address, &length) && !*text)
		done = lookup_copy(vcpu, session.level, address, bytes, NULL,
				   (size_t)MIN(length, (u64)sizeof(bytes)));
	if (!done && length) {
		say("E14");
		return;
	}
	packet_add_bytes(link_reply(), bytes, done);
	link_send();
}

static void do_write_memory(struct vcpu *vcpu, const char *text)
{
	u8 bytes[MEMORY_MAX];
	u64 address, length;

	if (!packet_take_range(&text, &address, &length) || !packet_take(&text, ':') ||
	    length > sizeof(bytes)) {
		say("E01");
		return;
	}
	for (u64 i = 0; i < length; i++)
		if (!packet_take_byte(&text, &bytes[i])) {
			say("E01");
			return;
		}
	say(!*text && lookup_copy(vcpu, session.level, address, NULL, bytes, (size_t)length) == length
		    ? "OK"
		    : "E14");
}

/* -1 and 0: any thread. */
static void do_select(struct vcpu *vcpu, const char *text)
{
	bool general = packet_take(&text, 'g');
	u64 thread;

	(void)vcpu;
	if (!general && !packet_take(&text, 'c'))
		say("E01");
	else if (!strcmp(text, "-1") || !strcmp(text, "0"))
		say("OK");
	else
		say_whether(packet_take_number(&text, &thread) && !*text &&
			    (general ? thread_select(thread) : thread_is_there(thread)));
}

static void do_alive(struct vcpu *vcpu, const char *text)
{
	u64 thread;

	(void)vcpu;
	say_whether(packet_take_number(&text, &thread) && !*text && thread_is_there(thread));
}

/* ---- breakpoints ---- */

static void do_insert(struct vcpu *vcpu, const char *text)
{
	breaks_insert(vcpu, text, link_reply());
	link_send();
}

static void do_remove(struct vcpu *vcpu, const char *text)
{
	(void)vcpu;
	breaks_remove(text, link_reply());
	link_send();
}

static void do_nothing(struct vcpu *vcpu, const char *text)
{
	(void)vcpu, (void)text;
	say("");
}

/* The first that fits. */
static const struct {
	const char *prefix;
	void (*function)(struct vcpu *vcpu, const char *text);
} packets[] = {
	{ "?", do_reason },
	{ "g", do_read_all },
	{ "G", do_write_all },
	{ "p", do_read },
	{ "P", do_write },
	{ "m", do_read_memory },
	{ "M", do_write_memory },
	{ "H", do_select },
	{ "T", do_alive },
	{ "c", do_continue },
	{ "s", do_step },
	{ "vCont?", do_actions_known },
	{ "vCont;", do_actions },
	{ "vKill;", do_detach },
	{ "D", do_detach },
	{ "k", do_kill },
	{ "Z", do_insert },
	{ "z", do_remove },
	{ "qSupported", do_supported },
	{ "qXfer:features:read:target.xml:", do_features },
	{ "qfThreadInfo", do_first_threads },
	{ "qsThreadInfo", do_more_threads },
	{ "qThreadExtraInfo,", do_thread_text },
	{ "qC", do_current },
	{ "qAttached", do_attached },
	{ "qRcmd,", do_command },
	{ "", do_nothing },
};

void serve_packet(struct vcpu *vcpu, const char *packet)
{
	unsigned int i = 0;

	while (!packet_take_word(&packet, packets[i].prefix))
		i++;
	packets[i].function(vcpu, packet);
}

u32 serve_cpu(const char *packet)
{
	u64 thread = packet_take_word(&packet, "vCont;") ? actions_thread(packet) : 0;

	return thread_is_there(thread) ? (u32)((thread - 1) / 2) : session.cpu;
}
