# SPDX-License-Identifier: MIT
"""The trace as other tools read it: the JSON of trace events, text as of trace-cmd, CSV. Perfetto's own is perfetto.py's."""
import csv
import json

import read
import slices
import tables

LEVELS = ("L0 (Socle)", "L1", "L2")
COLUMNS = ("cpu", "number", "level", "reason", "to_l1", "then_l2", "exit_tsc", "entry_tsc", "ticks", "rip", "symbol", "subject",
           "detail", "vmcs12", "vectoring", "vmreads", "vmwrites", "about")


def microseconds(ticks, khz):
    return ticks * 1000 / khz


def arguments(event, symbols):
    given = {"rip": "%x" % event.rip, "symbol": symbols.name(event.level, event.rip), "about": tables.subject(event),
             "from": "L%d" % event.level, "handled by": "L1" if event.flags & read.TO_L1 else "L0"}
    if event.vmcs12 != read.NO_VMCS:
        given["vmcs12"] = "%x" % event.vmcs12
    if event.vectoring >> 31:
        given["vectoring"] = "%x" % event.vectoring
    if event.vmreads or event.vmwrites:
        given["VMREADs, VMWRITEs"] = "%d, %d" % (event.vmreads, event.vmwrites)
    return {key: value for key, value in given.items() if value}


def events_json(trace, symbols, khz, file):
    """A process for each CPU, in it a track for each level."""
    out = []
    start = min((event.exit for event in trace.events()), default=0)
    for cpu in trace.cpus:
        out.append({"ph": "M", "name": "process_name", "pid": cpu, "args": {"name": "CPU %d" % cpu}})
        out += [{"ph": "M", "name": "thread_name", "pid": cpu, "tid": level, "args": {"name": name}}
                for level, name in enumerate(LEVELS)]
    for one in slices.of_trace(trace):
        row = {"ph": "X", "pid": one.cpu, "tid": one.level, "ts": microseconds(one.begin - start, khz),
               "dur": microseconds(one.end - one.begin, khz)}
        if one.level == 0:
            row.update(name=read.name(one.event), cat="exit", args=arguments(one.event, symbols))
        else:
            row.update(name="L%d" % one.level, cat="guest", args={"ends by": read.name(one.event)})
        out.append(row)
    json.dump({"traceEvents": out, "displayTimeUnit": "ns",
               "otherData": {"build-id": trace.build_id or "", "tsc-khz": str(khz)}}, file)
    file.write("\n")


def text_lines(event):
    """(ticks, words) of one event, in the words of KVM's trace points."""
    reason = tables.kvm_name(event.reason)
    infos = "info1 0x%016x info2 0x%016x" % (event.subject, event.detail)
    body = "vcpu %d reason %s rip 0x%x %s intr_info 0x%08x error_code 0x00000000" % (
        event.cpu, reason, event.rip, infos, event.vectoring)
    yield event.exit, "kvm_exit: " + body
    if event.level == 2:
        yield event.exit, "kvm_nested_vmexit: " + body
    if event.flags & read.TO_L1:
        yield event.entry or event.exit, "kvm_nested_vmexit_inject: reason: %s ext_inf1: 0x%016x ext_inf2: 0x%016x" % (
            reason, event.subject, event.detail)
    if event.level == 1 and event.flags & read.THEN_L2:
        yield event.entry or event.exit, "kvm_nested_vmenter: rip: 0x%016x vmcs: 0x%016x" % (event.rip, event.vmcs12)
    if event.entry:
        yield event.entry, "kvm_entry: vcpu %d, rip 0x%x" % (event.cpu, event.rip)


def text(trace, symbols, khz, file):
    del symbols  # trace-cmd's users have the addresses
    start = min((event.exit for event in trace.events()), default=0)
    file.write("cpus=%d\n" % (max(trace.cpus, default=0) + 1))
    rows = [(ticks, event.cpu, words) for event in trace.events() for ticks, words in text_lines(event)]
    for ticks, cpu, words in sorted(rows, key=lambda row: row[0]):
        file.write("%16s-%-5d [%03d] %5d.%06d: %s\n" % ("socle", cpu, cpu, (ticks - start) // (khz * 1000),
                                                       (ticks - start) % (khz * 1000) * 1000 // khz, words))


def table(trace, symbols, khz, file):
    del khz
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    for event in trace.events():
        rows.writerow((event.cpu, event.number, event.level, read.name(event), int(bool(event.flags & read.TO_L1)),
                       int(bool(event.flags & read.THEN_L2)), event.exit, event.entry,
                       event.entry - event.exit if event.entry else "", "%x" % event.rip,
                       symbols.name(event.level, event.rip), "%x" % event.subject, "%x" % event.detail,
                       "" if event.vmcs12 == read.NO_VMCS else "%x" % event.vmcs12, "%x" % event.vectoring, event.vmreads,
                       event.vmwrites, tables.subject(event)))


def summary(trace, symbols, khz, file):
    """What a person wants to know first."""
    del symbols
    sums = slices.shares(trace)
    whole = sum(sums) or 1
    file.write("%d events of %d CPUs, %.3f ms; L0 %.1f %%, L1 %.1f %%, L2 %.1f %%\n" % (
        len(trace.events()), len(trace.cpus), microseconds(whole, khz) / 1000, *[100 * one / whole for one in sums]))
    file.write("%-5s %-22s %8s %8s %10s %8s %8s %8s\n" % ("level", "exit", "count", "to L1", "ticks", "median", "90 %", "99 %"))
    for row in slices.costs(trace):
        file.write("L%-4d %-22s %8d %8d %10d %8d %8d %8d\n" % (row.level, row.reason, row.count, row.to_l1, row.total,
                                                             row.median, row.p90, row.p99))
    for way in slices.multiplication(trace):
        file.write("L2's %s by way of L1: %d, each %.1f exits of L1, %d ticks (90 %%: %d)\n" % (
            way.reason, way.count, way.exits, way.median, way.p90))
