#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots an L1 bare and under Socle on machines that are otherwise the same, and compares what it wrote on its console.

The machines are emulated ones, as `make run`'s. What may differ is in tools/rules, and in a file of your own (--rules;
tools/consoles.py has its form). Exit status: 0 the same, 1 they differ, 2 it could not be done. A page shows both consoles
side by side. `make compare` calls this.
"""
import argparse
import concurrent.futures
import hashlib
import os
import re
import sys

import consoles
import image
import machine
import page
import run

CONTEXT = 3  # equal lines shown around a difference


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    run.add_arguments(parser)
    parser.add_argument("--rules", default="", metavar="FILE ...", help="what else may differ")
    parser.add_argument("--page", metavar="FILE.html", help="the page (default: compare.html in the folder)")
    parser.set_defaults(no_l1=False, iso=None, save_iso=None)
    return parser.parse_args()


def rules_for(args):
    names = ["always"]
    if args.l1 is None or image.image_kind(args.l1) == "linux":
        names.append("linux")
    elif is_guest_test(args.l1):
        names.append("guest-test")
    return consoles.load(*names, *args.rules.split())


def is_guest_test(path):
    with open(path, "rb") as file:
        data = file.read()
    return b"SUMMARY %u passed" in data and b"RESULT %s " in data


def boot(args, chosen, bare, folder):
    """One of the two runs; its timeout is a result too."""
    os.makedirs(folder, exist_ok=True)
    args = argparse.Namespace(**{**vars(args), "bare": bare, "options": image.silent(args.options)})
    iso, settings = run.make_image(args, chosen, folder)
    settings.update(cpus=args.cpus, mem=args.mem, firmware=args.firmware, model=args.model)
    try:
        return machine.run_image(iso, machine=chosen, timeout=run.number(args.timeout, "TIMEOUT"), folder=folder,
                                 until=args.until or machine.END_MARKERS, **settings)
    finally:
        os.unlink(iso)


def cut_tail(rows):
    """Without the lines that only one side has at the very end: neither run came to its end, and one came further."""
    rows = list(rows)
    while rows and (rows[-1].kind == "ignored" or (rows[-1].kind == "differs" and None in rows[-1][1:])):
        rows.pop()
    return rows


def judge(bare, under, rules, ends):
    """(rows, what is wrong in sentences)."""
    rows = consoles.compare(consoles.until(bare.lines, ends), consoles.until(under.lines, ends), rules)
    wrong = []
    if bare.ended != under.ended:
        wrong.append("bare the run ended by %s, under Socle by %s" % (bare.ended, under.ended))
    elif bare.ended == "timeout":
        rows = cut_tail(rows)
    accidents = under.having(r"^socle: (CPU \d+: )?(error: )?(panic|fatal|assertion|error: (?!halted))")
    wrong += ["Socle says: " + line for line in accidents]
    if not any(row.kind in ("same", "masked", "moved") for row in rows):
        wrong.append("no line is the same on both sides" if bare.lines else "L1 wrote nothing: has it a console on COM1?")
    count = len(consoles.differences(rows))
    if count:
        wrong.append("%d line%s differ%s" % (count, "s" * (count > 1), "s" * (count == 1)))
    return rows, wrong


def console_row(row, numbers):
    cells = ""
    for which, line in enumerate(row[1:]):
        numbers[which] += line is not None
        cells += "<td>%s</td><td>%s</td>" % (numbers[which] if line is not None else "", page.text(line or ""))
    return "<tr class=%s>%s</tr>\n" % (row.kind, cells)


def consoles_html(rows):
    """The table; long pieces without a difference are folded."""
    near = [index for index, row in enumerate(rows) if row.kind == "differs"]
    shown = {place for index in near for place in range(index - CONTEXT, index + CONTEXT + 1)}
    head = "<table class=console><tr><th></th><th>bare</th><th></th><th>under Socle</th></tr>\n"
    body, numbers, index = "", [0, 0], 0
    while index < len(rows):
        end = index
        while end < len(rows) and (end in shown) == (index in shown):
            end += 1
        piece = "<table class=console>" * (index > 0) + "".join(console_row(row, numbers) for row in rows[index:end])
        piece = (head if index == 0 else "") + piece + "</table>"
        if index not in shown and near:
            piece = "<details><summary>%d lines without a difference</summary>%s</details>" % (end - index, piece)
        body += piece
        index = end
    return body


def verdict_of(rows, wrong, bare, under):
    if wrong:
        return "; ".join(wrong)
    same = sum(row.kind in ("same", "masked", "moved") for row in rows)
    text = "the same: %d lines" % same
    if bare.ended == under.ended == "timeout":
        text += ", as far as both came before the timeout (say UNTIL='pattern' for a line that ends the run)"
    return text


def write_page(path, args, rows, verdict, wrong, results):
    with open(args.l1, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    counts = {kind: sum(row.kind == kind for row in rows) for kind in ("same", "masked", "moved", "ignored", "differs")}
    bare, under = results
    body = '<p class="verdict %s">%s</p>' % ("bad" if wrong else "good", page.text(verdict))
    body += page.facts((
        ("L1", "%s (SHA-256 %s)" % (os.path.basename(args.l1), digest[:16])), ("its command line", args.l1_args or "none"),
        ("machine", bare.machine), ("Socle's options", args.options or "none"),
        ("ended", "bare by %s after %.1f s, under Socle by %s after %.1f s" % (
            bare.ended, bare.seconds, under.ended, under.seconds)),
        ("lines", ", ".join("%d %s" % (count, kind) for kind, count in counts.items()))))
    body += ("<p>Lines on yellow are the same after masking, grey ones are ignored, blue ones may come in another order; red"
             " ones differ.</p>")
    page.write(path, "%s, bare and under Socle" % os.path.basename(args.l1), body + consoles_html(rows))


def show(rows):
    """The differences on the terminal, as diff writes them."""
    for row in consoles.differences(rows)[:20]:
        if row.left is not None:
            print("- " + row.left)
        if row.right is not None:
            print("+ " + row.right)
    more = len(consoles.differences(rows)) - 20
    if more > 0:
        print("  ... and %d more" % more)


def compare(args, folder):
    if not args.l1:
        raise machine.MachineError("compare: say L1=FILE: a multiboot or multiboot2 ELF, or a Linux bzImage")
    image.check_file(args.l1, "L1")
    rules = rules_for(args)
    chosen = machine.choose_machine(args.machine)
    if chosen == "bochs":
        machine.find_bochs(args.model)
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(boot, args, chosen, bare, os.path.join(folder, name))
                for bare, name in ((True, "bare"), (False, "socle"))]
        results = [job.result() for job in jobs]
    rows, wrong = judge(*results, rules, args.until or machine.END_MARKERS)
    verdict = verdict_of(rows, wrong, *results)
    show(rows)
    path = os.path.abspath(args.page or os.path.join(folder, "compare.html"))
    write_page(path, args, rows, verdict, wrong, results)
    print("compare: page: " + path)
    print("compare: " + verdict)
    return 1 if wrong else 0


def main():
    args = parse_arguments()
    try:
        folder, lock = run.claim_folder(args.folder or os.path.join(image.ROOT, "build", "compare"))
        with lock:
            return compare(args, folder)
    except (machine.MachineError, consoles.RulesError) as error:
        print("compare: " + re.sub("^compare: ", "", str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncompare: interrupted", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
