#!/bin/bash
# SPDX-License-Identifier: MIT
#
# mkiso.sh: makes a GRUB image that boots on BIOS and on UEFI, as a CD, a USB stick or a disk.
#
#   mkiso.sh -o OUT.iso -k socle.elf [-a OPTIONS] [-m 'FILE ARGS']...     Socle, with modules (the first one is L1)
#   mkiso.sh -o OUT.iso -b multiboot|multiboot2|linux -k IMAGE [-a ARGS] [-m 'FILE ARGS']...
#                                                                         the same image bare, without Socle
# -g 'COMMAND' is done by GRUB before the boot (for tests, such as `wrmsr 0x3a 1`).
set -eu

usage() {
	sed -n '3,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

die() {
	echo "mkiso.sh: $*" >&2
	exit 1
}

out='' kernel='' arguments='' before='' protocol=multiboot2 modules=()
while getopts o:k:a:b:m:g: option; do
	case $option in
	o) out=$OPTARG ;;
	k) kernel=$OPTARG ;;
	a) arguments=$OPTARG ;;
	b) protocol=$OPTARG ;;
	g) before=$OPTARG ;;
	m) modules+=("$OPTARG") ;;
	*) usage ;;
	esac
done
[ -n "$out" ] && [ -n "$kernel" ] || usage
for tool in grub-mkrescue xorriso mformat; do
	command -v $tool >/dev/null || die "$tool is missing; run tools/setup.sh" \
		"(packages grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools)"
done
[ -r "$kernel" ] || die "cannot read $kernel"
ls /usr/lib/grub/i386-pc/boot.img >/dev/null 2>&1 || die "package grub-pc-bin is missing; run tools/setup.sh"

root=$(mktemp -d "${TMPDIR:-/tmp}/socle-iso.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/tree/boot/grub"
config=$root/tree/boot/grub/grub.cfg

# The files get short names of their own in the image: a path of the host's may hold what GRUB's shell would take apart.
add_file() {	# SOURCE NAME
	ln "$1" "$root/tree/boot/$2" 2>/dev/null || cp "$1" "$root/tree/boot/$2"
}

# GRUB expands $ and drops quotes and backslashes outside of single quotes.
quote() {
	local word result=
	set -f
	for word in $1; do result+=" '${word//\'/\'\\\'\'}'"; done
	set +f
	printf '%s' "$result"
}

case $protocol in
multiboot) module_command=module ;;
multiboot2) module_command=module2 ;;
linux) module_command=initrd ;;
*) die "-b $protocol: say multiboot, multiboot2 or linux" ;;
esac
name=$(basename "$kernel")
add_file "$kernel" "$name"
{
	echo 'set timeout=0'
	echo 'serial --unit=0 --speed=115200'
	echo 'terminal_input serial console'
	echo 'terminal_output serial'
	if [ "$protocol" = linux ] || [ "$protocol" = multiboot2 ]; then
		# a framebuffer is there only under UEFI; L1 may ask for it
		echo 'if [ "$grub_platform" = efi ]; then insmod all_video; fi'
	fi
	echo "menuentry 'Socle' {"
	[ -z "$before" ] || echo "	$before"
	echo "	$protocol /boot/$name$(quote "$arguments")"
	number=0
	for module in ${modules[@]+"${modules[@]}"}; do
		file=${module%% *} rest=
		[ "$file" = "$module" ] || rest=${module#* }
		[ -r "$file" ] || die "cannot read module $file"
		add_file "$file" "module$number"
		if [ "$protocol" = linux ]; then
			echo "	initrd /boot/module$number"
		else
			echo "	$module_command /boot/module$number$(quote "$rest")"
		fi
		number=$((number + 1))
	done
	echo '	boot'
	echo '}'
} >"$config"

mkdir -p "$(dirname "$out")"
log=$root/log
grub-mkrescue -o "$root/out.iso" "$root/tree" >"$log" 2>&1 || {
	cat "$log" >&2
	die "grub-mkrescue failed"
}
# as a hard disk it must be whole cylinders (16 heads, 63 sectors)
truncate -s %516096 "$root/out.iso"
mv "$root/out.iso" "$out"
