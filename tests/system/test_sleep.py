# SPDX-License-Identifier: MIT
"""Suspend to RAM would end VMX operation: asked by a port it is refused, for L1 and for its L2s, and L1 goes on."""
from conftest import assert_no_accident, boot, guest_image, show


def test_s3_by_a_port_is_refused():
    result = boot(guest_image("ports"), "sleep tests=sleep*", model="haswell", cpus=2, ips=20_000_000)
    assert_no_accident(result)
    assert result.having("^SUMMARY 4 passed, 0 failed"), show(result)
    assert not result.having("^SKIP"), show(result)
    warnings = result.having("^socle: .*would sleep by PM1a_CNT .*refused")
    assert len(warnings) == 1, show(result)
    assert len(result.having("^socle: .*would move the chipset's sleep registers .*refused")) == 1, show(result)
    assert "CPU 0: L1 " in warnings[0] and "SLP_TYP 1" in warnings[0]
    assert "wake up without Socle" in warnings[0]


def test_the_warning_names_an_l2():
    result = boot(guest_image("ports"), "sleep tests=sleep_l2", model="ivy_bridge", cpus=2, ips=20_000_000)
    assert_no_accident(result)
    assert result.having("^SUMMARY 1 passed, 0 failed"), show(result)
    warnings = result.having("^socle: .*would sleep by PM1a_CNT .*refused")
    assert len(warnings) == 1 and "L2 would sleep" in warnings[0], show(result)
