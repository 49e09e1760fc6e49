# SPDX-License-Identifier: MIT
"""One page with the pictures and the figures behind them: nothing beside it, nothing from the network, no script."""
import page
import forms
import slices

PLACES_SHOWN = 40

NOTES = """<p>An exit's cost is L0's own time: from the exit to the next entry of any guest. A round trip is from an exit of L2
that L1 handles until L2 runs again: what L1 and L0 do together. The recording itself is in it, at most 60 instructions an
exit.</p>"""


def table(name, head, rows):
    """Numbers stand to the right; `name` is how a program finds them."""
    body = "".join("<tr>%s</tr>" % "".join("<td>%s</td>" % page.text(cell) for cell in row) for row in rows)
    return "<table class=matrix id=%s><tr>%s</tr>%s</table>" % (
        name, "".join("<th>%s</th>" % page.text(cell) for cell in head), body)


def costs(trace):
    whole = sum(slices.shares(trace)) or 1
    head = ("level", "exit", "count", "to L1", "ticks", "of all time", "least", "median", "90 %", "99 %", "most")
    return table("costs", head,
                 [("L%d" % row.level, row.reason, row.count, row.to_l1, row.total, "%.1f %%" % (100 * row.total / whole),
                   row.low, row.median, row.p90, row.p99, row.most) for row in slices.costs(trace)])


def trips(trace):
    between = slices.between(trace)
    return table("trips", ("L2's exit", "count", "exits of L1 each", "median ticks", "90 %", "ticks", "which"),
                 [(way.reason, way.count, "%.2f" % way.exits, way.median, way.p90, way.total,
                   ", ".join("%s %.2f" % (kind, count / way.count) for kind, count in between[way.reason].most_common(6)))
                  for way in slices.multiplication(trace)])


def places(trace, symbols):
    return table("places", ("level", "where", "exits", "ticks in L0", "which"),
                 [("L%d" % row.level, row.symbol, row.count, row.ticks,
                   ", ".join("%s %d" % pair for pair in row.reasons.most_common(4)))
                  for row in slices.places(trace, symbols)[:PLACES_SHOWN]])


def kinds(trace):
    return table("kinds", ("level", "exit", "of", "count", "ticks in L0"),
                 [("L%d" % row.level, row.reason, row.kind, row.count, row.ticks)
                  for row in slices.kinds(trace)[:PLACES_SHOWN]])


def facts(trace, khz):
    sums = slices.shares(trace)
    whole = sum(sums) or 1
    pairs = [("events", len(trace.events())), ("CPUs", len(trace.cpus)),
             ("time", "%.3f ms of %d kHz" % (forms.microseconds(whole, khz) / 1000, khz))]
    pairs += [(name, "%.1f %%" % (100 * one / whole)) for name, one in zip(forms.LEVELS, sums)]
    pairs += [("Socle's build id", trace.build_id or "not in the file")]
    if trace.dropped:
        pairs.append(("dropped", "%d events by Socle, whose port was slower than the exits" % trace.dropped))
    if trace.skipped or trace.backwards:
        pairs.append(("left out", "%d lines that are no events, %d events out of order" % (trace.skipped, trace.backwards)))
    return page.facts(pairs)


def write(trace, symbols, khz, path):
    import plots  # pylint: disable=import-outside-toplevel  # matplotlib, of which the other forms have no need
    over_time, levels, cost, ways, where = plots.all_of(trace, symbols, khz)
    body = [facts(trace, khz), NOTES, over_time, levels, "<h2>By reason</h2>", cost, costs(trace),
            "<h2>Round trips</h2>", ways or "<p>No exit of L2 went to L1.</p>", trips(trace),
            "<h2>By place</h2>", where, places(trace, symbols), "<h2>By field, MSR and port</h2>", kinds(trace)]
    page.write(path, "Exit trace", "\n".join(body))
