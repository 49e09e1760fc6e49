# SPDX-License-Identifier: MIT
"""Debian's unmodified Linux as L1: to user space on all CPUs, kvm_intel loaded, and its guests to their ends."""
import csv
import os
import re
import subprocess

import pytest
from conftest import BUILD, ROOT, assert_no_accident, boot, boot_linux, l1, show
from overlay import with_program

SELFTESTS = ("real16", "prot32", "pae32", "long64")


def assert_linux(result, cpus, steps):
    assert_no_accident(result)
    assert result.having(r"^L1 SHELL up=\S+ cpus=%d " % cpus), show(result)
    assert result.having("^L1 KVM LOADED"), show(result)
    for step in steps:
        assert result.having("^L1 STEP %s rc=0" % step), show(result)
    assert result.having("^L1 DONE"), show(result)
    assert not result.having("L1 FAILED|Kernel panic|BUG:|Oops|rcu.*stall|unchecked MSR"), show(result)


@pytest.mark.parametrize("model, options", (
    ("tigerlake", ""),
    ("ivy_bridge", ""),
    ("haswell", ""),
    ("haswell", "shadow-vmcs=off"),
    ("ivy_bridge", "intercept=cr,pf"),
))
def test_selftest_guests(model, options):
    result = boot_linux(model=model, options=options, timeout=240)
    assert_linux(result, 1, ["selftest"])
    for name in SELFTESTS:
        assert result.having("^SELFTEST %s PASS" % name), show(result)
    assert len(result.having("^L2 says: hello")) == len(SELFTESTS), show(result)


def test_selftest_is_what_it_is_bare():
    def lines(result):
        return [line for line in result.lines if re.match(r"SELFTEST|L2 says", line)]
    bare, under = boot_linux(bare=True), boot_linux(timeout=240)
    assert lines(bare) == lines(under)
    assert len(lines(bare)) == 2 * len(SELFTESTS)


def test_kvm_finds_the_vmx_it_finds_bare():
    def lines(result):
        return result.having(r"^L1 (vmx flags|kvm_intel:)")
    bare, under = boot_linux(bare=True), boot_linux(timeout=240)
    assert lines(under) == lines(bare)


def test_counters():
    result = boot_linux(timeout=240)
    assert result.having(r"^socle: exits L1 .*CPUID=\d+"), show(result)
    assert result.having(r"^socle: exits L2 .*=\d+"), show(result)


def test_the_trace_is_read(tmp_path):
    """socle-trace-read in that Linux: the trace and the log, and what socle-trace makes of it."""
    subprocess.run(["make", "-s", "O=" + BUILD, "trace-read"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    what, settings = l1.linux("selftest", "bochs", "ivy_bridge")
    what["modules"] = [with_program(what["modules"][0], os.path.join(BUILD, "socle-trace-read"),
                                    "step_trace_read() { socle-trace-read && socle-trace-read log; }\n", str(tmp_path))]
    result = boot(what["l1"], what["l1_args"].replace("l1=selftest", "l1=selftest,trace_read"), what["modules"],
                  model="ivy_bridge", options=l1.SOCLE_OPTIONS + " trace=16K", timeout=300, **settings)
    assert_linux(result, 1, ["selftest", "trace_read"])
    assert len(result.having("^trace: form 1 build-id .* cpus 1$")) == 1, show(result)
    assert len(result.having("^socle: Socle .* a microhypervisor")) == 2, show(result)  # on the console, and in the log
    done = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "trace", "socle-trace"), "--csv", "-",
                           os.path.join(result.folder, "serial.txt")], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done
    rows = list(csv.DictReader(done.stdout.splitlines()))
    numbers = [int(row["number"]) for row in rows]
    # 16 KiB, without the one in hand
    assert len(numbers) == 255 and numbers == list(range(numbers[0], numbers[0] + 255)), numbers
    # the reader looks for Socle by CPUID; the question that ends the recording is not in it
    assert rows[-1]["level"] == "1" and not [row for row in rows if row["entry_tsc"] == "0"], rows[-1]
    assert {row["level"] for row in rows} == {"1", "2"}, {row["reason"] for row in rows}


def test_two_cpus():
    assert_linux(boot_linux(cpus=2, timeout=300), 2, ["selftest"])


def test_uefi():
    result = boot_linux(model="skylake_x", firmware="uefi", mem=1024, timeout=300)
    assert_linux(result, 1, ["selftest"])


@pytest.mark.slow
@pytest.mark.parametrize("step, cpus", (("linux64q", 1), ("linux64smpq", 2), ("linux32q", 1)))
def test_linux_as_l2(step, cpus):
    result = boot_linux(step, cpus=cpus, mem=768, timeout=900)
    assert_linux(result, cpus, [step])
    assert result.having(r"^L2 UP .* cpus=%d " % cpus), show(result)
    assert result.having("^KVMLET guest end: reset"), show(result)
