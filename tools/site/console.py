#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws a console as a picture: `make run | tools/site/console.py > docs/pictures/run.svg`. Socle's lines are in another colour
than L1's, L2's and the summary's; lines that are too long are cut, and a run that is too long loses its middle."""
import html
import re
import sys

WIDTH, LINES = 112, 46
NO_BREAK = "\N{NO-BREAK SPACE}"
COLOURS = ((r"^socle: error|FAILED", "#ff8a80"), (r"^socle: ", "#80cbc4"),
           (r"^(L2|SELFTEST|\s+(real16|prot32|pae32|long64))", "#ffe082"), (r"^(-{9}|  )", "#b0bec5"), (r"", "#eceff1"))


def colour_of(line):
    return next(colour for pattern, colour in COLOURS if re.search(pattern, line))


def shortened(lines):
    lines = [line.rstrip() for line in lines if line.strip() and not re.search("^  (CC|LD|AS|STRIP) |Booting `", line)]
    if len(lines) > LINES:
        head = LINES * 3 // 5
        lines = lines[:head] + ["[...]"] + lines[head - LINES + 1:]
    return [line if len(line) <= WIDTH else line[:WIDTH - 1] + "\N{HORIZONTAL ELLIPSIS}" for line in lines]


def text(line):
    """As SVG's text; browsers no longer keep blanks for xml:space."""
    return html.escape(re.sub("^ +|  +", lambda blanks: NO_BREAK * len(blanks.group()), line))


def main():
    lines = shortened(sys.stdin.read().split("\n"))
    width, height = WIDTH * 7.25 + 24, len(lines) * 16 + 24
    print('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">' % (
        width, height, width, height))
    print("<!-- SPDX-License-Identifier: MIT. Made by tools/site/console.py of a run. -->")
    print('<rect width="100%" height="100%" rx="8" fill="#1c2226"/>')
    print('<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12">')
    for number, line in enumerate(lines):
        print('<text x="12" y="%d" fill="%s">%s</text>' % (number * 16 + 24, colour_of(line), text(line)))
    print("</g>\n</svg>")


if __name__ == "__main__":
    main()
