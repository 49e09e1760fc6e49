#!/bin/bash
# SPDX-License-Identifier: MIT
#
# all.sh [system]: builds everything and runs what is tested: lint, host unit tests, system tests (or these only).
# The last line is `N passed, N failed`, summed over all; the exit status is 0 if nothing failed.
set -u
cd "$(dirname "$0")/.." || exit 1

out=$(readlink -m "${O:-build}")
export O=$out
python=/usr/bin/python3
report=$out/test-report
passed=0 failed=0 broken=() no_fuzzers=
mkdir -p "$report"
start=$(date +%s)

step() { printf '\n== %s (%d s)\n' "$*" $(($(date +%s) - start)); }
count() {	# PASSED FAILED
	passed=$((passed + $1))
	failed=$((failed + $2))
}

finish() {
	[ ${#broken[@]} = 0 ] || printf 'FAILED: %s\n' "${broken[@]}"
	[ -z "$no_fuzzers" ] || printf 'NOT RUN: %s\n' "$no_fuzzers"
	printf '\n%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
	exit $?
}

step "build"
if make --no-print-directory -j"$(nproc)" elf >"$report/build.txt" 2>&1; then
	count 1 0
	tail -n 1 "$report/build.txt"
else
	grep -E 'error|Error' "$report/build.txt" | head -n 20
	broken+=("build of socle.elf ($report/build.txt)")
	count 0 1
fi
if make --no-print-directory -j"$(nproc)" guest-tests >"$report/guests.txt" 2>&1; then
	count 1 0
else
	tail -n 20 "$report/guests.txt"
	broken+=("build of the guest tests")
	count 0 1
fi

step "build that counts"
if make --no-print-directory -j"$(nproc)" COUNT=1 O="$out/count" elf >"$report/count.txt" 2>&1; then
	count 1 0
else
	broken+=("build that counts ($report/count.txt)")
	count 0 1
fi

if [ "${1:-}" != system ]; then
	step "build by clang"
	if make --no-print-directory -j"$(nproc)" CC=clang O="$out/clang" elf >"$report/clang.txt" 2>&1; then
		count 1 0
	else
		grep -E 'error|Error' "$report/clang.txt" | head -n 20
		broken+=("build by clang ($report/clang.txt)")
		count 0 1
	fi

	step "lint"
	tests/lint/lint.sh 2>&1 | tee "$report/lint.txt"
	code=${PIPESTATUS[0]}
	[ "$code" = 0 ] || grep -q '^FAIL ' "$report/lint.txt" ||
		echo "FAIL lint.sh itself, status $code" | tee -a "$report/lint.txt"
	count "$(grep -c '^ok   ' "$report/lint.txt")" "$(grep -c '^FAIL ' "$report/lint.txt")"
	mapfile -t -O ${#broken[@]} broken < <(sed -n 's/^FAIL /lint: /p' "$report/lint.txt")

	step "host unit tests"
	make --no-print-directory -j"$(nproc)" unit >"$report/unit.txt" 2>&1
	code=$?
	good=$(sed -n 's/^unit: \([0-9]*\) passed.*/\1/p' "$report/unit.txt" | tail -n 1)
	bad=$(sed -n 's/^unit: .*passed, \([0-9]*\) failed.*/\1/p' "$report/unit.txt" | tail -n 1)
	good=${good:-0} bad=${bad:-0}
	if [ $code != 0 ]; then
		[ "$bad" != 0 ] || bad=1
		tail -n 30 "$report/unit.txt"
		broken+=("host unit tests ($report/unit.txt)")
	fi
	echo "$good passed, $bad failed"
	count "$good" "$bad"
	no_fuzzers=$(sed -n 's/^unit: \(no fuzzer was run.*\)/\1/p' "$report/unit.txt")

	step "fifty generated mutants"
	if "$python" tests/mutants/generated.py --out "$out/generated" some 50 >"$report/generated.txt" 2>&1; then
		count 1 0
	else
		grep '^ALIVE' "$report/generated.txt" || tail -n 20 "$report/generated.txt"
		broken+=("generated mutants ($report/generated.txt)")
		count 0 1
	fi
	tail -n 1 "$report/generated.txt"

	step "coverage of vmx/ by the host tests"
	if make --no-print-directory -j"$(nproc)" coverage >"$report/coverage.txt" 2>&1; then
		count 1 0
	else
		grep '^coverage: vmx' "$report/coverage.txt" || tail -n 20 "$report/coverage.txt"
		broken+=("coverage ($report/coverage.txt)")
		count 0 1
	fi
	tail -n 1 "$report/coverage.txt"
fi

step "emulator and L1 image"
if tools/bochs/build.sh && tests/l1/build.sh; then
	count 1 0
else
	broken+=("emulator and L1 image")
	count 0 1
fi

step "system tests"
export SOCLE_TEST_RUN=$$.$(date +%s)
rm -f "$report/system.xml"
workers=()
"$python" -c 'import xdist' 2>/dev/null && workers=(-n "$(nproc)")
"$python" -m pytest -p no:cacheprovider -q "${workers[@]}" --tb=short --junitxml="$report/system.xml" \
	-rs --durations=20 tests/system ${PYTEST_ARGS:-} 2>&1 | tee "$report/system.txt"
code=${PIPESTATUS[0]}
if [ -f "$report/system.xml" ]; then
	read -r all errors failures skipped < <("$python" - "$report/system.xml" <<-'END'
		import sys
		import xml.etree.ElementTree as tree
		suite = tree.parse(sys.argv[1]).getroot().find("testsuite").attrib
		print(*(suite[name] for name in ("tests", "errors", "failures", "skipped")))
	END
	)
	# pytest that failed without a test that did (it found none, or it broke) is a failure by itself
	[ "$code" = 0 ] || [ $((errors + failures)) != 0 ] || { broken+=("pytest, status $code") errors=1 all=$((all + 1)); }
	count $((all - errors - failures - skipped)) $((errors + failures))
	[ $((errors + failures)) = 0 ] || mapfile -t -O ${#broken[@]} broken < <(grep -E '^(FAILED|ERROR) ' \
		"$report/system.txt" | cut -c 1-150)
else
	broken+=("the system tests did not run")
	count 0 1
fi
step "done"
finish
