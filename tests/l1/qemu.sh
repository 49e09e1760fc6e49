#!/bin/bash
# SPDX-License-Identifier: MIT
#
# qemu.sh FILE: an initramfs that is FILE (one of build.sh's) with Debian's qemu-system-x86 added: the program, the
# libraries that it needs, and the firmware of the machines `pc` and `microvm`. Prints the path of the result, which is
# made once into the user's cache, beside FILE; everything else goes to stderr.
set -euo pipefail

# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=libraries.sh
. "$here/libraries.sh"

build() {	# WORK FILE
	local work=$1 file=$2 deb name
	# With all that it depends on. What is of no use here (perl, passwd...) is simply not taken out.
	fetch qemu "qemu-system-x86 and its libraries (43 MB)" with_dependencies qemu-system-x86
	for deb in "$debs"/*.deb; do dpkg -x "$deb" "$work/all"; done
	mkdir -p "$work"/tree/{usr/bin,usr/share/seabios,usr/share/qemu}
	cp "$work/all/usr/bin/qemu-system-x86_64" "$work/tree/usr/bin/"
	add_libraries "$work/tree/usr/bin/qemu-system-x86_64" "$work/all" "$work/tree"
	cp "$work"/all/usr/share/seabios/bios-{256k,microvm}.bin "$work/tree/usr/share/seabios/"
	for name in kvmvapic.bin multiboot_dma.bin multiboot.bin linuxboot_dma.bin linuxboot.bin pvh.bin qboot.rom; do
		cp "$(find "$work/all/usr" -name $name -print -quit)" "$work/tree/usr/share/qemu/"
	done
	cp "$file" "$work/out"
	pack "$work/tree" >>"$work/out"
}

make_once "${1%.cpio}-qemu-$(key qemu.sh libraries.sh).cpio" build "$1"
