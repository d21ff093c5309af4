#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every public symbol carries the prefix of its module, or one that "prefixes" allows. Reads the
# objects below build/ (or below the directory given).
set -euo pipefail
shopt -s nullglob

build=${1:-build}
objects=("$build"/{base,model,wire,io,daemon,ctl}/*.o)
if ((${#objects[@]} == 0)); then
	echo "nothing is built below $build"
	exit 75
fi

for object in "${objects[@]}"; do
	file=${object#"$build"/}
	nm -g --defined-only "$object" | awk -v file="${file%.o}" '{ print file, $3 }'
done | awk '
	FNR == NR {
		if ($0 !~ /^#/)
			for (i = 2; i <= NF; i++)
				more[$1] = more[$1] " " $i
		next
	}
	# What sanitizers and coverage add begins with two underscores, which is theirs by the standard.
	$2 ~ /^__/ || ($1 ~ /\/main$/ && $2 == "main") { next }
	{
		word = $1
		sub(/.*\//, "", word)
		sub(/-.*/, "", word)
		n = split(word "_" more[$1], prefixes, " ")
		for (i = 1; i <= n; i++)
			if (index($2, prefixes[i]) == 1)
				next
		printf "src/%s.c: \"%s\" has none of the prefixes %s%s\n", $1, $2, word "_", more[$1]
		failed = 1
	}
	END { exit failed }' tests/check/prefixes -
