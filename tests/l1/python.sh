#!/bin/bash
# SPDX-License-Identifier: MIT
#
# python.sh FILE MODULE...: an initramfs that is FILE with Debian's Python added, as much of its library as the modules need.
# Prints the path of the result, which is made once into the user's cache, beside FILE; everything else goes to stderr.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/socle
suite=bookworm
file=$1
shift
key=$({ cat "$here"/{python,libraries}.sh; echo "$@"; } | sha256sum | cut -c 1-12)
result=${file%.cpio}-python-$key.cpio
debs=$cache/debs/python
version=python3.11

say() { echo "L1 image: $*" >&2; }
# shellcheck source=../../tools/debian.sh
. "$here/../../tools/debian.sh"
# shellcheck source=libraries.sh
. "$here/libraries.sh"

download_all() {
	local try
	[ ! -f "$debs/done" ] || return 0
	debian_open "$cache/apt-$suite-python" $suite deb amd64 || return 1
	say "downloading Python and its libraries"
	for try in 1 2 3; do
		debian_apt get --no-install-recommends --download-only -y install $version >&2 && break
		[ $try != 3 ] || return 1
		sleep $((try * 3))
	done
	mkdir -p "$debs"
	mv "$debian_folder"/cache/archives/*.deb "$debs/"
	touch "$debs/done"
	rm -rf "$cache/apt-$suite-python"
}

build() {	# WORK MODULE...
	local work=$1 deb name library=usr/lib/$version
	shift
	for deb in "$debs"/*.deb; do dpkg -x "$deb" "$work/all"; done
	mkdir -p "$work/tree/usr/bin" "$work/tree/$library/lib-dynload"
	cp "$work/all/usr/bin/$version" "$work/tree/usr/bin/python3"
	add_libraries "$work/tree/usr/bin/python3" "$work/all" "$work/tree"
	# the files of the modules, and of all that they import
	PYTHONHOME=$work/all/usr "$work/all/usr/bin/$version" -B -c '
import importlib, sys
for name in sys.argv[2:]: importlib.import_module(name)
for module in list(sys.modules.values()):
    path = getattr(module, "__file__", None) or ""
    if path.startswith(sys.argv[1]): print(path[len(sys.argv[1]) + 1:])' "$work/all" encodings.ascii encodings.latin_1 "$@" |
		sort -u >"$work/files"
	(cd "$work/all" && cpio -p -d --quiet "$work/tree" <"$work/files")
	for name in "$work/tree/$library"/lib-dynload/*.so; do
		add_libraries "$name" "$work/all" "$work/tree"
	done
	# compiled here: on an emulator that takes minutes
	PYTHONHOME=$work/all/usr "$work/all/usr/bin/$version" -m compileall -q --invalidation-mode unchecked-hash \
		-s "$work/tree" "$work/tree/$library" >&2
	cp "$file" "$work/out"
	(cd "$work/tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >>"$work/out"
}

if [ ! -f "$result" ]; then
	exec 9>"$cache/l1.lock"
	flock 9
	if [ ! -f "$result" ]; then
		download_all
		work=$(mktemp -d "$cache/l1-work.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		build "$work" "$@"
		mv "$work/out" "$result"
	fi
fi
echo "$result"
