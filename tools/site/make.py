#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the site of README.md and docs/*.md: make.py OUT. The pages are in OUT/html, and Sphinx' warnings are errors: a link
that leads nowhere is one."""
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# The order of the sidebar; a page that is in none of them comes last.
PAGES = (
    ("First", ("tutorial", "guests", "hardware", "debugging", "compare", "kit")),
    ("How it works", ("pictures", "design", "invariants", "security", "limits", "performance", "toggle")),
    ("How it is tested", ("testing", "kvm", "references")),
    ("The project", ("changelog", "contributing", "security-policy")),
)
# Files outside docs/ that are pages too.
OTHERS = {"kit": "tools/kit/README.md", "changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md",
          "security-policy": "SECURITY.md"}


def page_of(path):
    """The page's name for a file of the tree, None for what is no page."""
    for name, other in OTHERS.items():
        if path == other:
            return name
    match = re.fullmatch(r"docs/([\w-]+)\.md", path)
    return "index" if path == "README.md" else match.group(1) if match else None


def relink(text, folder):
    """Links between files of the tree become links between pages; other files are named, not linked."""
    text = text.replace("](docs/pictures/", "](pictures/")

    def one(match):
        label, target = match.group(1), match.group(2)
        if "://" in target or target.startswith(("#", "pictures/")):
            return match.group()
        page = page_of(os.path.normpath(os.path.join(folder, target)))
        return "[%s](%s.md)" % (label, page) if page else label
    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", one, text)


def write_page(source, target):
    with open(os.path.join(ROOT, source), encoding="utf-8") as file:
        text = file.read()
    with open(target, "w", encoding="utf-8") as file:
        file.write(relink(text, os.path.dirname(source)))


def main():
    out = os.path.abspath(sys.argv[1])
    pages = os.path.join(out, "pages")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.join(pages, "pictures"))
    shutil.copy(os.path.join(HERE, "conf.py"), pages)
    os.makedirs(os.path.join(pages, "_static"))
    shutil.copy(os.path.join(HERE, "custom.css"), os.path.join(pages, "_static"))
    for dot in glob.glob(os.path.join(ROOT, "docs", "pictures", "*.dot")):
        name = os.path.basename(dot)[:-4]
        subprocess.run(["dot", "-Tsvg", "-o", os.path.join(pages, "pictures", name + ".svg"), dot], check=True)
    shutil.copy(os.path.join(ROOT, "docs", "pictures", "run.svg"), os.path.join(pages, "pictures"))
    there = {os.path.basename(path)[:-3]: os.path.relpath(path, ROOT)
             for path in glob.glob(os.path.join(ROOT, "docs", "*.md"))}
    there.update(OTHERS)
    listed = [name for _, names in PAGES for name in names]
    parts = (*PAGES, ("More", sorted(set(there) - set(listed))))
    for name, source in there.items():
        write_page(source, os.path.join(pages, name + ".md"))
    write_page("README.md", os.path.join(pages, "index.md"))
    with open(os.path.join(pages, "index.md"), "a", encoding="utf-8") as file:
        for title, names in parts:
            names = [name for name in names if name in there]
            if names:
                file.write("\n```{toctree}\n:hidden:\n:caption: %s\n\n%s\n```\n" % (title, "\n".join(names)))
    done = subprocess.run(["sphinx-build", "-q", "-W", "--keep-going", "-b", "html", pages, os.path.join(out, "html")],
                          check=False)
    if not done.returncode:
        print("  SITE    %s/html/index.html" % out)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
