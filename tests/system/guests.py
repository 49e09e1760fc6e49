# SPDX-License-Identifier: MIT
"""Comparing a guest test's two boots, bare and under Socle: what test_guests.py and tests/conformance.py share."""
import re

CASES_PER_SEED = 10_000


def machine_for(name):
    """Generated VM entries need one CPU, and are faster on it."""
    return {"cpus": 1 if name == "fuzzentry" else 2, "ips": 20_000_000}


def failures(result):
    """What the image itself finds wrong; on the bare emulated processor these are the emulator's deviations."""
    return {line.split(" at rip")[0] for line in result.lines if line.startswith("FAIL")}


def results(result):
    return [line for line in result.lines if line.startswith(("RESULT ", "FAIL ", "DONE"))]


def capabilities(result):
    """The control bits that may be 1 and the CR4 bits, from the image `basic`."""
    text = result.text()
    bits = {key: int(re.search(r"\b%s=([0-9a-f]+)" % key, text).group(1), 16) >> 32
            for key in ("pin", "proc", "proc2", "exit", "entry")}
    bits["cr4"] = int(re.search(r"cr4=[0-9a-f]+/([0-9a-f]+)", text).group(1), 16)
    return bits


def dropped(bare, under):
    """What the generator of VM entries is told: the bits that only the bare processor has. All else must be the same."""
    there, here = capabilities(bare), capabilities(under)
    return " ".join("drop-%s=0x%x" % (key, there[key] & ~here[key]) for key in there)
