# SPDX-License-Identifier: MIT
"""A device's DMA at Socle's memory, on QEMU's model of VT-d: what it reaches without a guard, and with one.

QEMU's TCG has no VT-x, which `dma-test` does not need: it halts before Socle would take the processor.
"""
import os

import pytest
from conftest import ELF, RUNS, image, machine, show

EDU = ("-device", "edu,dma_mask=0xffffffffffffffff")


def run(name, options, *devices, word="dma-test", **settings):
    folder = os.path.join(RUNS, "dma-" + name)
    os.makedirs(folder, exist_ok=True)
    iso = image.make_iso(os.path.join(folder, "image.iso"), elf=ELF, options=word + " " + options)
    return machine.run_image(iso, "tcg", timeout=90, folder=folder, more=devices, **settings)


def test_off_says_what_that_means():
    """The test can fail: without the guard the page is read and overwritten."""
    result = run("off", "", "-device", "intel-iommu,intremap=off", *EDU)
    assert result.having("^socle: iommu: off: L1, .* can reach Socle's memory by DMA"), show(result)
    assert result.having("^socle: dma-test: L1's memory: copied$"), show(result)
    assert result.having("^socle: dma-test: Socle's page [0-9a-f]+: READ, WRITTEN$"), show(result)


@pytest.mark.parametrize("width, levels", ((39, "three"), (48, "four")))
@pytest.mark.parametrize("mem", (512, 5120))
def test_protect(width, levels, mem):
    """Memory of L1's on both sides of 4 GiB is reached, up to Socle's own; that is not, and the unit names who tried."""
    result = run("protect-%d-%d" % (width, mem), "iommu=protect", "-device", "intel-iommu,intremap=off,aw-bits=%d" % width,
                 *EDU, mem=mem)
    assert result.having(r"^socle: iommu: devices do not reach Socle's memory \(1 units, %s levels\)" % levels), show(result)
    assert result.having("^socle: dma-test: L1's memory: copied$"), show(result)
    assert result.having("^socle: dma-test: Socle's page [0-9a-f]+: not read, not written$"), show(result)
    page = result.having("^socle: dma-test: Socle's page")[0].split()[4].rstrip(":")
    assert result.having(r"^socle: dma-test: a unit stopped 00:\w\w\.0 at %s$" % page), show(result)


def test_protect_without_a_unit():
    result = run("none", "iommu=protect", *EDU)
    assert result.having("^socle: error: iommu=protect, but the machine has no VT-d .*say iommu=off"), show(result)
    assert result.having("^socle: .*halted") and not result.having("dma-test:"), show(result)


def test_protect_under_uefi():
    result = run("uefi", "iommu=protect", "-device", "intel-iommu,intremap=off", *EDU, firmware="uefi")
    assert result.having("^socle: dma-test: L1's memory: copied$"), show(result)
    assert result.having("^socle: dma-test: Socle's page [0-9a-f]+: not read, not written$"), show(result)


def test_check_names_the_units():
    """Also on a processor that Socle cannot run on."""
    result = run("check", "", "-device", "intel-iommu,intremap=on", word="check")
    assert result.having("^socle: VT-d: 1 units, 0 regions of the firmware's, flags 1$"), show(result)
    assert result.having("^socle:   unit at fed90000: version 10, capabilities [0-9a-f]+ [0-9a-f]+$"), show(result)
    assert result.having("^socle: check: Socle cannot run on this machine$"), show(result)
