# SPDX-License-Identifier: MIT
"""EPT02 where it is tight: little memory for it, no large pages, no VPIDs, 64 L2s, four CPUs."""
import pytest
from conftest import assert_no_accident, boot, guest_image, show
from guests import differences, unlisted

OPTIONS = ("ept02=512K", "ept-large=off", "vpid=off")


def assert_same(name, told, options, **settings):
    bare = boot(guest_image(name), told, bare=True, **settings)
    under = boot(guest_image(name), told, options=options, **settings)
    assert_no_accident(under)
    assert bare.having("^DONE"), show(bare)
    assert not differences(name, bare, under)
    assert not unlisted(name, settings["model"], bare)


@pytest.mark.parametrize("options", OPTIONS)
def test_matrix(options):
    assert_same("ept", "", options, model="haswell", cpus=1, ips=20_000_000)


@pytest.mark.parametrize("options", OPTIONS)
def test_64_guests(options):
    assert_same("eptstress", "l2=64 rounds=140", options, model="haswell", cpus=1, ips=20_000_000)


@pytest.mark.parametrize("options", ("", "ept02=256K"))
def test_four_cpus(options):
    assert_same("eptsmp", "", options, model="haswell", cpus=4, ips=20_000_000)
