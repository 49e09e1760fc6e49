/* SPDX-License-Identifier: MIT */
/*
 * Threads as gdb sees them: each level of each CPU that stands still. And the shortest of answers.
 */
#include "kernel/percpu.h"
#include "vmx/gdb/link.h"
#include "vmx/gdb/serve.h"
#include "vmx/gdb/session.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/lookup.h"

u64 thread_of(u32 cpu, unsigned int level)
{
	return 2ull * cpu + level;
}

bool thread_is_there(u64 thread)
{
	u64 cpu = (thread - 1) / 2;

	return thread && cpu < percpu_count() && percpu_get((u32)cpu)->vcpu &&
	       control_has_stopped((u32)cpu) &&
	       lookup_has_level(percpu_get((u32)cpu)->vcpu, (unsigned int)(1 + (thread - 1) % 2));
}

bool thread_select(u64 thread)
{
	if (!thread_is_there(thread))
		return false;
	session.cpu = (u32)((thread - 1) / 2);
	session.level = (u8)(1 + (thread - 1) % 2);
	return true;
}

void say(const char *text)
{
	packet_add(link_reply(), text);
	link_send();
}

void say_whether(bool done)
{
	say(done ? "OK" : "E01");
}
