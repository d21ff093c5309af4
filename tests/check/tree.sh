#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What must be in no file: paths of the machine it was written on, notes to be done later; and what
# must be in every one: its licence. Recorded answers of real programs (tests/data, the corpora) are
# as they are.
set -euo pipefail

if ! unlisted=$(git ls-files 2>&1 >/dev/null); then
	echo "git does not list the files: $unlisted"
	exit 75
fi

failed=0
complain() {
	echo "$1"
	failed=1
}

# Brackets, so that this file does not find itself.
unwanted='(^|[^[:alnum:]_.])/([w]ork|[f]arm|[h]ome)/|\b([T]ODO|[F]IXME|[X]XX)\b'

while IFS= read -r -d '' file; do
	[[ -f $file && ! -L $file ]] || continue
	case $file in
	tests/data/* | tests/fuzz/corpus/* | COPYING) continue ;;
	esac
	while IFS= read -r line; do
		complain "$file:$line"
	done < <(grep -nEI "$unwanted" "$file" || true)
	case $file in
	*.md | *.json | *.txt | *.png) continue ;;
	# their formats have no comments
	contrib/debian/changelog | contrib/debian/copyright | contrib/debian/source/format) continue ;;
	esac
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2\.0-or-later' ||
		complain "$file: no SPDX line among the first three"
done < <(git ls-files -z --cached --others --exclude-standard)
exit $failed
