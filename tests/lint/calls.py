#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who calls whom, by the compiler's own call graph: no circle between files, and no call from a lower room to a higher one.

calls.py [--list] [--picture FILE.dot]

gcc -fcallgraph-info writes the calls of each file. A call of an inline function counts for the header where it stands. Calls
through a pointer (the table of exits, callbacks) are not seen, and are the way in which a lower room may reach a higher one.
--list prints all arrows that are faults without the list below; --picture draws the rooms.
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
from multiprocessing.pool import ThreadPool

import rooms

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = ("-std=gnu11", "-O0", "-fomit-frame-pointer",
         "-ffreestanding", "-mno-red-zone", "-mgeneral-regs-only", "-fno-pie", "-I.", "-w",
         "-fcallgraph-info")
NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "[^"\\]*\\n([^":]+):\d+:\d+[^"]*"( shape : ellipse)?', re.M)
EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', re.M)
FOLDERS = ("boot", "kernel", "mm", "drivers", "vmx")


def c_files():
    for folder in FOLDERS:
        for where, _, names in os.walk(folder):
            for name in sorted(names):
                if name.endswith(".c"):
                    yield os.path.join(where, name)


def graph_of(path, out):
    name = os.path.join(out, path.replace("/", "+"))
    # a compiler cache keeps objects, but not their call graphs
    done = subprocess.run(["gcc", *FLAGS, "-c", "-o", name + ".o", path], capture_output=True, text=True, check=False,
                          env={**os.environ, "CCACHE_DISABLE": "1"})
    if done.returncode:
        raise ValueError("calls.py: %s does not compile:\n%s" % (path, done.stderr))
    with open(name + ".ci", encoding="utf-8") as file:
        return file.read()


def calls():
    """{(unit that calls, unit called): an example (function, function)}"""
    with tempfile.TemporaryDirectory() as out:
        texts = ThreadPool(os.cpu_count()).map(lambda path: graph_of(path, out), c_files())
    home, arrows = {}, {}
    for text in texts:
        for title, path, is_elsewhere in NODE.findall(text):
            if not is_elsewhere:
                home[title] = rooms.unit_of(path)
    for text in texts:
        for source, target in EDGE.findall(text):
            pair = home.get(source), home.get(target)
            if None not in pair and pair[0] != pair[1]:
                arrows.setdefault(pair, (source.split(":")[-1], target.split(":")[-1]))
    return arrows


def circles(arrows):
    """Sets of units that reach each other, by Tarjan's algorithm."""
    after = collections.defaultdict(list)
    for source, target in arrows:
        after[source].append(target)
    number, low, stack, found = {}, {}, [], []

    def visit(unit):
        number[unit] = low[unit] = len(number)
        stack.append(unit)
        for other in after[unit]:
            if other not in number:
                visit(other)
            if other in stack:
                low[unit] = min(low[unit], low[other])
        if low[unit] == number[unit]:
            at = stack.index(unit)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for unit in sorted(after):
        if unit not in number:
            visit(unit)
    return found


def draw(arrows, path):
    between = collections.Counter((rooms.room_of(a), rooms.room_of(b)) for a, b in arrows)
    with open(path, "w", encoding="utf-8") as file:
        file.write("digraph rooms {\n\trankdir=TB; node [shape=box];\n")
        for (source, target), count in sorted(between.items()):
            if source != target:
                file.write('\t"%s" -> "%s" [label=%d];\n' % (source, target, count))
        file.write("}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--picture")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    try:
        arrows = {pair: example for pair, example in calls().items() if rooms.COMPOSITION not in pair}
    except ValueError as error:
        sys.exit(str(error))
    if arguments.picture:
        draw(arrows, arguments.picture)
    faults = []
    for (source, target), (caller, called) in sorted(arrows.items()):
        if rooms.is_upward(source, target) and (arguments.list or not rooms.may_call(source, target)):
            faults.append("%s calls upwards: %s() calls %s() of %s" % (source, caller, called, target))
    for circle in circles(arrows):
        if arguments.list or not rooms.may_circle(circle):
            faults.append("circle of %d files: %s" % (len(circle), " ".join(circle)))
    print("\n".join(faults) or "no circle, no call upwards")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
