#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The storm at length: a million operations of hostile L1s and L2s on four CPUs, for each model.

    storm.py [--models a,b] [--ops N] [--seeds N] [--out DIR] [--elf FILE] [--list]

Three seeds, VMCS shadowing on and off, every second piece with little memory for EPT02. A piece is one boot of some
20,000 operations that goes on where the one before it ended (`from=`); what has passed is kept, and a run that was
broken off goes on. The last line is `N passed, N failed`.
"""
import argparse
import hashlib
import itertools
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
os.environ.setdefault("BOCHS_SERIAL_FAST", "1")

import image  # noqa: E402
import machine  # noqa: E402

BURST = 800
PIECE = 26  # bursts of one boot
CPUS = 4
SECONDS = 600


def pieces(models, ops, seeds):
    """(model, options, seed, first burst, bursts) of each boot."""
    each = -(-ops // (2 * seeds * BURST))
    for number, first in enumerate(range(0, each, PIECE)):
        for model, shadowing, seed in itertools.product(models, ("", "shadow-vmcs=off"), range(1, seeds + 1)):
            options = (shadowing + (" ept02=256K" if number % 2 else "")).strip()
            yield model, options, seed, first, min(PIECE, each - first)


def digest(*paths):
    """Of the images: a piece that another Socle has passed says nothing."""
    total = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            total.update(file.read())
    return total.hexdigest()[:16]


def wrong(result, ops):
    """Why a boot is no pass, or nothing."""
    said = result.having(r"^socle: (error: )?(panic|fatal|assert|CPU \d+: triple)|^FAIL|^INFO storm burst=")
    done = re.findall(r"^INFO storm bursts=\d+ ops=(\d+)", result.text(), re.M)
    if said:
        return said[0]
    # each of them is excused; so many are not a storm's
    if len(result.having("^INFO storm abort=")) > CPUS // 2:
        return "more than half of the CPUs are lost by VMX aborts"
    if not result.having("^INFO storm alive") or not done or int(done[-1]) < ops:
        return "did not end (%s)" % result.ended
    return ""


def run(piece, elf, guest, out):
    model, options, seed, first, bursts = piece
    folder = os.path.join(out, "run")
    os.makedirs(folder, exist_ok=True)
    iso = image.make_iso(os.path.join(folder, "image.iso"), elf=elf, l1=guest, options=options,
                         l1_args="seed=%d from=%d ops=%d cpus=%d" % (seed, first, bursts * BURST, CPUS))
    return machine.run_image(iso, timeout=SECONDS, folder=folder, model=model, cpus=CPUS, ips=20_000_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    build = os.path.join(ROOT, os.environ.get("O", "build"))
    parser.add_argument("--models", default="tigerlake,haswell")
    parser.add_argument("--ops", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default=os.path.join(build, "storm"))
    parser.add_argument("--elf", default=os.path.join(build, "socle.elf"))
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    guest = os.path.join(build, "tests", "guest", "storm.elf")
    every = list(pieces(arguments.models.split(","), arguments.ops, arguments.seeds))
    if arguments.list:
        print("\n".join(map(repr, every)))
        return 0
    os.makedirs(arguments.out, exist_ok=True)
    kept, key, passed, failed = os.path.join(arguments.out, "passed.json"), digest(arguments.elf, guest), set(), 0
    if os.path.exists(kept):
        with open(kept, encoding="utf-8") as file:
            passed = {line for line in json.load(file) if line.startswith(key)}
    for number, piece in enumerate(every):
        name = "%s %r" % (key, piece)
        if name in passed:
            continue
        result = run(piece, arguments.elf, guest, arguments.out)
        fault = wrong(result, piece[4] * BURST)
        aborts = len(result.having(r"^INFO storm abort="))
        good = "ok, %d CPUs lost by VMX aborts" % aborts if aborts else "ok"
        print("%d/%d %-9s %-26s seed=%d from=%d ops=%d: %s (%.0f s)" % (
            number + 1, len(every), piece[0], piece[1] or "-", *piece[2:4], piece[4] * BURST, fault or good,
            result.seconds), flush=True)
        if fault:
            failed += 1
            os.replace(os.path.join(arguments.out, "run", "serial.txt"),
                       os.path.join(arguments.out, "failed-%d.txt" % number))
            continue
        passed.add(name)
        with open(kept + ".new", "w", encoding="utf-8") as file:
            json.dump(sorted(passed), file)
        os.replace(kept + ".new", kept)
    print("%d operations asked for on each of %s" % (arguments.ops, arguments.models))
    print("%d passed, %d failed" % (len(every) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
