# SPDX-License-Identifier: MIT
"""Processors that no table names, and some that cannot be held: whoever answers L1's INIT and SIPI runs under Socle.

GRUB makes the machine: it puts another MADT in the place of the BIOS's, and it can write memory, so that a few bytes of
code and an interrupt command change another processor before Socle starts.
"""
import os
import struct

import pytest
from conftest import RUNS, assert_halts_with, assert_no_accident, boot, guest_image, machine, show

TESTS = "tests=everybody,smp,low_page"
FOUR = {"model": "haswell", "cpus": 4, "ips": 20_000_000}
# What IA32_FEATURE_CONTROL is, is left to GRUB by SeaBIOS, which leaves the other processors halted.
UNLOCKED = {"model": "ivy_bridge", "cpus": 2, "firmware": "seabios", "ips": 20_000_000}
ICR_LOW, ICR_HIGH, CODE = 0xfee00300, 0xfee00310, 0x60000


def table_file(signature, revision, body, name):
    """A file with an ACPI table."""
    table = signature + struct.pack("<IBB6s8sI4sI", 36 + len(body), revision, 0, b"SOCLE ", b"TEST" + signature, 1, b"TEST", 1)
    table += body
    table = table[:9] + bytes([-sum(table) & 0xff]) + table[10:]
    path = os.path.join(RUNS, "%s-%d.aml" % (name, os.getpid()))
    with open(path, "wb") as file:
        file.write(table)
    return path


def madt(apic_ids):
    """A MADT that names these processors."""
    entries = b"".join(struct.pack("<BBBBI", 0, 8, i, apic_id, 1) for i, apic_id in enumerate(apic_ids))
    entries += struct.pack("<BBBBII", 1, 12, 0, 0, 0xfec00000, 0)
    return table_file(b"APIC", 1, struct.pack("<II", 0xfee00000, 1) + entries, "madt-" + "-".join(map(str, apic_ids)))


def srat(name, domains):
    """A SRAT: for each APIC ID the domain, then (base, size, domain) for memory."""
    cpus, memory = domains
    body = bytes(12)
    for apic_id, domain in cpus:
        body += struct.pack("<BBBBIB3sI", 0, 16, domain, apic_id, 1, 0, bytes(3), 0)
    for base, size, domain in memory:
        body += struct.pack("<BBIHQQIIQ", 1, 40, domain, 0, base, size, 0, 1, 0)
    return table_file(b"SRAT", 3, body, "srat-" + name)


def boot_with(apic_ids, options="", **settings):
    """GRUB finds the table as the second module."""
    return boot(guest_image("basic"), TESTS, modules=[madt(apic_ids)], options=options,
                grub="acpi --exclude=APIC /boot/module01", **{**FOUR, **settings})


def locked_off(options):
    """VT-x locked off on the second processor: GRUB has it write IA32_FEATURE_CONTROL, and halt."""
    code = bytes.fromhex("66b93a000000" "66b801000000" "6631d2" "0f30" "fa" "f4" "ebfd")
    words = struct.unpack("<%dI" % ((len(code) + 3) // 4), code + bytes(-len(code) % 4))
    commands = ["write_dword 0x%x 0x%x" % (CODE + 4 * i, word) for i, word in enumerate(words)]
    for command in (0x4500, 0x4600 | CODE >> 12):
        commands += ["write_dword 0x%x 0x01000000" % ICR_HIGH, "write_dword 0x%x 0x%x" % (ICR_LOW, command), "sleep 1"]
    return boot(guest_image("basic"), TESTS, options=options, grub="\n".join(commands), **UNLOCKED)


def assert_count(result, named, answered, usable, held, started=None):
    """started: how many the guest test starts, which asks for APIC IDs 1, 2 and so on until there is none."""
    assert_no_accident(result)
    assert result.having("^socle: processors: %u named by ACPI, %u answered; %u are L1's, %u are held$" % (
        named, answered, usable, held)), show(result)
    assert machine.cpus_in_vmx(result) == usable, show(result)
    assert result.having("^RESULT everybody came=%u strangers=0$" % (usable - 1)), show(result)
    assert result.having("^INFO smp cpus=%u$" % (started or usable)), show(result)
    assert result.having("^SUMMARY . passed, 0 failed"), show(result)


def test_without_a_table_everybody_is_found():
    result = boot(guest_image("basic"), TESTS, model="skylake_x", cpus=2, firmware="uefi", mem=256, ips=20_000_000)
    assert_count(result, 0, 2, 2, 0)


def test_without_a_table_the_rest_is_held():
    result = boot(guest_image("basic"), TESTS, options="cpus=2", grub="acpi --exclude=APIC", **FOUR)
    assert_count(result, 0, 4, 2, 2)


@pytest.mark.parametrize("named, options, started", (([0, 2], "", 1), ([0, 1, 3], "cpus=2", 2)))
def test_who_is_not_named_is_held(named, options, started):
    assert_count(boot_with(named, options), len(named), 4, 2, 2, started)


def test_not_looked_for():
    """find-cpus=off leaves them to L1, and the same guest test sees it: it can fail."""
    result = boot_with([0, 2], "find-cpus=off")
    assert machine.cpus_in_vmx(result) == 2, show(result)
    assert result.having("^RESULT everybody came=3 strangers=2$"), show(result)


def test_named_but_not_there():
    assert_halts_with(boot_with([0, 1, 2, 3, 7]), "CPU with APIC ID 7 did not start", "unheld-cpus=allow")
    result = boot_with([0, 1, 2, 3, 7], "unheld-cpus=allow")
    assert result.having("^socle: the CPU with APIC ID 7 is not held"), show(result)
    assert machine.cpus_in_vmx(result) == 4, show(result)
    assert result.having("^RESULT everybody came=3 strangers=0$") and result.having("^INFO smp cpus=4$"), show(result)


def test_one_cannot_be_held():
    for options in "", "cpus=1":
        assert_halts_with(locked_off(options), r"CPU with APIC ID 1 \(VT-x is locked off", "unheld-cpus=allow")


def test_one_is_not_held():
    result = locked_off("unheld-cpus=allow")
    assert result.having("^socle: the CPU with APIC ID 1 is not held"), show(result)
    assert machine.cpus_in_vmx(result) == 1, show(result)
    assert result.having("^RESULT everybody came=1 strangers=1$"), show(result)


def test_the_trampolines_page_is_given_back():
    """What stood there when Socle came is what L1 finds."""
    mark = "\n".join("write_dword 0x%x 0x%x" % (at, 0x50c1e000 + at) for at in (0x1100, 0x1180))
    result = boot(guest_image("basic"), TESTS, grub=mark, **{**FOUR, "cpus": 2})
    assert machine.cpus_in_vmx(result) == 2, show(result)
    assert result.having("^INFO low_page 50c1f100 50c1f180$"), show(result)


def test_numa_nodes():
    """Each CPU's memory is on its node; a table that contradicts itself is told, and all is as without one."""
    half = 128 << 20
    good = srat("good", ([(0, 0), (1, 1)], [(0, half, 0), (half, half, 1)]))
    result = boot(guest_image("basic"), TESTS, modules=[good], grub="acpi /boot/module01", mem=256, **{**FOUR, "cpus": 2})
    assert_no_accident(result)
    assert result.having("^socle: memory: 2 NUMA domains; 2 of 2 CPUs have Socle's memory for them on their own$"), show(result)
    assert result.having("^socle: memory: window [0-7][0-9a-f]{6}-"), show(result)
    assert result.having("^socle: memory: window [8-9a-f][0-9a-f]{6}-"), show(result)
    assert result.having("^SUMMARY . passed, 0 failed"), show(result)
    wrong = srat("wrong", ([(0, 0), (1, 1)], [(0, half + 1, 0), (half, half, 1)]))
    result = boot(guest_image("basic"), TESTS, modules=[wrong], grub="acpi /boot/module01", mem=256, **{**FOUR, "cpus": 2})
    assert result.having(r"^socle: acpi: SRAT: the memory at 8000000 is in two domains \(0, 1\)"), show(result)
    assert not result.having("NUMA") and result.having("^SUMMARY . passed, 0 failed"), show(result)


def test_fourteen_cpus():
    """More than the lines of the log and with less than eight MiB for each one's EPT02s: all are L1's."""
    result = boot(guest_image("basic"), TESTS, model="haswell", cpus=14, ips=20_000_000)
    assert_no_accident(result)
    assert result.having("^socle: cpu 0-13: in VMX operation"), show(result)
    # the guest library starts eight at most
    assert result.having("^RESULT everybody came=8 strangers=0$"), show(result)
    assert result.having("^SUMMARY . passed, 0 failed"), show(result)
    assert result.having(r"^socle: start: \d+ (ms|million ticks), 14 CPUs; \d+ MiB for L1, \d+ KiB for Socle"), show(result)
