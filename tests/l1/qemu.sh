#!/bin/bash
# SPDX-License-Identifier: MIT
#
# qemu.sh FILE: an initramfs that is FILE (one of build.sh's) with Debian's qemu-system-x86 added: the program, the
# libraries that it needs, and the firmware of the machines `pc` and `microvm`. Prints the path of the result, which is
# made once into the user's cache, beside FILE; everything else goes to stderr.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/socle
suite=bookworm
key=$(cat "$here"/{qemu,libraries}.sh | sha256sum | cut -c 1-12)
file=$1
result=${file%.cpio}-qemu-$key.cpio
debs=$cache/debs/qemu

say() { echo "L1 image: $*" >&2; }
# shellcheck source=../../tools/debian.sh
. "$here/../../tools/debian.sh"
# shellcheck source=libraries.sh
. "$here/libraries.sh"

# All packages that qemu-system-x86 depends on: 43 MB. What is of no use here (perl, passwd...) is simply not taken out.
download_all() {
	local try
	[ ! -f "$debs/done" ] || return 0
	debian_open "$cache/apt-$suite-qemu" $suite deb amd64 || return 1
	say "downloading qemu-system-x86 and its libraries (43 MB)"
	for try in 1 2 3; do
		debian_apt get --no-install-recommends --download-only -y install qemu-system-x86 >&2 && break
		[ $try != 3 ] || return 1
		sleep $((try * 3))
	done
	mkdir -p "$debs"
	mv "$debian_folder"/cache/archives/*.deb "$debs/"
	touch "$debs/done"
	rm -rf "$cache/apt-$suite-qemu"
}

build() {	# WORK
	local work=$1 deb
	for deb in "$debs"/*.deb; do dpkg -x "$deb" "$work/all"; done
	mkdir -p "$work"/tree/{usr/bin,usr/share/seabios,usr/share/qemu}
	cp "$work/all/usr/bin/qemu-system-x86_64" "$work/tree/usr/bin/"
	add_libraries "$work/tree/usr/bin/qemu-system-x86_64" "$work/all" "$work/tree"
	cp "$work"/all/usr/share/seabios/bios-{256k,microvm}.bin "$work/tree/usr/share/seabios/"
	for deb in kvmvapic.bin multiboot_dma.bin multiboot.bin linuxboot_dma.bin linuxboot.bin pvh.bin qboot.rom; do
		cp "$(find "$work/all/usr" -name $deb -print -quit)" "$work/tree/usr/share/qemu/"
	done
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
		build "$work"
		mv "$work/out" "$result"
	fi
fi
echo "$result"
