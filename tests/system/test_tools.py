# SPDX-License-Identifier: MIT
"""What the user types wrong at the host's tools gets one line, not a traceback."""
import os
import subprocess

import pytest
from conftest import ELF, ROOT, guest_image, machine


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


def test_memory_too_small_for_l1():
    code, output = run("--l1", guest_image("basic"), "--mem", "32", "--modules",
                       os.path.join(ROOT, "build", "socle.debug"), "--timeout", "1")
    assert "Traceback" not in output and code != 0


def test_kvm_is_refused_without_nested_vtx():
    if machine.nested_vmx_reason() is None:
        pytest.skip("this machine has nested VT-x")
    code, output = run("--machine", "kvm", "--no-l1")
    assert code != 0 and "no nested VT-x here" in output, output


def test_help_lists_every_goal():
    output = subprocess.run(["make", "-C", ROOT, "help"], stdout=subprocess.PIPE, check=True, text=True).stdout
    for word in ("make run", "make test", "make iso", "lint", "L1=", "FIRMWARE=", "MACHINE=", "MODEL=", "OPTIONS="):
        assert word in output
