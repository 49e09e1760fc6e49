#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Line coverage by gcov, file by file, of what the host tests have run.

    coverage.py OBJECTS FOLDER [--floor TABLE [--raise]]

FOLDER is walked with those below it. With a table, a file under its floor is told and the exit status is 1; --raise writes
the figures that are higher into the table, and rows of files that are new or gone. A file without a row has the floor of
the row `*`.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys

HEAD = """# SPDX-License-Identifier: MIT
# Lines of each file that the host tests reach, in per cent: floors that `make test` holds. `make coverage RAISE=1` raises
# them after a run that is better; one goes down by a commit that says why alone. `*`: a file that has no row yet.
"""


def figures(objects, folder):
    """{file: (lines run, lines)}"""
    found = {}
    for gcno in sorted((objects / folder).rglob("*.gcno")):
        text = subprocess.run(["gcov", "--stdout", "--json-format", str(gcno)], capture_output=True, text=True, cwd=objects,
                              check=True).stdout
        own = "%s/%s.c" % (gcno.parent.relative_to(objects), gcno.stem)
        for file in json.loads(text)["files"]:
            if file["file"].endswith("/" + own) or file["file"] == own:
                counts = {}
                for line in file["lines"]:
                    counts[line["line_number"]] = counts.get(line["line_number"], 0) + line["count"]
                found[own] = (sum(1 for count in counts.values() if count), len(counts))
    return found


def read_floors(path):
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line and not line.startswith("#")]
    return {name: float(floor) for name, floor in rows}


def per_cent(run, lines):
    """Rounded down, so that a floor is never above what it was taken from."""
    return math.floor(1000 * run / max(lines, 1)) / 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects", type=pathlib.Path)
    parser.add_argument("folder")
    parser.add_argument("--floor", type=pathlib.Path)
    parser.add_argument("--raise", dest="raising", action="store_true")
    arguments = parser.parse_args()
    found = figures(arguments.objects.resolve(), arguments.folder)
    floors = read_floors(arguments.floor) if arguments.floor else {}
    low = []
    for name, (run, lines) in found.items():
        floor = floors.get(name, floors.get("*", 0.0))
        print("%-36s %5.1f %% of %4d lines%s" % (name, per_cent(run, lines), lines, "" if name in floors else ", no floor"))
        if per_cent(run, lines) < floor:
            low.append("%s: the host tests reach %.1f %% of its lines, less than its floor of %.1f %%" % (
                name, per_cent(run, lines), floor))
    whole = [sum(part) for part in zip(*found.values())]
    print("%-36s %5.1f %% of %4d lines" % (arguments.folder, per_cent(*whole), whole[1]))
    if arguments.raising:
        rows = {"*": floors.get("*", 70.0)}
        rows.update({name: max(per_cent(*found[name]), floors.get(name, 0.0)) for name in sorted(found)})
        arguments.floor.write_text(HEAD + "".join("%s %.1f\n" % row for row in rows.items()), encoding="ascii")
    for line in low:
        print("coverage: " + line)
    print("coverage: %d files, %d under their floor" % (len(found), len(low)))
    return 1 if low else 0


sys.exit(main())
