#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Socle with an L1 on an emulated or a virtual machine, shows the serial console, and sums up.

Without --l1, L1 is Debian's Linux with kvm_intel, which runs small guests (L2) by a VMM of the tests' (tests/l1).
The same L1 runs --bare, without Socle, to compare. `make run` calls this; `make help` explains its variables.
"""
import argparse
import fcntl
import os
import signal
import sys

import image
import l1
import machine
import report


def add_arguments(parser):
    """What says which L1 boots on which machine; compare.py has these arguments too."""
    add = parser.add_argument
    add("--l1", metavar="FILE", help="L1: a multiboot or multiboot2 ELF, or a Linux bzImage")
    add("--l1-args", default="", metavar="ARGS", help="L1's command line")
    add("--modules", default="", metavar="FILES", help="further modules for L1: FILE FILE..., or FILE ARGS; FILE ARGS...")
    add("--steps", default="selftest", metavar="STEP,...",
        help="what the Linux L1 runs: selftest linux64 linux64smp linux32 (with q at the end: quiet)")
    add("--options", default="", help="Socle's own options, such as log=debug")
    add("--elf", help="Socle's image (default: build/socle.elf)")
    add("--machine", default="auto", help="auto, bochs, kvm, or tcg (QEMU without VT-x)")
    add("--model", default="", help="the emulated processor: " + ", ".join(machine.MODELS) +
        ", or a name of the emulator's own")
    add("--cpus", default="1")
    add("--mem", default="512", help="MiB, or with M or G")
    add("--firmware", default="bios", help="bios or uefi")
    add("--ips", default="50000000", help="Bochs: instructions in an emulated second")
    add("--ignore-bad-msrs", action="store_true", help="Bochs: no #GP for MSRs that it lacks (Linux as L1: always so)")
    add("--timeout", default="300", help="seconds of the emulator's processor time (Bochs), else of the clock")
    add("--until", action="append", help="a pattern that ends the run (default: DONE, L1 DONE, socle: halted)")
    add("--folder", help="where the console log and the emulator's files go (default: build/run, or the next\n"
        "one that no other run is in)")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    add = parser.add_argument
    add("--bare", action="store_true", help="boot L1 without Socle")
    add("--no-l1", action="store_true", help="boot Socle without any module, for `--options check`")
    add("--iso", metavar="FILE", help="boot this image as it is")
    add("--save-iso", metavar="FILE", help="make the image, and run nothing")
    add("--menu", action="store_true", help="with --save-iso: an image for real machines, with a menu: the L1 that is named,"
        " the Linux demo, `check`")
    add("--quiet", action="store_true", help="do not show the console")
    return parser.parse_args()


def split_modules(text):
    """One string for each module: files, or with `;` between them files with their command lines; or one file."""
    if os.path.isfile(text):
        return [text]
    return [part.strip() for part in (text.split(";") if ";" in text else text.split()) if part.strip()]


def make_menu(args):
    """The image of `make iso`: L1 if one is named, the Linux demo, and a look at the machine."""
    entries = []
    if args.l1:
        entries.append((os.path.basename(args.l1) + " on Socle", {
            "l1": args.l1, "l1_args": args.l1_args, "modules": split_modules(args.modules), "options": args.options}))
    # a real machine has a screen too, and a clock of its own
    demo, _ = l1.linux(args.steps, "kvm", None, more="console=tty0")
    demo["options"] = (args.options + " " + l1.SOCLE_OPTIONS).strip()
    entries.append(("Demo: Linux with KVM on Socle, small guests on that", demo))
    entries.append(("Check what this machine has and lacks", {"options": ("check " + args.options).strip()}))
    for _, what in entries:
        what["elf"] = args.elf
    image.make_menu(args.save_iso, entries)


def make_image(args, chosen, folder):
    """The image to boot, and what its L1 wants of the emulator."""
    settings = {"ips": number(args.ips, "--ips")}
    if args.iso:
        image.check_file(args.iso, "--iso")
        return args.iso, {**settings, "ignore_bad_msrs": 1}  # it may be a Linux
    out = args.save_iso or os.path.join(folder, "image.iso")
    modules, options = split_modules(args.modules), args.options
    if args.l1 or args.no_l1:
        what = {"l1": args.l1, "l1_args": args.l1_args, "modules": modules}
        if args.l1:
            image.check_file(args.l1, "L1")
            is_linux = image.image_kind(args.l1) == "linux"
            if args.ignore_bad_msrs or is_linux:
                settings["ignore_bad_msrs"] = 1
            if is_linux and "console=" not in args.l1_args:
                print("run: note: L1_ARGS has no console=ttyS0: this Linux will show nothing here", flush=True)
    else:
        model = args.model or machine.default_model(args.firmware)
        what, settings = l1.linux(args.steps, chosen, model, settings["ips"], args.l1_args)
        what["modules"] += modules
        options = (options + " " + l1.SOCLE_OPTIONS).strip()
    for module in modules:
        image.check_file(image.split_module(module)[0], "MODULES")
    biggest = sum(os.path.getsize(path) for path in
                  [what["l1"], *(image.split_module(module)[0] for module in what["modules"])] if path)
    if biggest >> 20 > machine.parse_size(args.mem) // 3:
        raise machine.MachineError("MEM=%s is too small for L1's files of %d MiB; say MEM=%d" % (
            args.mem, biggest >> 20, (biggest >> 20) * 4))
    image.make_iso(out, options=options, elf=args.elf, bare=args.bare, **what)
    return out, settings


def claim_folder(base):
    """`base`, or base-2, base-3... if another run is in it; and the lock, which lasts as long as this process."""
    for number in range(1, 1000):
        folder = os.path.abspath(base if number == 1 else "%s-%d" % (base, number))
        os.makedirs(folder, exist_ok=True)
        lock = open(os.path.join(folder, "lock"), "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder, lock
        except BlockingIOError:
            lock.close()
    raise machine.MachineError("%s and 998 more folders are in use by other runs" % base)


def number(text, what):
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise machine.MachineError("%s=%s: say a number, 1 or more" % (what, text))
    return value


def boot(args, folder):
    """Makes the image and runs it; the exit status."""
    chosen = machine.choose_machine(args.machine)
    settings = {"cpus": args.cpus, "mem": args.mem, "firmware": args.firmware, "model": args.model}
    config = machine.make_config(**settings)
    timeout = number(args.timeout, "TIMEOUT")
    if args.menu:
        make_menu(args)
        return 0
    iso, more = make_image(args, chosen, folder)
    if args.save_iso:
        return 0
    settings.update(more)
    if chosen == "bochs":
        machine.find_bochs(args.model)
    print("run: %s; end by Ctrl-C or after %d s" % (machine.describe(chosen, config), timeout), flush=True)
    try:
        result = machine.run_image(
            iso, machine=chosen, timeout=timeout, until=args.until or machine.END_MARKERS, folder=folder,
            on_line=None if args.quiet else lambda line: report.shown(line) and print(line, flush=True), **settings)
    finally:
        if not args.iso:
            os.unlink(iso)
    failure = report.why_failed(result, timeout, halt_is_good="check" in args.options.split() or args.no_l1)
    print(report.summary(result, failure, args.bare))
    return 1 if failure else 0


def main():
    args = parse_arguments()
    for signal_number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(signal_number, lambda *_: sys.exit(1))
    folder = args.folder
    try:
        folder, lock = claim_folder(args.folder or os.path.join(image.ROOT, "build", "run"))
        with lock:
            return boot(args, folder)
    except machine.MachineError as error:
        sys.exit("run: " + str(error))
    except BrokenPipeError:
        os._exit(1)  # whoever read our output has seen enough
    except KeyboardInterrupt:
        sys.exit("\nrun: interrupted; console log in %s/serial.txt" % folder)


if __name__ == "__main__":
    sys.exit(main())
