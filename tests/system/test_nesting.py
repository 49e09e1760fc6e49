# SPDX-License-Identifier: MIT
"""Socle as L1 of Socle, and once more: what the innermost guest test sees is what the bare processor shows."""
import pytest
from conftest import ELF, assert_no_accident, boot, guest_image, show


def lines_of(result):
    return [line for line in result.lines if line.startswith(("RESULT", "FAIL", "SKIP", "SUMMARY"))]


@pytest.mark.parametrize("depth, model", ((2, "tigerlake"), (3, "haswell")))
def test_socle_under_socle(depth, model):
    settings = {"model": model, "ips": 20_000_000}
    bare = boot(guest_image("basic"), bare=True, **settings)
    nested = boot(ELF, modules=[ELF] * (depth - 2) + [guest_image("basic") + " counters"], timeout=240, **settings)
    assert_no_accident(nested)
    assert len(nested.having("^socle: Socle ")) == depth, show(nested)
    for level in range(depth):
        assert nested.having("^socle: level %d: on %s" % (level, "another Socle" if level else "the processor")), show(nested)
        assert nested.having("^socle: %sexits L1 " % ("level %d: " % level if level else "")), show(nested)
    assert nested.having("^DONE"), show(nested)
    assert lines_of(nested) == lines_of(bare), show(nested)
