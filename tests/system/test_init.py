# SPDX-License-Identifier: MIT
"""INITs and SIPIs on four CPUs, each of which is an L1 with an L2 of its own; VMX aborts that need a CPU each."""
import pytest
from conftest import assert_no_accident, boot, guest_image, show
from guests import differences, unlisted


@pytest.mark.parametrize("image, tests", (("init", ""), ("legacy", "tests=host_pdptes_abort")))
def test_four_cpus(image, tests):
    settings = {"model": "haswell", "cpus": 4, "ips": 20_000_000, "timeout": 300}
    bare = boot(guest_image(image), tests, bare=True, **settings)
    under = boot(guest_image(image), tests, **settings)
    assert_no_accident(under)
    assert bare.having("^DONE"), show(bare)
    assert not differences(image, bare, under)
    assert not unlisted(image, settings["model"], bare)
