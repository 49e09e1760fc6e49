# SPDX-License-Identifier: MIT
"""The kit: its table against the guest tests, its judgement on consoles made here, and a small one used as its users do."""
import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from conftest import BUILD, ROOT, guest_names, machine
from guests import ALONE

sys.path.insert(0, os.path.join(ROOT, "tools", "kit"))

import boot as boot_kit  # noqa: E402
import pack  # noqa: E402
import results  # noqa: E402
import suite  # noqa: E402

# Images that are not in the kit: their results depend on every capability, or they print none.
LEFT_OUT = {"fuzzentry", "fuzzrun", "traced"} | ALONE


def test_every_image_is_in_the_kit():
    assert {one.name for one in suite.IMAGES} | LEFT_OUT == set(guest_names())


def test_every_test_has_a_subject():
    names = {(one.name, test) for one in suite.IMAGES for test in pack.test_names(pack.guest_elf(BUILD, one.name))}
    assert len(names) > 200
    other = {pair for pair in names if suite.subject(*pair) == "other"}
    assert {image for image, _ in other} <= {"bios", "bench"}, other
    assert {suite.subject(*pair) for pair in names} == {name for name, _ in suite.SUBJECTS}


REFERENCE = suite.Reference({
    "version": "1", "models": {"old": {"pin": 1}, "new": {"pin": 7}},
    "images": {"basic": {"tests": ["a", "b", "silent", "c"], "lines": {
        "a": [[["old", "new"], ["RESULT a 1"]]],
        "b": [[["old"], ["RESULT b 1"]], [["new"], ["RESULT b 2"]]],
        "c": [[["old", "new"], ["SKIP c why"]]]}}}})


@pytest.mark.parametrize("test, lines, end, kind", (
    ("a", ["RESULT a 1"], None, "pass"),
    ("a", ["RESULT a 2"], None, "differs"),
    ("a", ["RESULT a 1", "RESULT a 1"], None, "differs"),
    ("a", [], None, "differs"),
    ("a", ["SKIP a why"], None, "skip"),
    ("a", ["RESULT a 1", "FAIL a x.c:1 y"], None, "fail"),
    ("a", ["RESULT a 1"], "hung", "ends"),
    ("a", None, None, "lost"),
    ("b", ["RESULT b 2"], None, "variant"),
    ("b", ["RESULT b 1"], None, "pass"),
    ("silent", [], None, "pass"),
    ("silent", ["RESULT silent 1"], None, "differs"),
    ("c", ["SKIP c why"], None, "skip"),
    ("c", ["RESULT c 1"], None, "alone"),
    ("c", ["FAIL c x.c:1 y"], None, "fail"),
))
def test_judgement(test, lines, end, kind):
    assert results.judge(REFERENCE, "old", "basic", test, lines, end).kind == kind


@pytest.mark.parametrize("one, other, wanted", (
    ("R t a=1 b=2 c=3", "R t a=1 b=5 c=3", ("R t b=2", "R t b=5")),
    ("R t x a=1", "R t y a=1", ("R t x a=1", "R t y a=1")),
    ("R t a=1", "R t a=1 b=2", ("R t a=1", "R t a=1 b=2")),
    ("R t ok", "R t bad", ("R t ok", "R t bad")),
))
def test_words_that_differ(one, other, wanted):
    assert results.words_apart(one, other) == wanted


def test_the_nearest_reference():
    assert REFERENCE.nearest({"pin": 3}) == ("new", 1) and REFERENCE.nearest({"pin": 0}) == ("old", 1)
    assert suite.capabilities(["INFO capabilities pin=7f00 cr0=8/9", "INFO x pin=1"]) == {"pin": 0x7f00, "cr0": 8, "cr01": 9}


def test_what_kvm_does_not_survive_is_left_out():
    """But where it is named in full; and each that the list names is a test."""
    known = suite.Reference({"version": "1", "models": {}, "images": {
        "exits": {"tests": ["activity", "mtf"], "lines": {}}, "basic": {"tests": ["a"], "lines": {}}}})
    pair = ("exits", "activity")
    for only, machine_name, left_out in (((), "kvm", True), (("exits",), "kvm", True), (("exits.act*",), "kvm", True),
                                         (("exits.activity",), "kvm", False), (("basic",), "kvm", False),
                                         ((), "bochs", False)):
        avoid = suite.avoided(only, known, machine_name)
        assert (pair in avoid) == left_out, only
        run = [(one.name, test) for one, tests, _ in suite.chosen(only, known, avoid) for test in tests]
        assert (pair in run) == (not left_out and "basic" not in only), only
    assert all(test in pack.test_names(pack.guest_elf(BUILD, name)) and why for (name, test), why in suite.KVM_AVOIDS.items())
    assert not results.is_bad([results.Outcome(*pair, "avoided", [], [], "why")])


class Fake:
    """A platform whose machine ends in some tests."""

    def __init__(self, deadly):
        self.deadly, self.runs = deadly, []

    def __call__(self, words):
        names = words[len("tests="):].split(",") if words else ["a", "b", "silent", "c"]
        self.runs.append(names)
        lines = ["BEGIN"]
        for name in names:
            if name in self.deadly:
                return machine.Result(lines, "exit", 1.0, "", "")
            lines += [] if name == "silent" else ["RESULT %s 1" % name]
        return machine.Result(lines + ["DONE"], "marker", 1.0, "", "")


@pytest.mark.parametrize("deadly, runs", ((set(), 1), ({"a"}, 3), ({"b"}, 4), ({"silent"}, 4), ({"c"}, 4), ({"a", "b"}, 5)))
def test_past_tests_that_end_the_machine(deadly, runs):
    fake = Fake(deadly)
    found, ended, _ = results.run_tests(fake, ["a", "b", "silent", "c"], True)
    assert set(ended) == deadly and set(found) == {"a", "b", "silent", "c"}
    assert all(found[name] == (["RESULT %s 1" % name] if name in "abc" else []) for name in set(found) - deadly)
    assert len(fake.runs) == runs, fake.runs


def test_an_emulator_that_dies(tmp_path, monkeypatch):
    """In a test it is that test's end; before the image has begun, nothing was run."""
    def dies(_iso, folder, **_settings):
        raise machine.MachineError("the emulator ended by itself: VMCALL: not implemented yet")

    monkeypatch.setattr(machine, "run_image", dies)
    with pytest.raises(machine.MachineError):
        boot_kit.run("iso", str(tmp_path))
    (tmp_path / "serial.txt").write_text("BEGIN tests=a\nRESULT a 1\n")
    result = boot_kit.run("iso", str(tmp_path))
    assert "RESULT a 1" in result.lines and "not implemented" in result.ended


def test_what_qemu_says_when_kvm_gives_up(tmp_path):
    """A test that hangs has the reason in its note, if QEMU knows it; a machine that ends has its own."""
    (tmp_path / "emulator.txt").write_text("warning: old\nKVM internal error. Suberror: 1\nRAX=0\n")
    for ended, folder, said in (("timeout", tmp_path, "no end before the timeout; KVM internal error. Suberror: 1"),
                                ("timeout", tmp_path / "none", "no end before the timeout"),
                                ("exit", tmp_path, "the machine ended"), ("its words", tmp_path, "its words")):
        assert results.how_it_ended(machine.Result(["BEGIN"], ended, 1.0, str(folder), "")) == said


def test_a_platform_that_starts_nothing_is_given_up():
    tests = ["t%d" % number for number in range(50)]
    fake = Fake(set(tests))
    found, ended, _ = results.run_tests(fake, tests, False)
    assert len(ended) == len(found) == results.ENDS_MAX
    assert len(fake.runs) == 2 * results.ENDS_MAX


def make_kit(folder):
    """A small one, unpacked where nothing of this tree is; packed twice, for its bytes must be the same."""
    archives = [str(folder / name) for name in ("1.tar.gz", "2.tar.gz")]
    for archive in archives:
        subprocess.run([sys.executable, os.path.join(ROOT, "tools", "kit", "pack.py"), "--build", BUILD, "--images", "hostile",
                        "--models", "haswell", "--version", "0.1", "--folder", str(folder / "made"), "--out", archive],
                       check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    assert open(archives[0], "rb").read() == open(archives[1], "rb").read(), "the same sources, another archive"
    subprocess.run(["tar", "-C", str(folder), "-xf", archives[0]], check=True)
    return folder / "socle-kit-0.1"


def run(kit, *arguments, environment=None):
    environment = environment or {"PATH": os.environ["PATH"], "BOCHS": machine.find_bochs(), "HOME": "/nowhere"}
    done = subprocess.run([str(kit / "socle-kit"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          text=True, env=environment, cwd=str(kit.parent))
    return done.returncode, done.stdout


def check_bare_and_under_socle(kit):
    code, output = run(kit, "run", "--accel", "bochs", "--only", "basic", "--out", "bare")
    assert code == 0 and output.endswith("good: 14 pass\n") and "haswell (the same capabilities)" in output, output
    code, output = run(kit, "run", "--accel", "socle", "--machine", "bochs", "--only", "basic.errors", "hostile.window_by_l1",
                       "--out", "socle")
    assert code == 0 and output.endswith("good: 1 pass, 1 alone\n"), output
    suite_element = xml.etree.ElementTree.parse(str(kit.parent / "bare" / "report.xml")).getroot()
    assert suite_element.attrib["tests"] == "14" and suite_element.attrib["failures"] == "0"
    page = (kit.parent / "bare" / "report.html").read_text()
    assert re.search(r"<th title=.*>basic</th>.*<td class=good title=.*>\d/\d</td>", page) and "http" not in page


def check_the_emulator_that_is_built(kit):
    """Without BOCHS the one that Socle's tree has built, before any in the path."""
    cache = kit.parent / "home" / ".cache" / "socle"
    cache.mkdir(parents=True)
    (cache / "bochs").mkdir()
    (cache / "bochs" / "bochs").symlink_to(machine.find_bochs())
    (kit.parent / "bin").mkdir()
    (kit.parent / "bin" / "bochs").write_text("#!/bin/sh\nexit 1\n")
    (kit.parent / "bin" / "bochs").chmod(0o755)
    code, output = run(kit, "run", "--accel", "bochs", "--only", "basic.errors", "--out", "built", environment={
        "PATH": str(kit.parent / "bin") + ":" + os.environ["PATH"], "HOME": str(kit.parent / "home")})
    assert code == 0 and output.endswith("good: 1 pass\n"), output


def check_saved_consoles(kit):
    """One line changed: one test is bad, and shown in every form of the report."""
    saved = kit.parent / "saved"
    saved.mkdir()
    text = (kit.parent / "bare" / "consoles" / "basic.txt").read_text()
    assert "vmcall_root=valid(1)" in text
    (saved / "basic.txt").write_text(text.replace("vmcall_root=valid(1)", "vmcall_root=ok"))
    code, output = run(kit, "report", str(saved), "--out", "judged")
    assert code == 1 and output.endswith("BAD: 13 pass, 1 differs\n"), output
    assert "+ RESULT errors vmcall_root=ok" in output and "- RESULT errors vmcall_root=valid(1)" in output, output
    told = json.loads((kit.parent / "judged" / "report.json").read_text())
    bad = [one for one in told["outcomes"] if one["kind"] == "differs"]
    assert [(one["image"], one["test"], one["subject"]) for one in bad] == [("basic", "errors", "instructions")]
    assert '<a href="#basic.errors">' in (kit.parent / "judged" / "report.html").read_text()
    assert "<failure " in (kit.parent / "judged" / "report.xml").read_text()
    (saved / "avoided.txt").write_text("basic errors it hangs there\n")
    code, output = run(kit, "report", str(saved), "--out", "judged")
    assert code == 0 and output.endswith("good: 13 pass, 1 avoided\n"), output
    assert "avoided  basic.errors (it hangs there)" in output, output
    assert '<skipped message="it hangs there"/>' in (kit.parent / "judged" / "report.xml").read_text()
    (saved / "avoided.txt").unlink()
    (saved / "basic.txt").write_text(text[:text.index("RESULT errors")])
    code, output = run(kit, "report", str(saved), "--out", "cut")
    assert code == 1 and " lost" in output.splitlines()[-1], output


WRONG = (
    (("run", "--accel", "bochs", "--only", "nosuch"), "--only nosuch: there is no such image or test"),
    (("run", "--accel", "bochs", "--only", ""), "--only : there is no such image or test"),
    (("run", "--accel", "bochs", "--only"), "--only: expected at least one argument"),
    (("run", "--accel", "bochs", "--model", "pentium9"), "--model pentium9: say one of"),
    (("run", "--accel", "xen"), "--accel: invalid choice: 'xen'"),
    (("run", "--accel", "socle", "--machine", "tcg"), "--machine: invalid choice: 'tcg'"),
    (("run", "--accel", "bochs", "--cpus", "0"), "--cpus: 0: say a number, 1 or more"),
    (("run", "--accel", "bochs", "--timeout", "soon"), "--timeout: soon: say a number, 1 or more"),
    (("run", "--accel", "bochs", "--out", "/proc/here"), "--out /proc/here: No such file or directory; name a folder"),
    (("run", "--accel", "bochs", "--out", "socle-kit-0.1/LICENSE"), "--out socle-kit-0.1/LICENSE: File exists"),
    (("report", "/nowhere"), "has no console of an image"),
    # before the tests run, which may take hours
    (("run", "--accel", "bochs", "--reference", "x"), "--reference x: say one of haswell"),
    (("report", ".", "--reference", "x"), "--reference x: say one of haswell"),
)


MISSING = (
    (("bochs",), "no emulator: say BOCHS=/path/to/bochs, or install the package bochs"),
    *(((("kvm",), "--accel kvm: "), (("kvm",), "--accel bochs wants none"),
       (("socle", "--machine", "kvm"), "--machine kvm: no nested VT-x here: ")) if machine.nested_vmx_reason() else
      ((("kvm", "--qemu", "/nowhere/qemu"), "--qemu /nowhere/qemu: there is no such program"),)),
)


def check_list(kit):
    """Into a pipe that is closed at once, too."""
    code, output = run(kit, "list")
    assert code == 0 and "\nhostile: " in output and " cost_mtrrs" in output and "\ninsn: " not in output, output
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([str(kit / "socle-kit"), "list"], stdout=writing, stderr=subprocess.PIPE, check=False, text=True)
    os.close(writing)
    assert done.returncode == -signal.SIGPIPE and not done.stderr, done


def check_missing(kit):
    """Each thing that this machine may lack is named, with what can be done about it."""
    none = {"PATH": "/nowhere", "BOCHS": "/nowhere/bochs", "HOME": "/nowhere"}
    for arguments, said in MISSING:
        done = subprocess.run([sys.executable, str(kit / "socle-kit"), "run", "--accel", *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, text=True, env=none, cwd=str(kit.parent))
        assert done.returncode == 2 and said in done.stdout and "Traceback" not in done.stdout, done.stdout


def emulators(folder):
    """The processes that run in it or below."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/cwd" % number).startswith(str(folder) + "/"):
                found.append(number)
        except OSError:
            pass
    return found


def check_interrupted(kit):
    """Ctrl-C in a boot: no success, no emulator left, and no earlier report that looks like this run's."""
    (kit.parent / "cut").mkdir(exist_ok=True)
    (kit.parent / "cut" / "report.txt").write_text("an earlier one")
    process = subprocess.Popen([str(kit / "socle-kit"), "run", "--accel", "bochs", "--only", "basic", "--out", "cut"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=str(kit.parent),
                               env={"PATH": os.environ["PATH"], "BOCHS": machine.find_bochs(), "HOME": "/nowhere"})
    assert "basic" in process.stdout.readline()
    while not emulators(kit.parent / "cut"):
        assert process.poll() is None, process.stdout.read()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 2 and said.endswith("socle-kit: interrupted\n") and "Traceback" not in said, said
    assert not (kit.parent / "cut" / "report.txt").exists()
    # killed with the runner, not always before it has ended; so many looks are some seconds
    assert any(not emulators(kit.parent / "cut") for _ in range(1000))


def test_as_its_users_do(tmp_path):
    """In one test, for workers share no folder."""
    kit = make_kit(tmp_path)
    check_bare_and_under_socle(kit)
    check_saved_consoles(kit)
    for arguments, said in WRONG:
        code, output = run(kit, *arguments)
        assert code == 2 and said in output and "Traceback" not in output, output
    check_list(kit)
    check_missing(kit)
    check_the_emulator_that_is_built(kit)
    check_interrupted(kit)
