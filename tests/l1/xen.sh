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

# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

linux=$("$here/build.sh")

build() {	# WORK
	local work=$1 tree=$1/tree deb
	fetch xen "Xen (2 MB)" debian_apt get download xen-hypervisor-4.17-amd64
	for deb in "$debs"/*.deb; do dpkg -x "$deb" "$work/all"; done
	mkdir -p "$work/out" "$tree"/{bin,dev,proc}
	zcat "$work"/all/boot/xen-*.gz >"$work/out/xen.elf"
	ln "$linux/vmlinuz" "$work/out/vmlinuz"
	dpkg -x "$cache/debs/busybox-amd64.deb" "$work/busybox"
	cp "$work/busybox/bin/busybox" "$tree/bin/"
	install -m 755 "$here/dom0-init.sh" "$tree/init"
	pack "$tree" >"$work/out/dom0.cpio"
}

make_once "$linux/xen-$(key xen.sh dom0-init.sh)" build
