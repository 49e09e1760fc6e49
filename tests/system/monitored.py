# SPDX-License-Identifier: MIT
"""A boot with a monitor and the terminal before it: on a serial port of its own, or on the one that L1 speaks on."""
import os
import pty
import queue
import re
import select
import shutil
import threading
import time
import tty

from conftest import ELF, RUNS, assert_no_accident, guest_image, image, machine, show

SETTINGS = {"model": "haswell", "ips": 20_000_000}
KEY = "\x01\x01\x01"


class Monitored:
    """A boot in a thread of its own. What the terminal has received is a text that only grows; `at` is how far we have read."""

    def __init__(self, name, l1_args, shared=False, options="", what=None, until=machine.END_MARKERS, **settings):
        self.folder = os.path.join(RUNS, "monitor-" + name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.ours, self.theirs = pty.openpty()
        tty.setraw(self.theirs)
        self.shared = shared
        self.text, self.at, self.lines = "", 0, queue.Queue()
        options = image.silent(("monitor=com1 " if shared else "monitor=com2 ") + options)
        what = what or {"l1": guest_image("monitored"), "l1_args": l1_args}
        iso = image.make_iso(os.path.join(self.folder, "image.iso"), elf=ELF, options=options, **what)
        settings = {"com1" if shared else "com2": os.ttyname(self.theirs), "timeout": 180, "until": until, **SETTINGS,
                    **settings}
        self.result = self.error = None
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self.run, args=(iso,), kwargs=settings), threading.Thread(target=self.listen)]
        for thread in self.threads:
            thread.start()

    def run(self, iso, **settings):
        try:
            self.result = machine.run_image(iso, folder=self.folder, on_line=self.lines.put, **settings)
        except machine.MachineError as error:
            self.error = error

    def listen(self):
        serial = os.path.join(self.folder, "serial.txt" if self.shared else "monitor.txt")
        while self.threads[0].is_alive():
            if not select.select([self.ours], [], [], 0.1)[0]:
                continue
            received = os.read(self.ours, 4096)
            with open(serial, "ab") as file:
                file.write(received)
            with self.changed:
                self.text += received.decode("latin-1").replace("\r", "")
                self.changed.notify_all()

    def await_line(self, text):
        """A line of the console."""
        while text not in self.lines.get(timeout=300):
            pass

    def expect(self, pattern, seconds=120):
        """The match of what comes next; what is before it has been read."""
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                match = re.compile(pattern).search(self.text, self.at)
                if match:
                    self.at = match.end()
                    return match
                left = end - time.monotonic()
                assert left > 0 and self.threads[0].is_alive(), "no %r in %r" % (pattern, self.text[self.at:])
                self.changed.wait(min(left, 1))

    def type(self, text):
        os.write(self.ours, text.encode("ascii"))

    def take_keyboard(self):
        self.type(KEY)
        self.expect(r"socle: the keyboard is the monitor's;.*\n(stopped|running)> ")

    def give_keyboard(self):
        self.type(KEY)
        self.expect(r"socle: the keyboard is L1's\n")

    def ask(self, command):
        """What the monitor says to it, without the echo, and which prompt follows."""
        self.type(command + "\r")
        match = self.expect(r"(?s)%s\n(.*?)(?:^|\n)?(stopped|running)> $" % re.escape(command))
        return match.group(1).rstrip("\n").split("\n") if match.group(1) else [], match.group(2)

    def end(self):
        for thread in self.threads:
            thread.join()
        os.close(self.ours)
        os.close(self.theirs)
        assert not self.error, self.error
        assert_no_accident(self.result)
        return self.result


def results(result):
    return [line for line in result.lines if line.startswith(("RESULT", "FAIL", "SUMMARY", "DONE"))]


def whole_lines(lines):
    """Without those that were cut: they stand again, whole, in the next one."""
    return [line for line, following in zip(lines, lines[1:] + [""]) if not (line and following.startswith(line))]


def value(lines, name):
    return int(re.search(r"\b%s ([0-9a-f]+)" % name, "\n".join(lines)).group(1), 16)


__all__ = ["KEY", "SETTINGS", "Monitored", "results", "show", "value", "whole_lines"]
