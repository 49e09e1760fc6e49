# SPDX-License-Identifier: MIT
"""Pages that are executed: their files are written, their commands are run in order, and what they show of the output is what
it says. In a block `text output`, … stands for any characters; alone on a line, for any lines."""
import os
import re
import shutil
import subprocess

from conftest import BUILD, ROOT

ANY = "\N{HORIZONTAL ELLIPSIS}"


def blocks(name):
    """(kind, text) of the fenced blocks of docs/`name`, in order."""
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
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


def write(page, name, text):
    """As a reader would: into a folder that a command of the page has made, under a name that the page says in its text."""
    with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as file:
        prose = re.sub(r"^```\S.*\n(?:.*\n)*?```$", "", file.read(), flags=re.M)
    assert "`%s`" % name in prose, "%s does not say that a file is called %s" % (page, name)
    with open(os.path.join(ROOT, name), "w", encoding="utf-8") as file:
        file.write(text)


def run(text):
    """The output's lines, without empty ones."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["bash", "-ec", text], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, env={**environment, "O": BUILD})
    assert done.returncode == 0, text + done.stdout
    return [line for line in done.stdout.split("\n") if line]


def execute(name):
    output = []
    for folder in {os.path.dirname(file) for file in re.findall(r"c file=(\S+)", " ".join(kind for kind, _ in blocks(name)))}:
        shutil.rmtree(os.path.join(ROOT, folder), ignore_errors=True)
    for kind, text in blocks(name):
        file = re.match(r"c file=(\S+)", kind)
        if file:
            write(name, file.group(1), text)
        elif kind == "sh run":
            output = run(text)
        elif kind == "text output":
            missing = shown(text.rstrip("\n").split("\n"), output)
            assert missing is None, "%s\nis not there, in:\n%s" % (missing, "\n".join(output))
        else:
            assert not kind.startswith(("sh", "text", "c ")), "a block that is not executed: " + kind
