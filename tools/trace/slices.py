# SPDX-License-Identifier: MIT
"""What ran when, and what it cost: slices of time for L0, L1 and L2, exits by reason, round trips of L2 over L1."""
import collections

import read
import tables

Slice = collections.namedtuple("Slice", "cpu level begin end event")  # level 0: L0 handles `event`; else it ends in it
Trip = collections.namedtuple("Trip", "cpu event ticks exits")        # L2's exit until L2 runs again; exits of L1 in it


def of_cpu(events):
    """The time of one CPU from its first event to its last, without gaps but where events are missing."""
    before = None
    for event in events:
        if before is not None and before.entry and is_next(before, event):
            yield Slice(event.cpu, event.level, before.entry, event.exit, event)
        if event.entry:
            yield Slice(event.cpu, 0, event.exit, event.entry, event)
        before = event


def is_next(before, event):
    return (before.number + 1) & 0xffffffff == event.number


def of_trace(trace):
    for cpu in sorted(trace.cpus):
        yield from of_cpu(trace.cpus[cpu])


def trips_of_cpu(events):
    """Exits of L2 that L1 was given, each until L2 runs again on that CPU; those that the trace cuts off are left out."""
    begun, exits, before = None, 0, None
    for event in events:
        if before is not None and not is_next(before, event):
            begun = None
        before = event
        if begun is not None and event.level == 1:
            exits += 1
        if event.flags & read.TO_L1:
            begun, exits = event, 0
        elif begun is not None and event.flags & read.THEN_L2 and event.entry:
            yield Trip(event.cpu, begun, event.entry - begun.exit, exits)
            begun = None


def trips(trace):
    return [trip for cpu in sorted(trace.cpus) for trip in trips_of_cpu(trace.cpus[cpu])]


def percentile(ordered, percent):
    """The nearest rank of a sorted list that is not empty."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


Cost = collections.namedtuple("Cost", "level reason count to_l1 total low median p90 p99 most")


def costs(trace):
    """L0's time for each reason of each level, the most expensive together first."""
    ticks, count, to_l1 = collections.defaultdict(list), collections.Counter(), collections.Counter()
    for event in trace.events():
        key = event.level, read.name(event)
        count[key] += 1
        to_l1[key] += event.flags & read.TO_L1
        if event.entry:
            ticks[key].append(event.entry - event.exit)
    rows = []
    for key in count:
        some = sorted(ticks[key]) or [0]
        rows.append(Cost(*key, count[key], to_l1[key], sum(some), some[0],
                         *[percentile(some, p) for p in (50, 90, 99)], some[-1]))
    return sorted(rows, key=lambda row: (-row.total, row.level, row.reason))


Way = collections.namedtuple("Way", "reason count exits median p90 total")


def multiplication(trace):
    """What an exit of L2 costs when L1 handles it, by L2's reason: exits of L1 in between, and ticks until L2 runs again."""
    by_reason = collections.defaultdict(list)
    for trip in trips(trace):
        by_reason[read.name(trip.event)].append(trip)
    ways = []
    for reason, some in by_reason.items():
        ticks = sorted(trip.ticks for trip in some)
        exits = sum(trip.exits for trip in some) / len(some)
        ways.append(Way(reason, len(some), exits, percentile(ticks, 50), percentile(ticks, 90), sum(ticks)))
    return sorted(ways, key=lambda way: (-way.total, way.reason))


def between(trace):
    """{L2's reason: {L1's reason: count}} of the exits of L1 within round trips."""
    found = collections.defaultdict(collections.Counter)
    for events in trace.cpus.values():
        begun = None
        for event in events:
            if begun is not None and event.level == 1:
                found[read.name(begun)][read.name(event)] += 1
            if event.flags & read.TO_L1:
                begun = event
            elif event.flags & read.THEN_L2:
                begun = None
    return found


def shares(trace):
    """Ticks by level, 0 to 2."""
    sums = [0, 0, 0]
    for one in of_trace(trace):
        sums[one.level] += one.end - one.begin
    return sums


Place = collections.namedtuple("Place", "level symbol count ticks reasons")


def places(trace, symbols):
    """Where exits come from, by symbol (an address where none is known): how many, and L0's ticks for them."""
    count, ticks, reasons = collections.Counter(), collections.Counter(), collections.defaultdict(collections.Counter)
    for event in trace.events():
        key = event.level, symbols.name(event.level, event.rip)
        count[key] += 1
        ticks[key] += event.entry - event.exit if event.entry else 0
        reasons[key][read.name(event)] += 1
    return [Place(*key, count[key], ticks[key], reasons[key]) for key in sorted(count, key=lambda k: (-ticks[k], k))]


Kind = collections.namedtuple("Kind", "level reason kind count ticks")


def kinds(trace):
    """Fields, MSRs and ports, the most expensive first."""
    count, ticks = collections.Counter(), collections.Counter()
    for event in trace.events():
        kind = tables.kind(event)
        if kind:
            key = event.level, read.name(event), kind
            count[key] += 1
            ticks[key] += event.entry - event.exit if event.entry else 0
    return [Kind(*key, count[key], ticks[key]) for key in sorted(count, key=lambda k: (-ticks[k], k))]
