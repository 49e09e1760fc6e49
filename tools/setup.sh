#!/bin/bash
# SPDX-License-Identifier: MIT
#
# setup.sh build|run|test|dist|deb|site: installs by apt-get what that goal needs and this machine lacks.
# It asks nothing, says what it does, and touches nothing where all is there. Without apt, or without the right to use it, it
# names what is missing.
set -eu

say() { echo "setup: $*" >&2; }

# PROGRAM-OR-FILE:PACKAGE
build_needs="gcc:gcc ld:binutils make:make"
run_needs="grub-mkrescue:grub-common /usr/lib/grub/i386-pc/boot.img:grub-pc-bin
	/usr/lib/grub/x86_64-efi/normal.mod:grub-efi-amd64-bin xorriso:xorriso mformat:mtools /sbin/mke2fs:e2fsprogs
	/usr/bin/python3:python3 g++:g++ xz:xz-utils flock:util-linux cpio:cpio lz4:lz4
	/usr/share/bochs/BIOS-bochs-latest:bochsbios /usr/share/vgabios/vgabios.bin:vgabios
	/usr/share/ovmf/OVMF.fd:ovmf /usr/share/seabios/bios.bin:seabios
	/usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
	/usr/lib/x86_64-linux-gnu/libc.a:libc6-dev"
test_needs="git:git clang:clang clang-format:clang-format clang-tidy:clang-tidy cppcheck:cppcheck ld.lld:lld
	/usr/include/cmocka.h:libcmocka-dev qemu-system-x86_64:qemu-system-x86
	/usr/lib/python3/dist-packages/matplotlib/__init__.py:python3-matplotlib
	/usr/lib/python3/dist-packages/google/protobuf/__init__.py:python3-protobuf
	/usr/lib/python3/dist-packages/pytest/__init__.py:python3-pytest
	/usr/lib/python3/dist-packages/xdist/__init__.py:python3-pytest-xdist
	/usr/lib/python3/dist-packages/pexpect/__init__.py:python3-pexpect groff:groff-base gdb:gdb
	chromium-headless-shell:chromium-headless-shell"

dist_needs="faketime:faketime"
deb_needs="dpkg-buildpackage:dpkg-dev dh:debhelper lintian:lintian"
site_needs="dot:graphviz sphinx-build:python3-sphinx
	/usr/lib/python3/dist-packages/myst_parser/__init__.py:python3-myst-parser"

case ${1:-run} in
build) needs=$build_needs ;;
run) needs="$build_needs $run_needs" ;;
test) needs="$build_needs $run_needs $test_needs $dist_needs" ;;
dist) needs="$build_needs $run_needs $dist_needs" ;;
deb) needs="$build_needs $run_needs $dist_needs $deb_needs" ;;
site) needs=$site_needs ;;
*) sed -n '4s/^# //p' "$0" >&2; exit 2 ;;
esac

# clang's run-time library (sanitizers, fuzzers) is a package of its own, named after the version
runtime() {
	local folder
	case $needs in *clang:clang*) ;; *) return 0 ;; esac
	command -v clang >/dev/null || return 0
	folder=$(clang --print-resource-dir)/lib/linux
	[ -e "$folder/libclang_rt.fuzzer-x86_64.a" ] || echo "libclang-rt-$(clang -dumpversion | cut -d . -f 1)-dev"
}

missing() {
	{ list_missing; runtime; } | sort -u
}

list_missing() {
	local need item package
	for need in $needs; do
		item=${need%:*} package=${need##*:}
		case $item in
		/*) [ -e "$item" ] || echo "$package" ;;
		*) command -v "$item" >/dev/null || echo "$package" ;;
		esac
	done
}

packages=$(missing | tr '\n' ' ')
[ -n "$packages" ] || exit 0
if ! command -v apt-get >/dev/null; then
	say "missing here (by Debian's package names): $packages"
	say "there is no apt-get on this machine; install them by its own means, then run this again"
	exit 1
fi
root=
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		root=sudo
	else
		say "missing here: $packages"
		say "install them as root: apt-get install --no-install-recommends $packages"
		exit 1
	fi
fi
log=$(mktemp "${TMPDIR:-/tmp}/socle-setup.XXXXXX")
trap 'rm -f "$log"' EXIT
say "installing $packages"
export DEBIAN_FRONTEND=noninteractive
install() {
	# shellcheck disable=SC2086
	$root apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 --no-install-recommends install $packages \
		>"$log" 2>&1
}
for try in 1 2 3 4 5; do
	if install; then
		packages=$(missing | tr '\n' ' ')
		[ -n "$packages" ] || break
		continue
	fi
	say "not yet: $(grep '^E:' "$log" | head -n 1); updating the package lists (try $try)"
	$root apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null 2>&1 || sleep $((try * 4))
done
packages=$(missing | tr '\n' ' ')
[ -z "$packages" ] || { say "still missing after apt-get install: $packages"; exit 1; }
say "done"
