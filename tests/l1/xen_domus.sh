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

here=$(cd "$(dirname "$0")" && pwd)
python=$(command -v /usr/bin/python3 || command -v python3)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/socle
suite=bookworm
key=$(cd "$here" && cat xen_domus.sh libraries.sh dom0-domus-init.sh domu-init.sh ymm/* | sha256sum | cut -c 1-12)
home=$1/domus-$key
debs=$cache/debs/xen-domus
linux=$("$here/build.sh")

say() { echo "L1 image: $*" >&2; }
# shellcheck source=../../tools/debian.sh
. "$here/../../tools/debian.sh"
# shellcheck source=libraries.sh
. "$here/libraries.sh"

# xen-utils with all that it depends on; what is of no use here (python, perl...) is simply not taken out.
download() {	# PACKAGE
	debian_apt get --no-install-recommends --download-only -y install xen-utils-4.17 >&2
	(cd "$debian_folder/cache/archives" && debian_apt get download "$1" >&2)
}

download_all() {
	local try kernel
	[ ! -f "$debs/done" ] || return 0
	debian_open "$cache/apt-$suite-xen-domus" $suite deb amd64 || return 1
	say "downloading Xen's toolstack and a kernel for dom0 (93 MB)"
	kernel=$(debian_apt cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9][^ :]*\).*/\1/p')
	for try in 1 2 3; do
		download "$kernel" && break
		[ $try != 3 ] || return 1
		sleep $((try * 3))
	done
	rm -rf "$debs"
	mkdir -p "$debs"
	mv "$debian_folder"/cache/archives/*.deb "$debs/"
	touch "$debs/done"
	rm -rf "$cache/apt-$suite-xen-domus"
}

pack() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet); }

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
