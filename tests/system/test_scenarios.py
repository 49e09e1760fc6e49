# SPDX-License-Identifier: MIT
"""The quick rows of tests/scenarios; `make guests` runs them all."""
import os
import sys

import pytest
from conftest import BUILD, ROOT, boot

sys.path.insert(0, os.path.join(ROOT, "tests", "scenarios"))

from rows import ALLOWED, ROWS, WARNINGS  # noqa: E402
from scenario import boots, judge  # noqa: E402


@pytest.mark.parametrize("row", [row for row in ROWS if row.quick], ids=lambda row: row.name)
def test_scenario(row):
    results = []
    for bare in (False, True) if row.compare else (False,):
        what, settings = boots(row, BUILD, bare)
        results.append(boot(what.pop("l1"), **what, **settings))
    wrong = judge(row, *results, allowed=ALLOWED, warnings=WARNINGS)
    assert not wrong, "\n".join(wrong)
