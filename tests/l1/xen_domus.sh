#!/bin/bash
# SPDX-License-Identifier: MIT
#
# xen_domus.sh FOLDER: what a dom0 with guests beside it needs, from Debian's packages, for the Xen in FOLDER (xen.sh's).
# Prints a folder, made once into the user's cache, within FOLDER:
#
#   vmlinux         Debian's generic kernel as dom0 (the cloud kernel of build.sh has no dom0 support), unpacked, for
#                   Xen takes half a minute of an emulator for its XZ
#   dom0.cpio       initramfs with Xen's toolstack, whose init starts two guests and ends the machine with them
#
# The guests are the cloud kernel with an initramfs of our own. Everything else goes to stderr.
set -euo pipefail

# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=libraries.sh
. "$here/libraries.sh"

python=$(command -v /usr/bin/python3 || command -v python3)
linux=$("$here/build.sh")

# xen-utils with all that it depends on; what is of no use here (python, perl...) is simply not taken out.
packages() {
	with_dependencies xen-utils-4.17 && debian_apt get download "$(debian_apt cache depends linux-image-amd64 |
		sed -n 's/.*Depends: \(linux-image-[0-9][^ :]*\).*/\1/p')"
}

build_domu() {	# WORK BUSYBOX: an initramfs
	local work=$1 tree=$1/domu
	mkdir -p "$tree"/{bin,sbin,dev,proc}
	cp "$2" "$tree/bin/"
	gcc -std=gnu11 -O2 -Wall -Wextra -Wshadow -static -s -o "$tree/bin/ymm" "$here"/ymm/*.c "$here"/ymm/*.S
	install -m 755 "$here/domu-init.sh" "$tree/init"
	ln "$tree/init" "$tree/sbin/poweroff"
	pack "$tree"
}

build() {	# WORK
	local work=$1 all=$1/all tree=$1/dom0 deb name busybox=$1/busybox/bin/busybox
	fetch xen-domus "Xen's toolstack and a kernel for dom0 (93 MB)" packages
	for deb in "$debs"/*.deb; do dpkg -x "$deb" "$all"; done
	dpkg -x "$cache/debs/busybox-amd64.deb" "$work/busybox"
	mkdir -p "$work/out" "$tree"/{bin,dev,proc,sys,m,domu,etc/xen}
	"$python" "$here/extract_vmlinux.py" "$all"/boot/vmlinuz-* "$work/vmlinux"
	strip -o "$work/out/vmlinux" "$work/vmlinux"
	cp "$busybox" "$tree/bin/"
	for name in xl xenstored xenconsoled xen-init-dom0; do
		cp "$all/usr/lib/xen-4.17/bin/$name" "$tree/bin/"
		add_libraries "$tree/bin/$name" "$all" "$tree"
	done
	# what the C library loads when a thread ends is named nowhere
	cp "$(find "$all" -name libgcc_s.so.1 -print -quit)" "$tree/lib/"
	for name in xen-privcmd xen-evtchn xen-gntdev xenfs; do
		strip -d -o "$tree/m/$name.ko" "$(find "$all/lib/modules" -name "$name.ko")"
	done
	cp "$all/usr/bin/xenstore" "$tree/bin/xenstore-read"
	add_libraries "$tree/bin/xenstore-read" "$all" "$tree"
	install -m 755 "$here/dom0-domus-init.sh" "$tree/init"
	: >"$tree/etc/xen/xl.conf"
	ln "$linux/vmlinuz" "$tree/domu/vmlinuz"
	build_domu "$work" "$busybox" >"$tree/domu/initrd"
	pack "$tree" >"$work/out/dom0.cpio"
}

make_once "$1/domus-$(key xen_domus.sh libraries.sh dom0-domus-init.sh domu-init.sh ymm/*)" build
