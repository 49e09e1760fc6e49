#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make conformance`: every guest test image, bare and under Socle, on every model, with and without VMCS shadowing and
forced interception (`intercept=`); and the generator of VM entries, `fuzzentry`, for many seeds (with forced
interception: for those of one boot). A line for each comparison; the last line is
`N passed, N failed`. Boots are kept under build/system by what they ran (image, emulator, Socle), so that a run that was
broken off goes on where it was, and bare runs are done once.

Environment: MODELS, IMAGES (names, commas between), SHADOWING and INTERCEPT (on, off; both); CONFORMANCE_SEEDS=20 (or 5-9),
CONFORMANCE_CASES=10000, CONFORMANCE_TOGETHER=5 (seeds in one boot), CONFORMANCE_JOBS (emulators at a time; as many as
CPUs).
"""
import hashlib
import itertools
import os
import re
import sys
import threading
from multiprocessing.pool import ThreadPool

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "system"))

import conftest  # noqa: E402
import guests  # noqa: E402
import machine  # noqa: E402

OFF, INTERCEPT = "shadow-vmcs=off", "intercept=cr,pf"
SHADOWING = {"tigerlake": ("", OFF), "skylake_x": ("", OFF), "haswell": ("", OFF), "ivy_bridge": ("",)}
SECONDS = 3600
SHOWN = 4  # differing lines, and differing cases that are looked for
SAY = threading.Lock()


def setting(name, otherwise):
    return os.environ.get(name) or otherwise


def digest(*paths):
    whole = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            whole.update(file.read())
    return whole.hexdigest()[:16]


class Platform:
    """Boots on one model: bare, or under Socle with some options. Kept for as long as the files are the same."""

    def __init__(self, model, options, bare):
        self.settings = dict(model=model, timeout=SECONDS, bare=bare)
        if not bare:
            self.settings["options"] = ("explain=off " + options).strip()
        self.files = [machine.find_bochs()] + ([] if bare else [conftest.ELF])

    def boot(self, name, args=""):
        image = conftest.guest_image(name)
        return conftest.boot(image, args, run=digest(image, *self.files), **guests.machine_for(name), **self.settings)


def ranges():
    """The seeds of each boot."""
    text, cases = setting("CONFORMANCE_SEEDS", "20"), int(setting("CONFORMANCE_CASES", guests.CASES_PER_SEED))
    first, last = (int(part) for part in text.split("-")) if "-" in text else (1, int(text))
    step = int(setting("CONFORMANCE_TOGETHER", "5"))
    for start in range(first, last + 1, step):
        yield "seed=%d-%d cases=0-%d" % (start, min(start + step - 1, last), cases - 1)


def wanted(name, is_on):
    return setting(name, "both") in ("both", "on" if is_on else "off")


def variants():
    """(model, options) of every platform."""
    for model in setting("MODELS", ",".join(SHADOWING)).split(","):
        for shadowing, intercept in itertools.product(SHADOWING[model], ("", INTERCEPT)):
            if wanted("SHADOWING", not shadowing) and wanted("INTERCEPT", intercept):
                yield model, (shadowing + " " + intercept).strip()


def jobs():
    """(image, arguments, model, options) of every comparison."""
    names = setting("IMAGES", ",".join(conftest.guest_names())).split(",")
    names = [name for name in names if name and name not in guests.ALONE]
    for model, options in variants():
        for name in names:
            seeds = list(ranges()) if name == "fuzzentry" else [""]
            for args in seeds[:1] if INTERCEPT in options else seeds:
                yield name, args, model, options


def accident(result):
    """Why a boot is none, or nothing."""
    if not result.having("^DONE"):
        return "did not end (%s)" % result.ended
    said = result.having(r"^socle: (error: )?(panic|fatal)|assertion failed")
    return said[0] if said else ""


def differing_cases(bare, under, told, pairs):
    """The single cases behind differing lines of fuzzentry, replayed one by one."""
    found = []
    for line, _ in pairs:
        match = re.search(r"seed=(\d+) cases=(\d+-\d+)", line)
        if match:
            args = "seed=%s cases=%s detail %s" % (*match.groups(), told)
            runs = bare.boot("fuzzentry", args), under.boot("fuzzentry", args)
            found += [("seed=%s %s" % (match.group(1), one), two)
                      for one, two in guests.differences("fuzzentry", *runs) if "case=" in one]
        if len(found) >= SHOWN:
            break
    return found


def compare(job):
    """Whether both platforms print the same; says so in a line."""
    name, args, model, options = job
    bare, under = Platform(model, options, True), Platform(model, options, False)
    told = ""
    if name == "fuzzentry":
        told = guests.dropped(bare.boot("basic"), under.boot("basic"))
    full = (args + " " + told).strip()
    one, two = bare.boot(name, full), under.boot(name, full)
    wrong = ["bare: " + accident(one)] * bool(accident(one)) + ["Socle: " + accident(two)] * bool(accident(two))
    wrong += guests.unlisted(name, model, one)
    pairs = guests.differences(name, one, two)
    lines = ["      bare:  %s\n      Socle: %s" % pair for pair in pairs[:SHOWN]]
    if name == "fuzzentry" and pairs and not wrong:
        lines += ["      bare:  %s\n      Socle: %s" % pair
                  for pair in differing_cases(bare, under, told, pairs)[:SHOWN]]
    good = not wrong and not pairs
    with SAY:
        print("%s %-12s %-10s %-31s %s%.0f s bare, %.0f s under Socle" % (
            "ok  " if good else "FAIL", name, model, options or "-", args + ", " if args else "", one.seconds,
            two.seconds), flush=True)
        for line in wrong + lines:
            print(line if line.startswith("      ") else "      " + line, flush=True)
    return good


def main():
    os.environ.setdefault("SOCLE_TEST_RUN", "conformance")
    os.makedirs(conftest.RUNS, exist_ok=True)
    with ThreadPool(int(setting("CONFORMANCE_JOBS", os.cpu_count() or 1))) as pool:
        good = pool.map(compare, list(jobs()), 1)
    print("%d passed, %d failed" % (sum(good), len(good) - sum(good)))
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
