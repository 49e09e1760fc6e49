# SPDX-License-Identifier: MIT
"""The monitor on a serial port of its own, over a terminal: what it shows of L1 and L2, and that neither can tell."""
import os
import pty
import re
import shutil
import threading
import tty

import pexpect.fdpexpect
import pytest
from conftest import ELF, RUNS, assert_no_accident, boot, guest_image, image, machine, show

SETTINGS = {"model": "haswell", "ips": 20_000_000}


class Monitored:
    """A boot in a thread of its own, and the terminal behind its second serial port."""

    def __init__(self, name, l1_args, **settings):
        self.folder = os.path.join(RUNS, "monitor-" + name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        iso = image.make_iso(os.path.join(self.folder, "image.iso"), elf=ELF, l1=guest_image("monitored"), l1_args=l1_args,
                             options="monitor=com2")
        self.began = threading.Event()
        self.result = None
        settings = {"com2": os.ttyname(theirs), **SETTINGS, **settings}
        self.thread = threading.Thread(target=self.run, args=(iso,), kwargs=settings)
        self.thread.start()
        self.terminal = pexpect.fdpexpect.fdspawn(ours, timeout=120)
        self.terminal.logfile_read = open(os.path.join(self.folder, "monitor.txt"), "wb")

    def run(self, iso, **settings):
        def look(line):
            if " begins" in line:
                self.began.set()

        self.result = machine.run_image(iso, folder=self.folder, timeout=180, on_line=look, **settings)

    def ask(self, command):
        """What the monitor says to it, without the echo, and which prompt follows."""
        self.terminal.send(command + "\r")
        self.terminal.expect([rb"(stopped|running)> $"])
        lines = self.terminal.before.decode("ascii").replace("\r", "").split("\n")
        assert lines[0] == command, lines
        return lines[1:-1], self.terminal.match.group(1).decode("ascii")

    def end(self):
        self.thread.join()
        assert_no_accident(self.result)
        return self.result


def results(result):
    return [line for line in result.lines if line.startswith(("RESULT", "FAIL", "SUMMARY", "DONE"))]


def value(lines, name):
    return int(re.search(r"\b%s ([0-9a-f]+)" % name, "\n".join(lines)).group(1), 16)


def look_at_l2(run):
    first, prompt = run.ask("regs")
    assert prompt == "stopped" and first[0] == "cpu 0: L2, which runs", first
    assert value(first, "r8") == 0x1122334455667788 and value(first, "rflags") & 0x200 == 0
    assert run.ask("regs")[0] == first
    pin = run.ask("vmcs 12 pin_controls")[0][1]
    l1s, l0s = re.match(r"4000 pin_controls (\w+) \(02: (\w+)\)", pin).groups()
    assert not int(l1s, 16) & 1 << 6 and int(l0s, 16) & 1 << 6
    rip = "%x" % value(first, "rip")
    walk = run.ask("walk " + rip)[0]
    assert walk[0].startswith("L2, cr3 ") and walk[-1] == "which is L1's " + rip, walk
    assert run.ask("ept 12 " + rip)[0][-1] == "%s is %s" % (rip, rip)
    assert run.ask("ept 02 " + rip)[0][-1] == "%s is %s" % (rip, rip)
    # dec %rcx; jnz
    code = run.ask("x/5b gpa:%x" % (value(first, "rip") & ~7))[0][0]
    assert re.match(r"[0-9a-f]+:( [0-9a-f]{2}){5}$", code), code
    host = run.ask("regs l1")[0]
    assert host[0] == "cpu 0: L1, which does not run" and "host state of vmcs12" in host[1], host
    assert run.ask("why")[0][0].endswith("has failed")
    assert any("PREEMPTION_TIMER l1 " in line for line in run.ask("exits")[0])
    assert re.match(r"-1 L2 PREEMPTION_TIMER rip %s " % rip, run.ask("trace 1")[0][0])


@pytest.mark.parametrize("cpus", (1, 2))
def test_stopped_and_going_on(cpus):
    """L2 loops with interrupts off, and then L1: each is stopped, looked at, and ends as on the bare processor."""
    args = "tests=l2_loops,l1_loops"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, cpus=cpus, **SETTINGS)
    run = Monitored("stop-%d" % cpus, args, cpus=cpus)
    run.terminal.expect(rb"running> $")
    assert run.began.wait(120)
    assert run.ask("nonsense") == (["error: no command nonsense; try help"], "running")
    assert run.ask("stop")[1] == "stopped"
    listed = run.ask("cpus")[0]
    assert len(listed) == cpus and re.match(r"cpu 0: apic-id 0 L2 rip \w+ last-exit PREEMPTION_TIMER", listed[0]), listed
    assert run.ask("cpu 0")[1] == "stopped"
    look_at_l2(run)
    assert run.ask("go") == ([], "running")
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 3, show(result)


def test_nobody_can_tell():
    """L1's own preemption timer is exact beside L0's, and the port is not there."""
    args = "tests=l1_timer"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, **SETTINGS)
    run = Monitored("timer", args)
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 3, show(result)
