# SPDX-License-Identifier: MIT
"""A Linux L1 with a program more: an archive behind that of tests/l1, whose files come in the place of its own."""
import os
import shutil
import subprocess

from conftest import ROOT


def with_program(initramfs, program, steps, folder):
    """The path of an initramfs in `folder` that has `program` in /bin, and `steps`, shell functions, among its steps."""
    tree = os.path.join(folder, "tree")
    os.makedirs(os.path.join(tree, "bin"))
    shutil.copy(program, os.path.join(tree, "bin"))
    with open(os.path.join(ROOT, "tests", "l1", "l1-steps.sh"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(tree, "l1-steps.sh"), "w", encoding="utf-8") as file:
        file.write(text + steps)
    names = "".join(name + "\n" for name in ("bin", "bin/" + os.path.basename(program), "l1-steps.sh"))
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=names.encode(), stdout=subprocess.PIPE,
                             check=True).stdout
    path = os.path.join(folder, "initramfs")
    with open(initramfs, "rb") as old, open(path, "wb") as new:
        data = old.read()
        new.write(data + bytes(-len(data) % 4) + archive)
    return path
