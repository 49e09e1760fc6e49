#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes of a distribution's Linux an ELF file by which gdb finds functions, variables and callers, without a debug package.

    socle-linux-elf VMLINUZ OUT        # tools/linux_elf.py in the tree

VMLINUZ is a bzImage or the ELF file in it, as distributions have them: without symbols, but with kallsyms, the kernel's own
table of them, and ORC, by which it finds callers. These become a symbol table and .debug_frame. Addresses are the linked
ones: boot that Linux with `nokaslr`. Types and lines of the sources are not in there.
"""
import bisect
import gzip
import lzma
import os
import struct
import subprocess
import sys
import zlib

sys.dont_write_bytecode = True  # where it is installed, nobody would remove it
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import orc  # noqa: E402

SYMTAB, STRTAB, PROGBITS, NOBITS = 2, 3, 1, 8
ABSOLUTE = 0xFFF1
PAGE = 4096
NAMES_MAX, LENGTH_MAX = 1 << 20, 1 << 10


class ElfError(Exception):
    """A line for the user."""


# ---- the kernel ------------------------------------------------------------------------------------------------------

def filtered(payload, *command):
    try:
        return subprocess.run(command, input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    except FileNotFoundError:
        raise ElfError("%s is not installed" % command[0]) from None


# by the first bytes; the last four of some are the unpacked size
UNPACKERS = (
    (b"\x7fELF", lambda data: data),
    (b"\xfd7zXZ\0", lambda data: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data)),
    (b"\x1f\x8b", lambda data: gzip.decompress(data[:-4])),
    (b"\x02\x21\x4c\x18", lambda data: filtered(data[:-4], "lz4", "-dc")),
    (b"\x28\xb5\x2f\xfd", lambda data: filtered(data[:-4], "zstd", "-dc")),
)


def payload_of(image):
    """Linux/x86 boot protocol: what is compressed in a bzImage, and an ELF file as it is."""
    if image[:4] == b"\x7fELF":
        return image
    if image[0x202:0x206] != b"HdrS":
        raise ElfError("it is neither a bzImage nor an ELF file")
    start = ((image[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    return image[start + offset:start + offset + length]


def kernel_in(image):
    payload = payload_of(image)
    for magic, unpack in UNPACKERS:
        if payload.startswith(magic):
            try:
                kernel = unpack(payload)
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                raise ElfError("what is packed in it is damaged: %s" % error) from None
            if kernel[:6] == b"\x7fELF\x02\x01":
                return kernel
    raise ElfError("the kernel in it is packed in a way that is not known: it begins with " + payload[:6].hex())


class Section:
    """A row of the section headers."""

    def __init__(self, row, names):
        (name, self.kind, self.flags, self.address, self.offset, self.size, self.link, self.info, self.align,
         self.entry) = row
        self.name = names[name:names.index(b"\0", name)].decode() if names else name


def read_sections(kernel):
    table, = struct.unpack_from("<Q", kernel, 40)
    entry, count, strings = struct.unpack_from("<HHH", kernel, 58)
    rows = [struct.unpack_from("<IIQQQQIIQQ", kernel, table + i * entry) for i in range(count)]
    if not rows:
        raise ElfError("the kernel has no sections")
    names = kernel[rows[strings][4]:rows[strings][4] + rows[strings][5]]
    return [Section(row, names) for row in rows]


# ---- kallsyms --------------------------------------------------------------------------------------------------------

def stands_at(data, at, what):
    """There, or behind a little padding."""
    return data.find(what, at, at + 16 + len(what)) >= 0


def find_tokens(data):
    """(where the table begins, the 256 tokens): that of the digits is known, and the index behind the table proves it."""
    digits = b"".join(b"%d\0" % digit for digit in range(10))
    at = data.find(b"\0" + digits)
    while at >= 0:
        first = at + 1
        for _ in range(ord("0")):
            first = data.rfind(b"\0", 0, first - 1) + 1
        tokens, place, places = [], first, []
        for _ in range(256):
            end = data.index(b"\0", place)
            tokens.append(data[place:end])
            places.append(place - first)
            place = end + 1
        if stands_at(data, place, struct.pack("<256H", *[p & 0xFFFF for p in places])):
            return first, tokens
        at = data.find(b"\0" + digits, at + 1)
    raise ElfError("the kernel has no kallsyms")


def read_names(data, at, count, tokens):
    """The names that begin there and where each 256th does, as the markers have it. None: there is no such list."""
    names, markers, start = [], [], at
    for number in range(count):
        if number % 256 == 0:
            markers.append(at - start)
        length = data[at]
        at += 1
        if length & 0x80:  # two bytes, since 6.1
            length = (length & 0x7F) | data[at] << 7
            at += 1
        if not 0 < length < LENGTH_MAX or at + length >= len(data):
            return None
        names.append(b"".join(tokens[byte] for byte in data[at:at + length]))
        at += length
    return names, markers, at


def find_names(data, base, before, tokens):
    """(where the offsets end, the names): a word with the lowest address, a count and names before the markers that fit."""
    word = struct.pack("<Q", base)
    at = data.find(word)
    while 0 <= at < before:
        count, = struct.unpack_from("<I", data, at + 8)
        found = read_names(data, at + 16, count, tokens) if 256 < count < NAMES_MAX else None
        if found:
            names, markers, end = found
            if stands_at(data, end, struct.pack("<%dI" % len(markers), *markers)):
                return at, names
        at = data.find(word, at + 1)
    raise ElfError("kallsyms stands in the kernel in another order than in Linux 4.6 to 6.3")


def read_symbols(kernel, sections):
    """[(address, letter, name)] as /proc/kallsyms shows them."""
    text = next((one for one in sections if one.name == ".text"), None)
    rodata = next((one for one in sections if one.name == ".rodata"), None)
    if not text or not rodata:
        raise ElfError("the kernel has no .text and .rodata")
    data = kernel[rodata.offset:rodata.offset + rodata.size]
    before, tokens = find_tokens(data)
    end, names = find_names(data, text.address, before, tokens)
    # CONFIG_KALLSYMS_ABSOLUTE_PERCPU: positive ones are absolute, others count down from the base.
    for start in (end - 4 * len(names), end - 4 * len(names) - 4):
        offsets = struct.unpack_from("<%di" % len(names), data, start)
        if text.address - 1 - offsets[-1] > text.address and -1 in offsets:
            break
    else:
        raise ElfError("kallsyms has no offsets in the form of an SMP kernel")
    return [(offset if offset >= 0 else text.address - 1 - offset, name[:1].decode(), name[1:])
            for offset, name in zip(offsets, names)]


# ---- what is written -------------------------------------------------------------------------------------------------

def symbol_table(symbols, sections):
    """The bytes of .symtab and .strtab: local symbols first, functions as far as the next one."""
    places = sorted((one.address, one.address + one.size, number) for number, one in enumerate(sections)
                    if one.flags & 2 and one.address)
    starts = [place[0] for place in places]
    ordered = sorted(symbols)
    rows, names = {True: [], False: []}, bytearray(b"\0")
    for i, (address, letter, name) in enumerate(ordered):
        row = bisect.bisect_right(starts, address) - 1
        index = places[row][2] if row >= 0 and letter not in "aA" else ABSOLUTE
        code = letter in "tTwW" and index != ABSOLUTE
        size = 0
        if code:
            behind = next((a for a, _, _ in ordered[i + 1:i + 50] if a > address), address)
            size = min(behind, places[row][1]) - address
        local = letter.islower() and letter != "w"
        kind = (0 if local else 2 if letter in "wW" else 1) << 4 | (2 if code else 1)
        rows[local].append(struct.pack("<IBBHQQ", len(names), kind, 0, index, address, max(size, 0)))
        names += name + b"\0"
    table = bytes(24) + b"".join(rows[True]) + b"".join(rows[False])
    return table, bytes(names), 1 + len(rows[True])


def write(path, kernel, sections, added):
    """The kernel with these sections, [(name, kind, bytes, link, info, entry size)], behind its own."""
    names, out, rows = bytearray(b"\0"), bytearray(kernel), []
    for one in sections:
        rows.append([len(names), one.kind, one.flags, one.address, one.offset, one.size, one.link, one.info, one.align,
                     one.entry])
        names += one.name.encode() + b"\0"
    added = added + [(".shstrtab", STRTAB, None, 0, 0, 0)]
    for name, kind, data, link, info, entry in added:
        out += bytes(-len(out) % 8)
        row = [len(names), kind, 0, 0, len(out), 0, link, info, 8, entry]
        names += name.encode() + b"\0"
        data = bytes(names) if data is None else data
        row[5] = len(data)
        out += data
        rows.append(row)
    out += bytes(-len(out) % 8)
    struct.pack_into("<Q", out, 40, len(out))
    struct.pack_into("<HHH", out, 58, 64, len(rows), len(rows) - 1)
    out += b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)
    with open(path, "wb") as file:
        file.write(out)


def convert(image, path):
    """What was made, for a line to the user."""
    kernel = kernel_in(image)
    sections = read_sections(kernel)
    symbols = read_symbols(kernel, sections)
    contents = {one.name: (one.address, kernel[one.offset:one.offset + one.size]) for one in sections}
    frames, entries = b"", 0
    if ".orc_unwind" in contents and ".orc_unwind_ip" in contents:
        frames, entries = orc.debug_frame(*contents[".orc_unwind_ip"], contents[".orc_unwind"][1])
    table, names, first_global = symbol_table(symbols, sections)
    number = len(sections)
    write(path, kernel, sections, [(".symtab", SYMTAB, table, number + 1, first_global, 24),
                                   (".strtab", STRTAB, names, 0, 0, 0),
                                   (".debug_frame", PROGBITS, frames, 0, 0, 0)])
    return "%d symbols, %d places whose caller is known" % (len(symbols), entries)


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    try:
        with open(sys.argv[1], "rb") as file:
            image = file.read()
        print("%s: %s" % (sys.argv[2], convert(image, sys.argv[2])))
        return
    except (ElfError, orc.OrcError, OSError) as error:
        problem = error
    except (struct.error, IndexError, ValueError, OverflowError):
        problem = "it is damaged: what it says of its own parts leads out of it"
    print("linux_elf: %s: %s" % (sys.argv[1], problem), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
