# SPDX-License-Identifier: MIT
"""The guard: no row of the benchmark costs more than 3 % above tests/bench.csv, in instructions or as the weighted figure.

The table changes only in a commit that says why: `make bench SAVE=1` writes it.
"""
import os
import sys

import pytest
from conftest import BUILD, ROOT

sys.path.insert(0, os.path.join(ROOT, "tests"))
import bench  # noqa: E402

SLACK = 1.03
TRACE_COST = 60


def too_dear(row, known):
    """What of the row is above its entry in the table; a tenth of an instruction is rounding."""
    if not known:
        return ["%s is not in tests/bench.csv" % row["row"]]
    return ["%s: %s %s, in the table %s" % (row["row"], what, row[what], known[what])
            for what in ("socle", "weighted") if row[what] > float(known[what]) * SLACK + 0.1]


@pytest.mark.parametrize("model, options", bench.SETTINGS)
def test_no_row_is_dearer(model, options):
    known = {row["row"]: row for row in bench.read_csv() if (row["model"], row["options"]) == (model, options)}
    rows = bench.measure(BUILD, model, options)
    assert known and set(known) == {row["row"] for row in rows}
    assert not [line for row in rows for line in too_dear(row, known[row["row"]])]


@pytest.mark.parametrize("model, options", (("haswell", ""), ("haswell", "shadow-vmcs=off")))
def test_the_trace_costs_little(model, options):
    """trace=on: at most 60 instructions an exit more than without it, in each row that has exits."""
    known = {row["row"]: row for row in bench.read_csv() if (row["model"], row["options"]) == (model, options)}
    off, on = (bench.boot(BUILD, model, (options + trace).strip(), elf=os.path.join(BUILD, "socle.elf"))
               for trace in ("", " trace=on"))
    costs = {row: (on[row]["instructions"] - off[row]["instructions"]) / float(known[row]["entry"])
             for row in on if float(known[row]["entry"]) >= 1}
    assert len(costs) > 15 and not {row: cost for row, cost in costs.items() if not 10 < cost <= TRACE_COST}, costs


@pytest.mark.parametrize("socle, weighted, wrong", ((1000, 5000, 0), (1029, 5149, 0), (1031, 5000, 1), (1000, 5151, 1),
                                                    (2000, 9000, 2)))
def test_the_guard(socle, weighted, wrong):
    known = {"row": "r", "socle": "1000.0", "weighted": "5000"}
    assert len(too_dear({"row": "r", "socle": socle, "weighted": weighted}, known)) == wrong


@pytest.mark.parametrize("cpus, nested, counted", ((1, False, True), (2, False, False), (1, True, False)))
def test_accesses_of_all_cpus_or_of_one_level_are_left_out(monkeypatch, capsys, cpus, nested, counted):
    monkeypatch.setattr(bench, "boot", lambda *args, **more: {"r": {"instructions": 10.0, "vmread": 3}})
    bench.show(bench.measure(BUILD, "haswell", "", cpus, nested), {})
    said = capsys.readouterr().out
    assert [word in said for word in ("vmread", "weighted")] == [counted, counted]
