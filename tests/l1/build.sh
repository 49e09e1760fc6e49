#!/bin/bash
# SPDX-License-Identifier: MIT
#
# build.sh: makes what Linux KVM as L1 needs, from Debian's packages, and prints the folder that holds it (everything
# else goes to stderr). It is made once into the user's cache, under a key of the inputs.
#
#   vmlinuz                 Debian's unmodified cloud kernel, with kvm_intel in the initramfs
#   l1-min.cpio             initramfs with kvmlet (l1=selftest) and the kernel's modules for disks and swap
#   l1-64.cpio, l1-32.cpio  with a 64-bit Linux (l1=linux64, linux64smp) or a 32-bit PAE Linux (l1=linux32) as L2
#   l1-all.cpio             with both
#   l1-nest.cpio            with a 64-bit Linux, and l1-min.cpio for it: an L2 that has L3s
set -euo pipefail

# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

python=$(command -v /usr/bin/python3 || command -v python3)
debs=$cache/debs
home=$cache/l1-$(key build.sh l1-init.sh l1-steps.sh l2-init.sh extract_vmlinux.py kvmlet/*)

# ---- packages --------------------------------------------------------------------------------------------------------

# the versioned package that a kernel metapackage depends on
kernel_package() {
	debian_apt cache depends "$1" | sed -n 's/.*Depends: \(linux-image-[0-9][^ :]*\).*/\1/p' | head -n 1
}

download() {	# PACKAGE ARCHITECTURE NAME: leaves $debs/NAME.deb
	local try
	for try in 1 2 3; do
		rm -rf "$debs/new"
		mkdir "$debs/new"
		if (cd "$debs/new" && debian_apt get download "$1:$2" >&2); then
			mv "$debs/new"/*.deb "$debs/$3.deb"
			rmdir "$debs/new"
			return 0
		fi
		sleep $((try * 2))
	done
	say "cannot download the package $1:$2"
	return 1
}

fetch_packages() {
	local want=(cloud-amd64 686-pae-i386 busybox-amd64 busybox-i386) name missing=
	mkdir -p "$debs"
	for name in "${want[@]}"; do [ -f "$debs/$name.deb" ] || missing=1; done
	[ -n "$missing" ] || return 0
	debian_open "$cache/apt-$suite" $suite deb amd64,i386 || return 1
	say "downloading two kernels and busybox (about 100 MB)"
	[ -f "$debs/cloud-amd64.deb" ] || download "$(kernel_package linux-image-cloud-amd64)" amd64 cloud-amd64
	[ -f "$debs/686-pae-i386.deb" ] || download "$(kernel_package linux-image-686-pae:i386)" i386 686-pae-i386
	[ -f "$debs/busybox-amd64.deb" ] || download busybox-static amd64 busybox-amd64
	[ -f "$debs/busybox-i386.deb" ] || download busybox-static i386 busybox-i386
	rm -rf "$cache/apt-$suite"
}

# ---- pieces ----------------------------------------------------------------------------------------------------------

build() {	# WORK
	local work=$1 out=$1/out name arch tree tool
	for tool in gcc dpkg cpio lz4 strip; do
		command -v $tool >/dev/null || { say "$tool is missing; run tools/setup.sh"; exit 1; }
	done
	say "making it, once, in $home"
	fetch_packages
	mkdir "$out"
	for name in cloud-amd64 686-pae-i386 busybox-amd64 busybox-i386; do
		dpkg -x "$debs/$name.deb" "$work/$name"
	done
	cp "$work"/cloud-amd64/boot/vmlinuz-* "$out/vmlinuz"
	gcc -std=gnu11 -O2 -Wall -Wextra -Wshadow -static -pthread -s -o "$work/kvmlet" \
		"$here"/kvmlet/*.c "$here"/kvmlet/*.S
	"$python" "$here/extract_vmlinux.py" "$work"/686-pae-i386/boot/vmlinuz-* "$work/vmlinux.full"
	strip -o "$work/vmlinux32" "$work/vmlinux.full"

	for arch in amd64 i386; do
		tree=$work/l2-$arch
		mkdir -p "$tree"/{bin,dev,proc,sys}
		cp "$work/busybox-$arch/bin/busybox" "$tree/bin/"
		install -m 755 "$here/l2-init.sh" "$tree/init"
		pack "$tree" >"$work/initrd-$arch"
	done

	tree=$work/l1
	mkdir -p "$tree"/{bin,dev,proc,sys,tmp,m,l2}
	cp "$work/busybox-amd64/bin/busybox" "$work/kvmlet" "$tree/bin/"
	install -m 755 "$here/l1-init.sh" "$tree/init"
	install -m 644 "$here/l1-steps.sh" "$tree/"
	for name in irqbypass kvm kvm-intel scsi_common scsi_mod libata ata_piix sd_mod cdrom sr_mod zsmalloc lzo-rle zram; do
		strip -d -o "$tree/m/$name.ko" "$(find "$work/cloud-amd64/lib/modules" -name "$name.ko")"
	done
	pack "$tree" >"$out/l1-min.cpio"
	cp "$work/vmlinux32" "$tree/l2/vmlinux32"
	cp "$work/initrd-i386" "$tree/l2/initrd32"
	pack "$tree" >"$out/l1-32.cpio"
	cp "$out/vmlinuz" "$tree/l2/vmlinuz64"
	cp "$work/initrd-amd64" "$tree/l2/initrd64"
	pack "$tree" >"$out/l1-all.cpio"
	rm "$tree/l2/"*32
	pack "$tree" >"$out/l1-64.cpio"
	cp "$out/l1-min.cpio" "$tree/l2/nest.cpio"
	pack "$tree" >"$out/l1-nest.cpio"
}

make_once "$home" build
