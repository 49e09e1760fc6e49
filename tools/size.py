#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What Socle takes: size.py ELF PROGRAM CPUS MEM, as `make size` calls it.

The image's parts are read from its section headers; what a slot, a CPU and a machine of CPUS processors and MEM MiB (or 2G)
take is counted by PROGRAM (tests/unit/size_test.c), which runs Socle's own start on the host.
"""
import os
import re
import struct
import subprocess
import sys

SHF_ALLOC, SHT_NOBITS = 2, 8


def sections(path):
    """(name, bytes in memory, bytes in the file) of each section that is loaded, and what all take in memory, in pages."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != b"\x7fELF\x02\x01":
        sys.exit("size: %s is no ELF file of 64 bits" % path)
    offset, = struct.unpack_from("<Q", data, 40)
    each, count, names_at = struct.unpack_from("<HHH", data, 58)
    heads = [struct.unpack_from("<IIQQQQ", data, offset + i * each) for i in range(count)]
    names = heads[names_at][4]
    found, first, last = [], None, 0
    for name, kind, flags, address, _, size in heads:
        if not flags & SHF_ALLOC:
            continue
        end = data.index(b"\0", names + name)
        found.append((data[names + name:end].decode(), size, 0 if kind == SHT_NOBITS else size))
        first = address if first is None else min(first, address)
        last = max(last, address + size)
    return found, -(-(last - first) // 4096) * 4096


def mebibytes(text):
    match = re.fullmatch(r"(\d+)([MG]?)", text)
    if not match or not int(match.group(1)):
        sys.exit("size: MEM=%s: say a size in MiB, or 2G" % text)
    return int(match.group(1)) * (1024 if match.group(2) == "G" else 1)


def main():
    elf, program, cpus, mem = sys.argv[1:]
    if not cpus.isdecimal() or not 0 < int(cpus) <= 512:
        sys.exit("size: CPUS=%s: say a number from 1 to 512" % cpus)
    mib = mebibytes(mem)
    found, memory = sections(elf)
    print("| section | in memory | in the file |")
    for name, size, stored in found:
        print("| `%s` | %d | %d |" % (name, size, stored))
    print("| %s: all, in whole pages | %d | %d |\n" % (os.path.basename(elf), memory, os.path.getsize(elf)))
    sys.stdout.flush()
    of = "%s %d %d" % (cpus, mib, memory)
    return subprocess.run([program], env=dict(os.environ, SIZE_OF=of), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
