#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real hypervisors as L1, real systems as L2: runs the rows of rows.py, two at a time, group by group.

    run.py [--build DIR] [--list] [--workers N] [--patience N] [--times N] [GROUP | ROW ...]

Each row's console is in BUILD/scenarios/ROW/. The last line is `N passed, N failed`.
"""
import argparse
import concurrent.futures
import hashlib
import os
import re
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import gdb  # noqa: E402
from rows import ALLOWED, ROWS, WARNINGS  # noqa: E402
from scenario import ROOT, boots, judge, machine, multiplication  # noqa: E402
import image  # noqa: E402

GROUP_SECONDS = 600


def disk_checksum(row, iso):
    """What the step disk:MIB must find, for the image is the machine's disk."""
    match = re.search(r"\bdisk:(\d+)", row.steps)
    if not match:
        return None
    with open(iso, "rb") as file:
        return hashlib.sha256(file.read(int(match.group(1)) << 20)).hexdigest()


def boot(row, build, bare, patience):
    folder = os.path.join(build, "scenarios", row.name, "bare" if bare else "socle")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    what, settings = boots(row, build, bare)
    iso = image.make_iso(os.path.join(folder, "image.iso"), elf=os.path.join(build, "socle.elf"), **what)
    settings["timeout"] *= patience
    session = gdb.Session(row.gdb, folder) if row.gdb else None
    if session:
        settings.update(session.settings())
    try:
        result = machine.run_image(iso, machine="bochs", folder=folder, **settings)
        if session:
            result.lines += session.lines()
        result.disk = disk_checksum(row, iso)
        return result
    finally:
        os.unlink(iso)


def run_group(name, rows, build, pool, patience):
    """(passed, failed); prints each row as it ends."""
    start, passed, failed = time.monotonic(), 0, 0
    jobs = {}
    for row in rows:
        kinds = (False, True) if row.compare else (False,)
        jobs[row.name] = [pool.submit(boot, row, build, bare, patience) for bare in kinds]
    for row in rows:
        try:
            results = [job.result() for job in jobs[row.name]]
            wrong = judge(row, *results, allowed=ALLOWED, warnings=WARNINGS)
        except machine.MachineError as error:
            results, wrong = [], [str(error)]
        passed, failed = passed + (not wrong), failed + bool(wrong)
        seconds = " + ".join("%.0f s" % result.seconds for result in results)
        print("%-4s  %-8s %-24s %s" % ("FAIL" if wrong else "ok", name, row.name, seconds), flush=True)
        for line in wrong:
            print("      " + line)
        if results and row.l1 == "socle":
            print("\n".join("      " + line for line in multiplication(results[0])))
    took = time.monotonic() - start
    print("      %s: %d s%s" % (name, took, "" if took < GROUP_SECONDS else ": more than a group may take"), flush=True)
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, os.environ.get("O", "build")))
    parser.add_argument("--list", action="store_true", help="the groups and rows")
    parser.add_argument("--workers", type=int, default=2, help="emulators at a time")
    parser.add_argument("--patience", type=int, default=1, help="a factor for all time limits, on a busy machine")
    parser.add_argument("--times", type=int, default=1, help="everything so many times, one after the other")
    parser.add_argument("names", nargs="*", metavar="GROUP|ROW")
    args = parser.parse_args()
    known = {row.name for row in ROWS} | {row.group for row in ROWS}
    if set(args.names) - known:
        parser.error("no group or row is called " + ", ".join(sorted(set(args.names) - known)))
    chosen = [row for row in ROWS if not args.names or row.name in args.names or row.group in args.names]
    if args.list:
        print("\n".join("%-8s %s%s" % (row.group, row.name, " (quick)" if row.quick else "") for row in chosen))
        return 0
    machine.find_bochs()
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
        for group in list(dict.fromkeys(row.group for row in chosen)) * args.times:
            good, bad = run_group(group, [row for row in chosen if row.group == group], os.path.abspath(args.build), pool,
                                  args.patience)
            passed, failed = passed + good, failed + bad
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
