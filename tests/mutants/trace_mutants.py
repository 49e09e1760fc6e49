# SPDX-License-Identifier: MIT
"""Wrong Socles and wrong tools around what is recorded: the exit trace, the log in memory, crash reports."""
from mutant import Mutant

TRACE, RING, OUT, CRASH = "vmx/guest/exit_trace.c", "kernel/log_ring.c", "vmx/read_out.c", "vmx/crash.c"
SHOW = "vmx/monitor/show_trace.c"
READ, SLICES = "tools/trace/read.py", "tools/trace/slices.py"

MUTANTS = [
    Mutant("trace-old-vectoring", TRACE, [("\tevent->vectoring = 0;\n", "")], "trace: addresses_and_events_are_in_it"),
    Mutant("trace-forgets-whose-it-was", TRACE, [("(event->flags & TRACE_TO_L1) | ", "")],
           "trace: both_levels_are_told_apart"),
    Mutant("trace-keeps-the-last-entry", TRACE, [("\tevent->entry_tsc = rdtsc();\n", "")],
           "trace: each_exit_is_an_event"),
    Mutant("trace-shows-the-exit-in-hand", TRACE, [("\treturn count - (count && is_on(vcpu));\n", "\treturn count;\n")],
           "trace: each_exit_is_an_event"),
    Mutant("trace-goes-on-in-a-pause", TRACE, [("\tif (on) {\n\t\tvcpu->looks", "\tif (on || vcpu) {\n\t\tvcpu->looks")],
           "trace: l1_reads_the_trace"),
    Mutant("trace-pause-keeps-its-own-call", TRACE, [("\t\tcounters->kept.count--;\n", "")],
           "trace: l1_reads_the_trace"),
    Mutant("trace-goes-on-over-the-last", TRACE, [("\t\tcounters->trace.newest = trace_ring_next(&counters->trace);\n", "")],
           "trace: l1_reads_the_trace"),
    Mutant("trace-read-over-the-edge", TRACE,
           [("\tmost = MIN(most, (u64)(ring->end - first));\n", "")], "trace: l1_reads_the_trace"),
    Mutant("read-out-despite-a-fault", OUT,
           [("\tif (outcome != OUTCOME_NONE)\n\t\treturn outcome;\n", "\t(void)outcome;\n")],
           "trace: a_buffer_that_faults"),
    Mutant("log-begins-in-a-line", RING, [(" && at(ring, position - 1) != '\\n')", " && !position)")],
           "trace: the_log_forgets_whole_lines"),
    Mutant("log-forgets-too-late", RING,
           [("ring->end - *position > LOG_RING_SIZE", "ring->end - *position > 2 * LOG_RING_SIZE")],
           "trace: the_log_forgets_whole_lines"),
    Mutant("crash-shows-any-stack", CRASH,
           [("\tif (!frame.rsp || frame.rsp >= top || top - frame.rsp > STACK_BYTES_MAX)\n", "\tif (!top)\n")],
           "trace: a_panic_tells_it"),
    Mutant("log-shows-all", SHOW, [("\tskip = lines - MIN(lines, wanted);\n", "\tskip = 0;\n")], "monitor: the_log_is_shown"),
    Mutant("trace-dumps-more", SHOW, [("end - MIN(end - first, count); i < end", "first; i < end && count")],
           "monitor: the_trace_is_dumped"),
    Mutant("trace-tool-believes-all", READ, [("        if not is_sound(event):\n", "        if False:\n")],
           host="test_trace: test_what_is_no_event"),
    Mutant("trace-tool-counts-twice", READ, [("newest[event.exit, event.number] = event",
                                              "newest[event.exit, event.number, len(newest)] = event")],
           host="test_trace: test_events_are_told_once"),
    Mutant("trace-tool-joins-what-is-cut", SLICES,
           [("    return (before.number + 1) & 0xffffffff == event.number\n", "    return True\n")],
           host="test_trace: test_a_gap_is_no_time"),
    Mutant("trace-tool-trips-over-a-gap", SLICES,
           [("        if before is not None and not is_next(before, event):\n", "        if False:\n")],
           host="test_trace: test_a_gap_is_no_time"),
]
