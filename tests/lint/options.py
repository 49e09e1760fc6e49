#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""README's table of options is that of kernel/options.def; `options.py --write` makes it so. No option is there twice:
the parser would take the first, and each list of them would show both."""
import os
import re
import sys

ROW = re.compile(r'^OPTION\("([^"]*)", "([^"]*)", "([^"]*)"', re.M)
HEAD = "| option | meaning |\n|---|---|\n"


def rows():
    with open("kernel/options.def", encoding="utf-8") as file:
        return ROW.findall(file.read())


def wanted():
    return HEAD + "".join("| `%s%s` | %s |\n" % (name, ("=" + values).replace("|", "\\|") if values else "", meaning)
                          for name, values, meaning in rows())


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    names = [name for name, _, _ in rows()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        print("kernel/options.def: more than once: " + ", ".join(twice))
        return 1
    with open("README.md", encoding="utf-8") as file:
        readme = file.read()
    found = re.search(re.escape(HEAD) + r"(\|.*\n)*", readme)
    if "--write" in sys.argv[1:]:
        with open("README.md", "w", encoding="utf-8") as file:
            file.write(readme[:found.start()] + wanted() + readme[found.end():])
        return 0
    if found and found.group() == wanted():
        return 0
    print("README.md: the table of options is not that of kernel/options.def (tests/lint/options.py --write)")
    return 1


if __name__ == "__main__":
    sys.exit(main())
