/* SPDX-License-Identifier: MIT */
/*
 * The debug call with EBX = 9: what Socle has recorded, piece by piece into memory of the caller's. ECX says
 * what: 0 the log, 1 the line that begins a trace, 2 this CPU's exit trace as events of 64 bytes; ESI is the
 * position, 0 at first; EDI a linear address with room for 4 KiB, written as the caller's own store would be.
 * Afterwards EAX has the bytes that were written, 0 behind the end, and RSI the next position. With ECX = 3
 * this CPU's recording pauses (ESI = 0) or goes on (1); EAX is 1, or 0 where trace= is off. A trace is read
 * while it pauses: each call is an exit, too.
 */
#include "vmx/read_out.h"

#include "kernel/log.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/guest/vcpu.h"

#define PIECE 1024u /* of the log */

enum { READ_LOG, READ_TRACE_HEAD, READ_TRACE, TRACE_CONTROL };

/* The outcome of the store, or that of the call; the registers change with the latter alone. */
static enum outcome give(struct vcpu *vcpu, const void *from, size_t length, u64 next)
{
	u64 to = vcpu_is_64bit(vcpu) ? vcpu->gpr[GPR_RDI] : (u32)vcpu->gpr[GPR_RDI];
	enum outcome outcome = length ? guest_linear_write(vcpu, GVA(to), from, length) : OUTCOME_NONE;

	if (outcome != OUTCOME_NONE)
		return outcome;
	vcpu->gpr[GPR_RAX] = length;
	vcpu->gpr[GPR_RSI] = next;
	return OUTCOME_SKIP;
}

static enum outcome read_log(struct vcpu *vcpu, u64 position)
{
	char piece[PIECE];
	size_t length = log_read(&position, piece, sizeof(piece));

	return give(vcpu, piece, length, position);
}

static enum outcome read_head(struct vcpu *vcpu, u64 position)
{
	char line[TRACE_LINE_SIZE];

	return give(vcpu, line, position ? 0 : exit_trace_head_line(line), 1);
}

/* What lies in one piece, up to a page. */
static enum outcome read_trace(struct vcpu *vcpu, u64 position)
{
	u64 first = MAX(position, exit_trace_first(vcpu));
	const struct trace_event *events = NULL;
	u64 count = exit_trace_get(vcpu, first, PAGE_SIZE / sizeof(*events), &events);

	return give(vcpu, events, count * sizeof(*events), first + count);
}

enum outcome debug_read(struct vcpu *vcpu)
{
	u64 position = vcpu_is_64bit(vcpu) ? vcpu->gpr[GPR_RSI] : (u32)vcpu->gpr[GPR_RSI];

	switch ((u32)vcpu->gpr[GPR_RCX]) {
	case READ_LOG: return read_log(vcpu, position);
	case READ_TRACE_HEAD: return read_head(vcpu, position);
	case READ_TRACE: return read_trace(vcpu, position);
	case TRACE_CONTROL: vcpu->gpr[GPR_RAX] = exit_trace_set(vcpu, position); return OUTCOME_SKIP;
	default: return outcome_ud(vcpu);
	}
}
