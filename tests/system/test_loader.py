# SPDX-License-Identifier: MIT
"""L1 is told by its boot loader what it would be told bare: GRUB starts the same image itself, and through Socle."""
import os
import re

from conftest import BUILD, assert_no_accident, boot, show

# What GRUB adds for whoever it starts itself, by what Socle's own header asks of it. VBE and the framebuffer: Socle asks
# for no video mode.
VIDEO = {"RESULT tag 00000007", "RESULT tag 00000008"}


def loader_image(name):
    return os.path.join(BUILD, "tests", "guest", "loader", name + ".elf")


def told(result):
    assert_no_accident(result)
    assert result.having("^DONE"), show(result)
    return result.having("^RESULT ")


def test_multiboot2_is_told_the_same():
    bare = told(boot(loader_image("mb2tags"), bare=True, model="ivy_bridge"))
    under = told(boot(loader_image("mb2tags"), model="ivy_bridge"))
    assert any(line.startswith("RESULT tag 00000002 GRUB ") for line in under), under
    assert "RESULT tag 00000015 00400000" in under
    assert sorted(set(under) - VIDEO) == sorted(set(bare) - VIDEO)
    assert set(under) <= set(bare)


def test_multiboot2_under_uefi():
    """Bare, GRUB leaves boot services on for an image that can start with them, and gives no map of memory then."""
    boot_services = {"RESULT tag 000000%02x" % tag for tag in (18, 19, 20)}
    maps = {"RESULT tag 000000%02x" % tag for tag in (4, 6, 17)}
    settings = {"firmware": "uefi", "model": "skylake_x"}
    bare = set(told(boot(loader_image("mb2tags"), bare=True, **settings)))
    under = set(told(boot(loader_image("mb2tags"), **settings)))
    assert bare & boot_services and not under & boot_services
    assert maps <= under
    assert sorted(under - maps - VIDEO) == sorted(bare - boot_services - maps - VIDEO)


def test_multiboot1_is_told_the_same():
    bare = told(boot(loader_image("mb1info"), bare=True, model="ivy_bridge"))
    under = told(boot(loader_image("mb1info"), model="ivy_bridge"))
    # bit 11: GRUB 2 asks the VBE BIOS for a multiboot1 image, and not for Socle, a multiboot2 one
    flags = [int(re.search("RESULT flags (.*)", "\n".join(lines)).group(1), 16) & ~(1 << 11) for lines in (bare, under)]
    assert flags[0] == flags[1]
    assert under[1:] == bare[1:]
