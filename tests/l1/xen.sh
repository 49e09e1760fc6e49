#!/bin/bash
# SPDX-License-Identifier: MIT
#
# xen.sh: Xen as L1, from Debian's packages: prints a folder, made once into the user's cache, with
#
#   xen.elf                 Debian's hypervisor (multiboot2)
#   vmlinuz, dom0.cpio      the kernel of build.sh as dom0, whose init ends the machine
#
# Everything else goes to stderr.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/socle
suite=bookworm
linux=$("$here/build.sh")
key=$(cd "$here" && cat xen.sh dom0-init.sh | sha256sum | cut -c 1-12)
home=$linux/xen-$key
debs=$cache/debs/xen
package=xen-hypervisor-4.17-amd64

say() { echo "L1 image: $*" >&2; }
# shellcheck source=../../tools/debian.sh
. "$here/../../tools/debian.sh"

download_all() {
	local try
	[ ! -f "$debs/done" ] || return 0
	debian_open "$cache/apt-$suite-xen" $suite deb amd64 || return 1
	say "downloading Xen (2 MB)"
	rm -rf "$debs"
	mkdir -p "$debs"
	for try in 1 2 3; do
		(cd "$debs" && debian_apt get download $package >&2) && break
		[ $try != 3 ] || return 1
		sleep $((try * 3))
	done
	touch "$debs/done"
	rm -rf "$cache/apt-$suite-xen"
}

build() {	# WORK
	local work=$1 tree=$1/tree deb
	for deb in "$debs"/*.deb; do dpkg -x "$deb" "$work/all"; done
	mkdir -p "$work/out" "$tree"/{bin,dev,proc}
	zcat "$work"/all/boot/xen-*.gz >"$work/out/xen.elf"
	ln "$linux/vmlinuz" "$work/out/vmlinuz"
	dpkg -x "$cache/debs/busybox-amd64.deb" "$work/busybox"
	cp "$work/busybox/bin/busybox" "$tree/bin/"
	install -m 755 "$here/dom0-init.sh" "$tree/init"
	(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$work/out/dom0.cpio"
}

if [ ! -d "$home" ]; then
	exec 9>"$cache/l1.lock"
	flock 9
	if [ ! -d "$home" ]; then
		download_all
		work=$(mktemp -d "$cache/l1-work.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		build "$work"
		mv "$work/out" "$home"
	fi
fi
echo "$home"
