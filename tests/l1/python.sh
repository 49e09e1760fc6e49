#!/bin/bash
# SPDX-License-Identifier: MIT
#
# python.sh FILE MODULE...: an initramfs that is FILE with Debian's Python added, as much of its library as the modules need.
# Prints the path of the result, which is made once into the user's cache, beside FILE; everything else goes to stderr.
set -euo pipefail

# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=libraries.sh
. "$here/libraries.sh"

version=python3.11

build() {	# WORK FILE MODULE...
	local work=$1 file=$2 deb name library=usr/lib/$version
	shift 2
	fetch python "Python and its libraries" with_dependencies $version
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
	pack "$work/tree" >>"$work/out"
}

make_once "${1%.cpio}-python-$({ key python.sh libraries.sh; echo "${@:2}"; } | sha256sum | cut -c 1-12).cpio" build "$@"
