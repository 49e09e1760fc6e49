#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What every file of the tree must and must not have: licence line, head comment, no unfinished business, line length.

text.py KIND, with KIND one of: licence, head, words, width, length
"""
import os
import re
import subprocess
import sys

LICENCE = "SPDX-License-Identifier: MIT"
# Debian gives these forms in which no comment may stand.
NO_LICENCE_LINE = ("LICENSE", "debian/changelog", "debian/socle-tools.manpages", "debian/source/format")
CODE = (".c", ".h", ".S", ".ld", ".def", ".py", ".sh")
# spelled apart, so that this file passes
WORDS = re.compile("|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b", r"/ho" + r"me/\w+", r"/wo" + r"rk/",
                             r"/ro" + r"ot/", r"https?://[\w.]*deb" + r"ian\.org")))
# The name of a format, which happens to be an address.
FORMAT_LINE = ("debian/copyright", 1)
WIDTH = 128
LONG_FILE = 350


def tracked():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
                            stdout=subprocess.PIPE, check=True).stdout.decode()
    return [path for path in listed.split("\0") if path and os.path.isfile(path)]


def lines_of(path):
    with open(path, "rb") as file:
        data = file.read()
    return None if b"\0" in data else data.decode("utf-8").split("\n")


def check_licence(path, lines):
    if path in NO_LICENCE_LINE:
        return
    if not any(LICENCE in line for line in lines[:3]):
        yield 1, "no line `%s` at the top" % LICENCE


def check_head(path, lines):
    if not path.endswith((".c", ".h", ".S", ".def")):
        return
    head = "\n".join(lines[:4])
    if "/*" not in head.replace("/* %s */" % LICENCE, ""):
        yield 1, "no comment at the head that says what the file owns"


def check_words(path, lines):
    for number, line in enumerate(lines, 1):
        found = WORDS.search(line)
        if found and (path, number) != FORMAT_LINE:
            yield number, "`%s` does not belong in the tree" % found.group()


def check_width(path, lines):
    if not path.endswith(CODE) or path.endswith(".def"):
        return
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > WIDTH:
            yield number, "%d columns, more than %d" % (len(line.expandtabs(8)), WIDTH)
        if line != line.rstrip():
            yield number, "white space at the end of the line"


def report_length():
    """Not a fault: files longer than the house likes, tables exempt."""
    for path in tracked():
        if path.endswith((".c", ".h", ".S")):
            count = len(lines_of(path) or ())
            if count > LONG_FILE:
                print("%s: %d lines" % (path, count))


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    kind = sys.argv[1] if len(sys.argv) == 2 else ""
    if kind == "length":
        report_length()
        return 0
    check = {"licence": check_licence, "head": check_head, "words": check_words, "width": check_width}[kind]
    faults = 0
    for path in tracked():
        lines = lines_of(path)
        for number, what in check(path, lines) if lines is not None else ():
            print("%s:%d: %s" % (path, number, what))
            faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
