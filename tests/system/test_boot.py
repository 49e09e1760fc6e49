# SPDX-License-Identifier: MIT
"""Socle boots: firmwares, processors, VMX on every CPU, its own report, and how much it says and weighs."""
import subprocess

import pytest
from conftest import BUILD, assert_no_accident, boot, guest_image, machine, show

MODELS = ("tigerlake", "haswell", "ivy_bridge")


def boot_basic(**settings):
    return boot(guest_image("basic"), **settings)


def has_cpus_in_vmx(result, count):
    return machine.cpus_in_vmx(result) == count


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("cpus", (1, 2))
def test_bios_boot_enters_vmx_on_every_cpu(model, cpus):
    result = boot_basic(model=model, cpus=cpus)
    assert_no_accident(result)
    assert has_cpus_in_vmx(result, cpus), show(result)
    assert result.having("^DONE"), show(result)


@pytest.mark.parametrize("model", ("skylake_x", "tigerlake"))
def test_uefi_boot_enters_vmx(model):
    result = boot_basic(model=model, firmware="uefi", mem=256)
    assert_no_accident(result)
    assert has_cpus_in_vmx(result, 1), show(result)
    assert result.having("^DONE"), show(result)


def test_four_cpus():
    result = boot_basic(model="ivy_bridge", cpus=4)
    assert_no_accident(result)
    assert has_cpus_in_vmx(result, 4), show(result)


def test_cpus_beyond_the_wanted_ones_never_start():
    """L1 sends INIT and SIPI to all; those that cpus= leaves out are in VMX operation, where both are blocked."""
    result = boot_basic(model="ivy_bridge", cpus=4, options="cpus=2")
    assert_no_accident(result)
    assert has_cpus_in_vmx(result, 2), show(result)
    assert result.having("^INFO smp cpus=2$"), show(result)
    assert result.having("^DONE"), show(result)


def test_more_than_four_gigabytes():
    result = boot_basic(model="ivy_bridge", mem=4352)
    assert_no_accident(result)
    assert result.having("^DONE"), show(result)


def test_boot_log_fits_one_screen():
    result = boot_basic(model="haswell", cpus=2)
    own = result.own()
    assert 3 <= len(own) <= 24, show(result)
    assert all(len(line) <= 120 for line in own), show(result)


@pytest.mark.parametrize("model", MODELS)
def test_check_reports_and_halts(model):
    """All of a start but L1: two CPUs come into VMX operation, and what L1 would not see is named."""
    result = boot(None, options="check", model=model, cpus=2)
    assert_no_accident(result)
    assert has_cpus_in_vmx(result, 2), show(result)
    for line in ("processor: .*Intel", "machine: .*firmware",
                 "firmware: BIOS, started by GRUB 2", "memory: 511 MiB in", "serial port: com1, port 3f8",
                 "screen: text 80x25", "VT-d: none", "VT-x: allowed by", "hidden .*debug store", "VT-x hidden from L1: "):
        assert result.having("^socle: " + line), line + show(result)
    assert all(len(line) <= 120 for line in result.own()), show(result)
    assert result.having("^socle: .*unrestricted"), show(result)
    assert result.having("^socle: check: Socle can run"), show(result)
    assert result.having("^socle: (error: )?halted"), show(result)


def test_check_of_a_machine_that_cannot_start():
    """The processor would do, but the rest of the start would not."""
    result = boot(None, options="check reserve=64K", model="ivy_bridge")
    assert result.having("^socle: VT-x lacks: ") and result.having("^socle: error: reserve= is too small"), show(result)
    assert result.having("^socle: check: Socle cannot run on this machine"), show(result)
    assert not result.having("Socle can run"), show(result)


def test_check_looks_at_an_l1_that_is_there():
    result = boot(__file__, options="check", model="ivy_bridge")
    assert result.having("^socle: error: the L1 image is neither"), show(result)
    assert result.having("^socle: check: Socle cannot run"), show(result)


def test_image_is_small():
    out = subprocess.run(["size", "-A", BUILD + "/socle.debug"], stdout=subprocess.PIPE, check=True, text=True).stdout
    loaded = 0
    for line in out.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].startswith(".") and not words[0].startswith((".debug", ".comment", ".bss")):
            loaded += int(words[1])
    assert 0 < loaded < 320 * 1024
