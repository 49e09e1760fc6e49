# SPDX-License-Identifier: MIT
"""The guest tests: the same image on the bare (emulated) processor and under Socle must print the same results."""
import re

import pytest
from conftest import assert_no_accident, boot, guest_image, guest_names, machine, show
from guests import ALONE, CASES_PER_SEED, differences, dropped, machine_for, unlisted

VARIANTS = (
    ("tigerlake", ""),
    ("haswell", ""),
    ("haswell", "shadow-vmcs=off"),
    ("ivy_bridge", ""),
    ("ivy_bridge", "intercept=cr,pf,db,bp,ud,gp"),
)
# Images with less to gain from each further model; `make conformance` takes all of them on every one.
FEWER = {"ports": (("haswell", ""), ("ivy_bridge", "intercept=cr,pf,db,bp,ud,gp"))}
GUESTS = [name for name in guest_names() if name not in ALONE]
CASES = [(name, model, options) for name in GUESTS for model, options in FEWER.get(name, VARIANTS)]
SECONDS = 600
# The generator of VM entries: two whole seeds on two models, a few cases on the others.
SEEDS = {("tigerlake", ""): "seed=1-2", ("ivy_bridge", ""): "seed=1-2"}


def arguments(name, model, options, settings):
    if name != "fuzzentry":
        return ""
    told = dropped(boot(guest_image("basic"), bare=True, **settings),
                   boot(guest_image("basic"), options=options, **settings))
    if (model, options) in SEEDS:
        told += " %s cases=0-%d" % (SEEDS[model, options], CASES_PER_SEED - 1)
    return told


@pytest.mark.parametrize("name, model, options", CASES)
def test_same_as_bare(name, model, options):
    settings = dict(machine_for(name), model=model, timeout=SECONDS)
    told = arguments(name, model, options, settings)
    bare = boot(guest_image(name), told, bare=True, **settings)
    assert bare.having("^DONE"), show(bare)
    under = boot(guest_image(name), told, options=options, **settings)
    assert_no_accident(under)
    assert not differences(name, bare, under)
    assert not unlisted(name, model, bare)


def test_user_wait():
    """UMWAIT and TPAUSE, which none of the models above has."""
    settings = dict(machine_for("exits"), model="sapphire_rapids", timeout=SECONDS)
    bare = boot(guest_image("exits"), "tests=user_wait", bare=True, **settings)
    under = boot(guest_image("exits"), "tests=user_wait", **settings)
    assert_no_accident(under)
    assert bare.having("^RESULT user_wait .*exit=67"), show(bare)
    assert not differences("exits", bare, under)
    assert not unlisted("exits", "sapphire_rapids", bare)


def test_failed_entries_are_named(monkeypatch):
    """explain=all: what is told of a failed entry is what L1 sees of it, with the rule, the field and the value."""
    monkeypatch.delenv("BOCHS_SERIAL_FAST")  # paragraphs come a tenth of a second apart at least
    result = boot(guest_image("fuzzentry"), "cases=0-299 detail", options="explain=all", model="ivy_bridge",
                  **machine_for("fuzzentry"))
    stages = {"vmfail=7": "VM-instruction error 7", "vmfail=8": "VM-instruction error 8",
              "exit=80000021": "exit reason 33", "exit=80000022": "exit reason 34"}
    said, seen = [], set()
    for line in result.lines:
        if line.startswith("socle: cpu 0: VM"):
            said = []
        if line.startswith("socle: "):
            said.append(line)
        match = re.match(r"RESULT case=\d+ \S+ (vmfail=[78]|exit=8000002[12])", line)
        # not each failure has a paragraph, and one may be of another instruction
        if match and said and re.match("socle: cpu 0: VM(LAUNCH|RESUME) ", said[0]):
            stage, text = stages[match.group(1)], "\n".join(said)
            assert stage in said[0], "%s\n%s" % (text, line)
            assert re.search(r"^socle:   rule   .+ \(.+\)$", text, re.M), text
            assert re.search(r"^socle:   (field  \w+ \([0-9a-f]{4}\) = [0-9a-f]+|entry  \d+ of the list)", text, re.M) or \
                "the processor itself" in text, text
            seen.add(match.group(1))
        if line.startswith("RESULT "):
            said = []
    assert seen == set(stages), seen


@pytest.mark.parametrize("length, fails", ((1023, False), (1024, True)))
def test_a_command_line_that_is_cut(length, fails):
    """What is missing of it may name tests, which would then not be run, on either side."""
    words = "tests=launch ".ljust(length, "x")
    result = boot(guest_image("basic"), words, bare=True)
    begun = result.having("^BEGIN ")[0]
    assert len(begun) > length, begun
    assert bool(result.having("^FAIL main the command line is longer than 1023 characters$")) == fails, show(result)


def test_there_are_guest_tests():
    assert GUESTS


def printed(*lines):
    return machine.Result(list(lines), "marker", 1.0, "folder", "machine")


@pytest.mark.parametrize("name, bare, under, wrong", (
    ("basic", ("RESULT launch 0", "SUMMARY 1 passed, 0 failed"), ("RESULT launch 0", "SUMMARY 1 passed, 0 failed"), 0),
    ("basic", ("SUMMARY 1 passed, 0 failed",), ("SKIP launch EPT", "SUMMARY 0 passed, 0 failed"), 2),
    ("basic", ("SKIP launch EPT", "SUMMARY 0 passed, 0 failed"), ("SKIP launch EPT", "SUMMARY 0 passed, 0 failed"), 1),
    ("basic", ("FAIL launch x.c:1", "SUMMARY 0 passed, 1 failed"), ("FAIL launch x.c:1", "SUMMARY 0 passed, 1 failed"), 1),
    ("hostile", ("SKIP window_by_l1 w", "SUMMARY 6 passed, 0 failed"), ("SUMMARY 7 passed, 0 failed",), 0),
    ("hostile", ("SKIP window_by_l1 w", "SUMMARY 6 passed, 0 failed"),
     ("SKIP window_by_l1 w", "SUMMARY 6 passed, 0 failed"), 2),
    ("ports", ("SKIP sleep_l1 w", "SKIP own_io pm1"), ("SKIP sleep_l1 w", "SKIP own_io pm1"), 1),
    ("exits", ("SKIP user_wait c", "SUMMARY 0 passed, 0 failed"), ("SKIP user_wait c", "SUMMARY 0 passed, 0 failed"), 0),
))
def test_the_comparison(name, bare, under, wrong):
    """What is skipped or fails counts, on either side."""
    bare, under = printed(*bare), printed(*under)
    assert len(differences(name, bare, under)) + len(unlisted(name, "haswell", bare)) == wrong
