#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes models.def: the capabilities that each emulated processor says itself, asked by the guest test "basic", bare.

models.py [--check] [MODEL...]

Writes the file anew, for all models of tools/machine.py (half a minute); with --check it writes nothing, and fails if a row
of the models that are named (all, if none is) is not the processor's.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))

import image  # noqa: E402
import machine  # noqa: E402

FILE = os.path.join(HERE, "models.def")
NUMBERS = ("basic", "pin", "proc", "proc2", "exit", "entry", "misc", "ept_vpid", "vmfunc")
HEAD = """/* SPDX-License-Identifier: MIT */
/*
 * Made by tools/vmcs_why/models.py: do not edit. Capabilities by name (--model): what the emulated processors with which
 * Socle is tested say themselves. The width is that of physical addresses.
 * MODEL(name, %s, cr4_fixed1, width)
 */
""" % ", ".join(NUMBERS)


def ask(model, folder):
    """{name: hexadecimal digits}, as the processor says."""
    build = os.environ.get("O") or os.path.join(ROOT, "build")
    iso = image.make_iso(os.path.join(folder, "models.iso"), l1=os.path.join(build, "tests", "guest", "basic.elf"),
                         l1_args="tests=capabilities", bare=True)
    text = machine.run_image(iso, "bochs", model=model, folder=folder).text()
    said = dict(re.findall(r"\b(\w+)=([0-9a-f/]+)", "\n".join(re.findall(r"^INFO capabilities.*", text, re.M))))
    assert "width" in said, text
    return said


def row(model, said):
    numbers = [said[name] for name in NUMBERS] + [said["cr4"].split("/")[1]]
    words = ["0x" + number.lstrip("0") if number.strip("0") else "0" for number in numbers] + [said["width"]]
    return 'MODEL("%s", %s,\n      %s)\n' % (model, ", ".join(words[:5]), ", ".join(words[5:]))


def main():
    words = sys.argv[1:]
    check = "--check" in words
    models = [word for word in words if word != "--check"] or list(machine.MODELS)
    folder = os.path.join(os.environ.get("O") or os.path.join(ROOT, "build"), "models")
    os.makedirs(folder, exist_ok=True)
    rows = [row(model, ask(model, folder)) for model in models]
    if not check:
        with open(FILE, "w", encoding="utf-8") as file:
            file.write(HEAD + "".join(rows))
        return 0
    with open(FILE, encoding="utf-8") as file:
        text = file.read()
    for wanted in rows:
        if wanted not in text:
            print("not in models.def:\n" + wanted)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
