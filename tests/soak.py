#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The soak: 14 PAE guests at once under the Linux KVM L1 on two CPUs, 140 iterations each (tests/l1/kvmlet/soak.c).

    soak.py [--bare] [--model NAME] [--options OPTIONS] [--folder DIR] [--timeout SECONDS]

Exits 0 if every guest ended well. Bounded to 20 minutes of the emulator's time.
"""
import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import image  # noqa: E402
import l1  # noqa: E402
import machine  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out = os.path.join(ROOT, os.environ.get("O", "build"))
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--model", default=machine.DEFAULT_MODEL)
    parser.add_argument("--options", default="")
    parser.add_argument("--folder", default=os.path.join(out, "soak"))
    parser.add_argument("--timeout", type=int, default=1200)
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    what, settings = l1.linux("soak", "bochs", arguments.model)
    iso = image.make_iso(os.path.join(arguments.folder, "image.iso"), elf=os.path.join(out, "socle.elf"),
                         options=arguments.options, bare=arguments.bare, **what)
    result = machine.run_image(iso, timeout=arguments.timeout, folder=arguments.folder, model=arguments.model, cpus=2,
                               mem=768, **settings)
    print("\n".join(result.having(r"^SOAK |^L1 STEP|^socle: (error|panic|fatal|assertion)|BUG:|Kernel panic")))
    good = (result.ended == "marker" and result.having("^SOAK PASS: 14 guests of 140 iterations, 0 failed")
            and result.having("^L1 STEP soak rc=0") and not result.having(r"^socle: (error: )?(panic|fatal|assertion)|BUG:"))
    print("soak: %s, ended by %s after %.0f s (%s)" % ("clean" if good else "FAILED", result.ended, result.seconds,
                                                       result.folder))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
