# SPDX-License-Identifier: MIT
"""Addresses to symbols, for L1 and L2 each by the files that the user names: ELF files (read by nm), or lists such as
System.map and /proc/kallsyms."""
import bisect
import re
import shutil
import subprocess

import read

LINE = re.compile(r"^([0-9a-f]{8,16}) +[tTwW] +(\S+)", re.M)
FAR = 1 << 20  # an address so far behind the last symbol is nobody's


def listing(path):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise read.TraceError("%s: %s" % (path, error.strerror)) from None
    if data[:4] != b"\x7fELF":
        return data.decode("utf-8", errors="replace")
    if not shutil.which("nm"):
        raise read.TraceError("nm is not installed (package binutils): it reads the symbols of %s" % path)
    done = subprocess.run(["nm", "--defined-only", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode("utf-8", errors="replace")


class Symbols:
    """name() of an address of a level; those without a file stay numbers."""

    def __init__(self):
        self.tables = {1: [], 2: []}

    def add(self, argument):
        """l1=FILE, l2=FILE, each with +OFFSET behind it where the program does not run where it was linked."""
        match = re.match(r"l([12])=(.+?)(?:\+(0x[0-9a-f]+))?$", argument)
        if not match:
            raise read.TraceError("--symbols %s: say l1=FILE or l2=FILE, or l1=FILE+0xOFFSET" % argument)
        offset = int(match.group(3) or "0", 16)
        found = [((int(at, 16) + offset) & (1 << 64) - 1, name) for at, name in LINE.findall(listing(match.group(2)))]
        if not found:
            raise read.TraceError("%s: there are no symbols of functions in it" % match.group(2))
        level = int(match.group(1))
        self.tables[level] = sorted(self.tables[level] + found)

    def name(self, level, address):
        table = self.tables.get(level, ())
        index = bisect.bisect_right(table, (address, "\x7f")) - 1
        if index < 0 or address - table[index][0] > FAR:
            return "%x" % address
        return table[index][1]
