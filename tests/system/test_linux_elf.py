# SPDX-License-Identifier: MIT
"""tools/linux_elf.py: a small kernel made here becomes an ELF file with symbols and callers; another file gets one line."""
import gzip
import lzma
import os
import re
import struct
import subprocess

import pytest
from conftest import ROOT

TEXT, DATA, COUNT = 0xFFFFFFFF81000000, 0xFFFFFFFF82000000, 600
SP, BP, REGS, PARTIAL, PREV = 5, 4, 1, 2, 1


def aligned(data):
    return data + bytes(-len(data) % 8)


def kallsyms(symbols):
    """As Linux 4.6 to 6.3 has it on several processors: negative offsets count down from the base."""
    tokens = [bytes([i]) if 32 < i < 127 else b"t%02x" % i for i in range(256)]
    offsets, names, markers = b"", b"", []
    for i, (address, text) in enumerate(symbols):
        if i % 256 == 0:
            markers.append(len(names))
        offsets += struct.pack("<i", address if address < 1 << 31 else TEXT - 1 - address)
        names += bytes([len(text)]) + text.encode()
    places = [sum(len(token) + 1 for token in tokens[:i]) for i in range(256)]
    return b"".join((aligned(b"\x00\x01\x02 not it \x00"), aligned(offsets), struct.pack("<QQ", TEXT, len(symbols)),
                     aligned(names), aligned(struct.pack("<%dI" % len(markers), *markers)),
                     aligned(b"".join(token + b"\0" for token in tokens)), struct.pack("<256H", *places)))


def orc(entries, at):
    ips, words = b"", b""
    for i, (ip, sp_offset, bp_offset, bits) in enumerate(entries):
        ips += struct.pack("<i", ip - (at + 4 * i))
        words += struct.pack("<hhH", sp_offset, bp_offset, bits)
    return ips, words


def make_kernel():
    symbols = [(0, "Afixed_percpu_data")] + [(TEXT + 16 * i, "%sfunction_%d" % ("Tt"[i & 1], i)) for i in range(COUNT)]
    symbols.append((DATA + 8, "dvariable"))
    entries = ((TEXT, 8, 0, SP), (TEXT + 1, 16, -16, SP | PREV << 4), (TEXT + 4, 16, -16, BP | PREV << 4),
               (TEXT + 16, 0, 0, SP | REGS << 8), (TEXT + 32, 0, 0, SP | PARTIAL << 8), (TEXT + 48, 0, 0, 0))
    ips, words = orc(entries, DATA + 0x1000)
    contents = [(".text", 6, TEXT, b"\x90" * 16 * COUNT), (".rodata", 2, DATA - 0x100000, kallsyms(symbols)),
                (".data", 3, DATA, bytes(64)), (".orc_unwind_ip", 2, DATA + 0x1000, ips),
                (".orc_unwind", 2, DATA + 0x2000, words)]
    names = b"\0" + b"".join(name.encode() + b"\0" for name, _, _, _ in contents) + b".shstrtab\0"
    body, rows = bytearray(64), [bytes(64)]
    for name, flags, address, data in contents + [(".shstrtab", 0, 0, names)]:
        rows.append(struct.pack("<IIQQQQIIQQ", names.index(name.encode() + b"\0"), 1 if address else 3, flags, address,
                                len(body), len(data), 0, 0, 8, 0))
        body += aligned(data)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, TEXT, 0, len(body), 0, 64, 56, 0, 64, len(rows),
                       len(rows) - 1)
    return head + bytes(body[64:]) + b"".join(rows)


def bzimage(payload):
    setup = bytearray(1024)
    setup[0x1F1] = 1
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", setup, 0x248, 16, len(payload))
    return bytes(setup) + bytes(16) + payload


def convert(folder, image):
    (folder / "in").write_bytes(image)
    return subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "linux_elf.py"), str(folder / "in"),
                           str(folder / "out")], capture_output=True, text=True, check=False)


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("packed", (False, True))
def test_symbols_and_callers(packed, tmp_path):
    kernel = make_kernel()
    done = convert(tmp_path, bzimage(lzma.compress(kernel)) if packed else kernel)
    assert done.stdout.endswith("out: %d symbols, 6 places whose caller is known\n" % (COUNT + 2)), done
    out = str(tmp_path / "out")
    names = ask("nm", "-n", "-S", out)
    for line in ("%016x 0000000000000010 T function_2" % (TEXT + 32),
                 "%016x 0000000000000010 t function_599" % (TEXT + 599 * 16),
                 "%016x d variable" % (DATA + 8), "%016x A fixed_percpu_data" % 0):
        assert line in names, names[-2000:]
    # as binutils read it: where the caller's stack is, and where its registers are
    frames = ask("readelf", "-wF", out)
    rows = re.findall(r"^([0-9a-f]{16}) +(\S+) +(.*)$", frames, re.M)
    found = {int(at, 16) - TEXT: (cfa, rest.split()) for at, cfa, rest in rows if int(at, 16) >= TEXT}
    assert found[0][0] == "rsp+8" and found[1] == ("rsp+16", ["c-16", "c-8"]) and found[4][0] == "rbp+16", frames
    assert found[16][0] == "rsp+0" and {"c+128", "c+152", "c+32", "c+0"} <= set(found[16][1]), frames
    assert found[32] == ("rsp+0", ["s", "c+24", "c+0"]) and "u" in found[48][1], frames
    whole = ask("readelf", "-wf", out)
    kinds = dict(re.findall(r'^(\w+) \w+ \w+ CIE\n.*\n  Augmentation: +"(S?)"', whole, re.M))
    used = {int(at, 16) - TEXT: kinds[cie] for cie, at in re.findall(r"FDE cie=(\w+) pc=(\w+)", whole)}
    assert used == {0: "", 16: "S", 32: "S", 48: ""}, whole


def damaged(payload):
    """A byte of the first block is another one, which zlib itself finds."""
    image = bytearray(bzimage(payload))
    image[1024 + 16 + 10] = 0xff
    return bytes(image)


def sections_at(offset):
    image = bytearray(make_kernel())
    struct.pack_into("<Q", image, 40, offset)
    return bytes(image)


@pytest.mark.parametrize("image, said", (
    (b"no kernel" * 1000, "neither a bzImage nor an ELF file"),
    (bzimage(b"BZh91AY" + bytes(100)), "packed in a way that is not known: it begins with 425a68"),
    (bzimage(lzma.compress(b"no ELF")), "packed in a way"),
    (bzimage(lzma.compress(make_kernel())[:-200]), ""),
    (make_kernel().replace(b"7\x008\x009\x00", b"7\x008\x00a\x00"), "no kallsyms"),
    (make_kernel().replace(struct.pack("<QQ", TEXT, COUNT + 2), bytes(16)), "in another order"),
    (make_kernel()[:3000], ""),
    (damaged(gzip.compress(make_kernel(), mtime=0) + bytes(4)), "what is packed in it is damaged"),
    (bzimage(gzip.compress(make_kernel(), mtime=0)[:-200]), "what is packed in it is damaged"),
    (sections_at((1 << 64) - 1), "it is damaged"),
    (sections_at(1 << 63), "it is damaged"),
    (sections_at(len(make_kernel()) - 8), "it is damaged"),
))
def test_what_is_no_kernel(image, said, tmp_path):
    done = convert(tmp_path, image)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "out").exists(), done


def test_help_is_no_error():
    done = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "linux_elf.py"), "--help"], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "socle-linux-elf VMLINUZ OUT" in done.stdout and not done.stderr, done
