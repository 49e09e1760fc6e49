/* SPDX-License-Identifier: MIT */
/*
 * See exit_trace.h. The two strokes cost less than 60 instructions an exit, and a VMREAD where the exit has
 * an address or an event that nobody else asks for.
 */
#include "vmx/guest/exit_trace.h"

#include "kernel/cmdline.h"
#include "kernel/cpuid.h"
#include "kernel/hw/count.h"
#include "kernel/hw/cpu.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "kernel/version.h"
#include "mm/page_alloc.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/exits.h"

#define FORM 1
#define LL(value) ((unsigned long long)(value))

static struct trace_ring make_ring(struct trace_event *events, u64 count)
{
	return (struct trace_ring){ events, events + count, events, 0 };
}

static void use_brief(struct counters *counters)
{
	counters->trace = make_ring(counters->brief, TRACE_COUNT);
}

static void record(struct vcpu *vcpu, bool on)
{
	vcpu->looks &= (u8)~LOOK_TRACE;
	vcpu->before_entry &= (u8)~BEFORE_ENTRY_TRACE;
	if (on) {
		vcpu->looks |= LOOK_TRACE;
		vcpu->before_entry |= BEFORE_ENTRY_TRACE;
	}
}

void exit_trace_init(struct vcpu *vcpu)
{
	use_brief(&vcpu->counters);
	if (!options.trace_size)
		return;
	vcpu->counters.trace = make_ring(page_alloc_contig(options.trace_size / PAGE_SIZE),
					 options.trace_size / sizeof(struct trace_event));
	record(vcpu, true);
}

static bool is_on(const struct vcpu *vcpu)
{
	return vcpu->looks & LOOK_TRACE;
}

bool exit_trace_set(struct vcpu *vcpu, bool on)
{
	struct counters *counters = &vcpu->counters;
	struct trace_event in_hand = *vcpu_trace(vcpu, 0);

	if (!is_on(vcpu) && !counters->kept.events)
		return false;
	if (on == is_on(vcpu))
		return true;
	if (on) {
		counters->trace = counters->kept;
		in_hand.vmcs12 = NO_VMCS;
		counters->trace.newest = trace_ring_next(&counters->trace);
		counters->trace.count++;
	} else {
		counters->kept = counters->trace;
		counters->kept.newest = trace_ring_back(&counters->kept, 1);
		counters->kept.count--;
		use_brief(counters);
	}
	*vcpu_trace(vcpu, 0) = in_hand;
	record(vcpu, on);
	return true;
}

static void count_from_here(struct trace_event *event)
{
#ifdef COUNT_HW
	event->vmreads = (u16)hw_counts[HW_COUNT_VMREAD];
	event->vmwrites = (u16)hw_counts[HW_COUNT_VMWRITE];
#else
	(void)event;
#endif
}

static void count_to_here(struct trace_event *event)
{
#ifdef COUNT_HW
	event->vmreads = (u16)(hw_counts[HW_COUNT_VMREAD] - event->vmreads);
	event->vmwrites = (u16)(hw_counts[HW_COUNT_VMWRITE] - event->vmwrites);
#else
	(void)event;
#endif
}

/* What an exit by an address or an event has besides. */
static NOINLINE void take_information(struct vcpu *vcpu, u32 facts, struct trace_event *event)
{
	if (facts & FACT_PHYSICAL)
		event->detail = vcpu_reg(vcpu, REG_GUEST_PHYSICAL_ADDRESS);
	else if (facts & FACT_EVENT)
		event->detail = vcpu_reg(vcpu, REG_EXIT_INTR_INFO);
	if (facts & FACT_BREAKS)
		event->vectoring = (u32)vcpu_reg(vcpu, REG_IDT_VECTORING_INFO);
}

NOINLINE void exit_trace_exit(struct vcpu *vcpu, u32 reason)
{
	struct trace_event *event = vcpu_trace(vcpu, 0);
	u32 facts = likely(reason < EXIT_REASON_COUNT) ? exit_facts_table[reason] : 0;

	vcpu->counters.trace.count++;
	event->vmcs12 = vcpu->nested.current ? vcpu->nested.current->gpa : NO_VMCS;
	event->detail = vcpu->gpr[GPR_RDX] << 32 | (u32)vcpu->gpr[GPR_RAX];
	event->vectoring = 0;
	if (unlikely(facts & (FACT_PHYSICAL | FACT_EVENT | FACT_BREAKS)))
		take_information(vcpu, facts, event);
	count_from_here(event);
}

/* It comes again, later, where an entry has to be tried again. */
NOINLINE void exit_trace_entry(struct vcpu *vcpu)
{
	struct trace_event *event = vcpu_trace(vcpu, 0);
	u32 failed = vcpu->exit_reason >> 31;

	static_assert(TRACE_THEN_L2 == 2 && TRACE_ENTRY_FAILURE == 4, "bits 1 and 2");
	event->flags = (u8)((event->flags & TRACE_TO_L1) | (vcpu->guest->level == 2) << 1 | failed << 2);
	count_to_here(event);
	event->entry_tsc = rdtsc();
}

static const struct trace_ring *recorded(const struct vcpu *vcpu)
{
	return is_on(vcpu) ? &vcpu->counters.trace : &vcpu->counters.kept;
}

u64 exit_trace_end(const struct vcpu *vcpu)
{
	u64 count = recorded(vcpu)->count;

	return count - (count && is_on(vcpu));
}

/* One less than the ring has: the exit in hand is in it. */
u64 exit_trace_first(const struct vcpu *vcpu)
{
	const struct trace_ring *ring = recorded(vcpu);
	u64 end = exit_trace_end(vcpu), most = (u64)(ring->end - ring->events) - 1;

	return end < most ? 0 : end - most;
}

u64 exit_trace_get(const struct vcpu *vcpu, u64 number, u64 most, const struct trace_event **events)
{
	const struct trace_ring *ring = recorded(vcpu);
	u64 end = exit_trace_end(vcpu), count = 0;
	struct trace_event *first;

	if (!ring->events || number < exit_trace_first(vcpu) || number >= end)
		return 0;
	first = trace_ring_back(ring, ring->count - 1 - number);
	*events = first;
	most = MIN(most, end - number);
	most = MIN(most, (u64)(ring->end - first));
	for (; count < most; count++)
		first[count].number = (u32)(number + count);
	return count;
}

/* SDM "Time Stamp Counter and Nominal Core Crystal Clock Information Leaf". */
u64 exit_trace_tsc_khz(void)
{
	struct cpuid_regs r;

	if (cpuid(CPUID_LEAF_MAX, 0).eax < CPUID_LEAF_TSC)
		return 0;
	r = cpuid(CPUID_LEAF_TSC, 0);
	return r.eax ? (u64)r.ecx / 1000 * r.ebx / r.eax : 0;
}

size_t exit_trace_head_line(char *line)
{
	char id[VERSION_BUILD_ID_SIZE];

	version_build_id(id);
	return print_format(line, TRACE_LINE_SIZE, "trace: form %u build-id %s tsc-khz %llu cpus %u", FORM,
			    id, (unsigned long long)exit_trace_tsc_khz(), percpu_count());
}

size_t exit_trace_line(const struct vcpu *vcpu, u64 number, char *line)
{
	const struct trace_event *event;
	const u64 *word;

	if (!exit_trace_get(vcpu, number, 1, &event))
		return print_format(line, TRACE_LINE_SIZE, "%s", "");
	word = (const u64 *)(const void *)event;
	return print_format(line, TRACE_LINE_SIZE, "trace: %u %llx %llx %llx %llx %llx %llx %llx %llx",
			    vcpu->cpu->id, LL(word[0]), LL(word[1]), LL(word[2]), LL(word[3]), LL(word[4]),
			    LL(word[5]), LL(word[6]), LL(word[7]));
}
