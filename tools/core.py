#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pulls an ELF core over the serial port on which Socle has gdb's stub (gdb=), from the machine as it runs.

    core.py PORT OUT [--level 1|2] [--stack SIZE] [--memory ADDRESS,SIZE] [--stay]

PORT is what gdb's `target remote` takes: a terminal such as /dev/ttyS1, or HOST:PORT. The machine stands still meanwhile,
and goes on afterwards. OUT has a thread for each CPU and level (its number is twice the CPU's, plus the level), general and
floating point registers, stacks and code; what is no register of Linux', vmcs12, the trace and Socle's log are in a note, and
in OUT.txt. `gdb ELF OUT` opens it, with the ELF of the level that is of interest.
"""
import argparse
import collections
import os
import re
import select
import socket
import struct
import sys
import termios
import tty

sys.dont_write_bytecode = True  # where it is installed, nobody would remove it
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import crash  # noqa: E402

PIECE = 0x3E8  # of memory in a packet
CODE_BEFORE, CODE = 64, 256
TRIES, SECONDS = 6, 10
# What the monitor says of a CPU, and what it says once. Each begins with a line that names it.
OF_CPU = ("regs", "regs l1", "regs l2", "vmcs 12", "why")
ONCE = ("cpus", "exits", "break", "trace dump", "log 10000")


class CoreError(Exception):
    """A line for the user."""


# ---- the port --------------------------------------------------------------------------------------------------------

def open_port(name, baud):
    """A file descriptor, and what must live as long."""
    host = re.fullmatch(r"(?:tcp:)?([^/]*):(\d+)", name)
    if host:
        peer = socket.create_connection((host.group(1) or "127.0.0.1", int(host.group(2))), SECONDS)
        return peer.fileno(), peer
    port = os.open(name, os.O_RDWR | os.O_NOCTTY)
    if os.isatty(port):
        tty.setraw(port)
        speed = getattr(termios, "B%d" % baud, None)
        if speed is None:
            raise CoreError("there is no speed %d" % baud)
        mode = termios.tcgetattr(port)
        mode[4] = mode[5] = speed
        termios.tcsetattr(port, termios.TCSANOW, mode)
        termios.tcflush(port, termios.TCIFLUSH)
    return port, None


class Link:
    """gdb's remote serial protocol, as much as this needs."""

    def __init__(self, port):
        self.port = port
        self.rest = b""

    def more(self, seconds):
        if not select.select([self.port], [], [], seconds)[0]:
            return False
        data = os.read(self.port, 4096)
        if not data:
            raise CoreError("the port was closed")
        self.rest += data
        return True

    def packet(self):
        """The next one, or None where the time is over. One that is damaged is asked for again."""
        while True:
            match = re.search(rb"\$([^#$]*)#([0-9a-fA-F]{2})", self.rest)
            if not match:
                if not self.more(SECONDS):
                    return None
                continue
            self.rest = self.rest[match.end():]
            whole = sum(match.group(1)) & 0xFF == int(match.group(2), 16)
            os.write(self.port, b"+" if whole else b"-")
            if whole:
                return match.group(1).decode("latin-1")

    def ask(self, text):
        """The reply, and what was printed before it."""
        data = text.encode()
        printed = ""
        for _ in range(TRIES):
            os.write(self.port, b"$%s#%02x" % (data, sum(data) & 0xFF))
            reply = self.packet()
            while reply and reply[0] == "O" and reply != "OK":
                printed += bytes.fromhex(reply[1:]).decode("latin-1")
                reply = self.packet()
            if reply is not None:
                return reply, printed
        raise CoreError("nobody answers: is it the port of gdb=, and is no gdb there?")

    def monitor(self, command):
        return self.ask("qRcmd," + command.encode().hex())[1]


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
    if ("rip", 8) not in rows or not any(name.startswith("v12_") for name, _ in rows):
        raise CoreError("the stub is not Socle's")
    return [row for row in rows if not row[0].startswith("v12_")]


def read_registers(link, rows):
    """{name: bytes, or None where nobody knows them}."""
    text = link.ask("g")[0]
    values, at = {}, 0
    for name, size in rows:
        word = text[at:at + 2 * size]
        values[name] = None if "x" in word or len(word) < 2 * size else bytes.fromhex(word)
        at += 2 * size
    return values


def read_memory(link, address, size):
    """As much as is there without a gap."""
    data = b""
    while len(data) < size:
        reply = link.ask("m%x,%x" % (address + len(data), min(PIECE, size - len(data))))[0]
        if reply[:1] == "E" or not reply:
            break
        data += bytes.fromhex(reply)
    return data


def floating(values):
    """FXSAVE's image of them; None if they are not known."""
    names = ["st%d" % i for i in range(8)] + ["xmm%d" % i for i in range(16)]
    if any(values.get(name) is None for name in names + ["fctrl", "fstat", "ftag", "fop", "fioff", "fooff", "mxcsr"]):
        return None
    number = {name: int.from_bytes(values[name], "little") for name in values if values[name]}
    tags = sum(1 << i for i in range(8) if number["ftag"] >> 2 * i & 3 != 3)
    image = struct.pack("<HHBxHQQII", number["fctrl"] & 0xFFFF, number["fstat"] & 0xFFFF, tags, number["fop"] & 0xFFFF,
                        number["fioff"], number["fooff"], number["mxcsr"], 0xFFFF)
    image += b"".join(values[name].ljust(16, b"\0") for name in names)
    return image.ljust(512, b"\0")


CoreThread = collections.namedtuple("CoreThread", "number title values memory")


def pull_thread(link, number, rows, arguments):
    """Of the thread that has been selected."""
    title = bytes.fromhex(link.ask("qThreadExtraInfo,%x" % number)[0]).decode("latin-1")
    values = read_registers(link, rows)
    rip, rsp = (int.from_bytes(values[name] or b"", "little") for name in ("rip", "rsp"))
    places = [(max(rip - CODE_BEFORE, 0), CODE), (rsp, arguments.stack)] + arguments.memory
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
        cpu = (number - 1) // 2
        if cpu not in cpus:
            text += "".join("== cpu %d: %s\n%s" % (cpu, command, link.monitor(command)) for command in OF_CPU)
            cpus.add(cpu)
    text += "".join("== %s\n%s" % (command, link.monitor(command)) for command in ONCE)
    return threads, text


# ---- the core --------------------------------------------------------------------------------------------------------

NAMES = {"eflags": "rflags", "fs_base": "fs-base", "gs_base": "gs-base"}


def gather(threads):
    """{address: bytes}, the first thread's where two have different ones, and a line for each that is left out."""
    memory, lines = {}, []
    for thread in threads:
        for address, data in thread.memory:
            clash = any(at < address + len(data) and address < at + len(held) and
                        data[max(at - address, 0):at + len(held) - address] !=
                        held[max(address - at, 0):address + len(data) - at] for at, held in memory.items())
            if clash:
                lines.append("%x of thread %d is left out: another level has other memory there; say --level %d" % (
                    address, thread.number, 2 - thread.number % 2))
            elif data:
                memory[address] = max(data, memory.get(address, b""), key=len)
    return memory, lines


def unlike_linux(threads, rows):
    """The registers for which a core of Linux' has no place."""
    names = [name for name in rows if not re.match(r"(st\d|xmm\d|f[a-z]+$|mxcsr)", name) and
             NAMES.get(name, name) not in crash.ORDER]
    return "".join("== thread %d: %s\n%s" % (thread.number, thread.title, "".join(
        "%s %s\n" % (name, "unknown" if thread.values[name] is None else thread.values[name][::-1].hex())
        for name in names)) for thread in threads)


def write_core(path, threads, text, level):
    threads = sorted(threads, key=lambda one: (one.number % 2 != level % 2, one.number))
    memory, lines = gather(threads)
    made = []
    for one in sorted(threads, key=lambda thread: thread.number):
        registers = {NAMES.get(name, name): int.from_bytes(value, "little") for name, value in one.values.items() if value}
        made.append(crash.Thread(one.number, one.title, registers, floating(one.values)))
    with open(path, "wb") as file:
        file.write(crash.make_core(made, memory, text))
    with open(path + ".txt", "w", encoding="latin-1") as file:
        file.write(text)
    return lines


def parse_range(word):
    try:
        address, size = (int(part, 0) for part in word.split(","))
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
    parser.add_argument("--stack", type=int, default=4096, metavar="SIZE", help="bytes of each stack (4096)")
    parser.add_argument("--memory", type=parse_range, action="append", default=[], metavar="ADDRESS,SIZE",
                        help="linear addresses that each thread is asked for besides")
    parser.add_argument("--stay", action="store_true", help="leave the machine standing still, for gdb")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    port, keep = open_port(arguments.port, arguments.baud)
    link = Link(port)
    threads, text = pull(link, arguments)
    if not threads:
        raise CoreError("no CPU stands still")
    text = unlike_linux(threads, threads[0].values) + text
    lines = write_core(arguments.out, threads, text, arguments.level)
    if not arguments.stay:
        link.ask("D")
    for line in lines:
        print("core: " + line, file=sys.stderr)
    print("%s: threads %s" % (arguments.out, "; ".join("%d %s" % (one.number, one.title) for one in threads)))
    del keep


if __name__ == "__main__":
    try:
        main()
    except (CoreError, OSError, ValueError) as problem:
        print("core: %s" % problem, file=sys.stderr)
        sys.exit(2)
