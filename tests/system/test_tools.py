# SPDX-License-Identifier: MIT
"""What the user types wrong at the host's tools gets one line, not a traceback."""
import importlib.util
import os
import re
import subprocess

import pytest
from conftest import ELF, ROOT, guest_image, image, machine

import report

# by its path: another folder has a run.py as well
spec = importlib.util.spec_from_file_location("tools_run", os.path.join(ROOT, "tools", "run.py"))
runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)


def run(*arguments):
    done = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "run.py"), "--elf", ELF, *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("arguments, said", (
    (("--l1", "/nowhere/kernel"), "no such file: /nowhere/kernel"),
    (("--firmware", "coreboot"), "say bios or uefi"),
    (("--machine", "pdp11"), "say one of"),
    (("--mem", "lots"), "say a size"),
    (("--mem", "8"), "less than"),
    (("--cpus", "none"), "say a number"),
    (("--cpus", "0"), "say a number"),
    (("--timeout", "soon", "--no-l1"), "TIMEOUT=soon: say a number"),
    (("--steps", "selftest,nosuch"), "there is no step nosuch; there are "),
    (("--model", "pentium9", "--no-l1"), "MODEL=pentium9: say one of penryn"),
    (("--bare", "--l1", "README.md"), "neither a multiboot image nor a Linux bzImage"),
    (("--modules", "/nowhere/initrd"), "no such file: /nowhere/initrd"),
))
def test_bad_argument(arguments, said):
    os.chdir(ROOT)
    code, output = run(*arguments)
    assert code != 0
    assert said in output and "Traceback" not in output, output
    assert len(output.strip().splitlines()) == 1, output


def test_memory_too_small_for_l1(tmp_path):
    big = tmp_path / "big"
    big.write_bytes(bytes(12 << 20))
    code, output = run("--l1", guest_image("basic"), "--mem", "32", "--modules", str(big))
    assert code != 0 and "MEM=32 is too small for L1's files of 12 MiB; say MEM=48" in output, output


@pytest.mark.parametrize("arguments, said", (
    (("--cpus", "15", "--no-l1"), "CPUS=15: this emulator takes at most 14"),
    (("--iso", "GARBAGE"), "the emulator ended by itself: "),
))
def test_emulator_that_cannot_run(arguments, said, tmp_path):
    """An emulator that dies is no success, and what it said last is the last line."""
    (tmp_path / "GARBAGE").write_bytes(b"no boot sector" * 1000)
    code, output = run(*[str(tmp_path / word) if word == "GARBAGE" else word for word in arguments],
                       "--machine", "bochs", "--folder", str(tmp_path / "run"))
    assert code != 0 and "Traceback" not in output, output
    assert said in output.strip().splitlines()[-1], output


def test_iso_has_a_menu(tmp_path):
    """`make iso L1=...`: that L1 first, then the demo, then the look at the machine."""
    made = str(tmp_path / "socle.iso")
    code, output = run("--menu", "--save-iso", made, "--l1", guest_image("basic"))
    assert code == 0, output
    code, output = run("--iso", made, "--machine", "bochs", "--cpus", "2", "--ips", "20000000", "--folder",
                       str(tmp_path / "run"))
    assert code == 0, output
    for word in ("basic.elf on Socle", "Demo: Linux with KVM on Socle", "Check what this machine has and lacks",
                 "passed, 0 failed"):
        assert word in output, output


def ended(ended_by, *lines):
    return machine.Result(list(lines), ended_by, 1.0, "folder", "machine")


@pytest.mark.parametrize("result, reason", (
    (ended("marker", "SUMMARY 3 passed, 0 failed", "DONE"), None),
    (ended("marker", "SUMMARY 3 passed, 1 failed", "DONE"), "SUMMARY 3 passed, 1 failed"),
    (ended("marker", "FAIL test: wrong at rip 0", "SUMMARY 3 passed, 1 failed", "DONE"), "FAIL test"),
    (ended("marker", "socle: CPU 0: triple fault of L1; the machine stops", "socle: error: halted"), "triple fault"),
    (ended("marker", "socle: error: no L1 image: the first module is missing", "socle: error: halted"), "no L1 image"),
    (ended("marker", "socle: panic: assertion failed", "socle: halted"), "assertion"),
    (ended("marker", "socle: halted"), "Socle halted"),
    (ended("timeout", "L1 said this"), "TIMEOUT=20 for more); the last line of the console: L1 said this"),
    (ended("reboot", "again"), "second time"),
    (ended("exit", "L1 STEP selftest rc=1"), "rc=1"),
    (ended("exit", "[ 1.0] Kernel panic - not syncing", "power off"), "Kernel panic"),
    (ended("exit", "power off"), None),
))
def test_verdict(result, reason):
    failure = report.why_failed(result, 10, halt_is_good=False)
    assert (reason is None) == (failure is None) and (reason or "") in (failure or ""), failure
    last = report.summary(result, failure, bare=False).splitlines()[-1]
    assert last.startswith("  ended") and (failure or "to its end" in last or "off" in last), last


def test_summary_states_no_number_that_it_does_not_know():
    silent = report.summary(ended("marker", "socle: cpu 0: in VMX operation, APIC ID 0", "DONE"), None, bare=False)
    assert "not known: this L1 does not ask" in silent and "'s exits" not in silent, silent
    alone = report.summary(ended("marker", "socle: check: a start without L1; this may be pasted into a report",
                                 "socle: cpu 0: in VMX operation, APIC ID 0", "socle: halted"), None, bare=False)
    assert "CPUs in VMX 1" in alone and "exits" not in alone and "L1" not in alone, alone
    asked = report.summary(ended("marker", "socle: cpu 0: in VMX operation, APIC ID 0",
                                 "socle: exits L1 CPUID=3 WRMSR=5", "DONE"), None, bare=False)
    assert "L1's exits  8: WRMSR 5, CPUID 3" in asked and "L2's exits  none" in asked, asked


def test_folder_in_use_is_not_shared(tmp_path):
    first, lock = runner.claim_folder(str(tmp_path / "run"))
    second, other = runner.claim_folder(str(tmp_path / "run"))
    assert first != second and second.endswith("run-2")
    lock.close()
    other.close()


def test_module_with_blanks_in_its_name(tmp_path):
    name = str(tmp_path / "my initrd")
    assert image.split_module(name + " root=x") == (str(tmp_path / "my"), "initrd root=x")
    (tmp_path / "my initrd").write_bytes(b"")
    assert image.split_module(name + " root=x y") == (name, "root=x y")
    assert runner.split_modules(name) == [name]
    assert runner.split_modules("a b") == ["a", "b"] and runner.split_modules("a b; c") == ["a b", "c"]


def test_odd_characters_in_variables(tmp_path):
    """Blanks and apostrophes in the user's paths and words reach run.py whole."""
    folder = tmp_path / "my dir's"
    folder.mkdir()
    l1 = folder / "no such kernel"
    done = subprocess.run(["make", "-s", "-C", ROOT, "O=" + os.environ.get("O", "build"), "run", "L1=%s" % l1],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True, timeout=300)
    assert done.returncode != 0 and "no such file: %s" % l1 in done.stdout, done.stdout


def test_kvm_is_refused_without_nested_vtx():
    if machine.nested_vmx_reason() is None:
        pytest.skip("this machine has nested VT-x")
    code, output = run("--machine", "kvm", "--no-l1")
    assert code != 0 and "no nested VT-x here" in output, output


def test_help_lists_every_goal():
    """All that `make` can be asked for, from the makefile itself, and all variables that have a default."""
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as file:
        makefile = file.read()
    goals = re.search(r"^\.PHONY: (.*)$", makefile, re.M).group(1).split()
    variables = re.search(r"^export (L1 .*)$", makefile, re.M).group(1).split()
    output = subprocess.run(["make", "-C", ROOT, "help"], stdout=subprocess.PIPE, check=True, text=True).stdout
    unsaid = [goal for goal in goals if goal not in ("all", "elf", "FORCE") and not re.search(r"\b%s\b" % goal, output)]
    unsaid += [name for name in variables if name + "=" not in output]
    assert not unsaid


def test_names_of_tests_have_no_bytes(request):
    """With a time in them (gzip's) they would differ from worker to worker, and pytest would run none."""
    assert not [item.nodeid for item in request.session.items if "\\x" in item.nodeid]


def test_a_misspelt_variable_is_an_error():
    """NAME=VALUE on make's line; one that `make help` names is taken, and the environment may have what it likes."""
    def told(*words, **more):
        done = subprocess.run(["make", "-s", "-C", ROOT, "help", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, text=True, env={**os.environ, **more})
        return done.returncode, done.stdout

    code, output = told("OPTION=shadow-vmcs=off", "CPUS=2")
    assert code and "OPTION=: there is no such variable; `make help` has them" in output and "CPUS" not in output, output
    code, output = told(OPTION="x")
    assert code == 0, output
    names = set(re.findall(r"(?<![\w-])([A-Z][A-Z0-9_]*)=", output))
    assert {"L1", "OPTIONS", "KIT_MODELS", "DESTDIR", "FUZZ_SECONDS"} <= names
    code, output = told(*[name + "=" for name in names])
    assert code == 0, output


def test_size():
    """docs/performance.md takes the image as 1 MiB in memory; a bad file and bad numbers get a line."""
    tool = os.path.join(ROOT, "tools", "size.py")

    def size(*arguments):
        done = subprocess.run(["/usr/bin/python3", tool, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, text=True, timeout=60)
        return done.returncode, done.stdout
    code, out = size(ELF, "true", "4", "2G")
    whole = re.search(r"all, in whole pages \| (\d+) \| (\d+) \|", out)
    assert code == 0 and whole, out
    parts = dict(re.findall(r"^\| `([.\w-]+)` \| (\d+) \|", out, re.M))
    assert sum(int(parts[name]) for name in (".text", ".rodata", ".data", ".bss")) <= int(whole.group(1)) <= 1 << 20
    assert int(whole.group(2)) == os.path.getsize(ELF)
    assert size(tool, "true", "1", "512") == (1, "size: %s is no ELF file of 64 bits\n" % tool)
    assert size(ELF, "true", "0", "512")[1] == "size: CPUS=0: say a number from 1 to 512\n"
    assert size(ELF, "true", "1", "lots")[1] == "size: MEM=lots: say a size in MiB, or 2G\n"
