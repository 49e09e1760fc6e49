# SPDX-License-Identifier: MIT
"""Debian's gdb on Socle's stub: the way from the emulator's second serial port to it, what it is told, and the sessions of the
rows of rows.py that have one. The system tests (tests/system/debugged.py) use the first two as well."""
import os
import pty
import re
import socket
import subprocess
import sys
import threading
import tty

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import l1  # noqa: E402

SECONDS = 1800  # for a session, on a busy machine

# Both kernels are the same, at the same addresses, so that the thread alone says whose the breakpoint is. L2's first stop is
# where it writes IA32_LSTAR: by then it has its own page tables. The breakpoints' pages are seldom executed: each instruction
# of one costs two exits.
LINUX = (
    "monitor break l2 msr c0000082", "continue", "monitor break delete all", "thread 2", "info threads",
    "break arch_call_rest_init", "continue", "backtrace", "x/i $pc", "stepi", "x/i $pc",
    "watch *(int *)&system_state", "continue", "backtrace 1", "delete",
    "tbreak kernel_init_freeable", "continue", "backtrace",
    "thread 1", "tbreak __x64_sys_ioctl", "continue", "backtrace", "finish", "detach")

# By name: where the guest is when gdb comes (a part of the console's line), and what gdb is told.
SESSIONS = {"linux": ("L1 STEP linux64q", LINUX)}


def copy(take, put):
    """Bytes from the one to the other, until one of them has gone."""
    try:
        data = take()
        while data:
            put(data)
            data = take()
    except OSError:
        pass


class Bridge:
    """A terminal for the emulator, and a local port for one after the other."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        tty.setraw(self.theirs)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.terminal = os.ttyname(self.theirs)
        self.port = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.peer = None
        self.said = b""  # by the one that is there
        self.changed = threading.Condition()
        threading.Thread(target=self.carry, daemon=True).start()

    def carry(self):
        self.peer, _ = self.listener.accept()
        threading.Thread(target=copy, args=(lambda: os.read(self.ours, 4096), self.to_peer), daemon=True).start()
        while True:
            copy(lambda: self.peer.recv(4096), self.from_peer)
            self.peer, _ = self.listener.accept()
            self.said = b""

    def to_peer(self, data):
        try:
            self.peer.sendall(data)
        except OSError:
            pass  # it has gone, as a cable that is pulled out

    def from_peer(self, data):
        os.write(self.ours, data)
        with self.changed:
            self.said += data
            self.changed.notify_all()

    def await_said(self, data, seconds):
        """Until the peer has said so."""
        with self.changed:
            assert self.changed.wait_for(lambda: data in self.said, seconds), self.said


def run_gdb(port, symbols, commands, seconds, until=None):
    """gdb's words to these commands, one after the other, each behind a line [command]; and what it says of errors. It is
    killed after that time, or when until() returns."""
    argv = ["gdb", "-nx", "-q", "-batch", "-ex", "set remotetimeout 10", "-ex", "set pagination off", "-ex", "file " + symbols,
            "-ex", "target remote " + port]
    for command in commands:
        argv += ["-ex", "echo [%s]\\n" % command.replace("\\", ""), "-ex", command]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True) as gdb:
        timer = threading.Timer(seconds, gdb.kill)
        timer.start()
        if until:
            until()
            gdb.kill()
        said = gdb.stdout.read()
        timer.cancel()
    return said


def said_to(words, command, nth=0):
    """What gdb said to the nth of these commands."""
    return words.split("[%s]\n" % command)[1 + nth].split("\n[")[0]


def make_symbols(path):
    """The ELF file of the kernel that is L1 and L2."""
    done = subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "linux_elf.py"),
                           os.path.join(l1.folder(), "vmlinuz"), path], capture_output=True, text=True, check=False)
    if not re.search(r": \d{5} symbols, \d{6} places whose caller is known$", done.stdout):
        raise l1.MachineError("tools/linux_elf.py: " + done.stdout + done.stderr)
    return path


class Session:
    """gdb in a row's boot: settings() for the emulator, look() at each line of the console, lines() when all is over."""

    def __init__(self, name, folder):
        self.begins, self.commands = SESSIONS[name]
        self.folder = folder
        self.symbols = make_symbols(os.path.join(folder, "linux.elf"))
        self.bridge = Bridge()
        self.thread = threading.Thread(target=self.talk)
        self.words = ""

    def settings(self):
        return {"com2": self.bridge.terminal, "on_line": self.look}

    def look(self, line):
        if self.begins in line and not self.thread.ident:
            self.thread.start()

    def talk(self):
        self.words = run_gdb(self.bridge.port, self.symbols, self.commands, SECONDS)
        with open(os.path.join(self.folder, "gdb.txt"), "w", encoding="utf-8") as file:
            file.write(self.words)

    def lines(self):
        if self.thread.ident:
            self.thread.join()
        os.unlink(self.symbols)
        return ["GDB " + line for line in self.words.splitlines()]
