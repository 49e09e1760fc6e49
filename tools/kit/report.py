# SPDX-License-Identifier: MIT
"""The kit's report: as text, JSON, JUnit's XML, and a page with a matrix of images and subjects."""
import collections
import html
import json
import os

import page
import results
import suite

COLOURS = {"pass": "good", "variant": "good", "alone": "good", "skip": "none", "avoided": "none"}
NOT_RUN = ("skip", "avoided")
LINES_MAX = 40
NAMES = ("report.txt", "report.json", "report.xml", "report.html")


def quoteattr(text):
    return '"%s"' % html.escape(text, quote=False)


def listing(reference):
    lines = ["reference processors: " + ", ".join(reference.models)]
    for one in reference.known():
        lines += ["", "%s: %s" % (one.name, one.title), "    " + " ".join(reference.tests(one.name))]
    return "\n".join(lines)


class Report:
    """What a run has found: outcomes, and against which reference they were judged."""

    def __init__(self, reference, platform, caps, model, bits, outcomes, measured):
        self.reference, self.platform, self.caps = reference, platform, caps
        self.model, self.bits, self.outcomes, self.measured = model, bits, outcomes, measured

    def verdict(self):
        return "%s: %s" % ("BAD" if results.is_bad(self.outcomes) else "good", results.count(self.outcomes) or "no test")

    def likeness(self):
        if not self.caps:
            return "%s (the platform did not say its capabilities)" % self.model
        return "%s (%s)" % (self.model, "the same capabilities" if not self.bits else
                            "its capabilities differ in %d bits from the platform's" % self.bits)

    def unlike(self):
        """The capabilities that the platform and the reference do not have alike, in words."""
        reference = self.reference.models[self.model]
        return ["%s: %x there, %x here" % (name, reference.get(name, 0), self.caps.get(name, 0))
                for name in sorted(set(reference) | set(self.caps)) if reference.get(name, 0) != self.caps.get(name, 0)]

    def text(self):
        lines = ["platform    " + self.platform, "reference   " + self.likeness(),
                 "kit         " + self.reference.version]
        lines += ["            " + line for line in (self.unlike() if self.caps else ())] + [""]
        for outcome in self.outcomes:
            if outcome.kind in results.BAD or outcome.kind in ("variant", "alone", "avoided"):
                lines.append("%-8s %s.%s%s" % (outcome.kind, outcome.image, outcome.test,
                                               " (%s)" % outcome.note if outcome.note else ""))
                lines += ["         %s %s" % pair for pair in results.difference(outcome)[:LINES_MAX]]
        return "\n".join(lines + ["measured    " + line for line in self.costs()] + ["", self.verdict()])

    def costs(self):
        """What the images say that only measure."""
        names = tuple(one.name + " " for one in suite.IMAGES if not one.results)
        return [line for line in self.measured if line.startswith(names)]

    def json(self):
        return json.dumps({
            "platform": self.platform, "reference": self.model, "capabilities": self.caps, "bits that differ": self.bits,
            "kit": self.reference.version, "measured": self.measured, "verdict": self.verdict(),
            "outcomes": [{**outcome._asdict(), "subject": suite.subject(outcome.image, outcome.test),
                          "difference": ["%s %s" % pair for pair in results.difference(outcome)]}
                         for outcome in self.outcomes]}, indent=1)

    def junit(self):
        bad = [outcome for outcome in self.outcomes if outcome.kind in results.BAD]
        skipped = [outcome for outcome in self.outcomes if outcome.kind in NOT_RUN]
        lines = ['<?xml version="1.0" encoding="utf-8"?>',
                 '<testsuite name="socle-kit" tests="%d" failures="%d" skipped="%d">' % (
                     len(self.outcomes), len(bad), len(skipped))]
        for outcome in self.outcomes:
            inner = ""
            if outcome.kind in results.BAD:
                text = "\n".join("%s %s" % pair for pair in results.difference(outcome))
                inner = "<failure message=%s>%s</failure>" % (
                    quoteattr(results.KINDS[outcome.kind]), html.escape(text, quote=False))
            elif outcome.kind in NOT_RUN:
                inner = "<skipped message=%s/>" % quoteattr(outcome.note or " ".join(outcome.lines))
            lines.append("<testcase classname=%s name=%s>%s</testcase>" % (
                quoteattr(outcome.image), quoteattr(outcome.test), inner))
        return "\n".join(lines + ["</testsuite>", ""])

    def matrix(self):
        subjects = [name for name, _ in suite.SUBJECTS]
        cells = collections.defaultdict(list)
        for outcome in self.outcomes:
            cells[outcome.image, suite.subject(outcome.image, outcome.test)].append(outcome)
        used = [name for name in subjects if any(key[1] == name for key in cells)]
        rows = ["<tr><th></th>%s</tr>" % "".join("<th>%s</th>" % page.text(name) for name in used)]
        for one in suite.IMAGES:
            if not any(key[0] == one.name for key in cells):
                continue
            row = "<th title=%s>%s</th>" % (quoteattr(one.title), page.text(one.name))
            rows.append("<tr>%s%s</tr>" % (row, "".join(self.cell(cells.get((one.name, name), ())) for name in used)))
        return "<table class=matrix>%s</table>" % "\n".join(rows)

    @staticmethod
    def cell(outcomes):
        if not outcomes:
            return "<td></td>"
        ran = [outcome for outcome in outcomes if outcome.kind not in NOT_RUN]
        good = [outcome for outcome in ran if outcome.kind not in results.BAD]
        names = "\n".join("%s %s" % (outcome.test, outcome.kind) for outcome in outcomes)
        colour = "none" if not ran else "good" if len(good) == len(ran) else "bad"
        text = "%d/%d" % (len(good), len(ran)) if ran else "skip"
        bad = next((outcome for outcome in ran if outcome.kind in results.BAD), None)
        text = '<a href="#%s.%s">%s</a>' % (bad.image, bad.test, text) if bad else text
        return "<td class=%s title=%s>%s</td>" % (colour, quoteattr(names), text)

    def details(self):
        body = ""
        for outcome in self.outcomes:
            pairs = results.difference(outcome)
            lines = "\n".join("%s %s" % pair for pair in pairs[:LINES_MAX]) + (
                "\n  ... and %d more" % (len(pairs) - LINES_MAX) if len(pairs) > LINES_MAX else "")
            body += '<tr id="%s.%s"><td class=%s>%s</td><td>%s.%s</td><td>%s</td><td><pre>%s</pre></td></tr>\n' % (
                outcome.image, outcome.test, COLOURS.get(outcome.kind, "bad"), outcome.kind, outcome.image, outcome.test,
                page.text(outcome.note or results.KINDS[outcome.kind]), page.text(lines))
        return "<table class=matrix>%s</table>" % body

    def html(self, path):
        colour = "bad" if results.is_bad(self.outcomes) else "good"
        body = '<p class="verdict %s">%s</p>' % (colour, page.text(self.verdict()))
        body += page.facts((("platform", self.platform), ("reference", self.likeness()), ("kit", self.reference.version),
                            ("capabilities", "; ".join(self.unlike()) if self.caps else "not known")))
        body += "<h2>Images and subjects</h2><p>Good tests of those that ran; a red number leads to the first bad one.</p>"
        body += self.matrix() + "<h2>Tests</h2><p>%s</p>" % "; ".join(
            "<b>%s</b>: %s" % (kind, page.text(text)) for kind, text in results.KINDS.items())
        body += self.details()
        if self.measured:
            body += "<h2>Measured</h2><pre>%s</pre>" % page.text("\n".join(self.measured))
        page.write(path, "Nested VMX: " + self.platform, body)

    def write(self, folder):
        for name, text in zip(NAMES, (self.text(), self.json(), self.junit())):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text + "\n")
        self.html(os.path.join(folder, NAMES[-1]))
