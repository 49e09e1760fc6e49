#!/bin/bash
# SPDX-License-Identifier: MIT
#
# dist.sh OUT VERSION: `make dist`: what a release consists of, in OUT/dist, and as OUT/socle-VERSION.tar.gz. The same sources,
# compiler and SOURCE_DATE_EPOCH make the same bytes, wherever they are built (tests/system/test_dist.py builds twice).
set -eu
cd "$(dirname "$0")/.."
out=$1 name=socle-$2
home=$out/dist/$name
rm -rf "$out/dist"
mkdir -p "$home/docs/pictures" "$home/tests"
install -m 644 "$out"/socle.{elf,debug,7} "$out/socle-disk.bin" "$home"
install -m 644 README.md LICENSE CHANGELOG.md CONTRIBUTING.md SECURITY.md "$home"
install -m 644 docs/*.md "$home/docs"
install -m 644 docs/pictures/*.svg "$home/docs/pictures"
install -m 644 "$out"/tests/guest/{basic,bench}.elf "$home/tests"
/usr/bin/python3 - "$home" <<'END'
import os
import sys
sys.path.insert(0, "tools")
import image
home = sys.argv[1]
elf = os.path.join(home, "socle.elf")
tests = os.path.join(home, "tests")
image.make_menu(os.path.join(home, "socle.iso"), [
    ("Check what this machine has and lacks", {"elf": elf, "options": "check"}),
    ("A small hypervisor tests its VMX, on Socle", {"elf": elf, "l1": os.path.join(tests, "basic.elf")}),
    ("The same without Socle", {"l1": os.path.join(tests, "basic.elf"), "bare": True}),
    ("What VMX costs, on Socle", {"elf": elf, "l1": os.path.join(tests, "bench.elf")}),
    ("Start the first disk on Socle (BIOS)", {"elf": elf, "l1": os.path.join(home, "socle-disk.bin")}),
    ("Socle's options", {"elf": elf, "options": "help"}),
])
END
(cd "$home" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
tar --sort=name --owner=0 --group=0 --numeric-owner --mode=u+w,go=rX --mtime="@$SOURCE_DATE_EPOCH" -C "$out/dist" \
	-cf - "$name" | gzip -9n >"$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "  DIST    $out/$name.tar.gz"
