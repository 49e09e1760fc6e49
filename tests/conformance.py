#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make conformance`: every guest test image, bare and under Socle, on every model, with and without VMCS shadowing and
forced interception (`intercept=`); and the generator of VM entries, `fuzzentry`, for many seeds (with forced
interception: for those of one boot). A line for each comparison, with its number and how many there are; the last line is
`N passed, N failed`. Boots are kept under build/system by what they ran (image, emulator, Socle), so that a run that was
broken off goes on where it was, and bare runs are done once. What an option does not say, the environment may (in brackets).
"""
import argparse
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
            self.settings["options"] = options
        self.files = [machine.find_bochs()] + ([] if bare else [conftest.ELF])

    def boot(self, name, args=""):
        image = conftest.guest_image(name)
        return conftest.boot(image, args, run=digest(image, *self.files), **guests.machine_for(name), **self.settings)


def ranges(wanted):
    """The seeds of each boot."""
    first, last = wanted.seeds
    for start in range(first, last + 1, wanted.together):
        yield "seed=%d-%d cases=0-%d" % (start, min(start + wanted.together - 1, last), wanted.cases - 1)


def variants(wanted):
    """(model, options) of every platform."""
    for model in wanted.models:
        for shadowing, intercept in itertools.product(SHADOWING[model], ("", INTERCEPT)):
            if wanted.shadowing in ("both", "off" if shadowing else "on") and \
                    wanted.intercept in ("both", "on" if intercept else "off"):
                yield model, (shadowing + " " + intercept).strip()


def jobs(wanted):
    """(image, arguments, model, options) of every comparison."""
    for model, options in variants(wanted):
        for name in wanted.images:
            seeds = list(ranges(wanted)) if name == "fuzzentry" else [""]
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
    number, (name, args, model, options) = job
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
        print("%s %s %-12s %-10s %-31s %s%.0f s bare, %.0f s under Socle" % (
            "ok  " if good else "FAIL", number, name, model, options or "-", args + ", " if args else "", one.seconds,
            two.seconds), flush=True)
        for line in wrong + lines:
            print(line if line.startswith("      ") else "      " + line, flush=True)
    return good


def some_of(allowed):
    """Names with commas between, each of them an allowed one."""
    def parse(text):
        names = [name for name in text.split(",") if name]
        wrong = [name for name in names if name not in allowed]
        if wrong or not names:
            raise argparse.ArgumentTypeError("no %s; there is %s" % (" ".join(wrong) or "name", " ".join(allowed) or "none"))
        return names
    return parse


def number(text):
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError("%r is no number from 1 on" % text)
    return int(text)


def seeds_of(text):
    """20: the first twenty; 5-9: those."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)", text)
    first, last = (int(match.group(1) or 1), int(match.group(2))) if match else (1, 0)
    if not 0 < first <= last:
        raise argparse.ArgumentTypeError("%r is neither a number of seeds nor a range such as 5-9" % text)
    return first, last


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    images = [name for name in conftest.guest_names() if name not in guests.ALONE]

    def add(option, variable, kind, otherwise, help_text, **more):
        parser.add_argument(option, type=kind, default=os.environ.get(variable) or str(otherwise),
                            help="%s [%s, or %s]" % (help_text, variable, otherwise), **more)

    add("--models", "MODELS", some_of(tuple(SHADOWING)), ",".join(SHADOWING), "names, commas between", metavar="A,B")
    parser.add_argument("--images", type=some_of(images), default=os.environ.get("IMAGES") or images,
                        help="names, commas between [IMAGES, or all]", metavar="A,B")
    for option in ("shadowing", "intercept"):
        add("--" + option, option.upper(), some_of(("on", "off", "both")), "both", "on, off or both", metavar="WHICH")
    add("--seeds", "CONFORMANCE_SEEDS", seeds_of, 20, "of fuzzentry: so many, or a range", metavar="N|M-N")
    add("--cases", "CONFORMANCE_CASES", number, guests.CASES_PER_SEED, "of each seed", metavar="N")
    add("--together", "CONFORMANCE_TOGETHER", number, 5, "seeds in one boot", metavar="N")
    add("--jobs", "CONFORMANCE_JOBS", number, os.cpu_count() or 1, "emulators at a time", metavar="N")
    parser.add_argument("--list", action="store_true", help="the comparisons, and nothing is run")
    wanted = parser.parse_args()
    if not images:
        parser.error("there are no guest tests: say `make guest-tests` first")
    wanted.shadowing, wanted.intercept = wanted.shadowing[0], wanted.intercept[0]
    return wanted


def main():
    wanted = arguments()
    every = list(jobs(wanted))
    if wanted.list:
        for job in every:
            print(" ".join(part or "-" for part in job))
        return 0
    os.environ.setdefault("SOCLE_TEST_RUN", "conformance")
    os.makedirs(conftest.RUNS, exist_ok=True)
    with ThreadPool(wanted.jobs) as pool:
        good = pool.map(compare, [("%d/%d" % (i + 1, len(every)), job) for i, job in enumerate(every)], 1)
    print("%d passed, %d failed" % (sum(good), len(good) - sum(good)))
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
