# SPDX-License-Identifier: MIT
"""The copy of the tree in which all generated mutants are (instrument.py), and what is built of it."""
import os
import subprocess
import sys

import instrument

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SINGLE = ("Makefile", "linker.ld", "VERSION", "tools/version.sh")
FOLDERS = ("boot", "kernel", "mm", "drivers", "vmx", "tests/unit", "tests/fake", "tests/guest", "tests/machines",
           "tools/vmcs_why")
SKIPPED = ("vmx/nested/debug.c",)  # of a build with DEBUG=1 alone


def files_of(root):
    yield from SINGLE
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def", ".S", ".ld", ".mk", "Makefile")):
                    yield os.path.relpath(os.path.join(where, name), root)


def write_if_new(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path) or open(path, "rb").read() != content:
        with open(path, "wb") as file:
            file.write(content)


class Build:
    """The instrumented copy of the tree, and what is built of it."""

    def __init__(self, out):
        self.tree, self.out, self.mutants = os.path.join(out, "tree"), out, []
        wanted = {"vmx/mutant_switch.h": "mutant_switch.h", "vmx/mutant_switch.c": "mutant_switch.c",
                  "tests/unit/mutant_server.c": "server.c"}
        for name in sorted(files_of(ROOT)):
            with open(os.path.join(ROOT, name), "rb") as file:
                content = file.read()
            if name.startswith("vmx/") and name.endswith((".c", ".h")) and name not in SKIPPED:
                text, mutants, unknown = instrument.instrument(name, content.decode(), len(self.mutants) + 1)
                content = text.encode()
                self.mutants += mutants
                for what in unknown:
                    print("not understood, and without mutants: " + what)
            write_if_new(os.path.join(self.tree, name), content)
            if name.endswith(".sh"):
                os.chmod(os.path.join(self.tree, name), 0o755)
            wanted[name] = None
        for name, source in wanted.items():
            if source:
                with open(os.path.join(HERE, source), "rb") as file:
                    write_if_new(os.path.join(self.tree, name), file.read())
        for name in list(files_of(self.tree)):
            if name not in wanted:
                os.unlink(os.path.join(self.tree, name))

    def make(self, *arguments):
        done = subprocess.run(["make", "-s", "-j2", *arguments], cwd=self.tree, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit("generated: the instrumented copy does not build:\n" + done.stderr[-4000:])

    def host_tests(self, sanitize=False):
        """The test binaries; with sanitizers they see an access behind an array's end, and take three times as long."""
        out = os.path.join(self.out, "sanitized" if sanitize else "unit")
        self.make("-C", "tests/unit", "O=" + out, "CLANG=/nonexistent", "WARNINGS=-w",
                  "EXTRA_LDFLAGS=-Wl,--wrap=_cmocka_run_group_tests", *([] if sanitize else ["SANITIZE="]), "tests")
        names = sorted(name for name in os.listdir(os.path.join(out, "san")) if name.endswith("_test"))
        return [os.path.join(out, "san", name) for name in names]
