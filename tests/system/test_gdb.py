# SPDX-License-Identifier: MIT
"""Debian's gdb on Socle's stub: a guest test as L1 by its symbols, and the L2 that it runs, and that neither can tell."""
import os
import re
import subprocess

from conftest import ROOT, boot, guest_image, show
from debugged import SETTINGS, Debugged, said_to

def results(result):
    return [line for line in result.lines if line.startswith(("RESULT", "FAIL", "SUMMARY", "DONE"))]


# A person's way through an L2 that loops with interrupts off, back into its L1, and out.
SESSION = ("info threads", "break *code_count_down+11", "continue", "p/x $rcx", "continue", "p/x $rcx", "p/x $r8",
           "stepi", "x/i $pc", "p/x $v12_pin_controls", "delete", "thread 1", "frame", "tbreak result", "continue",
           "backtrace", "finish", "stepi", "watch passed", "continue", "delete", "awatch passed", "continue", "delete",
           "rwatch passed", "continue", "x/i $pc", "p $xmm0.uint128", "p $mxcsr", "p $fctrl", "set $xmm1.v4_int32[0] = 0x1234",
           "set $st0 = 1.5", "stepi", "p/x $xmm1.v4_int32[0]", "p $st0", "p $ymm0",
           "monitor break", "delete", "detach")


def test_l1_and_its_l2():
    args = "tests=l2_loops,l1_loops"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, **SETTINGS)
    run = Debugged("levels", args)
    words = run.debug(*SESSION)
    assert re.search(r"Thread 1 \(cpu 0, L1, which waits\)", words) and re.search(r"\* 2 +Thread 2 \(cpu 0, L2\)", words), words
    here = int(re.search(r"Breakpoint 1 at 0x([0-9a-f]+)", words).group(1), 16)
    assert words.count("Thread 2 hit Breakpoint 1, 0x%016x in code_count_down ()" % here) == 2, words
    first, second = (int(said_to(words, "p/x $rcx", n).split("= ")[1], 16) for n in (0, 1))
    assert second == first - 1 and "0x1122334455667788" in said_to(words, "p/x $r8"), words
    assert re.search(r"=> 0x%x <code_count_down\+14>:\s+jne" % (here + 3), words), words
    assert int(said_to(words, "p/x $v12_pin_controls").split("= ")[1], 16) & 0x16 == 0x16, words
    assert "vm_exit_stub" in said_to(words, "frame"), words
    assert "Thread 1 hit Temporary breakpoint 2, result" in said_to(words, "continue", 2), words
    assert re.search(r"#0 +result .*\n#1 .* in test_l2_loops .*\n#2 .* in run_guarded ", said_to(words, "backtrace")), words
    assert "in test_l2_loops ()" in said_to(words, "finish"), words
    assert "Hardware watchpoint 3: passed" in words, words
    assert re.search(r"Old value = 0\nNew value = 1", said_to(words, "continue", 3)), words
    assert "Hardware access (read/write) watchpoint 4: passed" in said_to(words, "continue", 4), words
    assert re.search(r"Old value = 1\nNew value = 2", said_to(words, "continue", 4)), words
    assert re.search(r"Hardware read watchpoint 5: passed\n\nValue = 2\n", said_to(words, "continue", 5)), words
    assert re.search(r"= \d+$", said_to(words, "p $xmm0.uint128").strip()), words
    assert int(said_to(words, "p $mxcsr").split("= ")[1]) & 0x1f80, words
    assert int(said_to(words, "p $fctrl").split("= ")[1]) in (0x37F, 0x40), words
    assert said_to(words, "p/x $xmm1.v4_int32[0]").split("= ")[1].strip() == "0x1234", words
    assert said_to(words, "p $st0").split("= ")[1].strip() == "1.5", words
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 2, show(result)


# Both CPUs are stopped in their loops, and each meets a breakpoint of its own, in L1 and in L2.
BOTH = ("info threads", "thread 3", "break *$pc", "continue", "stepi", "info threads", "delete", "thread 2",
        "break *code_count_down+11", "continue", "p/x $rcx", "continue", "p/x $rcx", "delete", "detach")


def test_two_cpus():
    args = "tests=both_loop"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, cpus=2, **SETTINGS)
    run = Debugged("two", args, cpus=2)
    words = run.debug(*BOTH)
    for thread, what in ((1, "cpu 0, L1, which waits"), (2, "cpu 0, L2"), (3, "cpu 1, L1")):
        assert re.search(r"Thread %d \(%s\)" % (thread, what), said_to(words, "info threads")), words
    assert re.search(r"Thread 3 hit Breakpoint 1, ", said_to(words, "continue")), words
    assert re.search(r"\* 3 +Thread 3 ", said_to(words, "info threads", 1)), words
    for nth in (1, 2):
        assert re.search(r"Thread 2 hit Breakpoint 2, 0x\w+ in code_count_down ", said_to(words, "continue", nth)), words
    first, second = (int(said_to(words, "p/x $rcx", n).split("= ")[1], 16) for n in (0, 1))
    assert second == first - 1, words
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 2, show(result)


def test_one_that_was_killed():
    """While it waited: the next gdb finds the machine where it is then, and nothing of the first one."""
    args = "tests=l2_loops,l1_loops"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, **SETTINGS)
    run = Debugged("killed", args)
    run.debug("break result", "continue", until=lambda: run.bridge.await_said(b"$vCont;c", 100))
    words = run.debug("info threads", "thread 1", "tbreak test_l1_loops", "continue", "detach")
    assert not re.search("Remote (communication|failure)|SIG", words), words
    assert re.search(r"\* 2 +Thread 2 \(cpu 0, L2\)", words), words
    assert "Thread 1 hit Temporary breakpoint 1, test_l1_loops ()" in said_to(words, "continue"), words
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 2, show(result)


def test_the_planted_bug():
    """docs/debugging.md's session: a guest that executes the same CPUID for ever."""
    run = Debugged("planted", "tests=asks", guest="planted")
    words = run.debug("monitor exits", "break emulate_cpuid", "continue", "p/x $v12_guest_rip", "continue",
                      "p/x $v12_guest_rip", "x/i $v12_guest_rip", "finish", "set var patience = 0", "detach")
    assert words.count("Thread 1 hit Breakpoint 1, emulate_cpuid (vm=") == 2, words
    places = {said_to(words, "p/x $v12_guest_rip", n).split("= ")[1] for n in (0, 1)}
    assert len(places) == 1 and re.search(r"<code_ask\+5>:\s+cpuid", words), words
    assert "run_guest (vm=" in said_to(words, "finish"), words
    assert run.end().having("^DONE"), words


def test_a_core():
    """Pulled over the port while an L2 runs: gdb opens it, and both guests go on."""
    args = "tests=l2_loops,l1_loops"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, **SETTINGS)
    run = Debugged("core", args, options="trace=4K")
    core = os.path.join(run.folder, "core")
    done = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "core.py"), run.port(), core], capture_output=True,
                          text=True, check=False, timeout=150)
    assert done.returncode == 0 and "1 cpu 0, L1, which waits; 2 cpu 0, L2" in done.stdout, done
    with open(core + ".txt", encoding="latin-1") as file:
        text = file.read()
    words = subprocess.run(["gdb", "-nx", "-q", "-batch", "-ex", "file " + run.symbols, "-ex", "core-file " + core,
                            "-ex", "info threads", "-ex", "thread find 'LWP 1'", "-ex", "thread apply all -ascending p/x $rip",
                            "-ex", "thread apply all -ascending p/x $rsp", "-ex", "thread apply all -ascending bt 1",
                            "-ex", "thread 2", "-ex", "p/x $r8", "-ex", "p/x $xmm0.uint128", "-ex", "x/i $pc"],
                           capture_output=True, text=True, check=False, timeout=60).stdout
    shown = {level: re.search(r"^cpu 0: L%d, .*\nrip (\w+) rsp (\w+) " % level, text, re.M).groups() for level in (1, 2)}
    assert re.findall(r"= 0x(\w+)", words)[:4] == [shown[1][0], shown[2][0], shown[1][1], shown[2][1]], words
    assert "vm_exit_stub" in words and "code_count_down" in words and "= 0x1122334455667788" in words, words
    assert re.search(r"^== cpu 0: vmcs 12\n(.*\n)*?\w+ guest_rip \w+ .02: %s.$" % shown[2][0], text, re.M), text
    assert re.search(r"^== thread 2: cpu 0, L2\ncr0 0000000080010031\n", text, re.M), text[:2000]
    notes = subprocess.run(["readelf", "-n", core], capture_output=True, text=True, check=True).stdout
    assert notes.count("NT_PRSTATUS") == 2 and notes.count("NT_FPREGSET") == 1 and "SOCLE" in notes, notes
    traced = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "trace", "socle-trace"), core + ".txt"],
                            capture_output=True, text=True, check=False)
    assert re.match(r"\d+ events of 1 CPUs", traced.stdout), traced
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 2, show(result)


def test_a_core_of_two_cpus():
    """Each CPU's levels are asked on that CPU."""
    run = Debugged("core-two", "tests=both_loop", cpus=2)
    core = os.path.join(run.folder, "core")
    done = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "core.py"), run.port(), core], capture_output=True,
                          text=True, check=False, timeout=150)
    assert re.search(r"1 cpu 0, L1, which waits; 2 cpu 0, L2; 3 cpu 1, L1$", done.stdout), done
    words = subprocess.run(["gdb", "-nx", "-q", "-batch", "-ex", "file " + run.symbols, "-ex", "core-file " + core,
                            "-ex", "info threads"], capture_output=True, text=True, check=False, timeout=60).stdout
    for number, where in ((1, "vm_exit_stub"), (2, "code_count_down"), (3, "count_down")):
        assert re.search(r"LWP %d .*\b%s \(" % (number, where), words), words
    with open(core + ".txt", encoding="latin-1") as file:
        text = file.read()
    assert len(re.findall(r"^== cpu [01]: vmcs 12$", text, re.M)) == 2, text[:4000]
    assert run.end().having("^SUMMARY 1 passed, 0 failed"), words
