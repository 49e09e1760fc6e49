# SPDX-License-Identifier: MIT
"""What a scenario is: an L1, a machine, steps, and what the console must and must not say. The rows are in rows.py.

A row boots under Socle, and bare as well if it compares: the lines that `compare` finds must then be the same, but for
those that a rule of rows.ALLOWED explains. judge() says everything that is wrong; nothing of pytest's or of a runner's is
in here, for both use it (run.py, tests/system/test_scenarios.py).
"""
import collections
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tools"), os.path.join(ROOT, "tools", "kit")]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import consoles  # noqa: E402
import image  # noqa: E402
import kvm  # noqa: E402
import l1  # noqa: E402
import machine  # noqa: E402

NEVER = (r"^socle: (error: )?(panic|fatal|assertion)|^socle: error|FAILED|Kernel panic|BUG:|Oops|WARNING: CPU|INFO: rcu|"
         r"rcu.*stall|soft lockup|hung_task|unchecked MSR|SELFTEST .* FAIL|KVMLET guest end: (triple|unhandled)")

# steps: what the Linux L1 does (tests/l1/l1-steps.sh); or l1 and modules: images by name, `socle` and those of tests/guest;
# or l1: one of XEN
# must, never: patterns of lines; bare: patterns that the bare processor has and Socle must not have
# counts: {pattern: how many lines have it}; compare: lines that are the same bare
# ended: how the run ends; until: a further pattern that ends it; more: for the kernel's command line
# quick: also a test of `make test`
# gdb: a session of gdb.py's, at gdb=com2; what gdb says are lines `GDB ...`
# on_kvm: no Socle below; Linux' KVM is L0, and Socle its guest (kvm.py)
XEN = ("xen", "xen-pvh", "xen-domus")
FIELDS = {"steps": "", "l1": None, "modules": (), "model": "ivy_bridge", "cpus": 1, "mem": 512, "firmware": "bios",
          "ips": 50_000_000, "options": "", "more": "", "must": (), "never": (), "bare": (), "counts": None, "compare": None,
          "ended": ("marker", "exit"), "timeout": 580, "quick": False, "until": None, "gdb": None, "on_kvm": False}
Row = collections.namedtuple("Row", ["name", "group", *FIELDS], defaults=FIELDS.values())


def image_path(name, build):
    """`socle`, or an image of tests/guest, maybe with a command line."""
    first, _, rest = name.partition(" ")
    path = os.path.join(build, "socle.elf") if first == "socle" else os.path.join(build, "tests", "guest", first + ".elf")
    return (path + " " + rest).strip()


def boots(row, build, bare):
    """What to boot and on which machine: make_iso()'s and run_image()'s arguments."""
    settings = {"model": row.model, "cpus": row.cpus, "mem": row.mem, "firmware": row.firmware, "ips": row.ips,
                "timeout": row.timeout}
    what = {"l1": image_path(row.l1, build) if row.l1 and row.l1 not in XEN else None, "l1_args": "", "modules": []}
    if row.until:
        settings["until"] = (*machine.END_MARKERS, row.until)
    if row.steps:
        linux, more = l1.linux(row.steps, "bochs", row.model, row.ips, row.more)
        settings.update(more)
        if row.l1 and not bare:  # Linux is the innermost of several
            what["modules"] = [image_path(name, build) for name in row.modules]
            what["modules"] += [linux["l1"] + " " + linux["l1_args"], *linux["modules"]]
        else:
            what = linux
    elif row.l1 in XEN:
        what, more = l1.xen(row.l1)
        settings.update(more)
    elif bare and row.modules:  # the innermost image alone
        what["l1"], _, what["l1_args"] = image_path(row.modules[-1], build).partition(" ")
    else:
        what["modules"] = [image_path(name, build) for name in row.modules]
    if row.on_kvm:
        made = (kvm.kit_cpio(build, row.model, row.steps.split(":")[1:]) if row.steps.startswith("kit:") else
                kvm.cpio(build, image.silent(row.options)))
        what["modules"] = [*what["modules"], made]
        bare = True
    options = image.silent(row.options)
    options += " " + l1.SOCLE_OPTIONS if row.steps else ""
    options += " gdb=com2" if row.gdb else ""
    what.update(bare=bare, options="" if bare else options)
    return what, settings


def compared(result, pattern, allowed):
    lines = [re.sub(r"\s+$", "", line) for line in result.lines if re.search(pattern, line)]
    return collections.Counter(line for line in lines if not (allowed and allowed.ignores(line)))


def judge(row, under, bare=None, allowed=None, warnings=()):
    """Everything that is wrong with the run, a line each. `allowed`: rules for lines that may differ; `warnings`: what L1's
    kernel may warn of."""
    wrong = []
    for result, name in ((under, "under Socle"), (bare, "bare")):
        if result is None:
            continue
        if result.ended not in row.ended:
            wrong.append("%s: ended by %s, not by %s" % (name, result.ended, " or ".join(row.ended)))
        never = "|".join((NEVER, *row.never)) + r"|^\S+ STEP .* rc=[1-9]"
        wrong += ["%s: says: %s" % (name, line) for line in result.lines if re.search(never, line)][:10]
        wrong += ["%s: no line has /%s/" % (name, pattern) for pattern in row.must if not result.having(pattern)]
        wrong += ["%s: %s line has /%s/" % (name, "a" if result is under else "no", pattern) for pattern in row.bare
                  if bool(result.having(pattern)) == (result is under)]
        wrong += ["%s: a warning of its own: %s" % (name, line) for line in result.having("^L[12] WARN ")
                  if not any(re.search(one, line) for one in warnings)]
        for step in row.steps.split(",") if row.steps else ():
            if not step.startswith("end:") and not result.having("^L1 STEP %s rc=0" % re.escape(step)):
                wrong.append("%s: step %s did not end well" % (name, step))
        disk = getattr(result, "disk", None)
        if disk and not result.having(r"^L1 DISK \w+ %s" % disk):
            wrong.append("%s: the disk's content is not the image's, %s" % (name, disk))
        for pattern, count in (row.counts or {}).items():
            if name == "bare" and pattern.startswith("^socle:"):
                continue
            if len(result.having(pattern)) != count:
                wrong.append("%s: %d lines, not %d, have /%s/" % (name, len(result.having(pattern)), count, pattern))
    if row.on_kvm and not re.match("kit:|.*alone_on_kvm", row.steps):
        wrong += kvm.differences(under)
    if bare is not None and under is not None and row.compare:
        left, right = compared(bare, row.compare, allowed), compared(under, row.compare, allowed)
        wrong += ["only bare: " + line for line in (left - right)][:20]
        wrong += ["only under Socle: " + line for line in (right - left)][:20]
        if not left:
            wrong.append("nothing to compare: no line has /%s/" % row.compare)
    return wrong


def multiplication(result):
    """How many exits each level's Socle took for one of the level above: lines, innermost first."""
    totals = collections.Counter()
    for line in result.own():
        match = re.match(r"(?:level (\d+): )?exits L[12] (.*)", line)
        if match:
            totals[int(match.group(1) or 0)] += sum(int(count) for count in re.findall(r"\w+=(\d+)", match.group(2)))
    return ["level %d: %d exits%s" % (level, totals[level], "" if level + 1 not in totals else
                                      ", %.1f for one of level %d" % (totals[level] / totals[level + 1], level + 1))
            for level in sorted(totals, reverse=True)]


__all__ = ["Row", "boots", "consoles", "judge", "multiplication", "machine", "ROOT"]
