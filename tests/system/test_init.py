# SPDX-License-Identifier: MIT
"""INITs and SIPIs on four CPUs, each of which is an L1 with an L2 of its own."""
from conftest import assert_no_accident, boot, guest_image, show


def test_four_cpus():
    settings = {"model": "haswell", "cpus": 4, "ips": 20_000_000, "timeout": 300}
    bare = boot(guest_image("init"), bare=True, **settings)
    under = boot(guest_image("init"), **settings)
    assert_no_accident(under)
    for result in (bare, under):
        assert result.having("^DONE") and not result.having("^FAIL"), show(result)
    assert bare.having("^RESULT") == under.having("^RESULT")
