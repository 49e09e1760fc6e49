#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where Socle's instructions go in each row of the guest benchmark, by function.

    profile.py [--model MODEL] [--options OPTIONS] [--row ROW] [--lines] [--debug build/socle.debug]

Boots the image `bench` under Socle on an emulator that counts each instruction which is executed in VMX root operation
(tools/bochs/build.sh with PROFILE=1 builds it, once), and prints, for the last run of each row, how many a round has by
function: by the symbol whose code it is, and by the function of the source that was inlined there. Sums agree with
tests/bench.csv, which counts the guest's own instructions besides.
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import image  # noqa: E402
import machine  # noqa: E402

TURNS = 4  # bench_turn() is called so often for each row: three runs, and once more at the end


def emulator():
    return subprocess.run([os.path.join(ROOT, "tools", "bochs", "build.sh")], env={**os.environ, "PROFILE": "1"},
                          check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def address_of(elf, symbol):
    for line in subprocess.run(["nm", elf], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        if line.split()[-1] == symbol:
            return int(line.split()[0], 16)
    raise SystemExit("%s has no symbol %s" % (elf, symbol))


def boot(build, model, options, bochs):
    """Names and rounds of the rows, and a list of {RIP: count}: all that was executed before each call of bench_turn()."""
    folder = tempfile.mkdtemp(prefix="profile-", dir=build)
    bench = os.path.join(build, "tests", "guest", "bench.elf")
    counts = os.path.join(folder, "counts")
    os.environ.update(SOCLE_PROFILE_MARK="%x" % address_of(bench + ".64", "bench_turn"), SOCLE_PROFILE_OUT=counts, BOCHS=bochs)
    try:
        iso = image.make_iso(os.path.join(folder, "image.iso"), elf=os.path.join(build, "socle.elf"), l1=bench,
                             l1_args="cpus=1", modules=[], options=options, bare=False)
        result = machine.run_image(iso, machine="bochs", folder=folder, model=model, cpus=1, mem=512, firmware="bios",
                                   timeout=600)
        with open(counts, encoding="ascii") as file:
            sections = read_sections(file)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = re.findall(r"INFO bench (\w+) rounds=(\d+)", "\n".join(result.lines))
    return [(name, int(rounds)) for name, rounds in rows], sections


def read_sections(lines):
    sections = []
    for line in lines:
        if line.startswith("section"):
            sections.append({})
        else:
            rip, count = line.split()
            sections[-1][int(rip, 16)] = int(count)
    return sections


def places(debug, rips):
    """{RIP: (symbol, innermost inlined function, line)}"""
    out = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", debug], input="\n".join("%x" % rip for rip in rips), check=True,
                         stdout=subprocess.PIPE, text=True).stdout.splitlines()
    found, frames, rip = {}, [], None
    for line in out + ["0x0"]:
        if re.match("0x[0-9a-f]+$", line):
            if rip is not None:
                found[rip] = (frames[-2].split(".")[0], frames[0], frames[1].replace(ROOT + "/", "").split(" ")[0])
            rip, frames = int(line, 16), []
        else:
            frames.append(line)
    return found


def show(name, rounds, section, place, lines):
    total = sum(section.values()) / rounds
    by_symbol, by_inline = collections.Counter(), collections.defaultdict(collections.Counter)
    for rip, count in section.items():
        symbol, inner, line = place[rip]
        by_symbol[symbol] += count
        by_inline[symbol][line if lines else inner] += count
    print("%s: %.1f instructions a round" % (name, total))
    for symbol, count in by_symbol.most_common():
        if count / rounds < 0.5:
            continue
        inner = ", ".join("%s %.0f" % (part, n / rounds) for part, n in by_inline[symbol].most_common() if n / rounds >= 0.5)
        print("%8.1f  %-28s %s" % (count / rounds, symbol, inner))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("O", os.path.join(ROOT, "build")))
    parser.add_argument("--model", default="haswell")
    parser.add_argument("--options", default="")
    parser.add_argument("--row", action="append")
    parser.add_argument("--lines", action="store_true", help="by line of the source in place of inlined functions")
    parser.add_argument("--bochs", help="an emulator that is built already")
    args = parser.parse_args()
    rows, sections = boot(args.build, args.model, args.options, args.bochs or emulator())
    debug = os.path.join(args.build, "socle.debug")
    for i, (name, rounds) in enumerate(rows):
        if args.row and name not in args.row:
            continue
        section = sections[TURNS * i + TURNS - 1]
        show(name, rounds, section, places(debug, section), args.lines)


if __name__ == "__main__":
    main()
