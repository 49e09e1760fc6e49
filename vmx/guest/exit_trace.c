/* SPDX-License-Identifier: MIT */
/*
 * See exit_trace.h. The two strokes cost less than 60 instructions an exit (tests/system/test_bench.py), and
 * a VMREAD where the exit has an address or an event that nobody else asks for.
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
	if (on)
		vcpu->looks |= LOOK_TRACE;
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

/* Recording goes on in the middle of it, but it is counted whole. */
static void count_in_hand(struct trace_event *event)
{
#ifdef COUNT_HW
	event->vmreads = (u16)hw_counts_at_entry[HW_COUNT_VMREAD];
	event->vmwrites = (u16)hw_counts_at_entry[HW_COUNT_VMWRITE];
#else
	(void)event;
#endif
}

void exit_trace_forget(struct vcpu *vcpu)
{
	struct trace_ring *ring = &vcpu->counters.trace;

	if (ring->events != vcpu->counters.brief)
		return;
	ring->newest->exit_tsc = 0;
	ring->newest = trace_ring_back(ring, 1);
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
		count_in_hand(&in_hand);
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

/*
 * From one entry to the next: the exit's own VMREADs come before anybody traces it, and the last VMWRITEs of
 * its handling behind that. So an event is complete at the exit that follows.
 */
static void count_exit(struct vcpu *vcpu)
{
#ifdef COUNT_HW
	struct trace_event *before = vcpu_trace(vcpu, 1);

	before->vmreads = (u16)(hw_counts_at_entry[HW_COUNT_VMREAD] - before->vmreads);
	before->vmwrites = (u16)(hw_counts_at_entry[HW_COUNT_VMWRITE] - before->vmwrites);
	count_in_hand(vcpu_trace(vcpu, 0));
#else
	(void)vcpu;
#endif
}

/* What an exit by an address or an event has besides. */
static NOINLINE void take_information(struct vcpu *vcpu, u32 facts, struct trace_event *event)
{
	if (facts & FACT_PHYSICAL)
		event->detail = vcpu_reg_hot(vcpu, REG_GUEST_PHYSICAL_ADDRESS);
	else if (facts & FACT_EVENT)
		event->detail = vcpu_reg_hot(vcpu, REG_EXIT_INTR_INFO);
	if (facts & FACT_BREAKS)
		event->vectoring = (u32)vcpu_reg_hot(vcpu, REG_IDT_VECTORING_INFO);
}

NOINLINE void exit_trace_exit(struct vcpu *vcpu, u32 row)
{
	struct trace_event *event = vcpu_trace(vcpu, 0);
	u32 facts = exit_facts_table[row], *detail = (u32 *)&event->detail;

	vcpu->counters.trace.count++;
	event->vmcs12 = vcpu->nested.current ? vcpu->nested.current->gpa : NO_VMCS;
	detail[0] = (u32)vcpu->gpr[GPR_RAX];
	detail[1] = (u32)vcpu->gpr[GPR_RDX];
	event->vectoring = 0;
	if (unlikely(facts & (FACT_PHYSICAL | FACT_EVENT | FACT_BREAKS)))
		take_information(vcpu, facts, event);
	count_exit(vcpu);
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

/* What ran next, the exit that follows says, which is the one in hand for the newest; so nobody need say it
 * at each entry. It stands there still where recording pauses. */
static void settle(const struct trace_ring *ring, struct trace_event *event)
{
	const struct trace_event *next = event + 1 == ring->end ? ring->events : event + 1;
	bool failed = event->reason == EXIT_ENTRY_FAIL_GUEST || event->reason == EXIT_ENTRY_FAIL_MSR ||
		      event->reason == EXIT_ENTRY_FAIL_MCE;

	event->flags = (u8)((event->flags & TRACE_TO_L1) | (next->level == 2 ? TRACE_THEN_L2 : 0) |
			    (failed ? TRACE_ENTRY_FAILURE : 0));
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
	for (; count < most; count++) {
		first[count].number = (u32)(number + count);
		settle(ring, &first[count]);
	}
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
