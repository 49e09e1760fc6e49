# SPDX-License-Identifier: MIT
"""`make compare`: the rules and the comparison on consoles made here, and the tool as a whole on a guest test."""
import os
import re
import subprocess

import pytest
from conftest import ELF, ROOT, guest_image, machine

import compare
import consoles


def rules(*lines):
    made = consoles.Rules()
    for line in lines:
        made.add(*line.split(" ", 1))
    return made


def kinds(left, right, *lines):
    return [row.kind for row in consoles.compare(left, right, rules(*lines))]


@pytest.mark.parametrize("left, right, lines, wanted", (
    ("a b", "a b", (), "same same"),
    ("a b", "a c", (), "same differs"),
    ("a b", "b", (), "differs same"),
    ("a b c", "a c b", (), "same differs same differs"),
    ("a socle:x b", "a b", ("ignore ^socle:",), "same ignored same"),
    ("a=1 b", "a=2 b", ("mask [0-9]",), "masked same"),
    ("a=1x b", "a=2y b", ("mask a=([0-9])",), "differs same"),
    ("a=1x b", "a=2x b", ("mask a=([0-9])",), "masked same"),
    ("a b c", "b a c", ("unordered ^[ab]$",), "moved moved moved moved same"),
    ("a a c", "a c", ("unordered ^a$",), "moved differs moved same"),
    ("a c", "a a c", ("unordered ^a$",), "moved moved differs same"),
    ("", "a", (), "differs"),
))
def test_rows(left, right, lines, wanted):
    assert sorted(kinds(left.split(), right.split(), *lines)) == sorted(wanted.split())


def test_no_line_is_lost():
    for left, right in (("abcdxyz", "axbcyd"), ("ax", "axx"), ("xa", "yya"), ("", "xy")):
        rows = consoles.compare(list(left), list(right), rules("ignore x", "unordered y"))
        assert "".join(row.left for row in rows if row.left is not None) == left
        assert "".join(row.right for row in rows if row.right is not None) == right


def test_masks_keep_what_is_around_them():
    assert rules("mask from ([0-9]+) to ([0-9]+)").masked("go from 1 to 22, 3") == "go from \u2026 to \u2026, 3"
    assert rules("mask [0-9]+").masked("1 to 22") == "\u2026 to \u2026"


@pytest.mark.parametrize("text, said", (
    ("hide x", ":1: say ignore or mask or unordered"),
    ("# words\n\nmask", ":3: say ignore"),
    ("ignore (", ":1: no regular expression"),
))
def test_files_of_rules(text, said, tmp_path):
    (tmp_path / "mine").write_text(text + "\n")
    with pytest.raises(consoles.RulesError, match=re.escape(said)):
        consoles.load(str(tmp_path / "mine"))


def ended(by, *lines):
    return machine.Result(list(lines), by, 1.0, "folder", "machine")


@pytest.mark.parametrize("bare, under, said", (
    (ended("marker", "x", "DONE"), ended("marker", "x", "DONE", "y"), None),
    (ended("marker", "x", "DONE"), ended("exit", "x", "DONE"), "bare the run ended by marker, under Socle by exit"),
    (ended("timeout", "x"), ended("timeout", "x", "y"), None),
    (ended("timeout", "x", "z", "y"), ended("timeout", "x", "y"), "1 line differs"),
    (ended("marker", "x", "DONE"), ended("marker", "x", "DONE", "socle: panic: x"), "Socle says: socle: panic: x"),
    (ended("exit"), ended("exit"), "L1 wrote nothing"),
    (ended("exit", "x", "y"), ended("exit", "x"), "1 line differs"),
    (ended("exit", "a"), ended("exit", "b"), "no line is the same"),
))
def test_judgement(bare, under, said):
    _, wrong = compare.judge(bare, under, consoles.load("always"), (r"^DONE\b",))
    assert said in wrong[0] if said else not wrong, wrong


def run(*arguments, folder):
    done = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "compare.py"), "--elf", ELF, "--folder",
                           str(folder), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
    return done.returncode, done.stdout


def test_compare(tmp_path):
    """A guest test that only Socle has something for differs, unless a rule of the user's says that it may."""
    wanted = ("--l1", guest_image("hostile"), "--l1-args", "tests=window_by_l1,cost_lists", "--machine", "bochs", "--ips",
              "20000000", "--cpus", "2")
    code, output = run(*wanted, folder=tmp_path / "1")
    assert code == 1 and "- SKIP window_by_l1" in output and "lines differ" in output, output
    text = (tmp_path / "1" / "compare.html").read_text()
    assert re.search(r"<tr class=differs><td>\d+</td><td>SKIP window_by_l1", text) and "http" not in text
    (tmp_path / "mine").write_text("# of Socle's\nignore window_by_l1\nmask ^SUMMARY (\\d+)\n")
    code, output = run(*wanted, "--rules", str(tmp_path / "mine"), folder=tmp_path / "2")
    assert code == 0 and "compare: the same: " in output, output


@pytest.mark.parametrize("arguments, said", (
    ((), "say L1=FILE"),
    (("--l1", "/nowhere/kernel"), "no such file: /nowhere/kernel"),
    (("--l1", ELF, "--rules", "/nowhere/rules"), "RULES=/nowhere/rules: No such file"),
))
def test_what_cannot_be_compared(arguments, said, tmp_path):
    code, output = run(*arguments, folder=tmp_path)
    assert code == 2 and said in output and len(output.splitlines()) == 1, output
