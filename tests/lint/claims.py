#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/security.md names a test for each claim; this checks that they exist.

In the last cell of a table's row, between semicolons: `unit BINARY: test, ...`, `mutants name, ...`, `fuzzer name`,
`scenario name, ...`, `system: test, ...`, or `IMAGE: test, ...` of the guest tests; a trailing * stands for any rest. Words in
parentheses, and sentences of another form, are for people.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = "docs/security.md"


def text_of(*patterns):
    """All files that the patterns find, joined; empty if there is none."""
    names = [name for pattern in patterns for name in glob.glob(os.path.join(ROOT, pattern))]
    parts = []
    for name in names:
        with open(name, encoding="utf-8") as file:
            parts.append(file.read())
    return "\n".join(parts)


def places(kind, where):
    """The text in which a test's name must stand, and the form of it there."""
    if kind == "unit":
        return text_of("tests/unit/%s_test.c" % where), r"\b%s\b"
    if kind == "mutant":
        return text_of("tests/mutants/*.py"), r'Mutant\(\s*"%s"'
    if kind == "scenario":
        return text_of("tests/scenarios/rows.py"), r'Row\("%s"'
    if kind == "system":
        return text_of("tests/system/*.py"), r"def %s\b"
    return text_of("tests/guest/%s.c" % where, "tests/guest/%s_*.c" % where), r"TEST(?:_VMX)?\(%s\)"


def claim_of(item):
    """(kind, where, names) of one claim, or None if it is no name of a test's."""
    item = re.sub(r"\([^)]*\)", "", item).strip()
    forms = ((r"unit (\w+)(?:: (.+))?$", "unit"), (r"()mutants? ([\w, *-]+)$", "mutant"),
             (r"()scenario ([\w, -]+)$", "scenario"),
             (r"()system: ([\w, *]+)$", "system"), (r"(?!system)(\w+): ([\w, *]+)$", "guest"))
    for form, kind in forms:
        match = re.match(form, item)
        if match:
            return kind, match.group(1), [name.strip() for name in (match.group(2) or "*").split(",")]
    match = re.match(r"fuzzer (\w+)$", item)
    return ("fuzzer", match.group(1), []) if match else None


def wrong(item):
    """The names of one claim that nothing bears."""
    claim = claim_of(item)
    if not claim:
        return []
    kind, where, names = claim
    if kind == "fuzzer":
        return [] if text_of("tests/fuzz/%s_fuzz.c" % where) else ["fuzzer " + where]
    text, form = places(kind, where)
    if not text:
        return ["%s %s" % (kind, where)]
    return ["%s %s: %s" % (kind, where, name) for name in names
            if not re.search(form % re.escape(name).replace(r"\*", r"[\w-]*"), text)]


def main():
    with open(os.path.join(ROOT, PAGE), encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("| ")]
    missing, count = [], 0
    for row in rows:
        for part in re.split(r"[;.] ", row.rstrip(" |\n").split(" | ")[-1]):
            count += claim_of(part) is not None
            missing += wrong(part)
    for name in missing:
        print("%s: no such test: %s" % (PAGE, name))
    if not count:
        print("%s: no claim found" % PAGE)
    return 1 if missing or not count else 0


if __name__ == "__main__":
    sys.exit(main())
