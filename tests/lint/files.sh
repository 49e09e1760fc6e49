#!/bin/sh
# SPDX-License-Identifier: MIT
# files.sh: the C files that `make lint` and `make format` look at.
cd "$(dirname "$0")/../.." &&
	find boot kernel mm drivers vmx tests \( -name '*.c' -o -name '*.h' \) -type f | LC_ALL=C sort
