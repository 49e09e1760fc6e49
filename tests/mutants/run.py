#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds each mutant of mutants.py in a copy of the tree and demands that the tests named for it fail.

    run.py [--out DIR] [--unit] [--guest] [--host] [--model NAME] [NAME ...]

Without --unit, --guest or --host: all kinds. Guest tests run on the model that the mutant names, else on --model. A mutant is
killed by a test that fails in it and passes without it. The last line is `mutants: N killed, N alive`.
"""
import argparse
import os
import re
import resource
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(ROOT, "tools"))
os.environ.setdefault("BOCHS_SERIAL_FAST", "1")

import image  # noqa: E402
import machine  # noqa: E402
from mutants import MUTANTS  # noqa: E402

GUEST_SECONDS = 180
UNIT_SECONDS = 60  # of processor time: a mutant that makes a test go round for ever has failed it


class Stale(Exception):
    """A mutant does not fit the code any more."""


def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (UNIT_SECONDS, UNIT_SECONDS))


def make(tree, *arguments):
    return subprocess.run(["make", "-s", "-j2", *arguments], cwd=tree, capture_output=True, text=True, check=False,
                          preexec_fn=limit)


class Tree:
    """A copy of the sources, in which one mutant at a time lives. What it leaves unused is no reason not to build it."""

    def __init__(self, out):
        self.path = os.path.join(out, "tree")
        self.out = os.path.join(out, "build")
        files = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True,
                               check=True).stdout
        for name in files.decode().split("\0"):
            source, target = os.path.join(ROOT, name), os.path.join(self.path, name)
            if not name or not os.path.isfile(source):
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(source, "rb") as file:
                content = file.read()
            # what has not changed is not built again
            if not os.path.exists(target) or open(target, "rb").read() != content:
                shutil.copyfile(source, target)
                shutil.copymode(source, target)

    def file(self, mutant):
        return os.path.join(self.path, mutant.file)

    def put(self, mutant):
        with open(self.file(mutant), encoding="utf-8") as file:
            text = file.read()
        for old, new in mutant.edits:
            if text.count(old) != 1:
                raise Stale("%s: found %d times in %s: %r" % (mutant.name, text.count(old), mutant.file, old))
            text = text.replace(old, new)
        with open(self.file(mutant), "w", encoding="utf-8") as file:
            file.write(text)

    def take_out(self, mutant):
        shutil.copyfile(os.path.join(ROOT, mutant.file), self.file(mutant))

    def unit(self, binary):
        """{test: passed} of one binary of tests/unit."""
        done = make(self.path, "-C", "tests/unit", "O=%s/unit" % self.out, "one", "TEST=" + binary, "WARNINGS=-w")
        text = done.stdout + done.stderr
        results = {name: word == "      OK" for word, name in re.findall(r"^\[ (      OK| FAILED ) \] (.*)$", text, re.M)}
        if not results and "RUN" not in text:
            raise Stale("does not build:\n" + text[-2000:])
        # A sanitizer's report or an assertion ends the binary: whoever was running has failed.
        for name in re.findall(r"^\[ RUN      \] (.*)$", text, re.M):
            results.setdefault(name, False)
        return results

    def guest(self, name, test, options, model, bare=False):
        """The RESULT lines of one guest test. What Socle says of a refusal could stand in the middle of one."""
        images = os.path.join(self.out, "tests/guest")
        elf = os.path.join(images, name + ".elf")
        for arguments in (["O=" + self.out, "EXTRA_CFLAGS=-w"], ["-C", "tests/guest", "O=" + images, elf]):
            done = make(self.path, *arguments)
            if done.returncode:
                raise Stale("does not build:\n" + done.stderr[-2000:])
        iso = image.make_iso(os.path.join(self.out, "mutant.iso"), elf=os.path.join(self.out, "socle.elf"), l1=elf,
                             l1_args="tests=" + test if test else "", options=("explain=off " + options).strip(), bare=bare)
        result = machine.run_image(iso, timeout=GUEST_SECONDS, folder=os.path.join(self.out, "run"), model=model, cpus=2,
                                   ips=20_000_000)
        return [line for line in result.lines if line.startswith(("RESULT ", "FAIL", "SUMMARY", "DONE"))]


    def host(self, name, test):
        """Does the test of tests/system pass here? It may look at images, which are the ordinary tree's."""
        build = os.path.join(ROOT, os.environ.get("O", "build"))
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                               "tests/system/%s.py::%s" % (name, test)], cwd=self.path, env={**os.environ, "O": build},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode not in (0, 1):
            raise Stale("%s: %s does not run:\n%s" % (name, test, done.stdout[-2000:]))
        return done.returncode == 0


def matches(results, test):
    """The results of `test`, whose name may be followed by its options."""
    return {name: passed for name, passed in results.items() if name == test or name.startswith(test + " (")}


def killed_by_unit(tree, mutant, baseline):
    binary, test = mutant.unit.split(": ")
    if binary not in baseline:
        baseline[binary] = tree.unit(binary)
    before = matches(baseline[binary], test)
    if not before or not all(before.values()):
        raise Stale("%s: %s does not pass without it" % (mutant.name, mutant.unit))
    tree.put(mutant)
    after = matches(tree.unit(binary), test)
    return not after or not all(after.values())


def killed_by_guest(tree, mutant, baseline, model):
    name, test = mutant.guest.split(": ")
    model = mutant.model or model
    key = (name, test, mutant.options, model)
    if key not in baseline:
        bare = tree.guest(name, test, "", model, bare=True)
        same = tree.guest(name, test, mutant.options, model) == bare
        baseline[key] = bare if same else None
    if baseline[key] is None:
        raise Stale("%s: %s differs from the bare processor without it" % (mutant.name, mutant.guest))
    tree.put(mutant)
    return tree.guest(name, test, mutant.options, model) != baseline[key]


def killed_by_host(tree, mutant):
    name, test = mutant.host.split(": ")
    if not tree.host(name, test):
        raise Stale("%s: %s does not pass without it" % (mutant.name, mutant.host))
    tree.put(mutant)
    return not tree.host(name, test)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(ROOT, os.environ.get("O", "build"), "mutants"))
    parser.add_argument("--unit", action="store_true")
    parser.add_argument("--guest", action="store_true")
    parser.add_argument("--host", action="store_true")
    parser.add_argument("--model", default="haswell")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    every = not arguments.unit and not arguments.guest and not arguments.host
    chosen = [m for m in MUTANTS if not arguments.names or m.name in arguments.names]
    unknown = set(arguments.names) - {m.name for m in MUTANTS}
    if unknown:
        parser.error("no mutant is called " + ", ".join(sorted(unknown)))
    tree = Tree(os.path.abspath(arguments.out))
    unit_baseline, guest_baseline, killed, alive = {}, {}, 0, 0
    for mutant in chosen:
        for kind, test in (("unit", mutant.unit), ("guest", mutant.guest), ("host", mutant.host)):
            if not test or not (every or getattr(arguments, kind)):
                continue
            try:
                if kind == "unit":
                    dead = killed_by_unit(tree, mutant, unit_baseline)
                elif kind == "host":
                    dead = killed_by_host(tree, mutant)
                else:
                    dead = killed_by_guest(tree, mutant, guest_baseline, arguments.model)
                word = "killed" if dead else "ALIVE"
            except (Stale, machine.MachineError) as error:
                dead, word = False, "ERROR"
                print(error)
            finally:
                tree.take_out(mutant)
            killed, alive = killed + dead, alive + (not dead)
            print("%-6s  %-32s %s %s" % (word, mutant.name, kind, test), flush=True)
    print("mutants: %d killed, %d alive" % (killed, alive))
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
