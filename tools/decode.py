#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns a pasted crash of Socle's into functions and lines, and into a core that gdb opens.

    socle-decode [FILE] [--debug build/socle.debug] [--symbols l1=ELF] [--core FILE]        # tools/decode.py in the tree

FILE (or standard input) is any part of a serial log with a panic or a stop in it, or what the monitor has shown. Addresses in
Socle's image become functions and lines of the sources; those of guests do where --symbols names an ELF or a System.map. The
core has a thread for each CPU and level whose registers stand there, the memory that was shown, and the log itself in a note;
`gdb build/socle.debug FILE` opens it for Socle's own threads, and with a guest's ELF for the guest's.
"""
import argparse
import os
import re
import subprocess
import sys

TOOLS = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True  # where it is installed, nobody would remove it
sys.path[:0] = [TOOLS, os.path.join(TOOLS, "trace")]

import crash  # noqa: E402
import read  # noqa: E402
import symbols as symbols_of  # noqa: E402

# in a tree, and installed
PLACES = (os.path.join(TOOLS, "..", "build", "socle.debug"), os.path.join(TOOLS, "..", "socle.debug"))
DEBUG = next((path for path in PLACES if os.path.exists(path)), PLACES[0])
IMAGE = re.compile(r"\bffffffff8[0-9a-f]{7}\b")
GUEST = re.compile(r"-\d+: (L[12]) .*\brip ([0-9a-f]+)")
BUILD_ID = re.compile(r"build[ -]id ([0-9a-f]{40})")
SIZE_MAX = 16 << 20


class DecodeError(Exception):
    """A line for the user."""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default="-", metavar="FILE")
    parser.add_argument("--debug", default=DEBUG, metavar="ELF", help="socle.debug of the same build")
    parser.add_argument("--symbols", action="append", default=[], metavar="l1=ELF", help="names for a guest's addresses")
    parser.add_argument("--core", metavar="FILE", help="write an ELF core")
    return parser.parse_args()


def run(*command, text=None):
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        raise DecodeError("%s is not installed (package binutils)" % command[0]) from None


def read_text(path):
    try:
        with open(0 if path == "-" else path, encoding="utf-8", errors="replace", closefd=path != "-") as file:
            return file.read(SIZE_MAX)
    except OSError as error:
        raise DecodeError("%s: %s" % (path, error.strerror)) from None


def check_build(text, debug):
    """Which build the log is of; a warning where the symbols are another one's."""
    if not os.path.exists(debug):
        raise DecodeError("%s: no such file; --debug names the socle.debug of that build" % debug)
    ours = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", debug))
    logs = BUILD_ID.findall(text)
    if logs and ours and logs[-1] != ours.group(1):
        return "the log is of build %s, and %s of %s: functions and lines are wrong" % (logs[-1], debug, ours.group(1))
    return None if logs else "the log does not say its build id: whether %s is of the same build nobody knows" % debug


def lookup(addresses, debug):
    """{address: ["function at file:line", the one that it is inlined in...]}. A return address is behind its call."""
    said = run("addr2line", "-a", "-f", "-i", "-s", "-p", "-e", debug, text="".join("%x\n" % (at - 1) for at in addresses))
    names = {}
    for line in said.splitlines():
        match = re.match(r"0x([0-9a-f]+): (.*)", line)
        if match:
            at = int(match.group(1), 16) + 1
        names.setdefault(at, []).append(match.group(2) if match else line.replace(" (inlined by) ", "in "))
    return {at: lines for at, lines in names.items() if not lines[0].startswith("??")}


def in_code(debug):
    """The range of .text: words of a stack that point elsewhere are no return addresses."""
    match = re.search(r"\.text +PROGBITS +([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+)", run("readelf", "-SW", debug))
    if not match:
        raise DecodeError("%s: no code in it" % debug)
    start = int(match.group(1), 16)
    return range(start, start + int(match.group(2), 16))


def annotate(text, debug, symbols):
    """The lines, each with what its addresses are below it."""
    code = in_code(debug)
    addresses = {int(word, 16) for word in IMAGE.findall(text)}
    names = lookup({at for at in addresses if at in code}, debug)
    for line in text.splitlines():
        yield line
        for word in dict.fromkeys(IMAGE.findall(line)):
            if int(word, 16) in names:
                yield "    %s  %s" % (word, ", ".join(names[int(word, 16)]))
        guest = GUEST.search(line)
        if guest:
            name = symbols.name(int(guest.group(1)[1]), int(guest.group(2), 16))
            if name != guest.group(2):
                yield "    %s  %s" % (guest.group(2), name)


def main():
    args = parse_arguments()
    symbols = symbols_of.Symbols()
    for argument in args.symbols:
        symbols.add(argument)
    text = read_text(args.file)
    warning = check_build(text, args.debug)
    for line in annotate(text, args.debug, symbols):
        print(line)
    if warning:
        print("decode: " + warning, file=sys.stderr)
    if args.core:
        threads, memory = crash.parse(text)
        if not threads:
            raise DecodeError("no registers in the log: no core is written")
        with open(args.core, "wb") as file:
            file.write(crash.make_core(threads, memory, text))
        print("decode: %s: threads %s" % (args.core, ", ".join("%d %s" % (one.number, one.title) for one in threads)),
              file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(1)
    except (DecodeError, read.TraceError, OSError) as problem:
        print("decode: %s" % problem, file=sys.stderr)
        sys.exit(2)
