# SPDX-License-Identifier: MIT
"""What the register caches do, by the counters that Socle prints around the loops of the guest test register_counters."""
import re

import pytest
from conftest import assert_no_accident, boot, guest_image, show

LOOPS = 500
ONCE = 20  # what the code around a loop may add: the VMCALLs, an entry and its exit


def snapshots(result):
    """The counters at each debug call: {"exits": all, "L1 CPUID": n, "RFLAGS": (reads, writes), ...}."""
    found = []
    for line in result.own():
        if re.match(r"cpu 0: VMX on", line):
            found.append({"exits": 0})
        match = re.match(r"exits (L[12]) (.*)", line)
        for name, count in re.findall(r"(\w+)=(\d+)", match.group(2)) if match else ():
            found[-1][match.group(1) + " " + name] = int(count)
            found[-1]["exits"] += int(count)
        if line.startswith("registers"):
            for name, reads, writes in re.findall(r"(\w+)=(\d+)/(\d+)", line):
                found[-1][name] = (int(reads), int(writes))
    return found


def grown(before, after, name):
    old, new = before.get(name, 0), after.get(name, 0)
    if isinstance(new, tuple):
        old = old or (0, 0)
        return tuple(b - a for a, b in zip(old, new))
    return new - old


def near(value, wanted):
    return wanted <= value <= wanted + ONCE


@pytest.mark.parametrize("model, options", (("haswell", ""), ("ivy_bridge", ""), ("ivy_bridge", "intercept=cr,pf")))
def test_register_cache(model, options):
    result = boot(guest_image("invariants"), "tests=register_counters", options=options, model=model, cpus=2,
                  ips=20_000_000, timeout=120)
    assert_no_accident(result)
    assert result.having("^SUMMARY 1 passed"), show(result)
    counts = snapshots(result)
    assert len(counts) == 7, show(result)

    # CPUID in L1: CR3 is not looked at, RFLAGS once an exit
    cpuid = counts[0], counts[1]
    assert near(grown(*cpuid, "L1 CPUID"), LOOPS)
    assert grown(*cpuid, "CR3") == (0, 0)
    assert grown(*cpuid, "RFLAGS") == (grown(*cpuid, "exits"), 0)

    # an exit of L2's that L0 handles: the same (but for one round trip to L1)
    rdmsr = counts[2], counts[3]
    assert grown(*rdmsr, "L2 RDMSR") == LOOPS
    assert max(grown(*rdmsr, "CR3")) <= 2
    assert near(grown(*rdmsr, "RFLAGS")[0], LOOPS) and grown(*rdmsr, "RFLAGS")[0] <= grown(*rdmsr, "exits")

    # exits that are reflected: each saves the CR3 of L2, which is there already at the next entry; L1's goes by no cache
    for before, after in ((counts[4], counts[5]), (counts[5], counts[6])):
        exits = grown(before, after, "L2 CPUID")
        assert exits == LOOPS
        # operands in memory are walked, by L1's CR3
        walks = grown(before, after, "L1 VMPTRLD") + grown(before, after, "L1 VMCLEAR") + grown(before, after, "L1 VMXON")
        reads, writes = grown(before, after, "CR3")
        assert near(reads, exits) or near(reads, exits + walks)
        assert writes <= ONCE
        # one VMREAD of RFLAGS an exit, and not one less: after a switch of VMCS nothing is there from before
        flags = grown(before, after, "RFLAGS")[0]
        assert exits + walks <= flags <= grown(before, after, "exits")
