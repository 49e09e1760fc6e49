# SPDX-License-Identifier: MIT
"""Generated mutants before guest tests: Socle's image with all of them in it, whose number is written into the image that
boots. The images of tests/guest that come by a folder's code are a table; the first whose lines differ kills."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
for folder in ("tools", "tests/system"):
    sys.path.insert(0, os.path.join(ROOT, folder))

import guests  # noqa: E402
import image  # noqa: E402
import machine  # noqa: E402

NOBODY = (0x4d55544e).to_bytes(4, "little")  # mutant_now's value in mutant_switch.c
# The first row that fits a file names its images, the likeliest to differ first.
IMAGES = (
    ("vmx/nested/ept/ve.c", ("shadowing",)),
    ("vmx/nested/ept/", ("ept", "eptcount", "exits", "hostile")),
    ("vmx/nested/insn/", ("insn", "basic", "shadowing")),
    ("vmx/nested/vmcs12/", ("insn", "shadowing", "exits")),
    ("vmx/nested/exit/", ("exits", "events", "invariants")),
    ("vmx/nested/entry/", ("exits", "basic", "invariants", "events")),
    ("vmx/nested/explain/", ()),
    ("vmx/monitor/", ()),
    ("vmx/l1/", ("exits", "hostile", "init", "ports")),
    ("vmx/", ("basic", "exits", "invariants", "legacy")),
)
SECONDS = 60  # of the emulator's processor time for a boot, beside three times what the image takes as it is


def images_for(path):
    return next(images for prefix, images in IMAGES if path.startswith(prefix))


class Guests:
    """Boots images under the Socle of an instrumented copy of the tree."""

    def __init__(self, build, model, options):
        # What Socle says of a refusal would break lines of L1's, and is not what a guest test looks at.
        self.out, self.model, self.options, self.usual, self.isos = build.out, model, ("explain=off " + options).strip(), {}, {}
        elf = os.path.join(self.out, "image")
        build.make("O=" + elf, "elf", "WHOLE=", "WARNINGS=-w")
        self.elf = os.path.join(elf, "socle.elf")
        self.tests = os.path.join(self.out, "guest")
        build.make("-C", "tests/guest", "O=" + self.tests)

    def iso(self, name):
        """(the path, where the number stands in it)"""
        if name not in self.isos:
            path = image.make_iso(os.path.join(self.out, name + ".iso"), elf=self.elf,
                                  l1=os.path.join(self.tests, name + ".elf"), options=self.options)
            with open(path, "rb") as file, open(self.elf, "rb") as socle:
                content, elf = file.read(), socle.read()
            if content.count(elf) != 1 or elf.count(NOBODY) != 1:
                sys.exit("generated: no place for the number in " + path)
            self.isos[name] = path, content.index(elf) + elf.index(NOBODY)
        return self.isos[name]

    def boot(self, name, number, seconds):
        """(lines that are compared, seconds); a machine that ends in another way is another line."""
        path, place = self.iso(name)
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(number.to_bytes(4, "little") if number else NOBODY)
        try:
            result = machine.run_image(path, timeout=seconds, folder=os.path.join(self.out, "run"), model=self.model,
                                       **guests.machine_for(name))
        except machine.MachineError as error:
            return [str(error)], seconds
        return guests.results(result) + ([] if result.ended == "marker" else ["ended: " + result.ended]), result.seconds

    def killer(self, mutant):
        """(how, "guest IMAGE: line") of the first image that says another thing than usually, or None."""
        for name in images_for(mutant.path):
            if name not in self.usual:
                self.usual[name] = self.boot(name, 0, 600)
            usual, seconds = self.usual[name]
            lines, _ = self.boot(name, mutant.number, SECONDS + 3 * seconds)
            if lines != usual:
                other = next((line for line in lines if line not in usual), "a line less")
                return "killed", "guest %s: %s" % (name, other[:100])
        return None
