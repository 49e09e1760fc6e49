#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rules.def against the rest: every rule is named by some check, and texts.def, its texts in short form, is up to date.

rule_texts.py [--write]

The texts are a tenth of what an image of Socle's may be, so the image has them with bytes from 80H on in the place of pieces
that come again and again; rules.c puts them back. texts.def is made of rules.def and sections.def by --write.
"""
import os
import re
import sys

FOLDER = "vmx/nested/explain"
ROW = re.compile(r'^(RULE|REFUSAL)\((\w+),[^"]*"((?:[^"\\]|\\.)*)"', re.M)
TITLE = re.compile(r'^TITLE\((\w+),[^"]*"([^"]*)"', re.M)
FIRST, LONGEST, PIECES = 0x80, 40, 100
HEAD = '''/* SPDX-License-Identifier: MIT */
/*
 * Made by tests/lint/rule_texts.py --write of rules.def and sections.def: do not edit.
 *
 * PIECE(number, text) is what byte 80H + number stands for. TEXT(identifier, text) is a rule's text, NAME(identifier, text) a
 * section's title.
 */
'''


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def best_piece(texts):
    """The piece that saves most if a byte stands for it, and how much. It may have such bytes itself."""
    count = {}
    for text in texts:
        for start in range(len(text)):
            for end in range(start + 2, min(start + LONGEST, len(text)) + 1):
                piece = text[start:end]
                count[piece] = count.get(piece, 0) + 1
    rough = sorted(count, key=lambda piece: (-(count[piece] * (len(piece) - 1) - len(piece) - 3), piece))[:20]
    exact = [(sum(text.count(piece) for text in texts) * (len(piece) - 1) - len(piece) - 3, piece) for piece in rough]
    return max(exact, key=lambda pair: (pair[0], pair[1]))


def shorten(texts):
    pieces = []
    while len(pieces) < PIECES:
        saved, piece = best_piece(texts)
        if saved < 4:
            break
        texts = [text.replace(piece, chr(FIRST + len(pieces))) for text in texts]
        pieces.append(piece)
    return pieces, texts


def literal(text):
    """A C string; a byte's escape ends the literal, for the next character might be a hexadecimal digit."""
    return '"%s"' % "".join(c if ord(c) < FIRST else '\\x%x""' % ord(c) for c in text)


def wanted():
    rows = [(name, text) for _, name, text in ROW.findall(read("rules.def"))]
    titles = TITLE.findall(read("sections.def"))
    pieces, short = shorten([text for _, text in rows + titles])
    out = [HEAD]
    out += ["PIECE(%u, %s)\n" % (i, literal(piece)) for i, piece in enumerate(pieces)]
    out += ["TEXT(%s, %s)\n" % (name, literal(text)) for (name, _), text in zip(rows, short)]
    out += ["NAME(%s, %s)\n" % (name, literal(text)) for (name, _), text in zip(titles, short[len(rows):])]
    return "".join(out)


def users():
    """All text of the hypervisor but for the table itself."""
    out = []
    for folder, _, names in os.walk("vmx"):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    out.append(file.read())
    return "\n".join(out)


def unused():
    text = users()
    named = set(re.findall(r"\bRULE_(\w+)", text))
    # REQUIRE_AREA names two
    named |= {name for pair in re.findall(r"\bREQUIRE\w*\(\s*(\w+)(?:,\s*(\w+),)?", text) for name in pair}
    return [name for _, name, _ in ROW.findall(read("rules.def")) if name not in named]


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    path = os.path.join(FOLDER, "texts.def")
    if "--write" in sys.argv[1:]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(wanted())
        return 0
    faults = ["rules.def: no check names %s" % name for name in unused()]
    if not os.path.exists(path) or read("texts.def") != wanted():
        faults.append("texts.def is not made of rules.def as it stands (tests/lint/rule_texts.py --write)")
    print("\n".join(faults) or "ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
