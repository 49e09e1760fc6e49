#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs test binaries and fuzzers, shows the output of those that fail, and sums up in one line:
#   run.sh FOLDER BINARY...
# A *_test is a cmocka binary: each of its tests counts. A *_fuzz counts as one.
out=$1
shift
passed=0
failed=0
for binary; do
	name=${binary##*/}
	log=$out/$name.log
	case $name in
	*_fuzz)
		timeout 300 "$binary" -runs="${FUZZ_RUNS:-20000}" -max_total_time=5 -seed=1 -len_control=0 \
			-max_len=1500 -verbosity=0 -artifact_prefix="$out/" \
			>"$log" 2>&1 && ok=1 bad=0 || ok=0 bad=1
		;;
	*)
		timeout 300 "$binary" >"$log" 2>&1
		status=$?
		# cmocka: "[  PASSED  ] 3 test(s)." and, after the list of those that failed, " 2 FAILED TEST(S)"
		ok=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | head -n1)
		bad=$(sed -n 's/^ *\([0-9]*\) FAILED TEST.*/\1/p' "$log" | head -n1)
		ok=${ok:-0} bad=${bad:-0}
		[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
		;;
	esac
	if [ "$bad" -gt 0 ]; then
		echo "$name: $ok passed, $bad failed"
		grep -v '^\[ RUN\|^\[       OK' "$log" | head -n 80 | sed 's/^/    /'
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
