# SPDX-License-Identifier: MIT
"""vmcs-why, on the host: the forms of dumps that people have, public cases, and its judgement where fields are missing."""
import json
import os
import subprocess

import pytest

from conftest import BUILD

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(BUILD, "vmcs-why-test")
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"

LINUX_64 = """\
[ 1234.567890] kvm_intel: *** Guest State ***
[ 1234.567891] kvm_intel: CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=fffffffffffefff7
[ 1234.567892] kvm_intel: CR4: actual=0x0000000000362670, shadow=0x0000000000362630, gh_mask=ffffffffffffe871
[ 1234.567893] kvm_intel: CR3 = %(cr3)s
[ 1234.567894] kvm_intel: RSP = 0xffffc90000003e58  RIP = 0xffffffff81a02f08
[ 1234.567895] kvm_intel: RFLAGS=0x%(rflags)s         DR7 = 0x0000000000000400
[ 1234.567896] kvm_intel: CS:   sel=0x0010, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000
[ 1234.567897] kvm_intel: TR:   sel=0x0040, attr=%(tr)s, limit=0x00004087, base=0xfffffe0000003000
[ 1234.567898] kvm_intel: Interruptibility = %(blocking)s  ActivityState = 00000000
[ 1234.567899] kvm_intel: *** Control State ***
[ 1234.567900] kvm_intel: PinBased=0x0000003f EntryControls=000013ff ExitControls=000befff
[ 1234.567901] kvm_intel: VMEntry: intr_info=%(event)s errcode=00000000 ilen=00000000
"""
GOOD = {"cr3": "0x000000001a02f000", "rflags": "00000202", "tr": "0x0008b", "blocking": "00000000", "event": "00000000"}


@pytest.fixture(scope="session")
def why():
    made = subprocess.run(["make", "-s", "O=" + FOLDER, "WHY_EXTRA=" + SANITIZE, "vmcs-why"], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert not made.returncode, made.stderr

    def run(text, *options):
        return subprocess.run([FOLDER + "/vmcs-why", *options], input=text, capture_output=True, text=True, check=False)
    return run


def broken(done):
    return [row["rule"] for row in json.loads(done.stdout)["broken"]]


@pytest.mark.parametrize("changes, rules", (
    ({}, []),
    ({"cr3": "0x800000001a02f080"}, ["guest_cr3"]),
    ({"event": "800000d1", "rflags": "00000002"}, ["rflags_if"]),
    ({"tr": "0x08089"}, ["seg_g_clear", "tr_type"]),
    ({"blocking": "00000001", "rflags": "00000002"}, ["blocking_sti"]),
    ({"tr": "0x0018b"}, ["seg_reserved"]),
))
def test_public_cases_in_linux_form(why, changes, rules):
    done = why(LINUX_64 % dict(GOOD, **changes), "--json")
    # the limit of TR is 4087H: with G it must end in FFFH, or have no bit beyond
    assert sorted(broken(done)) == sorted(rules), done.stdout
    assert done.returncode == (1 if rules else 0), done.stderr


def test_fixed_bits(why):
    assert broken(why("guest_cr0=10\nguest_cr4=40\n", "--json")) == ["guest_cr0_set", "guest_cr4_set"]


def test_capabilities_decide(why, tmp_path):
    caps = tmp_path / "caps"
    caps.write_text("IA32_VMX_PROCBASED_CTLS = fff9fffe0401e172\n")
    done = why("4002=94006172\n", "--caps", str(caps))
    assert done.returncode == 1 and "bits 15 (CR3-load exiting), 16 (CR3-store exiting) must be 1" in done.stdout, done.stdout
    assert why("4002=94006172\n").returncode == 0
    caps.write_text("0x482: 0xfff9fffe0401e172\n")
    assert broken(why("CPU_BASED_VM_EXEC_CONTROL = 0x94006172\n", "--json", "--caps", str(caps))) == ["proc_allowed"]


def test_xens_form(why):
    text = """(XEN) *** Guest State ***
(XEN) CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=ffffffffffffffff
(XEN) RSP = 0xffff82d0801cfe58 (0xffff82d0801cfe58)  RIP = 0xffffffff81a02f08 (0xffffffff81a02f08)
(XEN) RFLAGS=0x00000000 (0x00000002)  DR7 = 0x0000000000000400
(XEN)        sel  attr  limit   base
(XEN)   CS: 0010 0e09b ffffffff 0000000000000000
(XEN) GDTR:            0001ffff ffff82d080000000
(XEN) *** Control State ***
(XEN) EntryControls=000013ff ExitControls=000befff
"""
    done = why(text, "--json")
    assert broken(done) == ["cs_d_and_l", "guest_gdtr_limit", "rflags_bit_1"], done.stdout
    assert json.loads(done.stdout)["fields"] == 15, done.stdout


def test_what_cannot_be_read(why, tmp_path):
    for text, options in (("hello\n", ()), ("", ()), ("guest_cr0=1\n", ("--caps", str(tmp_path / "none"))),
                          ("guest_cr0=1\n", ("--nosuch",)), ("", (str(tmp_path / "none"),))):
        done = why(text, *options)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout, (text, options, done)


def test_what_is_missing_is_said(why):
    done = why("guest_rflags=0\n")
    assert done.returncode == 1
    assert "could not be judged, for want of memory or of these fields: " in done.stdout, done.stdout


def test_judgement_of_missing_fields(why):
    """A rule that is called broken is so whatever the missing field holds; 1,000 values of each."""
    assert why("guest_rflags=0\n").returncode == 1
    subprocess.run(["make", "-s", "O=" + FOLDER, FOLDER + "/judge-test"], cwd=ROOT, check=True)
    done = subprocess.run([FOLDER + "/judge-test"], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
