#!/bin/bash
# SPDX-License-Identifier: MIT
#
# build.sh: makes the emulator that Socle is developed on, and prints the path of its binary (everything else goes to
# stderr). Bochs 3.0 comes as Debian's source package from the mirror that this machine's apt already uses, is mended by
# edits.py, and is built once into the user's cache; a second call finds it there. BOCHS=binary is taken as it is.
# Where it cannot be built the distribution's own binary is taken, with a word about what that one gets wrong.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=$(command -v /usr/bin/python3 || command -v python3)
options="--enable-smp --enable-cpu-level=6 --enable-x86-64 --enable-vmx=2 --enable-avx --enable-evex --enable-cet
	--enable-protection-keys --enable-memtype --enable-pci --enable-perfmon --enable-monitor-mwait
	--enable-all-optimizations --enable-alignment-check --with-nogui --disable-docbook --disable-debugger
	--disable-show-ips"
export CFLAGS=-O2 CXXFLAGS=-O2	# configure's own have -g, which takes a twelfth longer
# PROFILE=1: an emulator, apart from the usual one, that counts what L0 executes (tools/profile/profile.py)
counting=$here/../profile/instrument
[ -z "${PROFILE:-}" ] || options="$options --enable-instrumentation=instrument/socle"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/socle
key=$({ cat "$here/edits.py" ${PROFILE:+"$counting"/*}; echo $options; } | sha256sum | cut -c 1-12)
home=$cache/bochs-3.0-$key
objects=470	# about so many compiler runs, for the progress line

say() { echo "emulator: $*" >&2; }
# shellcheck source=../debian.sh
. "$here/../debian.sh"

# ---- the source ------------------------------------------------------------------------------------------------------

fetch_source() {	# FOLDER: leaves the tarball in it
	local work=$1 try
	debian_open "$work/apt" trixie deb-src amd64 || return 1
	for try in 1 2 3; do
		(cd "$work" && debian_apt get source --tar-only bochs >apt.log 2>&1) &&
			ls "$work"/bochs_3.0*.orig.tar.* >/dev/null 2>&1 && return 0
		sleep $((try * 2))
	done
	say "the mirror does not give the source of bochs 3.0; the last words of apt:"
	tail -n 3 "$work/apt.log" >&2 || true
	return 1
}

# ---- the build -------------------------------------------------------------------------------------------------------

# As long as `COMMAND...` is true: one line that moves, or a line every half minute where nobody watches.
show_progress() {	# LOG COMMAND...
	local count last=-1 log=$1
	shift
	while "$@" 2>/dev/null; do
		count=$(grep -c -- ' -c ' "$log" 2>/dev/null || true)
		if [ -t 2 ]; then
			printf '\remulator: compiling, %s of about %s files ' "$count" $objects >&2
			sleep 1
		else
			[ "$count" = "$last" ] || say "compiling, $count of about $objects files"
			last=$count
			for _ in $(seq 30); do "$@" 2>/dev/null && sleep 1; done
		fi
	done
	[ ! -t 2 ] || echo >&2
}

still_locked() { ! flock -n 9; }

build() {
	local work=$cache/build.$key log=$cache/bochs-build.log make_pid tool
	for tool in g++ make xz tar apt-get; do
		command -v $tool >/dev/null || { say "$tool is missing"; return 1; }
	done
	if [ -f "$work/configured" ]; then
		say "going on with the build that was broken off"
	else
		rm -rf "$work"
		mkdir -p "$work"
		fetch_source "$work" || return 1
		tar -C "$work" -xf "$work"/bochs_3.0*.orig.tar.* || return 1
		"$python" "$here/edits.py" "$work/bochs-3.0" >&2 || return 1
		if [ -n "${PROFILE:-}" ]; then
			cp -r "$counting" "$work/bochs-3.0/instrument/socle"
			cp "$work/bochs-3.0/instrument/stubs/Makefile.in" "$work/bochs-3.0/instrument/socle"
		fi
		say "configuring (log: $log)"
		# shellcheck disable=SC2086
		(cd "$work/bochs-3.0" && ./configure $options) >"$log" 2>&1 || return 1
		: >"$work/configured"
	fi
	# In a process group of its own, which ends with this script: a job in the background does not hear Ctrl-C, and
	# would go on compiling with the lock in its hands.
	set -m
	make -C "$work/bochs-3.0" -j"$(nproc)" >>"$log" 2>&1 9>&- &
	make_pid=$!
	set +m
	trap 'kill -- -'$make_pid' 2>/dev/null || true' EXIT
	trap 'say "broken off; the next call goes on from here"; exit 130' INT TERM HUP
	show_progress "$log" kill -0 $make_pid
	wait $make_pid || { tail -n 5 "$log" >&2; return 1; }
	strip -o "$work/bochs" "$work/bochs-3.0/bochs" || return 1
	mkdir -p "$home"
	mv "$work/bochs" "$home/bochs"
	rm -rf "$work"
	say "ready: $home/bochs"
}

if [ -n "${BOCHS:-}" ]; then
	command -v "$BOCHS" || { say "BOCHS=$BOCHS is not a program"; exit 1; }
	exit 0
fi
if [ ! -x "$home/bochs" ]; then
	mkdir -p "$cache"
	exec 9>"$cache/bochs.lock"
	if ! flock -n 9; then
		say "another build of it is running; waiting for that one"
		show_progress "$cache/bochs-build.log" still_locked
	fi
	flock 9
	if [ ! -x "$home/bochs" ]; then
		say "building Bochs 3.0, once, into $home (some minutes)"
		build || {
			distribution=$(command -v bochs || true)
			if [ -z "$distribution" ]; then
				say "it could not be built, and there is no other bochs; install the package bochs," \
					"or g++ make xz-utils for the build, or name a binary with BOCHS="
				exit 1
			fi
			say "it could not be built; taking $distribution, which is slower and gets some of VMX wrong" \
				"(monitor trap flag, MWAIT between processors): some tests will fail with it"
			echo "$distribution"
			exit 0
		}
	fi
fi
[ -n "${PROFILE:-}" ] || [ "$(readlink "$cache/bochs" 2>/dev/null)" = "$home" ] || ln -sfn "$home" "$cache/bochs"
echo "$home/bochs"
