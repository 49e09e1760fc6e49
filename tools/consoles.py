# SPDX-License-Identifier: MIT
"""Two consoles of the same L1, bare and under Socle: what may differ, and what does.

What may differ is said by rules, in files of tools/rules and in one of the user's. A line of such a file is a comment (#), or

    ignore REGEX      a line in which this is found may be there on one side only
    mask REGEX        what this matches may differ (with groups in it: only what the groups match)
    unordered REGEX   lines in which this is found may come in another order

and a rule looks at a line as it is on the console; masks apply in the order of their rules. compare.py and tests/scenarios use
this; it knows nothing of machines.
"""
import collections
import difflib
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rules")
KINDS = ("ignore", "mask", "unordered")
MASKED = "\N{HORIZONTAL ELLIPSIS}"

# kind: same, masked (the same after masking), ignored, moved (in another order, and may be), differs
Row = collections.namedtuple("Row", "kind left right")


class RulesError(Exception):
    """A file of rules that is not one: the text says which line, and why."""


class Rules:
    """The rules of several files, by kind."""

    def __init__(self):
        self.ignore, self.mask, self.unordered = [], [], []

    def add(self, kind, pattern):
        getattr(self, kind).append(re.compile(pattern))

    def read(self, path):
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().split("\n")
        except OSError as error:
            raise RulesError("RULES=%s: %s" % (path, error.strerror)) from error
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            kind, _, pattern = line.partition(" ")
            if kind not in KINDS or not pattern:
                raise RulesError("%s:%d: say %s, a blank and a regular expression" % (path, number, " or ".join(KINDS)))
            try:
                self.add(kind, pattern)
            except re.error as error:
                raise RulesError("%s:%d: no regular expression: %s" % (path, number, error)) from error
        return self

    def ignores(self, line):
        return any(pattern.search(line) for pattern in self.ignore)

    def moves(self, line):
        return any(pattern.search(line) for pattern in self.unordered)

    def masked(self, line):
        """The line with what may differ replaced."""
        for pattern in self.mask:
            line = pattern.sub(hide, line)
        return line.rstrip()


def hide(match):
    """What stands for a match: itself without what its groups matched; nothing of it if it has no groups."""
    if not match.re.groups:
        return MASKED
    text, last = "", match.start()
    for group in range(1, match.re.groups + 1):
        if match.start(group) >= last:
            text += match.string[last:match.start(group)] + MASKED
            last = match.end(group)
    return text + match.string[last:match.end()]


def load(*names):
    """The rules of tools/rules by their names, and of files by their paths."""
    rules = Rules()
    for name in names:
        rules.read(name if os.sep in name or os.path.exists(name) else os.path.join(FOLDER, name + ".rules"))
    return rules


def until(lines, patterns):
    """The lines to the first that ends a run, itself included: what follows it is a matter of chance."""
    for index, line in enumerate(lines):
        if any(re.search(pattern, line) for pattern in patterns):
            return lines[:index + 1]
    return list(lines)


class Side:
    """One console: its lines, those that are compared in their order, and those whose order is free."""

    def __init__(self, lines, rules):
        self.lines = lines
        self.ordered, self.free = [], collections.defaultdict(list)
        for index, line in enumerate(lines):
            if rules.ignores(line):
                continue
            if rules.moves(line):
                self.free[rules.masked(line)].append(index)
            else:
                self.ordered.append((rules.masked(line), index))
        self.kinds = {}

    def compared(self):
        return len(self.ordered) + sum(len(places) for places in self.free.values())


def pair_of(left, right, one, other):
    same = left.lines[one].rstrip() == right.lines[other].rstrip()
    return Row("same" if same else "masked", left.lines[one], right.lines[other])


def aligned(left, right):
    """Pairs of indices of ordered lines, (index or None, index or None, are they the same)."""
    keys = [[key for key, _ in side.ordered] for side in (left, right)]
    for tag, from1, to1, from2, to2 in difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        ones = [index for _, index in left.ordered[from1:to1]]
        others = [index for _, index in right.ordered[from2:to2]]
        for place in range(max(len(ones), len(others))):
            yield (ones[place] if place < len(ones) else None, others[place] if place < len(others) else None,
                   tag == "equal")


def free_lines(side, other):
    """{index: moved or differs} of the lines whose order is free: so many of a kind are matched as the other side has."""
    return {index: "moved" if count < len(other.free.get(key, ())) else "differs"
            for key, places in side.free.items() for count, index in enumerate(places)}


def compare(left_lines, right_lines, rules):
    """Rows of both consoles, in order, nothing left out."""
    left, right = Side(left_lines, rules), Side(right_lines, rules)
    kinds = free_lines(left, right), free_lines(right, left)
    rows, at = [], [0, 0]

    def pass_to(side, which, index):
        while at[which] < index:
            kind = kinds[which].get(at[which], "ignored")
            line = side.lines[at[which]]
            rows.append(Row(kind, line, None) if which == 0 else Row(kind, None, line))
            at[which] += 1

    for one, other, equal in aligned(left, right):
        for side, which, index in ((left, 0, one), (right, 1, other)):
            if index is not None:
                pass_to(side, which, index)
                at[which] = index + 1
        rows.append(pair_of(left, right, one, other) if equal else Row(
            "differs", None if one is None else left.lines[one], None if other is None else right.lines[other]))
    pass_to(left, 0, len(left.lines))
    pass_to(right, 1, len(right.lines))
    return rows


def differences(rows):
    return [row for row in rows if row.kind == "differs"]
