# SPDX-License-Identifier: MIT
"""A microcode update that the boot loader brings: Socle's own, not L1's."""
import os
import struct

from conftest import RUNS, assert_no_accident, boot, show
from test_loader import loader_image


def test_a_microcode_module_is_socles():
    """The emulator has a processor that takes no update: Socle says so and goes on, and L1 does not see the module."""
    words = [1, 0x7fff, 0x01022026, 0x306a9, 0, 1, 0xff, 1000, 1048, 0, 0, 0] + [7] * 250
    words[4] = -sum(words) & 0xffffffff
    path = os.path.join(RUNS, "microcode-%d.bin" % os.getpid())
    with open(path, "wb") as file:
        file.write(struct.pack("<262I", *words))
    result = boot(loader_image("mb2tags"), model="ivy_bridge", modules=[path + " microcode"])
    assert_no_accident(result)
    assert result.having("^socle: microcode: the processor does not take the update; it stays at revision"), show(result)
    assert result.having("^RESULT tag 00000002"), show(result)
    assert not result.having("^RESULT tag 00000003"), show(result)
