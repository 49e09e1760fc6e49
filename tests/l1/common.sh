# SPDX-License-Identifier: MIT
#
# common.sh, to be sourced: what the scripts of this folder share. Each makes something of Debian's packages, once, into the
# user's cache, prints where it is, and says everything else on stderr.
#
#   key FILE...                         a short name for the contents of these files of this folder
#   fetch NAME WHAT COMMAND [ARG...]    packages into $debs, which is $cache/debs/NAME: the command leaves them in the folder
#                                       where it runs, with debian_apt; done once, and tried three times
#   pack FOLDER                         an initramfs of it, on stdout; the same files make the same bytes
#   make_once RESULT COMMAND [ARG...]   if RESULT is not there: the command gets a folder WORK to work in before its other
#                                       arguments, and leaves WORK/out; then prints RESULT
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/socle
suite=bookworm

say() { echo "L1 image: $*" >&2; }
# shellcheck source=../../tools/debian.sh
. "$here/../../tools/debian.sh"

# shellcheck disable=SC2068 # a pattern among them is of that folder
key() { (cd "$here" && cat common.sh $@ | sha256sum | cut -c 1-12); }

# The packages that a package depends on, and itself.
with_dependencies() {	# PACKAGE
	debian_apt get --no-install-recommends --download-only -y install "$1" &&
		mv "$debian_folder"/cache/archives/*.deb .
}

fetch() {
	local name=$1 what=$2 try
	shift 2
	debs=$cache/debs/$name
	[ ! -f "$debs/done" ] || return 0
	debian_open "$cache/apt-$suite-$name" $suite deb amd64 || return 1
	say "downloading $what"
	for try in 1 2 3; do
		rm -rf "$debs"
		mkdir -p "$debs"
		(cd "$debs" && "$@" >&2) && break
		[ $try != 3 ] || return 1
		sleep $((try * 3))
	done
	touch "$debs/done"
	rm -rf "$cache/apt-$suite-$name"
}

pack() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet); }

make_once() {
	local result=$1 make=$2 work
	shift 2
	if [ ! -e "$result" ]; then
		mkdir -p "$cache"
		exec 9>"$cache/l1.lock"
		flock -n 9 || { say "another build is running; waiting"; flock 9; }
		if [ ! -e "$result" ]; then
			work=$(mktemp -d "$cache/l1-work.XXXXXX")
			# shellcheck disable=SC2064 # $work is local
			trap "rm -rf '$work'" EXIT
			"$make" "$work" "$@"
			mv "$work/out" "$result"
		fi
	fi
	echo "$result"
}
