#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs test binaries and fuzzers, as many at once as there are processors, shows the output of those that fail, and sums up
# in one line:
#   run.sh FOLDER BINARY...
#   run.sh --one FOLDER BINARY    this one; its numbers go to FOLDER/NAME.sum
# A *_test is a cmocka binary: each of its tests counts. A *_fuzz counts as one, and runs as many inputs as FUZZ_COUNTS
# says of it ("check=500000 ...") or FUZZ_RUNS of all: the same ones on each machine, however busy. Fuzzers need clang; a
# run without any says so.

# How many inputs; a fuzzer that nobody counts is an error.
runs_of() {
	[ -z "$FUZZ_RUNS" ] || { echo "$FUZZ_RUNS"; return; }
	for count in $FUZZ_COUNTS; do
		[ "${count%%=*}" != "$1" ] || echo "${count#*=}"
	done
}

# The time limits are far off: an input that hangs, not a machine that is busy.
fuzz() {	# NAME BINARY
	runs=$(runs_of "$1")
	[ -n "$runs" ] || { echo "FUZZ_COUNTS of tests/unit/Makefile lacks $1"; return 1; }
	timeout 900 "$2" -runs="$runs" -max_total_time=800 -timeout=60 -seed=1 -len_control=0 -max_len=1500 -verbosity=0 \
		-print_final_stats=1 -artifact_prefix="$out/" || return 1
	done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	[ "${done:-0}" -ge "$runs" ] || { echo "only ${done:-0} of $runs inputs"; return 1; }
}

one() {	# BINARY
	case $name in
	*_fuzz)
		fuzz "${name%_fuzz}" "$1" >"$log" 2>&1 && ok=1 bad=0 || ok=0 bad=1
		;;
	*)
		timeout 300 "$1" >"$log" 2>&1
		status=$?
		# cmocka: "[  PASSED  ] 3 test(s)." and, after the list of those that failed, " 2 FAILED TEST(S)"
		ok=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | head -n1)
		bad=$(sed -n 's/^ *\([0-9]*\) FAILED TEST.*/\1/p' "$log" | head -n1)
		ok=${ok:-0} bad=${bad:-0}
		# one that dies, or that runs nothing, fails
		{ [ "$status" -eq 0 ] && [ "$ok" -gt 0 ]; } || [ "$bad" -gt 0 ] || bad=1
		;;
	esac
	echo "$ok $bad" >"$out/$name.sum"
}

if [ "$1" = --one ]; then
	out=$2
	name=${3##*/}
	log=$out/$name.log
	one "$3"
	exit 0
fi

out=$1
shift
passed=0
failed=0
fuzzers=0
for binary; do
	rm -f "$out/${binary##*/}.sum"
done
for binary; do
	printf '%s\0' "$binary"
done | xargs -0 -n 1 -P "$(nproc)" "$0" --one "$out"
for binary; do
	name=${binary##*/}
	log=$out/$name.log
	case $name in *_fuzz) fuzzers=$((fuzzers + 1)) ;; esac
	# without numbers it was not run
	read -r ok bad 2>/dev/null <"$out/$name.sum" || ok=0 bad=1
	if [ "$bad" -gt 0 ]; then
		echo "$name: $ok passed, $bad failed"
		grep -v '^\[ RUN\|^\[       OK' "$log" | head -n 80 | sed 's/^/    /'
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
more=
if [ "$fuzzers" = 0 ]; then
	echo "unit: no fuzzer was run: they need clang, which is not here"
	more=" (no fuzzers: no clang)"
fi
echo "unit: $passed passed, $failed failed$more"
[ "$failed" -eq 0 ]
