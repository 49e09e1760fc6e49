# SPDX-License-Identifier: MIT
"""Registers and memory out of a crash report or of what the monitor has shown, and an ELF core of them (gABI; the notes are
Linux': elf_prstatus of x86-64)."""
import collections
import re
import struct

# floating: FXSAVE's image, if it is known
Thread = collections.namedtuple("Thread", "number title registers floating", defaults=(None,))

# The order of a core's registers.
ORDER = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax",
         "rip", "cs", "rflags", "rsp", "ss", "fs-base", "gs-base", "ds", "es", "fs", "gs")
PAIR = re.compile(r"\b(r[a-z0-9]{1,2}|rip|rsp|rflags|cr[034]|efer) +([0-9a-f]{1,16})\b")
SEGMENT = re.compile(r"^\s*(es|cs|ss|ds|fs|gs) ([0-9a-f]+) base ([0-9a-f]+) ")
STACK = re.compile(r"\bstack ([0-9a-f]{1,16}):((?: [0-9a-f]{1,16}){4})\s*$")
SHOWN = re.compile(r"^([0-9a-f]{1,16}):((?: [0-9a-f]{2})+|(?: [0-9a-f]{4})+|(?: [0-9a-f]{8})+|(?: [0-9a-f]{16})+)\s*$")
PRSTATUS, FPREGSET, SOCLE_NOTE, PAGE = 1, 2, 0x534f, 4096
MEMORY_MAX, NOTE_MAX, THREADS_MAX = 16 << 20, 1 << 20, 4096

# What begins a thread's registers: pattern, title, its number from the CPU.
BEGINS = (
    (re.compile(r"(#[A-Z]{2}|NMI) in L0, .*\bRIP ([0-9a-f]+)"), lambda m, cpu: "L0 at the fault"),
    (re.compile(r"\bL0: rip "), lambda m, cpu: "L0 in its panic"),
    (re.compile(r"\bCPU (\d{1,3}), vmcs0[12] current, .* (L[12]) ran"), lambda m, cpu: "CPU %d %s" % (cpu, m.group(2))),
    (re.compile(r"^(?:socle: (?:error: )?)?\s*L1: rip "), lambda m, cpu: "CPU %d L1, as host" % cpu),
    (re.compile(r"\bcpu (\d{1,3}): (L[12]), which "), lambda m, cpu: "CPU %d %s" % (cpu, m.group(2))),
)
ENDS = re.compile(r"  -\d+: L|\btrace: |stopped> |running> |\bvmcs|exit that nobody")


def begun(line, cpu):
    """(title, CPU) of the thread that this line begins, or None."""
    for pattern, title in BEGINS:
        match = pattern.search(line)
        if match:
            if match.re.groups and match.group(1).isdigit():
                cpu = int(match.group(1))
            return title(match, cpu), cpu
    return None


def take_registers(line, registers):
    for name, value in PAIR.findall(line.lower()):
        registers.setdefault(name, int(value, 16))
    segment = SEGMENT.search(line)
    if segment:
        registers[segment.group(1)] = int(segment.group(2), 16)
        if segment.group(1) in ("fs", "gs"):
            registers[segment.group(1) + "-base"] = int(segment.group(3), 16)
    selector = re.search(r"\bcs ([0-9a-f]+)/", line)
    if selector:
        registers["cs"] = int(selector.group(1), 16)


def take_memory(line, memory):
    match = STACK.search(line)
    if match:
        words, size = match.group(2).split(), 8
    else:
        match = SHOWN.search(line)
        if not match:
            return
        words = match.group(2).split()
        size = len(words[0]) // 2
    data = b"".join(int(word, 16).to_bytes(size, "little") for word in words)
    if len(memory) * 8 < MEMORY_MAX:
        memory[int(match.group(1), 16)] = data


def parse(text):
    """(threads, {address: bytes}) of all that the text shows."""
    threads, memory, registers, cpu = [], {}, None, 0
    for line in text.splitlines():
        new = begun(line, cpu)
        if new and len(threads) < THREADS_MAX:
            title, cpu = new
            registers = {}
            threads.append(Thread(len(threads) + 1, title, registers))
        elif ENDS.search(line):
            registers = None
        if registers is not None:
            take_registers(line, registers)
        take_memory(line, memory)
    return [one for one in threads if "rip" in one.registers], memory


def note(kind, name, body):
    pad = -len(body) % 4
    return struct.pack("<III", len(name) + 1, len(body), kind) + name + bytes(1 + -(len(name) + 1) % 4) + body + bytes(pad)


def status(thread):
    """struct elf_prstatus."""
    values = [thread.registers.get(name, 0) & (1 << 64) - 1 for name in ORDER]
    return struct.pack("<iiihxxQQIIII8Q27Qii", 0, 0, 0, 0, 0, 0, thread.number, 0, 0, 0, *[0] * 8, *values, 0, 0)


def segments(memory):
    """[(address, bytes)], joined where they touch; what was shown twice counts as it was last."""
    joined = []
    for address in sorted(memory):
        data = memory[address]
        if joined and joined[-1][0] + len(joined[-1][1]) >= address:
            at, before = joined[-1]
            joined[-1] = at, before[:address - at] + data + before[address - at + len(data):]
        else:
            joined.append((address, data))
    return joined


def make_core(threads, memory, text):
    notes = b"".join(note(PRSTATUS, b"CORE", status(one)) + (note(FPREGSET, b"CORE", one.floating) if one.floating else b"")
                     for one in threads)
    notes += note(SOCLE_NOTE, b"SOCLE", text.encode("utf-8", errors="replace")[-NOTE_MAX:])
    pieces = segments(memory)
    at = 64 + 56 * (1 + len(pieces))
    headers = struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(notes), 0, 4)
    at += len(notes)
    for address, data in pieces:
        headers += struct.pack("<IIQQQQQQ", 1, 6, at, address, 0, len(data), len(data), 1)
        at += len(data)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack("<16sHHIQQQIHHHHHH", identity, 4, 62, 1, 0, 64, 0, 0, 64, 56, 1 + len(pieces), 0, 0, 0)
    return head + headers + notes + b"".join(data for _, data in pieces)
