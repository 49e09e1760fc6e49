# SPDX-License-Identifier: MIT
"""What to say about a run: one screen at its end, and whether it was a success. run.py prints it.

A run is a success when it reached its end, and neither Socle, L1 nor a guest said that something was wrong; the reason is
the last row, so that it is the last thing on the screen.
"""
import os
import re

import machine

WIDTH = 100
# Lines for programs: the summary has what is in them.
COUNTERS = re.compile(r"^socle: (level \d+: )?(exits L[12]\b|registers\b|cpu \d+: VMX on\b)")
# Whoever says so has failed, in the order of what says most; the first match is the reason.
FAILURES = (
    r"^socle: (CPU \d+: )?(error: )?(?!halted)(panic|fatal|error\b|triple fault of L1)",
    r"^socle: (error: )(?!halted)",
    r"Kernel panic",
    r"^(FAIL|L1 FAILED)\b|SELFTEST .* FAIL|L1 STEP .* rc=[1-9]|^SUMMARY \d+ passed, [1-9]\d* failed",
)
ENDS = {"marker": "to its end", "exit": "until the machine switched itself off"}


def shown(line):
    """False for a console line that only programs want to see."""
    return not COUNTERS.match(line)


def exit_lines(own, level):
    """The counters of one level, most frequent first, from lines such as `exits L1 CPUID=12 CR_ACCESS=3`; None if there
    is no such line: nobody asked for them."""
    counts, asked = {}, False
    for line in own:
        if re.match(r"exits L[12]\b", line):
            asked = True
        if re.match(r"exits %s\b" % level, line):
            for name, count in re.findall(r"(\w+)=(\d+)", line):
                counts[name] = counts.get(name, 0) + int(count)
    words = ["%s %d" % item for item in sorted(counts.items(), key=lambda item: -item[1])]
    return (sum(counts.values()), words) if asked else None


def wrapped(title, words):
    lines, line = [], "  %-12s" % title
    for word in words:
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = " " * 14
        line += ("" if line.strip() in ("", title) else ", ") + word
    return lines + [line]


def exits(own, level):
    counted = exit_lines(own, level)
    if counted is None:
        return []
    total, words = counted
    return wrapped("%s's exits" % level, ["%d: %s" % (total, words[0]), *words[1:]] if words else ["none"])


def why_failed(result, timeout, halt_is_good):
    """What made the run a failure, in one line; None if nothing did."""
    for pattern in FAILURES:
        said = result.having(pattern)
        if said:
            return said[0].strip()
    if result.ended == "reboot":
        return "the machine started a second time"
    if result.ended == "timeout":
        last = next((line for line in reversed(result.lines) if line.strip()), "nothing at all")
        return "no end in %d s (say TIMEOUT=%d for more); the last line of the console: %s" % (
            timeout, 2 * timeout, last.strip())
    if result.having(r"^socle: (error: )?halted") and not halt_is_good:
        return "Socle halted the machine"
    return None


def summary(result, failure, bare):
    """One screen about the run; its last row says how it ended."""
    lines = ["-" * WIDTH, "  %-12s%s" % ("machine", result.machine), "  %-12s%.1f s" % ("wall time", result.seconds)]
    own, cpus = result.own(), machine.cpus_in_vmx(result)
    if bare:
        lines += ["  %-12s%s" % ("Socle", "not there (bare boot)")]
    elif cpus:
        lines += ["  %-12s%s" % ("CPUs in VMX", cpus)]
        # a start without L1 has none
        if not result.having(r"^socle: check: "):
            lines += exits(own, "L1") + exits(own, "L2") or [
                "  %-12s%s" % ("exits", "not known: this L1 does not ask Socle for its counters")]
    guests = result.having(r"^(L2 says|L2 UP|SELFTEST|KVMLET guest end|RESULT .*FAIL)")
    lines += ["  %-12s%s" % ("" if i else "guests", line) for i, line in enumerate(guests)]
    lines += ["  %-12s%s" % ("log", os.path.join(result.folder, "serial.txt")), "-" * WIDTH,
              "  %-12s%s" % ("ended", "FAILED: " + failure if failure else ENDS[result.ended])]
    return "\n".join(lines)
