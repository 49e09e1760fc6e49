# SPDX-License-Identifier: MIT
"""Matplotlib's pictures of a trace, as SVG to stand in a page. Text stays text, so that a page can be searched."""
import io
import re

import forms
import read
import slices

try:
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
except ImportError:
    raise read.TraceError("matplotlib is not installed (package python3-matplotlib)") from None

BINS = 60
KINDS_SHOWN = 8
ROWS_SHOWN = 16
LEVEL_COLOURS = ("#c44e52", "#4c72b0", "#55a868")
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "socle", "font.size": 9, "axes.spines.top": False,
            "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3}


def picture(figure):
    """The <svg> alone: no XML declaration, no date, no address of a DTD."""
    file = io.StringIO()
    figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return re.sub(r"<metadata>.*?</metadata>", "", file.getvalue()[file.getvalue().index("<svg"):], flags=re.S)


def axes(height, title, x_label, y_label=""):
    figure, one = pyplot.subplots(figsize=(11, height))
    one.set_title(title, loc="left", fontsize=10, fontweight="bold")
    one.set_xlabel(x_label)
    one.set_ylabel(y_label)
    return figure, one


class Time:
    """The whole trace in BINS pieces of milliseconds."""

    def __init__(self, trace, khz):
        events = trace.events()
        self.start = min(event.exit for event in events)
        self.end = max(max(event.exit, event.entry) for event in events)
        self.step = max(1, -(-(self.end - self.start + 1) // BINS))
        self.edges = [forms.microseconds(i * self.step, khz) / 1000 for i in range(BINS + 1)]

    def bin(self, ticks):
        return (ticks - self.start) // self.step


def exits_over_time(trace, khz):
    time, counts = Time(trace, khz), {}
    for event in trace.events():
        key = "L%d %s" % (event.level, read.name(event))
        counts.setdefault(key, [0] * BINS)[time.bin(event.exit)] += 1
    order = sorted(counts, key=lambda key: (-sum(counts[key]), key))
    shown = order[:KINDS_SHOWN]
    if order[KINDS_SHOWN:]:
        shown = shown + ["other"]
        counts["other"] = [sum(column) for column in zip(*[counts[key] for key in order[KINDS_SHOWN:]])]
    figure, one = axes(3.2, "Exits over time", "ms", "exits per %.3g ms" % (time.edges[1] - time.edges[0]))
    one.stackplot(time.edges[:-1], [counts[key] for key in shown], labels=shown, step="post")
    one.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    one.set_xlim(0, time.edges[-1])
    return picture(figure)


def spread(time, one, sums):
    """A slice's ticks over the pieces of time that it lies in."""
    at = one.begin
    while at < one.end:
        index = time.bin(at)
        upto = min(one.end, time.start + (index + 1) * time.step)
        sums[one.level][index] += upto - at
        at = upto


def levels_over_time(trace, khz):
    time, sums = Time(trace, khz), [[0] * BINS for _ in range(3)]
    for one in slices.of_trace(trace):
        spread(time, one, sums)
    wholes = [sum(column) or 1 for column in zip(*sums)]
    figure, one = axes(2.4, "Who has the processors' time", "ms", "%")
    one.stackplot(time.edges[:-1], [[100 * part / whole for part, whole in zip(row, wholes)] for row in sums],
                  labels=forms.LEVELS, colors=LEVEL_COLOURS, step="post")
    one.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    one.set_xlim(0, time.edges[-1])
    one.set_ylim(0, 100)
    return picture(figure)


def costs(trace):
    rows = [row for row in slices.costs(trace) if row.total][:ROWS_SHOWN][::-1]
    figure, one = axes(0.7 + 0.3 * len(rows), "What an exit costs in L0: least, median, 90 %, 99 %, most", "ticks")
    for at, row in enumerate(rows):
        colour = LEVEL_COLOURS[row.level]
        one.plot([max(1, row.low), max(1, row.most)], [at, at], color=colour, alpha=0.35, linewidth=2)
        one.plot([max(1, row.median), max(1, row.p90)], [at, at], color=colour, linewidth=6, solid_capstyle="butt")
        one.plot(max(1, row.median), at, "o", color=colour)
        one.plot(max(1, row.p99), at, "|", color=colour, markersize=11)
    one.set_yticks(range(len(rows)), ["L%d %s" % (row.level, row.reason) for row in rows])
    one.set_ylim(-0.6, len(rows) - 0.4)
    one.set_xscale("log")
    return picture(figure)


def multiplication(trace):
    ways = slices.multiplication(trace)[:ROWS_SHOWN][::-1]
    if not ways:
        return ""
    between = slices.between(trace)
    kinds = sorted({reason for way in ways for reason in between[way.reason]},
                   key=lambda kind: -sum(between[way.reason][kind] for way in ways))
    shown, left = kinds[:KINDS_SHOWN], [0.0] * len(ways)
    figure, one = axes(0.9 + 0.35 * len(ways), "Exits of L1 for one exit of L2 that it handles", "exits of L1")
    for kind in shown + (["other"] if kinds[KINDS_SHOWN:] else []):
        parts = kinds[KINDS_SHOWN:] if kind == "other" else [kind]
        widths = [sum(between[way.reason][part] for part in parts) / way.count for way in ways]
        one.barh(range(len(ways)), widths, left=left, label=kind)
        left = [a + b for a, b in zip(left, widths)]
    one.set_yticks(range(len(ways)), ["L2 %s" % way.reason for way in ways])
    one.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return picture(figure)


def places(trace, symbols):
    rows = slices.places(trace, symbols)[:ROWS_SHOWN][::-1]
    figure, one = axes(0.7 + 0.28 * len(rows), "Where L0's time is asked for", "ticks in L0")
    one.barh(range(len(rows)), [row.ticks for row in rows], color=[LEVEL_COLOURS[row.level] for row in rows])
    one.set_yticks(range(len(rows)), ["L%d %s" % (row.level, row.symbol) for row in rows])
    return picture(figure)


def all_of(trace, symbols, khz):
    with matplotlib.rc_context(SETTINGS):
        return (exits_over_time(trace, khz), levels_over_time(trace, khz), costs(trace), multiplication(trace),
                places(trace, symbols))
