#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Line coverage by gcov of the files of one folder: coverage.py OBJECTS FOLDER"""
import pathlib
import re
import subprocess
import sys


def main():
    objects, folder = pathlib.Path(sys.argv[1]), sys.argv[2]
    total_run = total = 0
    for gcno in sorted((objects / folder).glob("*.gcno")):
        text = subprocess.run(["gcov", "-n", "-o", str(gcno.parent), gcno.stem + ".c"], capture_output=True, text=True,
                              cwd=objects, check=True).stdout
        for name, percent, lines in re.findall(r"File '([^']*)'\nLines executed:([\d.]+)% of (\d+)", text):
            if name.endswith("%s/%s.c" % (folder, gcno.stem)):
                run = round(float(percent) * int(lines) / 100)
                total_run, total = total_run + run, total + int(lines)
                print("%-40s %5.1f %% of %4d lines" % (gcno.stem + ".c", float(percent), int(lines)))
    print("%-40s %5.1f %% of %4d lines" % (folder, 100 * total_run / max(total, 1), total))


main()
