#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layers of the hypervisor, as a program: which folder may include which, and where inline assembly may be.

    vmx -> vmx/gdb -> vmx/monitor -> vmx/nested -> vmx/l1 -> vmx/guest -> vmx/hw -> boot -> drivers -> mm -> kernel -> kernel/hw

kernel/main.c includes everything and nothing includes it. vmx/nested includes neither kernel/hw nor drivers. No include
cycles between headers. The register cache's bits are its own file's, and so is what is known of vmcs02. Who asks which guest
runs is a list. It and the order of the rooms are in rooms.py; docs/design.md draws it and says why.
"""
import os
import re
import sys

from rooms import KNOWN02, PICTURE, ROOMS as LAYERS, may_ask_who_runs, may_include, may_tell_the_level, unit_of

DESIGN = "docs/design.md"
ROOT_FILES = ("kernel/main.c",)
ALLOWED = set()
HW_MAY = ("kernel/types.h", "kernel/bits.h", "kernel/x86.h", "kernel/msr.h", "kernel/cpuid.h", "mm/addr.h")
FORBIDDEN = {room: ("kernel/hw", "drivers") for room in LAYERS if room.startswith("vmx/nested")}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)
ASSEMBLY = re.compile(r"\b(?:__asm__|asm)\b\s*(?:volatile|__volatile__|goto|inline)?\s*\(")
CACHE_BITS = re.compile(r"\bcache(?:\.|->)(?:available|dirty|known_tables)\b")
# What is known of these four ends by a write of the register cache's (vmx/nested/exit/host_tables.c): there is no other way.
TABLE_WRITE = re.compile(r"\b(?:vmcs_|hw_vm)write\w*\(\s*VMCS_guest_(?:ldtr|tr|gdtr|idtr)_|"
                         r"\bLOAD(?:_SEGMENT)?\((?:LDTR|TR|GDTR|IDTR)")
WHO_RUNS = re.compile(r"\bnested(?:\.|->)in_l2\b|[!=]= &(?:l[12]_guest|\w+->vmcs01)\b")
ASSERTION = re.compile(r"\b(?:static_)?assert\(.*|\bASSERT\(.*")
LEVEL = re.compile(r"\bguest->level\b")
KNOWN = re.compile(r"->known\.")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def layer_of(path):
    folder = os.path.dirname(path)
    return folder if folder in LAYERS else None


def read_sources():
    sources = {}
    for layer in LAYERS:
        if not os.path.isdir(layer):
            continue
        for name in sorted(os.listdir(layer)):
            if name.endswith((".c", ".h", ".S", ".def")):
                path = layer + "/" + name
                with open(path, encoding="utf-8") as file:
                    sources[path] = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), file.read())
    return sources


def arrow_fault(path, target):
    """What is wrong with this include; None if nothing is."""
    layer, other = layer_of(path), layer_of(target)
    if other is None:
        return "is no header of a layer"
    if target in ROOT_FILES:
        return "nothing includes the composition root"
    if path in ROOT_FILES or layer == other or (path, other) in ALLOWED:
        return None
    if other in FORBIDDEN.get(layer, ()):
        return "%s may not touch %s" % (layer, other)
    if layer == "kernel/hw" and target in HW_MAY:
        return None
    # the address types and the seam's headers are at the bottom, below everything
    if target in ("mm/addr.h",):
        return None
    if LAYERS.index(other) > LAYERS.index(layer) and not may_include(path, target):
        return "%s is above %s" % (other, layer)
    return None


def find_cycle(graph):
    """One include cycle as a list of paths, or None."""
    state, trail = {}, []

    def visit(node):
        state[node] = 1
        trail.append(node)
        for target in graph.get(node, ()):
            if state.get(target) == 1:
                return trail[trail.index(target):] + [target]
            if target not in state:
                cycle = visit(target)
                if cycle:
                    return cycle
        trail.pop()
        state[node] = 2
        return None

    for node in sorted(graph):
        if node not in state:
            cycle = visit(node)
            if cycle:
                return cycle
    return None


def who_runs_faults(path, text):
    """Rule 2 of docs/design.md, "The guest that runs now": nobody asks which one it is."""
    text = ASSERTION.sub("", text)
    if WHO_RUNS.search(text) and not may_ask_who_runs(path):
        yield "%s: asks whether L2 runs: what differs is data of struct guest" % path
    if LEVEL.search(text) and not may_tell_the_level(path):
        yield "%s: acts on the guest's level: what differs is data of struct guest" % path
    if KNOWN.search(text) and unit_of(path) != KNOWN02:
        yield "%s: slot->known outside of %s.h" % (path, KNOWN02)


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    sources, faults, graph = read_sources(), [], {}
    for path, text in sources.items():
        for quoted, angled in INCLUDE.findall(text):
            if angled:
                if angled not in ("stdint.h", "stddef.h", "stdbool.h", "stdarg.h"):
                    faults.append("%s: includes <%s>, which a freestanding program has not" % (path, angled))
                continue
            if not os.path.exists(quoted):
                faults.append('%s: includes "%s": not a path from the root' % (path, quoted))
                continue
            graph.setdefault(path, []).append(quoted)
            fault = arrow_fault(path, quoted)
            if fault:
                faults.append('%s: includes "%s": %s' % (path, quoted, fault))
        if ASSEMBLY.search(text) and not path.startswith("kernel/hw/") and not path.endswith(".S"):
            faults.append("%s: inline assembly outside of kernel/hw" % path)
        if CACHE_BITS.search(text) and not path.startswith("vmx/hw/regcache."):
            faults.append("%s: a bit of the register cache outside of vmx/hw/regcache.*" % path)
        if TABLE_WRITE.search(text) and path != "vmx/nested/exit/host_tables.c":
            faults.append("%s: writes a descriptor table past the register cache" % path)
        faults += who_runs_faults(path, text)
    cycle = find_cycle(graph)
    if cycle:
        faults.append("include cycle: " + " -> ".join(cycle))
    with open(DESIGN, encoding="utf-8") as file:
        if PICTURE not in file.read():
            faults.append("%s: does not draw the rooms as rooms.py has them: %s" % (DESIGN, PICTURE))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
