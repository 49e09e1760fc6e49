#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where Socle's instructions go, by function: in each row of the guest benchmark, or while a Linux runs under Linux' KVM.

    profile.py [--model MODEL] [--options OPTIONS] [--row ROW] [--lines]
    profile.py --linux [--bare] [--model MODEL] [--options OPTIONS] [--lines]

Boots the image `bench` under Socle on an emulator that counts each instruction which is executed in VMX root operation
(tools/bochs/build.sh with PROFILE=1 builds it, once), and prints, for the last run of each row, how many a round has by
function: by the symbol whose code it is, and by the function of the source that was inlined there. Sums agree with
tests/bench.csv, which counts the guest's own instructions besides.

--linux boots what `tools/run.py --steps linux64 --mem 1024` does. From the first entry of its L2 to its last exit: the
ticks that passed, what each level has executed of them, and Socle's part by exit, an exit of L1's also by the exit of L2's
that came before it; of the dearest the functions. --bare: L1's part on the bare processor, by the exit of its L2.
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
import l1  # noqa: E402
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


def boot_linux(build, model, options, bare, bochs):
    """The lines of instrument.cc of the whole run, which ends by L1's power-off."""
    folder = tempfile.mkdtemp(prefix="profile-", dir=build)
    counts = os.path.join(folder, "counts")
    os.environ.update(SOCLE_PROFILE_OUT=counts, BOCHS=bochs, **({"SOCLE_PROFILE_BARE": "1"} if bare else {}))
    try:
        what, settings = l1.linux("linux64", "bochs", model)
        iso = image.make_iso(os.path.join(folder, "image.iso"), elf=os.path.join(build, "socle.elf"), bare=bare,
                             options=options, **what)
        result = machine.run_image(iso, machine="bochs", folder=folder, model=model, cpus=1, mem=1024, firmware="bios",
                                   timeout=900, until=["(?!)"], **settings)
        if not result.having("^KVMLET guest end: reset"):
            raise SystemExit("profile: L2 did not come to its end\n" + "\n".join(result.lines[-20:]))
        with open(counts, encoding="ascii") as file:
            return file.read().splitlines()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reason_names():
    with open(os.path.join(ROOT, "vmx", "hw", "exits.def"), encoding="utf-8") as file:
        return {int(number): name for number, name in re.findall(r"^X\((\d+), (\w+),", file.read(), re.M)}


def read_run(lines):
    """{(level, reason, reason of L2's last exit): (times, instructions, {RIP: count})}, {level: instructions}, ticks."""
    exits, levels, ticks, counts = {}, {}, 0, {}
    for words in map(str.split, lines):
        if words[0] == "exit":
            level, reason, behind, times, instructions = map(int, words[1:])
            counts = {}
            exits[level, reason, behind] = times, instructions, counts
        elif words[0] == "level":
            levels[int(words[1])] = int(words[2])
        elif words[0] == "ticks":
            ticks = int(words[1])
        else:
            counts[int(words[0], 16)] = int(words[1])
    return exits, levels, ticks


SHARE = 0.01  # of what is counted: an exit with less is not shown


def show_run(run, debug, lines, bare):
    exits, levels, ticks = run
    names, of = reason_names(), "L1" if bare else "Socle"
    total = sum(instructions for _, instructions, _ in exits.values())
    print("%d ticks: %s, nothing %d" % (ticks, ", ".join("%s %d" % (name, levels[level]) for level, name in (
        (0, "Socle"), (1, "L1"), (2, "L2")) if levels[level]), ticks - sum(levels.values())))
    shown = [(key, value) for key, value in exits.items() if value[1] > SHARE * total]
    for (level, reason, behind), (times, instructions, counts) in sorted(shown, key=lambda item: -item[1][1]):
        title = "L%d %s%s, %d times, %s" % (level, names.get(reason, reason), "" if level == 2 else
                                            " behind %s" % names.get(behind, behind), times, of)
        if bare:
            print("%s: %.1f instructions" % (title, instructions / times))
        else:
            show(title, times, counts, places(debug, counts), lines)


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
    print("%s: %.1f instructions%s" % (name, total, "" if " " in name else " a round"))
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
    parser.add_argument("--linux", action="store_true", help="of a Linux under Linux' KVM")
    parser.add_argument("--bare", action="store_true", help="with --linux: without Socle")
    args = parser.parse_args()
    debug = os.path.join(args.build, "socle.debug")
    if args.linux:
        run = read_run(boot_linux(args.build, args.model, args.options, args.bare, args.bochs or emulator()))
        show_run(run, debug, args.lines, args.bare)
        return
    rows, sections = boot(args.build, args.model, args.options, args.bochs or emulator())
    for i, (name, rounds) in enumerate(rows):
        if args.row and name not in args.row:
            continue
        section = sections[TURNS * i + TURNS - 1]
        show(name, rounds, section, places(debug, section), args.lines)


if __name__ == "__main__":
    main()
