#!/bin/bash
# SPDX-License-Identifier: MIT
#
# mkiso.sh: makes a GRUB image that boots on BIOS and on UEFI, as a CD, a USB stick or a disk.
#
#   mkiso.sh -o OUT.iso -k socle.elf [-a OPTIONS] [-m FILE [-c ARGS]]...     Socle, with modules (the first one is L1)
#   mkiso.sh -o OUT.iso -b multiboot|multiboot2|linux -k IMAGE [-a ARGS] [-m FILE [-c ARGS]]...
#                                                                            the same image bare, without Socle
# -g 'COMMAND' is done by GRUB before the boot (for tests, such as `wrmsr 0x3a 1`).
# -l: little; GRUB comes without the fonts and the modules that only a person at its console would want.
# -x 'COMMAND' is done by GRUB before its menu, and no menu is shown: the command may `set default`.
# -e TITLE begins one more entry: the image then has a menu, on the screen and on the serial port, whose first entry is
# taken after 10 seconds.
set -eu

usage() {
	sed -n '3,14s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

die() {
	echo "mkiso.sh: $*" >&2
	exit 1
}

for tool in grub-mkrescue xorriso mformat; do
	command -v $tool >/dev/null || die "$tool is missing; run tools/setup.sh" \
		"(packages grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools)"
done
ls /usr/lib/grub/i386-pc/boot.img >/dev/null 2>&1 || die "package grub-pc-bin is missing; run tools/setup.sh"

root=$(mktemp -d "${TMPDIR:-/tmp}/socle-iso.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/tree/boot/grub"
config=$root/tree/boot/grub/grub.cfg

# The files get short names of their own in the image: a path of the host's may hold what GRUB's shell would take apart.
declare -A names=()
add_file() {	# SOURCE NAME: `added` is its name in the image; a file that is there already keeps the one it has
	added=${names[$1]:-}
	[ -z "$added" ] || return 0
	[ -r "$1" ] || die "cannot read $1"
	added=$2 names[$1]=$2
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

out='' choose='' title=Socle kernel='' arguments='' before='' protocol=multiboot2 modules=() lines=() entries=0 little=

# What was said since the last -e, as an entry of GRUB's.
end_entry() {
	local module_command number
	[ -n "$kernel" ] || usage
	case $protocol in
	multiboot) module_command=module ;;
	multiboot2) module_command=module2 ;;
	linux) module_command=initrd ;;
	*) die "-b $protocol: say multiboot, multiboot2 or linux" ;;
	esac
	add_file "$kernel" "$(basename "$kernel")"
	echo "menuentry$(quote "${title// /_}") {" | tr _ ' ' >>"$root/entries"
	{
		[ -z "$before" ] || echo "	$before"
		echo "	$protocol /boot/$added$(quote "$arguments")"
		# the command has set it to what the image can take
		echo '	if [ "$grub_platform" = pc ]; then set gfxpayload=text; fi'
		for number in ${modules[@]+"${!modules[@]}"}; do
			add_file "${modules[$number]}" "module$entries$number"
			if [ "$protocol" = linux ]; then
				printf '%s' "$([ "$number" != 0 ] || printf '\tinitrd') /boot/$added"
			else
				echo "	$module_command /boot/$added$(quote "${lines[$number]}")"
			fi
		done
		[ "$protocol" != linux ] || echo
		echo '	boot'
		echo '}'
	} >>"$root/entries"
	entries=$((entries + 1))
	kernel='' arguments='' before='' protocol=multiboot2 modules=() lines=()
}

while getopts lo:k:a:b:m:c:g:e:x: option; do
	case $option in
	o) out=$OPTARG ;;
	l) little=yes ;;
	k) kernel=$OPTARG ;;
	a) arguments=$OPTARG ;;
	b) protocol=$OPTARG ;;
	g) before=$OPTARG ;;
	x) choose=$OPTARG ;;
	m) modules+=("$OPTARG") lines+=('') ;;
	c) lines[${#lines[@]} - 1]=$OPTARG ;;
	e)
		[ -z "$kernel" ] || end_entry
		title=$OPTARG
		;;
	*) usage ;;
	esac
done
[ -n "$out" ] || usage
end_entry
{
	if [ $entries = 1 ] || [ -n "$choose" ]; then echo 'set timeout=0'; else echo 'set timeout=10'; fi
	echo 'serial --unit=0 --speed=115200'
	echo 'terminal_input serial console'
	[ -z "$choose" ] || echo "$choose"
	if [ $entries = 1 ] || [ -n "$choose" ]; then
		echo 'terminal_output serial'
	else
		echo 'terminal_output serial console'
	fi
	# a framebuffer is there only under UEFI; L1 may ask for it
	echo 'if [ "$grub_platform" = efi ]; then insmod all_video; fi'
	cat "$root/entries"
} >"$config"

mkdir -p "$(dirname "$out")"
log=$root/log
# With SOURCE_DATE_EPOCH the same files make the same image: all its times, and the name by which GRUB finds it, are that one.
make=(grub-mkrescue -o "$root/out.iso" "$root/tree")
grub_modules="normal serial terminfo test echo multiboot multiboot2 linux iso9660 part_msdos part_gpt fat search all_video
	reboot halt acpi memrw wrmsr rdmsr"
[ -z "$little" ] || make+=(--fonts= --themes= --locales= --install-modules="$grub_modules")
if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
	command -v faketime >/dev/null || die "faketime is missing; run tools/setup.sh dist (package faketime)"
	make=(env TZ=UTC0 faketime -f "$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M:%S')" "${make[@]}"
		--set_all_file_dates "=$SOURCE_DATE_EPOCH")
fi
"${make[@]}" >"$log" 2>&1 || {
	cat "$log" >&2
	die "grub-mkrescue failed"
}
# as a hard disk it must be whole cylinders (16 heads, 63 sectors)
truncate -s %516096 "$root/out.iso"
mv "$root/out.iso" "$out"
