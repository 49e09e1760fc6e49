# SPDX-License-Identifier: MIT
"""docs/tutorial.md is executed: its files are written, its commands are run in order, and what it shows of their output is
what they say. In a block `text output`, … stands for any characters; alone on a line, for any lines."""
import os
import re
import subprocess

from conftest import BUILD, ROOT

PAGE = os.path.join(ROOT, "docs", "tutorial.md")
ANY = "\N{HORIZONTAL ELLIPSIS}"


def blocks():
    """(kind, text) of the page's fenced blocks, in order."""
    with open(PAGE, encoding="utf-8") as file:
        return re.findall(r"^```(\S.*)\n((?:.*\n)*?)```$", file.read(), re.M)


def shown(wanted, said):
    """None if the output is as the page shows it, else the first line of the page that is not there."""
    at, anywhere = 0, False
    for line in wanted:
        if line == ANY:
            anywhere = True
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in line.split(ANY)) + "$")
        found = next((place for place in range(at, len(said)) if pattern.match(said[place])), None)
        if found is None or (found != at and not anywhere):
            return line
        at, anywhere = found + 1, False
    return None if anywhere or at == len(said) else "(the end)"


def test_comparison():
    for wanted, said, missing in (("a|b", "a|b", None), ("a|b", "a|c|b", "b"), ("a|…|b", "a|c|d|b", None), ("a|…", "a|b", None),
                                  ("…|b", "a|b|c", "(the end)"), ("at 0x… end", "at 0x12 end", None), ("a|b", "b|a", "a"),
                                  ("at 0x… end", "at 0x12", "at 0x… end")):
        assert shown(wanted.split("|"), said.split("|")) == missing, (wanted, said)


def test_tutorial():
    kinds = [kind for kind, _ in blocks()]
    assert kinds.count("sh run") >= 4 and kinds.count("text output") >= 4 and "c file=build/first/first.c" in kinds
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    output = []
    for kind, text in blocks():
        name = re.match(r"c file=(\S+)", kind)
        if name:
            path = os.path.join(ROOT, name.group(1))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            if path.endswith("first.c"):
                assert len(text.splitlines()) <= 70
        elif kind == "sh run":
            done = subprocess.run(["bash", "-ec", text], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  check=False, env={**environment, "O": BUILD})
            assert done.returncode == 0, text + done.stdout
            output = done.stdout.rstrip("\n").split("\n")
        elif kind == "text output":
            missing = shown(text.rstrip("\n").split("\n"), output)
            assert missing is None, "%s\nis not there, in:\n%s" % (missing, "\n".join(output))
        else:
            assert not kind.startswith(("sh", "text", "c ")), "a block that is not executed: " + kind
