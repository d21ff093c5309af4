#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The compiler checks that a table of names is as long as its enum; tests/unit/test-strtab.c that it
# has no holes. This checks that no table is missing there.
set -euo pipefail
shopt -s nullglob

failed=0
while IFS=: read -r file line declaration; do
	name=${declaration#*(}
	name=${name%%,*}
	if ! grep -q "TABLE($name," tests/unit/test-strtab.c; then
		echo "$file:$line: tests/unit/test-strtab.c has no TABLE($name, ...)"
		failed=1
	fi
done < <(grep -n '^DECLARE_STRTAB(' include/*/*.h src/*/*.h)
exit $failed
