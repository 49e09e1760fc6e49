/* SPDX-License-Identifier: MIT */
/*
 * What gdb asks about the stub and its threads, and the monitor's commands by `monitor ...`.
 * GDB's manual: "General Query Packets".
 */
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "vmx/gdb/link.h"
#include "vmx/gdb/registers.h"
#include "vmx/gdb/serve.h"
#include "vmx/gdb/session.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/output.h"

/* By it a gdb begins. What an earlier one has left, if it went without a word, is none of this one's. */
void do_supported(struct vcpu *vcpu, const char *text)
{
	struct packet_output *reply = link_reply();

	(void)text;
	session_begin(vcpu);
	packet_add(reply, "PacketSize=");
	packet_add_number(reply, PACKET_SIZE);
	packet_add(reply, ";qXfer:features:read+;swbreak+;hwbreak+;vContSupported+");
	link_send();
}

void do_features(struct vcpu *vcpu, const char *text)
{
	u64 offset, length;

	(void)vcpu;
	if (!packet_take_range(&text, &offset, &length) || *text) {
		say("E01");
		return;
	}
	registers_describe(link_reply(), offset, length);
	link_send();
}

void do_first_threads(struct vcpu *vcpu, const char *text)
{
	struct packet_output *reply = link_reply();
	const char *before = "m";

	(void)vcpu, (void)text;
	for (u64 thread = 1; thread <= 2ull * percpu_count() && !reply->full; thread++) {
		if (!thread_is_there(thread))
			continue;
		packet_add(reply, before);
		packet_add_number(reply, thread);
		before = ",";
	}
	link_send();
}

void do_more_threads(struct vcpu *vcpu, const char *text)
{
	(void)vcpu, (void)text;
	say("l");
}

void do_thread_text(struct vcpu *vcpu, const char *text)
{
	char line[48];
	u64 thread;

	(void)vcpu;
	if (!packet_take_number(&text, &thread) || *text || !thread_is_there(thread)) {
		say("E01");
		return;
	}
	print_format(line, sizeof(line), "cpu %llu, L%llu%s", LL((thread - 1) / 2), LL(1 + (thread - 1) % 2),
		     percpu_get((u32)((thread - 1) / 2))->vcpu->guest->level == 1 + (thread - 1) % 2
			     ? ""
			     : ", which waits");
	packet_add_bytes(link_reply(), line, strlen(line));
	link_send();
}

void do_current(struct vcpu *vcpu, const char *text)
{
	struct packet_output *reply = link_reply();

	(void)vcpu, (void)text;
	packet_add(reply, "QC");
	packet_add_number(reply, thread_of(session.cpu, session.level));
	link_send();
}

void do_attached(struct vcpu *vcpu, const char *text)
{
	(void)vcpu, (void)text;
	say("1");
}

/* `monitor ...`: what moves the machine is gdb's to do. */
void do_command(struct vcpu *vcpu, const char *text)
{
	struct line line = { .length = 0 };
	u8 byte;

	while (packet_take_byte(&text, &byte))
		if (byte == '\n' || byte == '\r' || line_put(&line, byte) != LINE_ECHO)
			line_spoil(&line);
	if (*text)
		line_spoil(&line);
	line_put(&line, '\r');
	output_divert(link_print);
	command_execute_for(vcpu, &line);
	output_divert(NULL);
	say("OK");
}
