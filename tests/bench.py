#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What VMX costs an L1: the guest benchmark `bench` bare and under Socle, in one table.

    bench.py [--model MODEL] [--options OPTIONS] [--csv FILE] [--plot FILE] [--kvm FILE] [--nested] [--cpus N]
    bench.py --save       writes tests/bench.csv anew: what `make test` holds each row against

Instructions are exact on the emulator. A real processor pays for VMX accesses besides; so a second Socle (made with
COUNT=1) counts them, and the weighted figure adds WEIGHTS for each to the instructions that L0 executes. It counts for all
CPUs together, and on two Socles the answer is that of the upper one alone: with --cpus and --nested nothing is counted.
`make bench` calls this; docs/performance.md explains the rows.
"""
import argparse
import csv
import os
import re
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import image  # noqa: E402
import machine  # noqa: E402

TABLE = os.path.join(ROOT, "tests", "bench.csv")
SETTINGS = (("haswell", ""), ("haswell", "shadow-vmcs=off"), ("haswell", "intercept=cr,pf"), ("skylake_x", ""),
            ("tigerlake", ""))
COUNTED = ("vmread", "vmwrite", "vmptrld", "entry", "msr", "invalidate")
# vmptrld: VMCLEAR too; entry: with its exit; invalidate: INVEPT and INVVPID
WEIGHTS = {"vmread": 40, "vmwrite": 40, "vmptrld": 150, "entry": 900, "msr": 100, "invalidate": 200}
COLUMNS = ("model", "options", "row", "bare", "socle", *COUNTED, "weighted")
SECONDS = 120
KVM_MODEL = "haswell"  # of the row kvm-bench of tests/scenarios, whose figures are beside those of the same machine only


def rows_of(lines):
    """{row: {"instructions": per round, "vmread": ..., ...}} of a console's `INFO bench` lines."""
    rows = {}
    for line in lines:
        match = re.search(r"INFO bench (\w+) rounds=(\d+) ticks=(\d+)(.*)", line)
        if not match:
            continue
        rounds = int(match.group(2))
        rows[match.group(1)] = {"instructions": int(match.group(3)) / rounds}
        for name, count in re.findall(r"(\w+)=(\d+)", match.group(4)):
            rows[match.group(1)][name] = int(count) / rounds
    return rows


def boot(build, model, options="", cpus=1, elf=None, nested=False):
    """The rows of one boot: bare without an ELF of Socle's, on two Socles with `nested`."""
    folder = tempfile.mkdtemp(prefix="bench-", dir=build)
    bench = os.path.join(build, "tests", "guest", "bench.elf")
    l1, modules = (elf, [bench]) if nested else (bench, [])
    try:
        iso = image.make_iso(os.path.join(folder, "image.iso"), elf=elf or os.path.join(build, "socle.elf"), l1=l1,
                             l1_args="cpus=%d%s" % (cpus, " tests=cpus" if cpus > 1 else ""), modules=modules,
                             options=options, bare=not elf)
        result = machine.run_image(iso, machine="bochs", folder=folder, model=model, cpus=cpus, mem=512,
                                   firmware="bios", timeout=SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    wrong = result.having("^FAIL |^socle: (error: )?(panic|fatal)|assertion failed")
    if wrong or not result.having("^DONE"):
        raise machine.MachineError("the benchmark fails on %s %s: %s" % (model, options, "; ".join(wrong) or result.ended))
    return rows_of(result.lines)


def measure(build, model, options="", cpus=1, nested=False):
    """A list of dictionaries by COLUMNS, one for each row. What is not counted is missing: one CPU on one Socle has it."""
    bare = boot(build, model, cpus=cpus)
    socle = boot(build, model, options, cpus, os.path.join(build, "socle.elf"), nested)
    counts = boot(build, model, options, 1, os.path.join(build, "count", "socle.elf")) if cpus == 1 and not nested else None
    return [row_of(model, options, row, bare[row], values, counts and counts[row]) for row, values in socle.items()]


def row_of(model, options, row, bare, socle, counts):
    one = {"model": model, "options": options, "row": row, "bare": round(bare["instructions"], 1),
           "socle": round(socle["instructions"], 1)}
    if counts:
        for name in COUNTED:
            one[name] = round(counts.get(name, 0), 1)
        one["weighted"] = round(one["socle"] - one["bare"] + sum(WEIGHTS[name] * one[name] for name in COUNTED))
    return one


def show(rows, kvm):
    counted = "weighted" in rows[0]
    print("%-24s %8s %9s %7s %9s%s" % ("row", "bare", "socle", "ratio", "KVM" if kvm else "", "  %s %9s" % (
        " ".join("%10s" % name for name in COUNTED), "weighted") if counted else ""))
    for row in rows:
        peer = "%9.1f" % kvm[row["row"]]["instructions"] if row["row"] in kvm else " " * 9
        print("%-24s %8.1f %9.1f %7.1f %s%s" % (row["row"], row["bare"], row["socle"], row["socle"] / row["bare"], peer, (
            "  %s %9d" % (" ".join("%10.1f" % row[name] for name in COUNTED), row["weighted"]) if counted else "")))


def write_csv(path, rows):
    with open(path, "w", encoding="ascii", newline="") as file:
        file.write("# SPDX-License-Identifier: MIT\n")
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path=TABLE):
    with open(path, encoding="ascii", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def plot(path, rows, kvm):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    rows = [row for row in rows if row["socle"] > 100]
    figure, axes = pyplot.subplots(figsize=(9, 0.32 * len(rows) + 1))
    places = range(len(rows))
    if "weighted" in rows[0]:
        axes.barh([place - 0.2 for place in places], [row["weighted"] for row in rows], 0.4, label="weighted")
    axes.barh([place + 0.2 for place in places], [row["socle"] for row in rows], 0.4, label="instructions")
    found = [(place, kvm[row["row"]]["instructions"]) for place, row in zip(places, rows) if row["row"] in kvm]
    if found:
        axes.plot([value for _, value in found], [place for place, _ in found], "k|", label="Linux KVM, instructions")
    axes.set_yticks(list(places), [row["row"] for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_title("What an operation costs L1 (%s %s)" % (rows[0]["model"], rows[0]["options"]))
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--build", default=os.path.join(ROOT, os.environ.get("O", "build")))
    add("--model", default="haswell")
    add("--options", default="", help="Socle's own, such as shadow-vmcs=off")
    add("--cpus", type=int, default=1, help="2 and 4: L2 loops on all of them at once, and no other rows")
    add("--nested", action="store_true", help="on Socle on Socle: the rows' L2 is an L3 of the machine")
    add("--kvm", metavar="FILE", help="the console of `make bench-kvm`: another column")
    add("--csv", metavar="FILE")
    add("--plot", metavar="FILE")
    add("--save", action="store_true", help="all of SETTINGS into tests/bench.csv")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    try:
        if args.save:
            rows = [row for model, options in SETTINGS for row in measure(build, model, options)]
            write_csv(TABLE, rows)
            return 0
        rows = measure(build, args.model or "haswell", args.options, args.cpus, args.nested)
    except machine.MachineError as error:
        print("bench: %s" % error, file=sys.stderr)
        return 1
    kvm = {}
    if args.kvm and os.path.exists(args.kvm) and rows[0]["model"] == KVM_MODEL and not args.nested:
        with open(args.kvm, encoding="utf-8", errors="replace") as file:
            kvm = rows_of(file)
    show(rows, kvm)
    if args.csv:
        write_csv(args.csv, rows)
    if args.plot:
        plot(args.plot, rows, kvm)
    return 0


if __name__ == "__main__":
    sys.exit(main())
