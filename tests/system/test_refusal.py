# SPDX-License-Identifier: MIT
"""Machines that Socle cannot run on: one clear line, what to do, and a halt; never a reboot loop."""
import pytest
from conftest import assert_halts_with, assert_no_accident, boot, guest_image, show

# QEMU's TCG has no VT-x whatever its CPU model. The pause after the end shows that nothing reboots.
TCG = {"machine_name": "tcg", "grace": 4, "timeout": 90}


@pytest.mark.parametrize("firmware", ("bios", "uefi"))
def test_no_vtx(firmware):
    result = boot(guest_image("basic"), firmware=firmware, **TCG)
    assert_halts_with(result, "has no VT-x", "enable nested virtualization")


@pytest.mark.parametrize("firmware", ("bios", "uefi"))
def test_check_without_vtx_says_no(firmware):
    result = boot(None, options="check", firmware=firmware, **TCG)
    assert_no_accident(result)
    assert result.having("^socle: .*VT-x"), show(result)
    assert result.having("^socle: check: Socle cannot run"), show(result)
    assert result.having("^socle: (error: )?halted"), show(result)


# The emulator's own BIOS locks VT-x on; SeaBIOS leaves the register alone, so that GRUB can lock it off.
def test_vtx_locked_off():
    result = boot(guest_image("basic"), grub="wrmsr 0x3a 0x1", model="ivy_bridge", firmware="seabios")
    assert_halts_with(result, "VT-x is locked off", "firmware's setup")


# Processors of 2008 and 2009: VT-x without EPT, and EPT without unrestricted guests.
@pytest.mark.parametrize("model, lacks", (("penryn", "EPT"), ("corei5_lynnfield_750", "unrestricted guest")))
def test_too_old_a_processor(model, lacks):
    result = boot(guest_image("basic"), model=model)
    assert_halts_with(result, "the processor has no " + lacks, "2010 or later")


def test_no_64_bit_mode():
    """The first instructions say so themselves, before there is a console."""
    assert_halts_with(boot(guest_image("basic"), model="pentium_mmx"), "has no 64-bit mode", "use an Intel processor with VT-x")


def test_check_on_an_old_processor_says_no():
    result = boot(None, options="check", model="penryn")
    assert_no_accident(result)
    assert result.having("^socle: check: Socle cannot run"), show(result)
