# SPDX-License-Identifier: MIT
"""The quick rows of tests/scenarios; `make guests` runs them all."""
import collections
import os
import re
import sys

import pytest
from conftest import BUILD, ROOT, boot, guest_image, l1, machine

sys.path.insert(0, os.path.join(ROOT, "tests", "scenarios"))

from rows import ALLOWED, ROWS, WARNINGS  # noqa: E402
from scenario import boots, judge, kvm  # noqa: E402


@pytest.mark.parametrize("row", [row for row in ROWS if row.quick], ids=lambda row: row.name)
def test_scenario(row):
    results = []
    for bare in (False, True) if row.compare else (False,):
        what, settings = boots(row, BUILD, bare)
        results.append(boot(what.pop("l1"), **what, **settings))
    wrong = judge(row, *results, allowed=ALLOWED, warnings=WARNINGS)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("row", [row for row in ROWS if row.on_kvm or row.group == "qemu"], ids=lambda row: row.name)
def test_the_initramfs_has_qemu(row, monkeypatch):
    monkeypatch.setattr(l1, "made_by", lambda script, *arguments: script)
    image, _ = l1.linux(row.steps)
    assert image["modules"] == ["python.sh" if row.steps.startswith("kit:") else "qemu.sh"]


def test_a_name_is_one_of_a_row_or_of_a_group():
    groups = collections.Counter(row.group for row in ROWS)
    assert not [row.name for row in ROWS if groups[row.name] > 1]


def test_the_rows_on_kvm_run_what_they_name():
    for row in ROWS:
        name, _, number = re.match(r"(?:socle_)?on_kvm:(?:(\S+?):)?(\d):(\d)|", row.steps).groups()
        if number:
            assert int(number) == ([entry[0] for entry in kvm.TESTS].index(name) if name else kvm.LINUX), row.name
    for name, test, words in kvm.TESTS:
        known = kvm.kit.test_names(guest_image(test))
        assert all(word in known for word in re.split("[=,]", words)[1:]), name


def on_kvm(alone, under):
    return machine.Result(["KVM " + line for line in alone] + ["SOCLE " + line for line in under], "marker", 1.0, "folder",
                          "bochs")


SUM = ("SUMMARY 2 passed, 0 failed", "DONE")
INJECTION = "FAIL injection basic.c:245 reason == REASON_VMCALL && vm_vector(&vm) == (event & 0xff)"
LESS = ("SUMMARY 1 passed, 1 failed", "DONE")


@pytest.mark.parametrize("alone, under, wrong", (
    (("RESULT a 1", "RESULT b 2", *SUM), ("RESULT a 1", "RESULT b 2", *SUM), 0),
    (("RESULT a 1", "RESULT b 2", *SUM), ("RESULT b 2", "RESULT a 1", *SUM), 2),
    (("RESULT a 1", *SUM), ("RESULT a 1", "RESULT a 1", *SUM), 1),
    (("RESULT a 1", *SUM), ("RESULT a 1", *LESS), 2),
    (("FAIL a a.c:1 x", *SUM), ("FAIL a a.c:1 x", *SUM), 1),
    (("RESULT errors vmcall_root=ok", *SUM), ("RESULT errors vmcall_root=valid(1)", *SUM), 0),
    (("RESULT errors vmcall_root=valid(1)", *SUM), ("RESULT errors vmcall_root=ok", *SUM), 2),
    ((INJECTION, *LESS), SUM, 0),
    ((INJECTION, *LESS), (INJECTION, *LESS), 0),
    (SUM, (INJECTION, *LESS), 1),
    ((), (), 1),
))
def test_the_comparison_on_kvm(alone, under, wrong):
    """A line counts as often as it is there and where it is there; what only Socle fails is never KVM's own."""
    assert len(kvm.differences(on_kvm(alone, under))) == wrong
