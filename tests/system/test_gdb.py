# SPDX-License-Identifier: MIT
"""Debian's gdb on Socle's stub: a guest test as L1 by its symbols, and the L2 that it runs, and that neither can tell."""
import os
import pty
import re
import shutil
import socket
import subprocess
import threading
import tty

from conftest import ELF, RUNS, assert_no_accident, boot, guest_image, image, machine, show

SETTINGS = {"model": "haswell", "ips": 20_000_000}


def copy(take, put):
    """Bytes from the one to the other, until one of them has gone."""
    try:
        data = take()
        while data:
            put(data)
            data = take()
    except OSError:
        pass


class Debugged:
    """A boot in a thread of its own, whose second serial port gdb reaches at a local port."""

    def __init__(self, name, l1_args, guest="monitored", **settings):
        self.guest = guest_image(guest)
        self.folder = os.path.join(RUNS, "gdb-" + name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self.listener = socket.create_server(("127.0.0.1", 0))
        iso = image.make_iso(os.path.join(self.folder, "image.iso"), elf=ELF, l1=self.guest, l1_args=l1_args,
                             options="gdb=com2")
        self.began = threading.Event()
        self.result = None
        settings = {"com2": os.ttyname(theirs), **SETTINGS, **settings}
        self.boot = threading.Thread(target=self.run, args=(iso,), kwargs=settings)
        self.boot.start()
        threading.Thread(target=self.bridge, args=(ours,), daemon=True).start()

    def bridge(self, ours):
        peer, _ = self.listener.accept()
        threading.Thread(target=copy, args=(lambda: os.read(ours, 4096), peer.sendall), daemon=True).start()
        copy(lambda: peer.recv(4096), lambda data: os.write(ours, data))

    def run(self, iso, **settings):
        def look(line):
            if " begins" in line:
                self.began.set()

        self.result = machine.run_image(iso, folder=self.folder, timeout=180, on_line=look, **settings)

    def debug(self, *commands, timeout=150):
        """gdb's words to these commands, one after the other."""
        assert self.began.wait(120)
        argv = ["gdb", "-nx", "-q", "-batch", "-ex", "set remotetimeout 10", "-ex", "set pagination off",
                "-ex", "file " + self.guest + ".64",
                "-ex", "target remote 127.0.0.1:%d" % self.listener.getsockname()[1]]
        for command in commands:
            argv += ["-ex", "echo [%s]\\n" % command.replace("\\", ""), "-ex", command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL)
        with open(os.path.join(self.folder, "gdb.txt"), "w", encoding="utf-8") as file:
            file.write(done.stdout + "\n--- stderr\n" + done.stderr)
        return done.stdout

    def end(self):
        self.boot.join()
        assert_no_accident(self.result)
        return self.result


def results(result):
    return [line for line in result.lines if line.startswith(("RESULT", "FAIL", "SUMMARY", "DONE"))]


# A person's way through an L2 that loops with interrupts off, back into its L1, and out.
SESSION = ("info threads", "break *code_count_down+11", "continue", "p/x $rcx", "continue", "p/x $rcx", "p/x $r8",
           "stepi", "x/i $pc", "p/x $v12_pin_controls", "delete", "thread 1", "frame", "tbreak result", "continue",
           "backtrace", "finish", "stepi", "watch passed", "continue", "delete", "awatch passed", "continue", "delete",
           "rwatch passed", "continue", "x/i $pc", "p $xmm0.uint128", "p $mxcsr", "p $fctrl",
           "monitor break", "delete", "detach")


def said_to(words, command, nth=0):
    """What gdb said to the nth of these commands."""
    return words.split("[%s]\n" % command)[1 + nth].split("\n[")[0]


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
