#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every shell script passes shellcheck, and so does what bash only reads.
set -euo pipefail

if ! command -v shellcheck >/dev/null; then
	echo "shellcheck is not installed"
	exit 75
fi
if ! unlisted=$(git ls-files 2>&1 >/dev/null); then
	echo "git does not list the files: $unlisted"
	exit 75
fi
git ls-files -z --cached --others --exclude-standard |
	while IFS= read -r -d '' file; do
		[[ -f $file ]] || continue
		read -r first <"$file" 2>/dev/null || true
		[[ ${first:-} =~ ^'#!'.*[/\ ](ba|da)?sh( |$) || $file == *.bash ]] && printf '%s\0' "$file"
		true
	done |
	xargs -0 -r shellcheck
