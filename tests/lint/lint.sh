#!/bin/bash
# SPDX-License-Identifier: MIT
#
# lint.sh: everything that is checked without running the hypervisor. For each check one line `ok   NAME` or `FAIL NAME`,
# what is wrong below it. A tool that is not installed fails its check.
set -u
cd "$(dirname "$0")/../.." || exit 1

python=/usr/bin/python3
status=0
mapfile -t all < <(tests/lint/files.sh)
mapfile -t kernel < <(find boot kernel mm drivers vmx -name '*.c' | LC_ALL=C sort)
flags="-std=gnu11 -ffreestanding -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-strict-aliasing -I."
out=$(mktemp)
trap 'rm -f "$out"' EXIT

check() {	# NAME COMMAND...
	local name=$1
	shift
	if "$@" >"$out" 2>&1; then
		echo "ok   $name"
	else
		echo "FAIL $name"
		sed 's/^/     /' "$out" | head -n "${LINT_LINES:-40}"
		status=1
	fi
}

# Not as `make format` writes it.
formatting() {
	printf '%s\0' "${all[@]}" | xargs -0 -P "$(nproc)" -n 32 clang-format --dry-run -Werror
}

tidy() {
	command -v clang-tidy || return 1
	# shellcheck disable=SC2086
	printf '%s\n' "${kernel[@]}" | xargs -P "$(nproc)" -n 8 sh -c \
		'clang-tidy --quiet "$@" -- '"$flags"' 2>/dev/null | grep -E "(warning|error):"; true' sh |
		sort -u >"$out.tidy"
	cat "$out.tidy"
	[ ! -s "$out.tidy" ]
	local code=$?
	rm -f "$out.tidy"
	return $code
}

static_check() {
	cppcheck --quiet --std=c11 --platform=unix64 --enable=warning,portability --inline-suppr -U__ASSEMBLER__ -I. \
		-j "$(nproc)" --suppress=missingInclude --suppress=missingIncludeSystem --suppress=preprocessorErrorDirective \
		--suppressions-list=tests/lint/cppcheck.txt --error-exitcode=1 "${kernel[@]}"
}

check "layers, include cycles, inline assembly" $python tests/lint/layers.py
check "calls between rooms, circles of files" $python tests/lint/calls.py
check "places that docs/design.md names" $python tests/lint/places.py
check "licence lines" $python tests/lint/text.py licence
check "heads of files" $python tests/lint/text.py head
check "no unfinished business, no paths of machines" $python tests/lint/text.py words
check "line length, trailing space" $python tests/lint/text.py width
check "the tests that docs/security.md names" $python tests/lint/claims.py
check "each address of a VMCS aimed by a guest test" $python tests/lint/addresses.py
check "mutants fit the code, and their tests exist" $python tests/lint/mutants_fit.py
check "options in README" $python tests/lint/options.py
check "rules of VM entry: used, and their short form" $python tests/lint/rule_texts.py
check "shell syntax" bash -c 'for f in $(git ls-files "*.sh") tools/grub/21_linux_socle; do bash -n "$f" || exit 1; done'
check "python syntax" $python -m compileall -q tools tests
check "clang-format" formatting
check "clang-tidy" tidy
check "cppcheck" static_check
long=$($python tests/lint/text.py length)
[ -z "$long" ] || printf 'note: longer than the house likes (350 lines):\n%s\n' "$(echo "$long" | sed 's/^/     /')"
exit $status
