#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Socle with an L1 on an emulated or a virtual machine, shows the serial console, and sums up.

Without --l1, L1 is Debian's Linux with kvm_intel, which runs small guests (L2) by a VMM of the tests' (tests/l1).
The same L1 runs --bare, without Socle, to compare. `make run` calls this; `make help` explains its variables.
"""
import argparse
import os
import re
import signal
import sys
import tempfile

import image
import l1
import machine


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--l1", metavar="FILE", help="L1: a multiboot or multiboot2 ELF, or a Linux bzImage")
    add("--l1-args", default="", metavar="ARGS", help="L1's command line")
    add("--modules", default="", metavar="FILES", help="further modules for L1: FILE FILE..., or FILE ARGS; FILE ARGS...")
    add("--steps", default="selftest", metavar="STEP,...",
        help="what the Linux L1 runs: selftest linux64 linux64smp linux32 (with q at the end: quiet)")
    add("--options", default="", help="Socle's own options, such as log=debug")
    add("--elf", help="Socle's image (default: build/socle.elf)")
    add("--bare", action="store_true", help="boot L1 without Socle")
    add("--no-l1", action="store_true", help="boot Socle without any module, for `--options check`")
    add("--iso", metavar="FILE", help="boot this image as it is")
    add("--save-iso", metavar="FILE", help="make the image, and run nothing")
    add("--machine", default="auto", help="auto, bochs, kvm, or tcg (QEMU without VT-x)")
    add("--model", default="", help="the emulated processor: " + ", ".join(machine.MODELS) +
        ", or a name of the emulator's own")
    add("--cpus", default="1")
    add("--mem", default="512", help="MiB, or with M or G")
    add("--firmware", default="bios", help="bios or uefi")
    add("--ips", default="50000000", help="Bochs: instructions in an emulated second")
    add("--ignore-bad-msrs", action="store_true", help="Bochs: no #GP for MSRs that it lacks (Linux as L1: always so)")
    add("--timeout", type=int, default=300, help="seconds")
    add("--until", action="append", help="a pattern that ends the run (default: DONE, L1 DONE, socle: halted)")
    add("--folder", help="where the console log and the emulator's files go (default: a new one in /tmp)")
    add("--quiet", action="store_true", help="do not show the console")
    return parser.parse_args()


def split_modules(text):
    """One string for each module: files, or with `;` between them files with their command lines."""
    return [part.strip() for part in (text.split(";") if ";" in text else text.split()) if part.strip()]


def make_image(args, chosen, folder):
    """The image to boot, and what its L1 wants of the emulator."""
    settings = {"ips": int(args.ips)}
    if args.iso:
        image.check_file(args.iso, "--iso")
        return args.iso, settings
    out = args.save_iso or os.path.join(folder, "image.iso")
    modules = split_modules(args.modules)
    if args.l1 or args.no_l1:
        what = {"l1": args.l1, "l1_args": args.l1_args, "modules": modules}
        if args.l1:
            image.check_file(args.l1, "L1")
            if args.ignore_bad_msrs or image.image_kind(args.l1) == "linux":
                settings["ignore_bad_msrs"] = 1
    else:
        model = args.model or (machine.DEFAULT_MODEL if args.firmware != "uefi" else "skylake_x")
        what, settings = l1.linux(args.steps, chosen, model, int(args.ips), args.l1_args)
        what["modules"] += modules
    for path in modules:
        image.check_file(path.split(" ")[0], "MODULES")
    biggest = sum(os.path.getsize(path.split(" ")[0]) for path in [what["l1"], *what["modules"]] if path)
    if biggest >> 20 > machine.parse_size(args.mem) // 3:
        raise machine.MachineError("MEM=%s is too small for L1's files of %d MiB; say MEM=%d" % (
            args.mem, biggest >> 20, (biggest >> 20) * 4))
    image.make_iso(out, options=args.options, elf=args.elf, bare=args.bare, **what)
    return out, settings


def exit_lines(own, level):
    """The counters of one level, most frequent first, from lines such as `exits L1 CPUID=12 CR_ACCESS=3`."""
    counts = {}
    for line in own:
        if re.match(r"exits %s\b" % level, line):
            for name, count in re.findall(r"(\w+)=(\d+)", line):
                counts[name] = counts.get(name, 0) + int(count)
    words = ["%s %d" % item for item in sorted(counts.items(), key=lambda item: -item[1])]
    return sum(counts.values()), words


def wrapped(title, words, width=100):
    lines, line = [], "  %-12s" % title
    for word in words:
        if len(line) + len(word) + 2 > width:
            lines.append(line)
            line = " " * 14
        line += ("" if line.strip() in ("", title) else ", ") + word
    return lines + [line]


def summary(result, bare):
    """One screen about the run."""
    ended = {"marker": "to its end", "exit": "until the machine stopped", "timeout": "NOT to its end: timeout",
             "reboot": "NOT to its end: the machine rebooted"}[result.ended]
    lines = ["-" * 100, "  %-12s%s" % ("machine", result.machine),
             "  %-12s%.1f s, %s" % ("wall time", result.seconds, ended)]
    if bare:
        lines += ["  %-12s%s" % ("Socle", "not there (bare boot)")]
    else:
        own = result.own()
        lines += ["  %-12s%s" % ("CPUs in VMX", machine.cpus_in_vmx(result))]
        for level in "L1", "L2":
            total, words = exit_lines(own, level)
            lines += wrapped("%s's exits" % level, ["%d" % total] if not words else ["%d:" % total + " " + words[0]]
                             + words[1:])
    for line in result.lines:
        if re.match(r"(L2 says|L2 UP|SELFTEST|KVMLET guest end|RESULT .*FAIL)", line):
            lines.append("  %-12s%s" % ("guests" if not any("guests" in have for have in lines) else "", line))
    lines += ["  %-12s%s" % ("log", os.path.join(result.folder, "serial.txt")), "-" * 100]
    return "\n".join(lines)


def verdict(result):
    """0 if the run reached its end and nothing said that it went wrong."""
    wrong = result.having(r"^socle: (panic|fatal|error)|SELFTEST .* FAIL|L1 FAILED|Kernel panic|L1 STEP .* rc=[1-9]")
    return 0 if result.ended in ("marker", "exit") and not wrong else 1


def main():
    args = parse_arguments()
    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda *_: sys.exit(1))
    folder = os.path.abspath(args.folder) if args.folder else tempfile.mkdtemp(prefix="socle-run-")
    os.makedirs(folder, exist_ok=True)
    try:
        chosen = machine.choose_machine(args.machine)
        settings = {"cpus": args.cpus, "mem": args.mem, "firmware": args.firmware, "model": args.model}
        config = machine.make_config(**settings)
        iso, more = make_image(args, chosen, folder)
        if args.save_iso:
            return 0
        settings.update(more)
        if chosen == "bochs":
            machine.find_bochs(args.model)
        print("run: %s; end by Ctrl-C or after %d s" % (machine.describe(chosen, config), args.timeout), flush=True)
        result = machine.run_image(
            iso, machine=chosen, timeout=args.timeout, until=args.until or machine.END_MARKERS, folder=folder,
            on_line=None if args.quiet else lambda line: print(line, flush=True), **settings)
    except machine.MachineError as error:
        sys.exit("run: " + str(error))
    except BrokenPipeError:
        os._exit(1)  # whoever read our output has seen enough
    except KeyboardInterrupt:
        sys.exit("\nrun: interrupted; console log in %s/serial.txt" % folder)
    print(summary(result, args.bare))
    return verdict(result)


if __name__ == "__main__":
    sys.exit(main())
