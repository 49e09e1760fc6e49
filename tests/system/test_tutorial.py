# SPDX-License-Identifier: MIT
"""docs/tutorial.md and docs/debugging.md are executed (pages.py)."""
from pages import blocks, execute, shown


def test_comparison():
    for wanted, said, missing in (("a|b", "a|b", None), ("a|b", "a|c|b", "b"), ("a|…|b", "a|c|d|b", None), ("a|…", "a|b", None),
                                  ("…|b", "a|b|c", "(the end)"), ("at 0x… end", "at 0x12 end", None), ("a|b", "b|a", "a"),
                                  ("at 0x… end", "at 0x12", "at 0x… end")):
        assert shown(wanted.split("|"), said.split("|")) == missing, (wanted, said)


def test_tutorial():
    kinds = [kind for kind, _ in blocks("tutorial.md")]
    assert kinds.count("sh run") >= 4 and kinds.count("text output") >= 4
    first = dict(blocks("tutorial.md"))["c file=build/first/first.c"]
    assert len(first.splitlines()) <= 70
    execute("tutorial.md")


def test_debugging():
    """From a hypervisor that does not start to the mended one."""
    assert [kind for kind, _ in blocks("debugging.md")] == ["sh run", "text output"] * 3
    execute("debugging.md")
