/* SPDX-License-Identifier: MIT */
/*
 * What has been recorded: exits in brief, exits in full for tools/trace, Socle's own log.
 */
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/hw/exits.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/output.h"

#define TRACE_USUAL 16u
#define LINES_USUAL 20u
#define PIECE 512u

static void show_trace(struct vcpu *vcpu, u32 count)
{
	for (u32 back = 0; back < count; back++) {
		const struct trace_event *entry = vcpu_trace(vcpu, back);

		if (!entry->exit_tsc)
			break;
		output("-%u L%u %s%s rip %llx subject %llx tsc %llu", back + 1, entry->level,
		       exit_reason_name(entry->reason), (entry->flags & TRACE_TO_L1) ? " to-l1" : "",
		       LL(entry->rip), LL(entry->subject), LL(entry->exit_tsc));
	}
}

static void dump_cpu(const struct vcpu *vcpu, u64 count)
{
	u64 end = exit_trace_end(vcpu), first = exit_trace_first(vcpu);
	char line[TRACE_LINE_SIZE];

	for (u64 i = end - MIN(end - first, count); i < end; i++) {
		exit_trace_line(vcpu, i, line);
		output("%s", line);
	}
}

/* Of all CPUs that stand still. */
static bool dump_events(const char *count_word)
{
	u64 count = UINT64_MAX;
	char line[TRACE_LINE_SIZE];

	if (count_word && !line_decimal(count_word, UINT64_MAX, &count))
		return false;
	exit_trace_head_line(line);
	output("%s", line);
	for (u32 i = 0; i < percpu_count(); i++)
		if (control_has_stopped(i) && percpu_get(i)->vcpu)
			dump_cpu(percpu_get(i)->vcpu, count);
	return true;
}

static bool set_recording(bool on)
{
	for (u32 i = 0; i < percpu_count(); i++)
		if (control_has_stopped(i) && percpu_get(i)->vcpu &&
		    !exit_trace_set(percpu_get(i)->vcpu, on)) {
			output("error: say trace=on on Socle's command line");
			return true;
		}
	return true;
}

bool command_trace(struct vcpu *vcpu, const struct words *words)
{
	const char *word = words->count > 1 ? words->word[1] : NULL;
	u64 count = TRACE_USUAL;

	if (word && !strcmp(word, "dump"))
		return words->count <= 3 && dump_events(words->count == 3 ? words->word[2] : NULL);
	if (words->count > 2)
		return false;
	if (word && (!strcmp(word, "on") || !strcmp(word, "off")))
		return set_recording(word[1] == 'n');
	if (word && !line_decimal(word, TRACE_COUNT, &count))
		return false;
	show_trace(vcpu, (u32)count);
	return true;
}

/* What of `text` stands behind the first `*skip` lines; their number goes down. */
static size_t behind_lines(const char *text, size_t length, u64 *skip)
{
	size_t at = 0;

	while (*skip && at < length)
		*skip -= text[at++] == '\n';
	return at;
}

bool command_log(struct vcpu *vcpu, const struct words *words)
{
	u64 position = 0, lines = 0, wanted = LINES_USUAL, skip;
	char text[PIECE];
	size_t length;

	(void)vcpu;
	if (words->count > 2 || (words->count == 2 && !line_decimal(words->word[1], UINT64_MAX, &wanted)))
		return false;
	while ((length = log_read(&position, text, sizeof(text))))
		for (size_t i = 0; i < length; i++)
			lines += text[i] == '\n';
	skip = lines - MIN(lines, wanted);
	position = 0;
	while ((length = log_read(&position, text, sizeof(text)))) {
		size_t from = behind_lines(text, length, &skip);

		output_text(text + from, length - from);
	}
	return true;
}
