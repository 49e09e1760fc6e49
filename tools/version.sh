#!/bin/sh
# SPDX-License-Identifier: MIT
#
# version.sh: the version of this tree, in one word: from the tag and the commit if it is a clone, else the number in the
# file VERSION (a source archive has no history).
cd "$(dirname "$0")/.." || exit 1
number=$(sed -n '/^[0-9]/p' VERSION)
if [ "$(git -c safe.directory="*" rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; then
	git -c safe.directory="*" describe --tags --match 'v[0-9]*' --dirty 2>/dev/null | sed 's/^v//' | grep . && exit 0
	commit=$(git -c safe.directory="*" describe --always --dirty --exclude '*' 2>/dev/null)
fi
echo "$number${commit:+-g$commit}"
