# SPDX-License-Identifier: MIT
"""Comparing a guest test's two boots, bare and under Socle: what test_guests.py and tests/conformance.py share."""
import itertools
import re

CASES_PER_SEED = 10_000
# Images with a test of their own: they print no results to compare, or wait for what a person types.
ALONE = {"storm", "broken", "planted", "monitored"}


def machine_for(name):
    """Generated VM entries need one CPU, and are faster on it."""
    return {"cpus": 1 if name == "fuzzentry" else 2, "ips": 20_000_000}


ALL_MODELS = {"tigerlake", "skylake_x", "haswell", "ivy_bridge", "sapphire_rapids"}
OLDER = {"haswell", "ivy_bridge"}
IVY = {"ivy_bridge"}
# What may skip on the bare processor, since the model lacks the feature: all else must run there.
MAY_SKIP = {
    "ept": {"accessed_dirty": IVY, "ad_changes": IVY, "permissions_ad": IVY, "logging": OLDER, "mode_based_data": OLDER,
            "mode_based_execute": OLDER},
    "eptsmp": {"eptsmp_ad": IVY},
    "events": {"pause_loops": IVY, "cut_by_full_log": OLDER, "cut_virtual_interrupts": OLDER, "posted_interrupts": OLDER},
    "exits": {"apic_registers": IVY, "pause_loop": IVY, "virtual_and_real_interrupts": IVY, "virtual_interrupts": IVY,
              "tsc_multipliers": OLDER, "xsaves": OLDER, "user_wait": ALL_MODELS - {"sapphire_rapids"}},
    "insn": {"root_shadow": IVY, "watch_operand_l2": IVY},
    "shadowing": {name: IVY for name in (
        "eptp_switching", "shadow_bits", "shadow_faults", "shadow_fields", "shadow_links", "shadow_modes",
        "virtualization_exceptions", "virtualization_exceptions_real")},
}
# What only Socle has something for: skipped bare on every model, and must run under it.
ONLY_UNDER_SOCLE = {"hostile": {"window_by_l1", "window_by_l2"}}
# What runs only if a word on the command line asks for it, and has a test of its own that does (test_sleep.py).
ON_REQUEST = {"bench": {"cpus"}, "ports": {"sleep_l1", "sleep_l2", "sleep_toggled", "sleep_moved"}}
# What an image may find wrong on the bare emulated processor: {image: tests}, a row of tests/deviations.md for each.
MAY_FAIL_BARE = {}


def results(result):
    return [line for line in result.lines if line.startswith(("RESULT ", "FAIL ", "SKIP ", "SUMMARY ", "DONE"))]


def names(result, kind):
    return {line.split()[1] for line in result.lines if line.startswith(kind + " ")}


def without_own(name, lines):
    """The lines as they were if the tests that only Socle has something for had run, and passed."""
    for test in sorted(ONLY_UNDER_SOCLE.get(name, ())):
        skip = [line for line in lines if line.startswith("SKIP %s " % test)]
        for line in skip:
            lines.remove(line)
            lines = [re.sub(r"^SUMMARY (\d+)", lambda match: "SUMMARY %d" % (int(match.group(1)) + 1), other)
                     for other in lines]
    return lines


def differences(name, bare, under):
    """Pairs of lines that differ: results, failures, and what was skipped."""
    pairs = itertools.zip_longest(without_own(name, results(bare)), results(under), fillvalue="(no line)")
    return [pair for pair in pairs if pair[0] != pair[1]]


def unlisted(name, model, bare):
    """What is amiss on the bare processor itself: tests that fail or skip there and are in no list."""
    skips = names(bare, "SKIP") - ONLY_UNDER_SOCLE.get(name, set()) - ON_REQUEST.get(name, set())
    wrong = ["FAIL %s, bare on %s, is not in MAY_FAIL_BARE" % (test, model)
             for test in sorted(names(bare, "FAIL") - set(MAY_FAIL_BARE.get(name, ())))]
    return wrong + ["SKIP %s, bare on %s, is not in MAY_SKIP" % (test, model)
                    for test in sorted(skips) if model not in MAY_SKIP.get(name, {}).get(test, ())]


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
