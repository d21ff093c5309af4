#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# src/README.md has every module of src/, and no other. A name on the map stands for NAME.[ch] and
# for its parts NAME-*.[ch].
set -euo pipefail
shopt -s nullglob

map=src/README.md
failed=0

# "LAYER NAME" of each name in the first column of the tables below "### LAYER".
names=$(awk '
	/^##/ { layer = ($1 == "###") ? $2 : "" }
	layer && /^\| `/ {
		split($0, column, "|")
		n = split(column[2], quoted, "`")
		for (i = 2; i <= n; i += 2)
			print layer, quoted[i]
	}' "$map")

while read -r layer name; do
	found=("src/$layer/$name".[ch] "src/$layer/$name"-*.[ch])
	if ((${#found[@]} == 0)); then
		echo "$map: src/$layer/$name.c is not there"
		failed=1
	fi
done <<<"$names"

for file in src/*/*.[ch]; do
	layer=${file#src/}
	layer=${layer%%/*}
	name=${file##*/}
	name=${name%.[ch]}
	whole=$name
	until grep -qxF "$layer $name" <<<"$names"; do
		if [[ $name != *-* ]]; then
			echo "$map: src/$layer/$whole.c has no line"
			failed=1
			break
		fi
		name=${name%-*}
	done
done
exit $failed
