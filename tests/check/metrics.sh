#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What contrib/ asks Prometheus for is there: every metric that the dashboard and the alert rules name
# is in the table of src/wire/metrics.c, and every one of that table is on the dashboard. (That all of
# them are documented is checked by docs.sh.)
set -euo pipefail

# Names in quotes at the beginning of the table's lines; a histogram is three series.
table() {
	sed -n '/^} metrics\[\] = {/,/^};/p' src/wire/metrics.c |
		grep -oP '= \{ *"\K[a-z0-9_]+", "[a-z]+(?=")' | tr -d '",' |
		while read -r name type; do
			if [[ $type == histogram ]]; then
				printf '%s\n' "$name"_{bucket,sum,count}
			else
				echo "$name"
			fi
		done | sort
}

used() {
	grep -ohE '\b(ipv6nat|process)_[a-z_]+' "$@" | sort -u
}

failed=0
complain() {
	while read -r name; do
		[[ -z $name ]] || { echo "$name: $1" && failed=1; }
	done
}

known=$(table)
[[ -n $known ]] || { echo "src/wire/metrics.c: no table of metrics found" && failed=1; }
for file in contrib/grafana/ipv6nat.json contrib/prometheus/ipv6nat.{rules,test}.yml; do
	complain "is in $file, and there is no such metric" < <(comm -13 - <(used "$file") <<<"$known")
done
complain "is not in contrib/grafana/ipv6nat.json" \
	< <(comm -23 - <(used contrib/grafana/ipv6nat.json) <<<"$known")
python3 -m json.tool contrib/grafana/ipv6nat.json >/dev/null || failed=1
exit $failed
