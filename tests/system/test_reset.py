# SPDX-License-Identifier: MIT
"""After a triple fault of L1 the machine starts again, when Socle has said why."""
import os
import struct

from conftest import RUNS, boot, show


def triple_fault_image():
    """A flat multiboot image whose first instruction takes the IDT away, and the second needs it."""
    base, flags = 0x300000, 1 << 16
    header = struct.pack("<IIIIIIII", 0x1badb002, flags, -(0x1badb002 + flags) & 0xffffffff, base, base, 0, 0, base + 32)
    code = b"\x0f\x01\x1d" + struct.pack("<I", base + 48) + b"\xcc"
    path = os.path.join(RUNS, "triple-%d.bin" % os.getpid())
    with open(path, "wb") as file:
        file.write(header + code.ljust(16, b"\x90") + bytes(16))
    return path


def test_a_triple_fault_resets_the_machine():
    result = boot(triple_fault_image(), options="on-stop=reset,0", model="ivy_bridge", until=["no line has this"],
                  timeout=8, ips=20_000_000)
    assert result.having("^socle: CPU 0: triple fault of L1"), show(result)
    assert result.having("^socle: stopped; the machine is reset in 0 seconds"), show(result)
    assert not result.having("^socle: .*halted"), show(result)
    assert len(result.having("^socle: Socle .* a microhypervisor")) >= 2, show(result)


def test_on_stop_halt_leaves_it_halted():
    result = boot(triple_fault_image(), options="on-stop=halt", model="ivy_bridge", ips=20_000_000)
    assert result.having("^socle: (error: )?halted") and result.ended == "marker", show(result)
