# SPDX-License-Identifier: MIT
"""The guest tests: the same image on the bare (emulated) processor and under Socle must print the same results."""
import pytest
from conftest import assert_no_accident, boot, guest_image, guest_names, show

VARIANTS = (
    ("tigerlake", ""),
    ("haswell", ""),
    ("haswell", "shadow-vmcs=off"),
    ("ivy_bridge", ""),
    ("ivy_bridge", "intercept=cr,pf"),
)
GUESTS = guest_names()


def results(result):
    return [line for line in result.lines if line.startswith(("RESULT ", "DONE"))]


@pytest.mark.parametrize("model, options", VARIANTS)
@pytest.mark.parametrize("name", GUESTS)
def test_same_as_bare(name, model, options):
    settings = {"model": model, "cpus": 2, "ips": 20_000_000}
    bare = boot(guest_image(name), bare=True, **settings)
    assert bare.having("^DONE"), show(bare)
    under = boot(guest_image(name), options=options, **settings)
    assert_no_accident(under)
    assert results(under) == results(bare)


def test_there_are_guest_tests():
    assert GUESTS
