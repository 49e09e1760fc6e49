# SPDX-License-Identifier: MIT
"""Options, modules and images that are wrong: each gets one line that says what is wrong and what to do, and a halt."""
import os
import struct

import pytest
from conftest import RUNS, assert_halts_with, boot, guest_image, l1, show

MODEL = "ivy_bridge"


@pytest.fixture(name="made", scope="session")
def fixture_made():
    """A folder for damaged images; files are named by content, so that workers do not disturb each other."""
    folder = os.path.join(RUNS, "made-%d" % os.getpid())
    os.makedirs(folder, exist_ok=True)
    return folder


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def patched(data, offset, form, *values):
    data = bytearray(data)
    struct.pack_into(form, data, offset, *values)
    return bytes(data)


@pytest.mark.parametrize("option", ("log=loud", "reserve=much", "cpus=0", "console=com9", "console=0x3f9",
                                    "shadow-vmcs=perhaps", "intercept=everything", "ept02=-1", "intercept-pf=5"))
def test_bad_value(option):
    assert_halts_with(boot(guest_image("basic"), options=option, model=MODEL), "option '%s' has a value" % option,
                      "cannot have: %s=" % option.split("=")[0])


def test_help():
    result = boot(None, options="help", model=MODEL)
    assert result.having(r"^socle:   log=error\|warn\|info\|debug: ") and result.having("^socle: .*halted"), show(result)


def test_check_is_not_filtered():
    result = boot(None, options="check log=error", model=MODEL)
    assert result.having("^socle: VT-x has: ") and result.having("^socle: cpu 0: in VMX"), show(result)
    assert result.having("^socle: check: Socle can run on this machine"), show(result)


def test_l1_image_is_looked_at_before_the_machine_is_taken(made):
    result = boot(write(made, "text2", b"This is no kernel.\n" * 100), model=MODEL)
    assert not result.having("in VMX operation"), show(result)


def test_unknown_option():
    assert_halts_with(boot(guest_image("basic"), options="nonsense", model=MODEL), "unknown option 'nonsense'",
                      "there are log console")


# the second one is 0 when it is rounded up to whole large pages in 64 bits
@pytest.mark.parametrize("size", ("2G", "0xfffffffffffff001"))
def test_reserve_impossible(size):
    assert_halts_with(boot(guest_image("basic"), options="reserve=" + size, model=MODEL), "no room for", "reserve=")


def test_reserve_too_small():
    assert_halts_with(boot(guest_image("basic"), options="reserve=64K", model=MODEL), "reserve= is too small",
                      "raise reserve=")


def test_more_cpus_than_the_machine_has():
    assert_halts_with(boot(guest_image("basic"), options="cpus=9", model=MODEL, cpus=2), "cpus=9 asks", "lower cpus=")


def test_l1_missing():
    assert_halts_with(boot(None, model=MODEL), "no L1 image", "module2")


def test_l1_of_no_known_kind(made):
    path = write(made, "text", b"This is no kernel.\n" * 100)
    assert_halts_with(boot(path, model=MODEL), "neither a multiboot ELF nor a Linux bzImage", "check the file")


def test_l1_empty(made):
    path = write(made, "short", b"\x7fELF")
    assert_halts_with(boot(path, model=MODEL), "L1 image", "")


def elf_segments(data):
    """(offset of the program header, its 8 words) of a 32-bit ELF."""
    start, size, count = struct.unpack_from("<I", data, 28)[0], *struct.unpack_from("<HH", data, 42)
    return [(start + i * size, struct.unpack_from("<8I", data, start + i * size)) for i in range(count)]


def elf_cases():
    """name: (function from a good image to a damaged one, what Socle says)."""
    def first_load(data):
        return next(offset for offset, words in elf_segments(data) if words[0] == 1)
    return {
        "cut": (lambda d: d[:len(d) // 2], "cut short|ELF header is damaged"),
        "phoff": (lambda d: patched(d, 28, "<I", 0xfffffff0), "ELF header is damaged|cut short"),
        "phnum": (lambda d: patched(d, 44, "<H", 0xffff), "ELF header is damaged|cut short"),
        "machine": (lambda d: patched(d, 18, "<H", 40), "ELF header is damaged"),
        "entry": (lambda d: patched(d, 24, "<I", 0xdead0000), "ELF header is damaged"),
        "offset": (lambda d: patched(d, first_load(d) + 4, "<I", 0xfffff000), "cut short|ELF header is damaged"),
        "filesz": (lambda d: patched(d, first_load(d) + 16, "<I", 0xffffffff), "cut short|ELF header is damaged"),
        "paddr": (lambda d: patched(d, first_load(d) + 12, "<I", 0xe0000000), "no room in memory for L1|ELF header"),
    }


@pytest.mark.parametrize("case", elf_cases())
def test_damaged_elf(case, made):
    damage, said = elf_cases()[case]
    path = write(made, case + ".elf", damage(read(guest_image("basic"))))
    assert_halts_with(boot(path, model=MODEL), said, "")


def test_multiboot_header_that_asks_for_too_much(made):
    data = read(guest_image("basic"))
    offset = data.index(struct.pack("<I", 0x1BADB002))
    flags = struct.unpack_from("<I", data, offset + 4)[0] | 1 << 9
    data = patched(data, offset + 4, "<II", flags, (-(0x1BADB002 + flags)) & 0xffffffff)
    assert_halts_with(boot(write(made, "flags.elf", data), model=MODEL), "multiboot header", "")


def linux_cases():
    return {
        "cut": (lambda d: d[:8192], "cut short|setup header is damaged"),
        "setup": (lambda d: patched(d[:4096], 0x1f1, "<B", 200), "cut short|setup header is damaged"),
        "header": (lambda d: d[:600], "cut short|setup header is damaged"),
        "old": (lambda d: patched(d, 0x206, "<H", 0x0203), "older than 2.06"),
        "init_size": (lambda d: patched(d, 0x260, "<I", 0xf0000000), "no room in memory for L1|setup header"),
    }


@pytest.mark.parametrize("case", linux_cases())
def test_damaged_bzimage(case, made):
    damage, said = linux_cases()[case]
    path = write(made, case + ".bz", damage(read(os.path.join(l1.folder(), "vmlinuz"))))
    assert_halts_with(boot(path, model=MODEL), said, "")


def test_linux_command_line_too_long():
    result = boot(os.path.join(l1.folder(), "vmlinuz"), "x" * 5000, model=MODEL)
    assert_halts_with(result, "command line has 5000 characters, more than the 2047 that", "shorten")


def test_linux_with_two_further_modules():
    """Several initrds are one for it."""
    home = l1.folder()
    initrd = os.path.join(home, "l1-min.cpio")
    result = boot(os.path.join(home, "vmlinuz"), "quiet", [initrd, initrd], model=MODEL, until=["^socle: L1: Linux"])
    assert result.ended == "marker" and not result.having("^socle: error"), show(result)


def test_initrd_that_does_not_fit(made):
    path = write(made, "big", b"\0" * (60 << 20))
    result = boot(os.path.join(l1.folder(), "vmlinuz"), "quiet", [path], model=MODEL, mem=128)
    assert_halts_with(result, "no room", "memory")
