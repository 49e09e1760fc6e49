#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/design.md's table of places: each row's function stands in its file and has the text of the row.

No other file of the folder has that text.

    | what | file | function | text |
"""
import os
import re
import sys

DESIGN = "docs/design.md"
ROW = re.compile(r"^\| [^|]+ \| `([^`|]+\.c)` \| `(\w+)\(\)` \| `([^`|]+)` \|$", re.M)
ROWS = 5


def body_of(text, function):
    """The function's body, or None: it is not defined here."""
    match = re.search(r"^\w[^;{}]*\b%s\([^;{}]*\)\n\{\n(.*?)^\}" % re.escape(function), text, re.M | re.S)
    return match and match.group(1)


def fault_of(rows, path, function, wanted):
    if not os.path.isfile(path):
        return "there is no %s" % path
    with open(path, encoding="utf-8") as file:
        body = body_of(file.read(), function)
    if body is None:
        return "%s does not define %s()" % (path, function)
    if body.count(wanted) != 1:
        return "%s() of %s has `%s` %d times" % (function, path, wanted, body.count(wanted))
    folder = os.path.dirname(path)
    count = 0
    for name in os.listdir(folder):
        if name.endswith(".c"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                count += file.read().count(wanted)
    meant = sum(os.path.dirname(row[0]) == folder and row[2] == wanted for row in rows)
    return None if count == meant else "%s has `%s` %d times" % (folder, wanted, count)


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    with open(DESIGN, encoding="utf-8") as file:
        rows = ROW.findall(file.read())
    faults = [fault for fault in (fault_of(rows, *row) for row in rows) if fault]
    if len(rows) < ROWS:
        faults.append("%s: %d rows of places, and %d were meant" % (DESIGN, len(rows), ROWS))
    print("\n".join(faults) or "%d places" % len(rows))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
