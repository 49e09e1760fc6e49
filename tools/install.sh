#!/bin/bash
# SPDX-License-Identifier: MIT
#
# install.sh install|uninstall: `make install` and `make uninstall`. From the environment: O, the folder that was built in;
# DESTDIR, in front of all names; PREFIX. Settings that the user changed are neither overwritten nor removed.
set -eu
cd "$(dirname "$0")/.."

root=${DESTDIR:-}
prefix=${PREFIX:-/usr/local}
boot=$root/boot
script=$root/etc/grub.d/21_linux_socle
settings=$root/etc/default/grub.d/socle.cfg
library=$root$prefix/lib/socle
documents=$root$prefix/share/doc/socle
manual=$root$prefix/share/man/man7/socle.7
why=$root$prefix/bin/vmcs-why
why_manual=$root$prefix/share/man/man1/vmcs-why.1
trace_programs="socle-trace socle-trace-read socle-decode socle-core socle-linux-elf"

put_file() {	# MODE SOURCE TARGET
	install -D -m "$1" "$2" "$3"
	echo "  INSTALL $3"
}

put_all() {
	local file
	put_file 644 "$O/socle.elf" "$boot/socle.elf"
	put_file 644 "$O/socle-disk.bin" "$boot/socle-disk.bin"
	put_file 755 tools/grub/21_linux_socle "$script"
	if [ -e "$settings" ]; then
		cmp -s tools/grub/socle.cfg "$settings" || echo "  KEEP    $settings"
	else
		put_file 644 tools/grub/socle.cfg "$settings"
	fi
	put_file 644 "$O/socle.debug" "$library/socle.debug"
	put_file 644 "$O/socle.7" "$manual"
	put_file 755 "$O/vmcs-why" "$why"
	put_file 644 tools/vmcs_why/vmcs-why.1 "$why_manual"
	for file in tools/trace/*.py tools/{page,crash,orc,rsp}.py vmx/hw/exits.def vmx/hw/vmcs_fields.def; do
		put_file 644 "$file" "$library/trace/$(basename "$file")"
	done
	put_file 755 tools/trace/socle-trace "$library/trace/socle-trace"
	put_file 755 tools/decode.py "$library/trace/socle-decode"
	put_file 755 tools/core.py "$library/trace/socle-core"
	put_file 755 tools/linux_elf.py "$library/trace/socle-linux-elf"
	put_file 755 "$O/socle-trace-read" "$library/trace/socle-trace-read"
	for file in $trace_programs; do
		ln -sfn "../lib/socle/trace/$file" "$root$prefix/bin/$file"
		put_file 644 tools/trace/socle-trace.1 "$root$prefix/share/man/man1/$file.1"
	done
	for file in README.md LICENSE docs/*.md; do
		put_file 644 "$file" "$documents/$(basename "$file")"
	done
}

remove_all() {
	local file
	rm -f "$boot/socle.elf" "$boot/socle-disk.bin" "$script" "$library/socle.debug" "$manual" "$why" "$why_manual"
	rm -rf "$documents" "$library/trace"
	for file in $trace_programs; do
		rm -f "$root$prefix/bin/$file" "$root$prefix/share/man/man1/$file.1"
	done
	rmdir "$library" 2>/dev/null || true
	if [ ! -e "$settings" ] || cmp -s tools/grub/socle.cfg "$settings"; then
		rm -f "$settings"
	else
		echo "  KEEP    $settings"
	fi
	echo "  REMOVED Socle"
}

case ${1:-} in
install) put_all ;;
uninstall) remove_all ;;
*) sed -n '4s/^# //p' "$0" >&2; exit 2 ;;
esac
[ -n "$root" ] || echo "Now run update-grub (or grub-mkconfig -o /boot/grub/grub.cfg), which renews GRUB's menu."
