# SPDX-License-Identifier: MIT
"""`make dist`: the same sources make the same bytes, and what is in the archive is whole and boots. The packages' papers."""
import glob
import hashlib
import os
import re
import subprocess

from conftest import ROOT, machine, show

EPOCH = "1700000000"


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def build_twice(folder):
    """Two copies of the tree without its history, in folders of other names and lengths, and the archives made there."""
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                           stdout=subprocess.PIPE).stdout
    archives = []
    for name in ("one", "another copy"):
        tree = folder / ("of " + name) / name
        tree.mkdir(parents=True)
        subprocess.run(["xargs", "-0", "cp", "-d", "--parents", "-t", str(tree), "--"], input=files, cwd=ROOT, check=True)
        environment = {key: value for key, value in os.environ.items() if key not in ("O", "MAKEFLAGS", "MAKELEVEL")}
        done = subprocess.run(["make", "-s", "-j2", "dist"], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, env={**environment, "SOURCE_DATE_EPOCH": EPOCH})
        assert done.returncode == 0, done.stdout
        archives.append(tree / "build" / ("socle-%s.tar.gz" % version()))
    return archives


def version():
    return re.search(r"^[0-9.]+$", read("VERSION"), re.M).group()


def check_what_is_in_it(built, tmp_path):
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", str(built[0])], check=True)
    home = tmp_path / ("socle-" + version())
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=home, check=True)
    listed = {line.split()[1] for line in (home / "SHA256SUMS").read_text().splitlines()}
    assert {"./socle.elf", "./socle.debug", "./socle.iso", "./socle.7", "./CHANGELOG.md", "./docs/limits.md"} <= listed
    for target in re.findall(r"\[[^\]]*\]\(([^)\s#]+)", (home / "README.md").read_text()):
        assert "://" in target or (home / target).exists(), target
    folder = tmp_path / "run"
    result = machine.run_image(str(home / "socle.iso"), machine="bochs", folder=str(folder), timeout=120, model="haswell",
                               ips=20_000_000)
    assert result.having("^socle: .*" + re.escape(version())) and result.having("Socle can run"), show(result)


def check_the_manual_page(built):
    """groff finds nothing wrong, and each option is there."""
    page = str(built[0].parent / "socle.7")
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", page], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=True)
    assert not done.stderr
    text = re.sub("\x1b\\[[0-9;]*m|.\b", "", done.stdout)
    for name in re.findall(r'^OPTION\("([^"]*)"', read("kernel", "options.def"), re.M):
        assert re.search(r"^ +%s\b" % re.escape(name), text, re.M), name


def test_a_release(tmp_path):
    """In one test, for workers share no folder."""
    built = build_twice(tmp_path)
    one, other = (hashlib.sha256(archive.read_bytes()).hexdigest() for archive in built)
    assert one == other, "the same sources, other bytes"
    check_what_is_in_it(built, tmp_path)
    check_the_manual_page(built)


def test_every_picture_is_shown():
    for path in glob.glob(os.path.join(ROOT, "docs", "pictures", "*.dot")):
        assert "pictures/%s.svg" % os.path.basename(path)[:-4] in read("docs", "pictures.md")


def test_links_lead_somewhere():
    pages = [*glob.glob(os.path.join(ROOT, "*.md")), *glob.glob(os.path.join(ROOT, "docs", "*.md"))]
    for page in pages:
        for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)\s#]+)", read(page)):
            assert "://" in target or os.path.exists(os.path.join(os.path.dirname(page), target)), (page, target)


def test_one_version():
    assert re.match(r"socle \((.*)\)", read("debian", "changelog")).group(1) == version()
    assert "\n## %s\n" % version() in read("CHANGELOG.md")
