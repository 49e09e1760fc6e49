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


def may_call(source, target):
    return (source, target) in UPWARD


def may_include(path, target):
    return (path, target) in INCLUDED_UPWARD


def may_circle(units):
    return tuple(units) in CIRCLES
