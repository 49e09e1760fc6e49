# SPDX-License-Identifier: MIT
"""What goes into a boot image: Socle with an L1 and its modules, or the same L1 bare. mkiso.sh makes the image."""
import os
import struct
import subprocess

from machine import TOOLS, MachineError

ROOT = os.path.dirname(TOOLS)
MULTIBOOT1, MULTIBOOT2 = 0x1BADB002, 0xE85250D6


def image_kind(path):
    """multiboot, multiboot2 or linux, from the file's content; None for anything else."""
    with open(path, "rb") as file:
        head = file.read(32768)
    if head[0x202:0x206] == b"HdrS":
        return "linux"
    for kind, magic, span, step in (("multiboot2", MULTIBOOT2, 32768, 8), ("multiboot", MULTIBOOT1, 8192, 4)):
        wanted = struct.pack("<I", magic)
        for offset in range(0, min(span, len(head)) - 11, step):
            if head[offset:offset + 4] == wanted:
                return kind
    return None


def split_module(text):
    """File and command line from `FILE ARGS...`: the file's name may have blanks in it, as far as such a file is there."""
    words = text.split(" ")
    for count in range(len(words), 0, -1):
        if os.path.isfile(" ".join(words[:count])):
            return " ".join(words[:count]), " ".join(words[count:])
    return words[0], " ".join(words[1:])


def silent(options):
    """Socle's options so that its console can be compared: no paragraphs of explain= among L1's lines, unless they say so."""
    return options if "explain=" in options else ("explain=off " + options).strip()


def check_file(path, what):
    if not os.path.isfile(path):
        raise MachineError("%s: no such file: %s" % (what, path))
    if not os.access(path, os.R_OK):
        raise MachineError("%s: cannot read %s" % (what, path))


def entry(l1=None, l1_args="", modules=(), options="", elf=None, bare=False, grub=""):
    """mkiso.sh's arguments for one entry. modules: strings `FILE ARGS...`. bare: L1 itself is what GRUB boots.
    grub: a command for GRUB to do before."""
    command = ["-g", grub]
    modules = [split_module(module) for module in modules]
    for file, _ in modules:
        check_file(file, "MODULES")
    if l1:
        check_file(l1, "L1")
    if bare:
        if not l1:
            raise MachineError("a bare boot needs an image: say L1=file")
        kind = image_kind(l1)
        if kind is None:
            raise MachineError("L1: %s is neither a multiboot image nor a Linux bzImage: GRUB cannot boot it" % l1)
        command += ["-b", kind, "-k", l1, "-a", l1_args]
    else:
        elf = elf or os.path.join(ROOT, "build", "socle.elf")
        if not os.path.isfile(elf):
            raise MachineError("no %s: say `make` first" % elf)
        command += ["-k", elf, "-a", options]
        if l1:
            modules.insert(0, (l1, l1_args))
    for file, line in modules:
        command += ["-m", file, "-c", line]
    return command


def run_mkiso(out, arguments):
    done = subprocess.run([os.path.join(TOOLS, "mkiso.sh"), "-o", out, *arguments], check=False)
    if done.returncode:
        raise MachineError("tools/mkiso.sh failed (see above)")
    return out


def make_iso(out, **what):
    """Makes the image `out`, which boots one thing at once; see entry()."""
    return run_mkiso(out, ["-l", *entry(**what)])


def make_menu(out, entries, choose=""):
    """The image `out` with a menu: pairs of a title and entry()'s arguments. choose: a command of GRUB's that sets the
    default, in place of the menu."""
    return run_mkiso(out, ["-x", choose] + [word for title, what in entries for word in ["-e", title, *entry(**what)]])
