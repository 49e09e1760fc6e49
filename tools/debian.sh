# SPDX-License-Identifier: MIT
#
# debian.sh, to be sourced: Debian packages by the ordinary apt client, from the mirror that this machine's own apt
# configuration names, with lists and caches of our own, so that neither root nor a change of the machine is needed.
#
#   debian_open FOLDER SUITE deb|deb-src ARCHITECTURES    fetch the index (retried; a mirror may be in mid-sync)
#   debian_apt get|cache ARGUMENTS...                     apt-get or apt-cache with that index
# The caller defines say().
# shellcheck shell=bash

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# the mirrors in this machine's apt configuration, those known to be Debian's own archive first
debian_mirrors() {
	local all
	# shellcheck disable=SC2016
	all=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' 2>/dev/null | sort -u)
	{
		echo "$all" | sed -n 's/ Debian$//p'
		echo "$all" | cut -d ' ' -f 1 | grep '/debian/*$'
	} | awk 'NF && !seen[$0]++'
}

debian_apt() {
	local tool=apt-$1
	shift
	"$tool" -qq -o "Dir::Etc::sourcelist=$debian_folder/sources.list" \
		-o "Dir::Etc::sourceparts=$debian_folder/parts" -o "Dir::State::Lists=$debian_folder/lists" \
		-o "Dir::State::status=$debian_folder/status" -o "Dir::Cache=$debian_folder/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o "APT::Architectures=$debian_architectures" "$@"
}

debian_open() {
	local suite=$2 type=$3 mirror try
	debian_folder=$1 debian_architectures=$4
	command -v apt-get >/dev/null || { say "apt-get is missing: this part needs a Debian machine"; return 1; }
	[ -r $debian_keyring ] || { say "no $debian_keyring (package debian-archive-keyring)"; return 1; }
	mkdir -p "$debian_folder"/{lists/partial,cache/archives/partial,parts}
	: >"$debian_folder/status"
	for mirror in $(debian_mirrors); do
		echo "$type [signed-by=$debian_keyring] $mirror $suite main" >"$debian_folder/sources.list"
		for try in 1 2 3 4; do
			say "asking this machine's apt mirror for Debian $suite (try $try)"
			debian_apt get update >"$debian_folder/log" 2>&1 && ! grep -q '^[EW]: ' "$debian_folder/log" &&
				return 0
			sleep $((try * 3))
		done
	done
	say "no mirror gave the index of $suite; the last words of apt:"
	tail -n 3 "$debian_folder/log" >&2 2>/dev/null || true
	return 1
}
