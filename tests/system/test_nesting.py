# SPDX-License-Identifier: MIT
"""Socle as L1 of Socle, and once more: what the innermost guest test sees is what the bare processor shows."""
import pytest
from conftest import ELF, assert_no_accident, boot, guest_image, show


def lines_of(result):
    return [line for line in result.lines if line.startswith(("RESULT", "FAIL", "SKIP", "SUMMARY"))]


@pytest.mark.parametrize("depth", (2, 3))
@pytest.mark.parametrize("model", ("haswell", "tigerlake"))
def test_socle_under_socle(depth, model):
    bare = boot(guest_image("basic"), bare=True, model=model)
    nested = boot(ELF, modules=[ELF] * (depth - 2) + [guest_image("basic")], model=model, timeout=120)
    assert_no_accident(nested)
    assert len(nested.having("^socle: Socle ")) == depth, show(nested)
    assert nested.having("^DONE"), show(nested)
    assert lines_of(nested) == lines_of(bare), show(nested)
