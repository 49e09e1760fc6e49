# SPDX-License-Identifier: MIT
"""Socle's lines on the screen, as the emulator shows it: text on BIOS, pixels under UEFI, read by the letters' own table."""
import json
import os
import re
import socket

from conftest import BUILD, ELF, ROOT, RUNS, image, machine, show

CELL_WIDTH, CELL_HEIGHT = 8, 18


class Monitor:
    """QEMU's machine protocol."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "return" in answer or "error" in answer:
                assert "return" in answer, answer
                return


def letters():
    """{the rows of a letter, 5 bits each: the letter}"""
    with open(os.path.join(ROOT, "drivers", "font.def"), encoding="ascii") as file:
        found = re.findall(r"^GLYPH\('\\?(.)', (.*)\)$", file.read(), re.M)
    return {tuple(int(row, 16) for row in rows.split(",")): letter for letter, rows in found}


def read_pixels(path):
    """The lines of text on a screen that was dumped as a PPM."""
    with open(path, "rb") as file:
        magic, size, _, data = file.read().split(b"\n", 3)
    assert magic == b"P6"
    width, height = (int(word) for word in size.split())
    names, text = letters(), []
    for top in range(0, height - CELL_HEIGHT + 1, CELL_HEIGHT):
        row = ""
        for left in range(0, width - CELL_WIDTH + 1, CELL_WIDTH):
            rows = tuple(sum((data[((top + 2 * y) * width + left + x) * 3] > 127) << 4 - x for x in range(5)) for y in range(8))
            row += names.get(rows, "\0")
        text.append(row.rstrip())
    return text


def read_text(path):
    """The lines of VGA text memory that was dumped."""
    with open(path, "rb") as file:
        data = file.read()
    return [data[row * 160:row * 160 + 160:2].decode("latin-1").rstrip() for row in range(25)]


def boot_and_look(firmware):
    """Socle's list of options, which is longer than the screen; the run, and a dump of the screen when Socle halted."""
    folder = os.path.join(RUNS, "screen-" + firmware)
    os.makedirs(folder, exist_ok=True)
    iso = image.make_iso(os.path.join(folder, "image.iso"), elf=ELF, options="help")
    dump, monitor = os.path.join(folder, "screen"), os.path.join(folder, "monitor")

    def on_line(line):
        if not re.search(r"^socle: (error: )?halted", line):
            return
        here = Monitor(os.path.relpath(monitor))
        if firmware == "uefi":
            here.run("screendump", filename=dump)
        else:
            here.run("pmemsave", val=0xb8000, size=4000, filename=dump)

    return machine.run_image(iso, "tcg", timeout=90, folder=folder, firmware=firmware, monitor=monitor, on_line=on_line), dump


def same(lines, columns, result):
    """The screen ends with Socle's last lines of the serial port, cut where the screen ends."""
    shown = [line for line in lines if line]
    said = [line[at:at + columns].rstrip() for line in result.lines if line.startswith("socle: ")
            for at in range(0, len(line), columns)]
    assert len(shown) > 15 and shown == said[-len(shown):], "\n".join(lines) + show(result)


def test_text_on_bios():
    os.chdir(BUILD)
    result, dump = boot_and_look("bios")
    same(read_text(dump), 80, result)


def test_pixels_under_uefi():
    os.chdir(BUILD)
    result, dump = boot_and_look("uefi")
    assert not result.having("no console will be available|no suitable video mode"), show(result)
    same(read_pixels(dump), 100, result)
