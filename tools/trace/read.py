# SPDX-License-Identifier: MIT
"""Events out of text: lines `trace: CPU WORD*8` as the monitor, a crash report and tools/trace/socle-trace-read.c write them,
wherever they stand in a line. Nothing of them is believed: what does not fit is left out and counted."""
import collections
import re

import tables

HEAD = re.compile(r"\btrace: form (\d+) build-id ([0-9a-f]{8,64}) tsc-khz (\d{1,12}) cpus (\d{1,4})\b")
DROPPED = re.compile(r"\btrace: dropped cpu (\d{1,4}) events (\d{1,20})\b")
LINE = re.compile(r"\btrace: (\d{1,4})((?: [0-9a-f]{1,16}){8})\s*$")
FORM = 1
CPU_MAX = 512
EVENTS_MAX = 4_000_000
KHZ_MAX = 100_000_000
TO_L1, THEN_L2, ENTRY_FAILURE = 1, 2, 4
NO_VMCS = (1 << 64) - 1

Event = collections.namedtuple("Event", "cpu number reason level flags exit entry rip subject vmcs12 vectoring vmreads "
                                        "vmwrites detail")


class TraceError(Exception):
    """A line for the user."""


class Trace:
    """The events of each CPU in their order, and what the head line says."""

    def __init__(self):
        self.cpus = {}
        self.build_id = None
        self.khz = 0
        self.dropped = 0   # by Socle itself, where the port was slower than the exits
        self.skipped = 0   # lines that look like events and are none
        self.backwards = 0  # events before the one that they follow

    def events(self):
        return [event for cpu in sorted(self.cpus) for event in self.cpus[cpu]]


def make_event(cpu, words):
    head, vector_word = words[0], words[6]
    return Event(cpu, head & 0xffffffff, head >> 32 & 0xffff, head >> 48 & 0xff, head >> 56, words[1], words[2], words[3],
                 words[4], words[5], vector_word & 0xffffffff, vector_word >> 32 & 0xffff, vector_word >> 48, words[7])


def is_sound(event):
    return event.cpu < CPU_MAX and event.level in (1, 2) and event.exit and (not event.entry or event.entry >= event.exit)


def take_head(trace, match):
    if int(match.group(1)) != FORM:
        raise TraceError("the trace has form %s, and this tool reads form %d" % (match.group(1), FORM))
    trace.build_id = match.group(2)
    khz = int(match.group(3))
    trace.khz = khz if khz <= KHZ_MAX else 0


def in_order(events, trace):
    """One CPU's, each once, the fuller one where it was seen twice; what goes back in time is dropped."""
    newest = {}
    for event in events:
        old = newest.get((event.exit, event.number))
        if old is None or (event.entry and not old.entry):
            newest[event.exit, event.number] = event
    kept, last = [], 0
    for event in sorted(newest.values(), key=lambda event: event.exit):
        if event.exit < last:
            trace.backwards += 1
            continue
        kept.append(event)
        last = max(event.exit, event.entry)
    return kept


def read(lines):
    trace, found, count = Trace(), collections.defaultdict(list), 0
    for line in lines:
        if "trace: " not in line:
            continue
        match = LINE.search(line)
        if match is None:
            head = HEAD.search(line)
            dropped = DROPPED.search(line)
            if head:
                take_head(trace, head)
            elif dropped:
                trace.dropped += int(dropped.group(2))
            elif re.search(r"\btrace: \d", line):
                trace.skipped += 1
            continue
        event = make_event(int(match.group(1)), [int(word, 16) for word in match.group(2).split()])
        if not is_sound(event):
            trace.skipped += 1
            continue
        count += 1
        if count > EVENTS_MAX:
            raise TraceError("more than %d events" % EVENTS_MAX)
        found[event.cpu].append(event)
    trace.cpus = {cpu: in_order(events, trace) for cpu, events in found.items()}
    return trace


def name(event):
    return tables.reason_name(event.reason)
