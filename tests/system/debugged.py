# SPDX-License-Identifier: MIT
"""A boot with gdb's stub, and Debian's gdb before it."""
import os
import shutil
import sys
import threading

from conftest import ELF, ROOT, RUNS, assert_no_accident, guest_image, image, machine

sys.path.insert(0, os.path.join(ROOT, "tests", "scenarios"))

from gdb import Bridge, run_gdb, said_to  # noqa: E402

SETTINGS = {"model": "haswell", "ips": 20_000_000}


class Debugged:
    """A boot in a thread of its own, whose second serial port gdb reaches at a local port."""

    def __init__(self, name, l1_args, guest="monitored", options="", **settings):
        self.symbols = guest_image(guest) + ".64"
        self.folder = os.path.join(RUNS, "gdb-" + name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.bridge = Bridge()
        iso = image.make_iso(os.path.join(self.folder, "image.iso"), elf=ELF, l1=guest_image(guest), l1_args=l1_args,
                             options=("gdb=com2 " + options).strip())
        self.began = threading.Event()
        self.result = None
        settings = {"com2": self.bridge.terminal, **SETTINGS, **settings}
        self.boot = threading.Thread(target=self.run, args=(iso,), kwargs=settings)
        self.boot.start()

    def run(self, iso, **settings):
        def look(line):
            if " begins" in line:
                self.began.set()

        self.result = machine.run_image(iso, folder=self.folder, timeout=180, on_line=look, **settings)

    def port(self):
        """Where the stub is, when the guest is there."""
        assert self.began.wait(120)
        return self.bridge.port

    def debug(self, *commands, timeout=150, until=None):
        """gdb's words to these commands, one after the other."""
        words = run_gdb(self.port(), self.symbols, commands, timeout, until)
        with open(os.path.join(self.folder, "gdb.txt"), "w", encoding="utf-8") as file:
            file.write(words)
        return words

    def end(self):
        self.boot.join()
        assert_no_accident(self.result)
        return self.result


__all__ = ["SETTINGS", "Debugged", "said_to"]
