# SPDX-License-Identifier: MIT
"""Runs the tests of an image, past those that take the machine down with them, and judges each by the reference."""
import collections
import difflib
import os
import re

import suite

WORDS_MAX = 200  # an image keeps 1023 characters of its command line; so few are easy to say again
ENDS_MAX = 6  # so many tests one after the other that end the machine: then it is the platform
# What becomes of a test. Bad ones make the run a failure.
KINDS = {
    "pass": "the lines of the reference",
    "variant": "the lines of another reference processor",
    "alone": "passed; no reference processor could run it",
    "skip": "this platform lacks what it needs",
    "avoided": "not run: it would end or hang this platform",
    "differs": "other lines than any reference processor's",
    "fail": "what the manual promises does not hold",
    "ends": "the machine ended, hung or started anew in this test",
    "lost": "not run: the platform would not start again",
}
BAD = ("differs", "fail", "ends", "lost")

Outcome = collections.namedtuple("Outcome", "image test kind lines expected note")


def lines_of(result, tests):
    """{test: its lines} of the tests that said something."""
    found = collections.defaultdict(list)
    for line in result.lines:
        match = re.match(r"(?:RESULT|FAIL|SKIP) (\w+)", line)
        if match and match.group(1) in tests:
            found[match.group(1)].append(line)
    return found


def batch_of(pending, alone):
    """As many of the next tests as a command line has room for; one, while the one that ends the machine is looked for."""
    count, length = 1, len(pending[0])
    while not alone and count < len(pending) and length + len(pending[count]) < WORDS_MAX:
        length += 1 + len(pending[count])
        count += 1
    return pending[:count]


def how_it_ended(result):
    """In words; what QEMU says where KVM gives a machine up, for then QEMU stops it, and waits."""
    words = {"exit": "the machine ended", "timeout": "no end before the timeout",
             "reboot": "the machine started anew"}.get(result.ended, result.ended)
    path = os.path.join(result.folder, "emulator.txt")
    if result.ended == "timeout" and os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            given_up = [line.strip() for line in file if re.match("KVM internal error|KVM: entry failed|error: kvm run", line)]
        words += "".join("; " + line for line in given_up[:1])
    return words


def run_tests(boot, tests, whole):
    """({test: lines}, {test: how the machine ended in it}, the consoles). boot(words) is one run; whole: it begins with
    all tests of the image, without a list of them."""
    pending, found, ended, consoles, alone = list(tests), {}, {}, [], False
    while pending:
        if len(ended) >= ENDS_MAX and list(ended)[-ENDS_MAX:] == list(found)[-ENDS_MAX:]:
            break
        batch = pending if whole and not consoles else batch_of(pending, alone)
        result = boot("" if batch is pending and whole else "tests=" + ",".join(batch))
        consoles.append(result)
        said = lines_of(result, batch)
        if result.having("^DONE"):
            complete = len(batch)
        elif len(batch) == 1:
            complete, alone = 1, False
            ended[batch[0]] = how_it_ended(result)
        else:
            # the last that spoke may have been cut short; which of it and its silent followers it was, each by itself says
            complete, alone = max([0] + [index for index, test in enumerate(batch) if test in said]), True
        for test in batch[:complete]:
            found[test] = said.get(test, [])
        pending = pending[complete:]
    return found, ended, consoles


def judge(reference, model, image, test, lines, end=None):
    """The Outcome of one test; lines is None if it was not run."""
    if lines is None:
        return Outcome(image, test, "lost", [], [], "")
    expected = reference.of(image, test, model)
    variants = reference.variants(image, test)
    note = ""
    if end:
        kind, note = "ends", end
    elif any(line.startswith("FAIL ") for line in lines):
        kind = "fail"
    elif lines == expected:
        kind = "skip" if any(line.startswith("SKIP ") for line in lines) else "pass"
    elif any(line.startswith("SKIP ") for line in lines):
        kind = "skip"
    else:
        kind, same = "differs", [models for models, other in variants if other == lines]
        if same:
            kind, note = "variant", "as on " + ", ".join(same[0])
        elif all(any(line.startswith("SKIP ") for line in other) for _, other in variants):
            kind = "alone"
    return Outcome(image, test, kind, lines, expected or [], note)


def words_apart(one, other):
    """Two lines of `name=value` words, without the words that are the same behind the first `=`."""
    left, right = one.split(), other.split()
    first = next((index for index, word in enumerate(left) if "=" in word), len(left))
    if len(left) != len(right) or left[:first] != right[:first]:
        return one, other
    places = [index for index in range(len(left)) if index < first or left[index] != right[index]]
    return " ".join(left[index] for index in places), " ".join(right[index] for index in places)


def difference(outcome):
    """Pairs (mark, line): what is expected and not there, and the other way round."""
    if outcome.kind == "differs":
        pairs = []
        matcher = difflib.SequenceMatcher(None, outcome.expected, outcome.lines, autojunk=False)
        for _, from1, to1, from2, to2 in (code for code in matcher.get_opcodes() if code[0] != "equal"):
            both = min(to1 - from1, to2 - from2)
            for one, other in zip(outcome.expected[from1:from1 + both], outcome.lines[from2:from2 + both]):
                pairs += zip("-+", words_apart(one, other))
            pairs += [("-", line) for line in outcome.expected[from1 + both:to1]]
            pairs += [("+", line) for line in outcome.lines[from2 + both:to2]]
        return pairs
    if outcome.kind in ("fail", "ends"):
        return [("+", line) for line in outcome.lines if line.startswith("FAIL ")] or [
            ("+", line) for line in outcome.lines[-3:]]
    return []


def count(outcomes):
    counted = collections.Counter(outcome.kind for outcome in outcomes)
    return ", ".join("%d %s" % (counted[kind], kind) for kind in KINDS if counted[kind])


def is_bad(outcomes):
    return any(outcome.kind in BAD for outcome in outcomes)


__all__ = ["BAD", "KINDS", "Outcome", "count", "difference", "is_bad", "judge", "run_tests", "suite"]
