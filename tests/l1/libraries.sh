# SPDX-License-Identifier: MIT
#
# libraries.sh, to be sourced: the shared libraries that a program needs, from unpacked packages. The caller has say().
# shellcheck shell=bash

# the names of the shared libraries that a file asks for
library_needs() { objdump -p "$1" | sed -n 's/^ *NEEDED *//p'; }

# PROGRAM ROOT TREE: the program's libraries, and theirs, from the unpacked packages in ROOT into TREE/lib, and the dynamic
# linker into TREE/lib64
add_libraries() {
	local queue=("$1") root=$2 tree=$3 one name from to
	mkdir -p "$tree/lib" "$tree/lib64"
	while [ ${#queue[@]} != 0 ]; do
		one=${queue[0]}
		queue=("${queue[@]:1}")
		for name in $(library_needs "$one"); do
			to=$tree/lib/$name
			case $name in ld-linux*) to=$tree/lib64/$name ;; esac
			[ ! -e "$to" ] || continue
			from=$(find "$root" -name "$name" -print -quit)
			[ -n "$from" ] || { say "no package has $name"; return 1; }
			cp -L "$from" "$to"
			strip --strip-unneeded "$to"
			queue+=("$to")
		done
	done
}
