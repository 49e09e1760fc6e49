#!/bin/bash
# SPDX-License-Identifier: MIT
#
# deb.sh OUT: `make deb`: Debian packages of what git knows of this tree, built in a copy, into OUT/deb; lintian looks at
# them. The kit's lines of the bare processor must be there (`make kit`), for a package is built without an emulator.
set -eu
cd "$(dirname "$0")/.."
out=$1/deb
copy=$out/socle
rm -rf "$out"
mkdir -p "$copy/build/kit"
git ls-files -z | xargs -0 cp -d --parents -t "$copy" --
cp -r "$1/kit/runs" "$copy/build/kit/"
export SOURCE_DATE_EPOCH
# debian/rules builds into the copy's own build/, wherever this build is
unset O MAKEFLAGS MFLAGS MAKELEVEL
(cd "$copy" && dpkg-buildpackage --build=binary --no-sign --jobs=auto) >"$out/build.txt" 2>&1 || {
	tail -n 30 "$out/build.txt" >&2
	exit 1
}
lintian --fail-on error,warning --allow-root "$out"/*.changes
rm -rf "$copy"
ls "$out"/*.deb | sed 's/^/  DEB     /'
