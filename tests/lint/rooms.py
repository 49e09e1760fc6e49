# SPDX-License-Identifier: MIT
"""The rooms of the hypervisor, from the bottom up, and the arrows between them that are allowed against that order.

layers.py holds the includes against this, calls.py the calls; docs/design.md draws the same picture, which layers.py checks.
"""
import os

ROOMS = ("kernel/hw", "kernel", "mm", "drivers", "boot", "vmx/hw", "vmx/guest", "vmx/l1", "vmx/nested/vmcs12",
         "vmx/nested/explain", "vmx/nested/ept", "vmx/nested/entry", "vmx/nested/exit", "vmx/nested/insn", "vmx/nested",
         "vmx/monitor", "vmx/gdb", "vmx")
PICTURE = ("vmx ─► vmx/gdb ─► vmx/monitor ─► vmx/nested ─► vmx/l1 ─► vmx/guest ─► vmx/hw ─► boot ─► drivers ─► mm ─► "
           "kernel ─► kernel/hw")

# kernel/main.c puts the program together: it may use every room, and nothing uses it.
COMPOSITION = "kernel/main"


def unit_of(path):
    """A unit is a .c file with its header: the path without its ending."""
    return os.path.splitext(os.path.normpath(path))[0]


def room_of(path):
    return os.path.dirname(os.path.normpath(path))


def is_upward(source, target):
    return ROOMS.index(room_of(target)) > ROOMS.index(room_of(source))


# Arrows against the order, and circles, that are meant: {(unit, unit called): why}, {(units, sorted): why}.
UPWARD = {}
# Includes against the order that are meant.
INCLUDED_UPWARD = {
    ("vmx/guest/vcpu.h", "vmx/l1/state.h"): "a vCPU holds what its L1 owns, whole",
    ("vmx/guest/vcpu.h", "vmx/nested/state.h"): "and what L1 has of VMX",
}
CIRCLES = {
    ("vmx/nested/entry/entry", "vmx/nested/entry/entry_fast"): "the short way ends in the same switch to L2 as the long one",
}

# "Does L2 run?" is asked by the run loop and answered by the switch between L1 and L2, and nobody else: what differs
# between the two is data of struct guest. A file, or a header with its .c: why.
ASKS_WHO_RUNS = {
    "vmx/run": "the run loop",
    "vmx/before_entry": "the run loop, where an entry is not the usual one",
    "vmx/inject": "the run loop's own: events into L1, or by L1's controls into L2",
    "vmx/nested/state": "where it is written down",
    "vmx/nested/entry/entry": "the switch to L2",
    "vmx/nested/exit/leave": "the switch to L1",
    "vmx/nested/explain/explain": "where L1's RIP is to be had",
    "vmx/crash": "a report says which VMCS is current",
    "vmx/monitor/show_cpu": "so does the monitor",
}
# struct guest's level is told to a person, and nobody acts on it: rooms, and units elsewhere.
TELLS_THE_LEVEL = ("vmx/monitor", "vmx/gdb", "vmx/crash", "vmx/audit", "vmx/guest/exit_trace", "vmx/l1/sleep",
                   "vmx/l1/sleep_page", "vmx/l1/pm_config")
# What stands of slot->known outside of its header is a field that somebody writes past it.
KNOWN02 = "vmx/nested/vmcs12/known02"


def may_ask_who_runs(path):
    return unit_of(path) in ASKS_WHO_RUNS


def may_tell_the_level(path):
    return unit_of(path) in TELLS_THE_LEVEL or room_of(path) in TELLS_THE_LEVEL


def may_call(source, target):
    return (source, target) in UPWARD


def may_include(path, target):
    return (path, target) in INCLUDED_UPWARD


def may_circle(units):
    return tuple(units) in CIRCLES
