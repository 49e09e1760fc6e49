#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each mutant of tests/mutants fits the code: its texts occur exactly once, one after the other, and its tests exist.

So that code which moves takes its mutants along, in the same commit: whether their tests still bite, `make mutants` says.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/mutants"))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import machine  # noqa: E402
from mutants import MUTANTS  # noqa: E402


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def wrong_edits(mutant):
    """What does not fit of the texts, replaced one after the other as run.py does."""
    if not os.path.isfile(os.path.join(ROOT, mutant.file)):
        yield "no file %s" % mutant.file
        return
    text = read(os.path.join(ROOT, mutant.file))
    for old, new in mutant.edits:
        if text.count(old) != 1:
            yield "found %d times in %s: %r" % (text.count(old), mutant.file, old)
        elif old == new:
            yield "changes nothing in %s: %r" % (mutant.file, old)
        text = text.replace(old, new)


def unit_tests(binary):
    """The tests of one binary of tests/unit: static functions, so that the compiler finds one that is not run."""
    path = os.path.join(ROOT, "tests/unit/%s_test.c" % binary)
    if not os.path.isfile(path):
        return ()
    return re.findall(r"^(?:static void |TABLE_TEST\()(\w+)(?:\(void \*\*|,)", read(path), re.M)


def guest_tests():
    """{image: its tests}, by the Makefile's lists of parts."""
    folder = os.path.join(ROOT, "tests/guest")
    makefile = read(os.path.join(folder, "Makefile")).replace("\\\n", " ")
    parts = dict(re.findall(r"^parts_(\w+) := (.*)$", makefile, re.M))
    images = " ".join(re.findall(r"^images [+:]= (.*)$", makefile, re.M)).split()
    tests = {}
    for image in images:
        files = [image] + [part[:-2] for part in parts.get(image, "").split()]
        paths = [os.path.join(folder, name + ".c") for name in files]
        text = "".join(read(path) for path in paths if os.path.isfile(path))
        tests[image] = set(re.findall(r"^TEST(?:_\w+)?\((\w+)", text, re.M))
    return tests


def wrong_tests(mutant, guests):
    if not mutant.unit and not mutant.guest and not mutant.host:
        yield "no test is named"
    if mutant.unit:
        binary, test = mutant.unit.split(": ")
        if test not in unit_tests(binary):
            yield "no unit test %s" % mutant.unit
    if mutant.guest:
        image, names = mutant.guest.split(": ")
        # behind the tests' names: arguments of the image
        for test in names.split(" ")[0].split(","):
            if test not in guests.get(image, ()):
                yield "no guest test %s: %s" % (image, test)
    if mutant.host:
        name, test = mutant.host.split(": ")
        path = os.path.join(ROOT, "tests/system/%s.py" % name)
        if not os.path.isfile(path) or not re.search(r"^def %s\(" % test, read(path), re.M):
            yield "no test %s of tests/system" % mutant.host
    if mutant.model and mutant.model not in machine.MODELS:
        yield "no model %s" % mutant.model


def main():
    guests, names, faults = guest_tests(), set(), 0
    for mutant in MUTANTS:
        twice = ["a second mutant of this name"] if mutant.name in names else []
        names.add(mutant.name)
        for what in twice + list(wrong_edits(mutant)) + list(wrong_tests(mutant, guests)):
            print("mutant %s: %s" % (mutant.name, what))
            faults += 1
    if not MUTANTS or not all(guests.values()):
        print("no mutants, or an image without tests")
    return 1 if faults or not MUTANTS or not all(guests.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
