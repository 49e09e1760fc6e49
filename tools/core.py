#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pulls an ELF core over the serial port on which Socle has gdb's stub (gdb=), from the machine as it runs.

    socle-core PORT OUT [--level 1|2] [--cpu N] [--stack SIZE] [--memory ADDRESS,SIZE] [--stay]   # tools/core.py in the tree

PORT is what gdb's `target remote` takes: a terminal such as /dev/ttyS1, or HOST:PORT. The machine stands still meanwhile,
and goes on afterwards, also where something fails. OUT has a thread for each CPU and level (its number is twice the CPU's,
plus the level), general and floating point registers, stacks and code; what is no register of Linux', vmcs12, the trace and
Socle's log are in a note, and in OUT.txt. `gdb ELF OUT` opens it, with the ELF of the level that is of interest.
"""
import argparse
import collections
import contextlib
import os
import re
import signal
import struct
import sys

sys.dont_write_bytecode = True  # where it is installed, nobody would remove it
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import crash  # noqa: E402
import rsp  # noqa: E402

PIECE = 0x3E8  # of memory in a packet
CODE_BEFORE, CODE = 64, 256
REGISTER_MAX = 64  # bytes
# What the monitor says of a CPU, and what it says once. Each begins with a line that names it.
OF_CPU = ("regs", "regs l1", "regs l2", "vmcs 12", "why")
ONCE = ("cpus", "exits", "break", "trace dump", "log 10000")


class CoreError(Exception):
    """A line for the user."""


# ---- what is asked ---------------------------------------------------------------------------------------------------

def layout(link):
    """[(name, bytes)] of a `g` packet, as target.xml has them."""
    text, reply = "", "m"
    while reply[:1] == "m":
        reply = link.ask("qXfer:features:read:target.xml:%x,400" % len(text))[0]
        if reply[:1] not in ("m", "l"):
            raise CoreError("the stub does not describe its registers: is it Socle's?")
        text += reply[1:]
    rows = [(name, int(bits) // 8) for name, bits in re.findall(r'<reg name="(\w+)" bitsize="(\d+)"', text)]
    if not {("rip", 8), ("rsp", 8)} <= set(rows) or not any(name.startswith("v12_") for name, _ in rows) or \
       max(size for _, size in rows) > REGISTER_MAX:
        raise CoreError("the stub is not Socle's")
    return [row for row in rows if not row[0].startswith("v12_")]


def read_registers(link, rows):
    """{name: bytes, or None where nobody knows them}."""
    text = link.ask("g")[0]
    values, at = {}, 0
    for name, size in rows:
        word = text[at:at + 2 * size]
        values[name] = None if "x" in word or len(word) < 2 * size else rsp.unhex(word)
        at += 2 * size
    return values


def read_memory(link, address, size):
    """As much as is there without a gap."""
    data = b""
    while len(data) < size:
        reply = link.ask("m%x,%x" % (address + len(data), min(PIECE, size - len(data))))[0]
        if reply[:1] == "E" or not reply:
            break
        data += rsp.unhex(reply)
    return data


def floating(values):
    """FXSAVE's image of them; None if they are not known. Of its long pointers gdb calls the upper half segments."""
    names = ["st%d" % i for i in range(8)] + ["xmm%d" % i for i in range(16)]
    if any(values.get(name) is None for name in names + ["fctrl", "fstat", "ftag", "fop", "fioff", "fooff", "mxcsr"]):
        return None
    number = {name: int.from_bytes(values[name], "little") for name in values if values[name]}
    tags = sum(1 << i for i in range(8) if number["ftag"] >> 2 * i & 3 != 3)
    image = struct.pack("<HHBxHQQII", number["fctrl"] & 0xFFFF, number["fstat"] & 0xFFFF, tags, number["fop"] & 0xFFFF,
                        *[number[low] & 0xFFFFFFFF | (number.get(high, 0) & 0xFFFF) << 32
                          for low, high in (("fioff", "fiseg"), ("fooff", "foseg"))], number["mxcsr"] & 0xFFFFFFFF, 0xFFFF)
    image += b"".join(values[name][:16].ljust(16, b"\0") for name in names)
    return image.ljust(512, b"\0")


CoreThread = collections.namedtuple("CoreThread", "number title values memory")


def pull_thread(link, number, rows, arguments):
    """Of the thread that has been selected."""
    title = rsp.unhex(link.ask("qThreadExtraInfo,%x" % number)[0]).decode("latin-1")
    values = read_registers(link, rows)
    code, stack = (int.from_bytes(values[name] or b"", "little") for name in ("rip", "rsp"))
    places = [(max(code - CODE_BEFORE, 0), CODE), (stack, arguments.stack)] + arguments.memory
    return CoreThread(number, title, values, [(address, read_memory(link, address, size)) for address, size in places])


def pull(link, arguments):
    """(the threads, the text)."""
    link.ask("?")
    rows = layout(link)
    numbers, reply = [], link.ask("qfThreadInfo")[0]
    while reply[:1] == "m":
        numbers += [int(word, 16) for word in reply[1:].split(",")]
        reply = link.ask("qsThreadInfo")[0]
    threads, text, cpus = [], "", set()
    for number in numbers:
        if link.ask("Hg%x" % number)[0] != "OK":
            continue
        threads.append(pull_thread(link, number, rows, arguments))
        cpu = cpu_of(number)
        if cpu not in cpus:
            text += "".join("== cpu %d: %s\n%s" % (cpu, command, link.monitor(command)) for command in OF_CPU)
            cpus.add(cpu)
    text += "".join("== %s\n%s" % (command, link.monitor(command)) for command in ONCE)
    return threads, text


# ---- the core --------------------------------------------------------------------------------------------------------

NAMES = {"eflags": "rflags", "fs_base": "fs-base", "gs_base": "gs-base"}


def cpu_of(number):
    return (number - 1) // 2


def level_of(number):
    return 2 - number % 2


def overlap_differs(at, data, other, held):
    return (at < other + len(held) and other < at + len(data) and
            data[max(other - at, 0):other + len(held) - at] != held[max(at - other, 0):at + len(data) - other])


def gather(threads):
    """{address: bytes}, the first thread's where two have different ones, and a line for each that is left out."""
    memory, owners, lines = {}, {}, []
    for thread in threads:
        number = thread.number
        for address, data in thread.memory:
            others = [owners[at] for at, held in memory.items() if overlap_differs(address, data, at, held)]
            if others:
                options = ["--level %d" % level_of(number)] if any(level_of(one) != level_of(number) for one in others) else []
                options += ["--cpu %d" % cpu_of(number)] if any(cpu_of(one) != cpu_of(number) for one in others) else []
                lines.append("%x of thread %d is left out: thread %d, of another %s, has other memory there; say %s" % (
                    address, number, others[0], "level" if level_of(others[0]) != level_of(number) else "CPU",
                    " ".join(options)))
            elif len(data) > len(memory.get(address, b"")):
                memory[address], owners[address] = data, number
    return memory, lines


def missing(memory, ranges):
    """A line for each range of --memory that the core does not have whole."""
    for address, size in ranges:
        held = sum(max(0, min(at + len(data), address + size) - max(at, address)) for at, data in crash.segments(memory))
        if held < size:
            yield "--memory %#x,%d: %s" % (address, size, "only %d bytes of it are in the core" % held if held else
                                           "no thread has memory there")


def unlike_linux(threads, rows):
    """The registers for which a core of Linux' has no place."""
    names = [name for name in rows if not re.match(r"(st\d|xmm\d|f[a-z]+$|mxcsr)", name) and
             NAMES.get(name, name) not in crash.ORDER]
    return "".join("== thread %d: %s\n%s" % (thread.number, thread.title, "".join(
        "%s %s\n" % (name, "unknown" if thread.values[name] is None else thread.values[name][::-1].hex())
        for name in names)) for thread in threads)


@contextlib.contextmanager
def outputs(path):
    """OUT and OUT.txt, open before the machine is stopped. What is new goes again where nothing comes of it."""
    with contextlib.ExitStack() as stack:
        files, new = [], []
        try:
            for name in (path, path + ".txt"):
                there = os.path.exists(name)
                if there and not os.path.isfile(name):
                    raise CoreError("%s is no file: OUT is where the core is written" % name)
                files.append(stack.enter_context(os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT, 0o666), "r+b")))
                new += [] if there else [name]
            yield files
        except BaseException:
            for name in new:
                os.unlink(name)
            raise


def write_core(files, threads, text, memory):
    made = []
    for one in sorted(threads, key=lambda thread: thread.number):
        registers = {NAMES.get(name, name): int.from_bytes(value, "little") for name, value in one.values.items() if value}
        made.append(crash.Thread(one.number, one.title, registers, floating(one.values)))
    for file, data in zip(files, (crash.make_core(made, memory, text), text.encode("latin-1", errors="replace"))):
        file.truncate()
        file.write(data)
        file.flush()


def parse_range(word):
    try:
        address, size = (int(part, 0) for part in word.split(","))
        if not (0 <= address < 1 << 64 and 0 < size <= (1 << 64) - address):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError("say ADDRESS,SIZE, such as 0xffff888000000000,4096") from None
    return address, size


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", metavar="PORT")
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("--baud", type=int, default=115200)
    parser.add_argument("--level", type=int, choices=(1, 2), default=1,
                        help="whose memory counts where levels have different memory at an address")
    parser.add_argument("--cpu", type=int, default=0, metavar="N",
                        help="the same for CPUs of which a level has different memory (0)")
    parser.add_argument("--stack", type=int, default=4096, metavar="SIZE", help="bytes of each stack (4096)")
    parser.add_argument("--memory", type=parse_range, action="append", default=[], metavar="ADDRESS,SIZE",
                        help="linear addresses that each thread is asked for besides")
    parser.add_argument("--stay", action="store_true", help="leave the machine standing still, for gdb")
    return parser.parse_args()


def pull_over(port, arguments):
    """(the threads, the text); then the machine goes on, with or without them."""
    link = rsp.Link(port)
    try:
        return pull(link, arguments)
    finally:
        if not arguments.stay:
            link.leave()


def run(arguments):
    """The exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, frame: sys.exit(128 + got))
    port, keep = rsp.open_port(arguments.port, arguments.baud)
    with outputs(arguments.out) as files:
        threads, text = pull_over(port, arguments)
        if not threads:
            raise CoreError("no CPU stands still")
        text = unlike_linux(threads, threads[0].values) + text
        memory, lines = gather(sorted(threads, key=lambda one: (
            level_of(one.number) != arguments.level, cpu_of(one.number) != arguments.cpu, one.number)))
        write_core(files, threads, text, memory)
    del keep
    gone = list(missing(memory, arguments.memory))
    for line in lines + gone:
        print("core: " + line, file=sys.stderr)
    print("%s: threads %s" % (arguments.out, "; ".join("%d %s" % (one.number, one.title) for one in threads)))
    return 1 if gone else 0


def main():
    try:
        return run(parse_arguments())
    except KeyboardInterrupt:
        problem, status = "interrupted: no core is written", 130
    except (CoreError, rsp.RspError, OSError) as found:
        problem, status = found, 2
    except (ValueError, IndexError, OverflowError, struct.error) as found:
        problem, status = "the stub's replies do not fit: %s" % found, 2
    print("core: %s" % problem, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
