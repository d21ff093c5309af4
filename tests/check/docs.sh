#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Documents name what there is, and nothing else. What there is comes from the programs themselves:
# --help, what they say to a wrong value, and their tables of names. An entry of a man page is an .It
# line; what the text mentions does not count.
set -euo pipefail
daemon=build/ipv6natd ctl=build/ipv6natctl
daemon_man=man/ipv6natd.8 ctl_man=man/ipv6natctl.1 conf_man=man/ipv6nat.conf.5
sample=contrib/ipv6nat.conf keys=src/wire/conf-ini-keys.c
failed=0

for file in $daemon $ctl; do
	[[ -x $file ]] || { echo "$file is not built" && exit 75; }
done

# compare WHAT DOCUMENT IN_THE_PROGRAM IN_THE_DOCUMENT: the last two have one name per line.
compare() {
	local name
	while read -r name; do
		[[ -z $name ]] || { echo "$2: $1 $name is missing" && failed=1; }
	done < <(comm -23 <(sort -u <<<"$3") <(sort -u <<<"$4"))
	while read -r name; do
		[[ -z $name ]] || { echo "$2: there is no $1 $name" && failed=1; }
	done < <(comm -13 <(sort -u <<<"$3") <(sort -u <<<"$4"))
}

# compare_all: neither may be empty, as it is when we look for it in the wrong place.
compare_all() {
	[[ -n $3 && -n $4 ]] || { echo "$2: no $1 found" && failed=1; }
	compare "$@"
}

# Names in static const char *const TABLE[] = { [X] = "name", ... }.
table() {
	sed -n "/ $2\[\] = {/,/^\s*};/p" "$1" | grep -oP '= "\K[^"]+' || true
}

# Names of the entries in the section (.Sh or .Ss) of a man page.
entries() {
	awk -v title="$2" '
		/^\.S[hs] / { inside = substr($0, 5) == title }
		inside && /^\.It (Li|Cm) / { print $3 }' "$1"
}

options_of_help() {
	"$1" --help | grep -oP '(^|[^[:alnum:]-])\K--[a-z][a-z-]*'
}
options_of_man() {
	awk '/^\.S[hs] / { inside = $2 == "OPTIONS" } inside && /^\.It Fl /' "$1" |
		grep -oP ' -\K[a-z][a-z-]+' | sed 's/^/--/'
}

# "section Key", the section's name in small letters.
keys_of_program() {
	awk -F '"' '/^static const struct conf_key [a-z]+_keys\[\]/ { split($0, w, /[ _]/); section = w[6] }
		/^};/ { section = "" }
		section && /\{ "[A-Za-z]+"/ { print section, $2 }' "$keys"
}
keys_of_man() {
	awk '/^\.S[hs] / { section = $2 ~ /^\[/ ? tolower(substr($2, 2)) : ""; sub(/\]/, "", section) }
		section && /^\.It Cm / { key = section " " $3 }
		section && /^\.It Cm / && !only { print key }
		only && /^Without effect yet\.$/ { print key }' only="${1-}" "$conf_man"
}
keys_of_sample() {
	awk -F '[][ =#]+' '/^#?\[/ { section = tolower($2) } /^#?[A-Z][A-Za-z]*=/ { print section, $2 }' "$sample"
}

# As if every line of the sample that is commented out were in force.
check_sample() {
	local directory
	directory=$(mktemp -d)
	sed 's/^#\([[A-Z]\)/\1/' "$sample" >"$directory/conf"
	"$daemon" --config "$directory/conf" --check-config 2>&1 && echo fine
	rm -r "$directory"
}

for program in daemon ctl; do
	man=${program}_man
	compare_all option "${!man}" "$(options_of_help "${!program}")" "$(options_of_man "${!man}")"
done

commands=$("$ctl" --help | awk '/^  [a-z]/ { print $1; if ($2 == "|") print $3 }')
compare_all command $ctl_man "$commands" "$(entries $ctl_man COMMANDS)"
for command in $commands; do
	columns=$("$ctl" "$command" -o '?' 2>&1 | sed -n 's/^ *columns: //p' | tr ',' '\n' || true)
	compare "column of $command" $ctl_man "$columns" "$(entries $ctl_man "Columns of $command")"
done

compare_all key $conf_man "$(keys_of_program)" "$(keys_of_man)"
compare_all key $sample "$(keys_of_program)" "$(keys_of_sample)"
said=$(check_sample)
grep -qx fine <<<"$said" || { echo "$sample: $said" && failed=1; }
compare "key without effect" $conf_man \
	"$(sed -nE 's/.*: ([A-Za-z]+)= in \[([A-Za-z]+).* has no effect yet/\L\2\E \1/p' <<<"$said")" "$(keys_of_man only)"

# default_bridge is Docker's mark of its own network, nothing to set
compare_all label $conf_man "$(grep -ohP '"\Kipv6nat\.[a-z]+(?=")' src/model/*.c)" \
	"$(entries $conf_man 'Labels of a network' && entries $conf_man 'Labels of a container')"
compare_all option $conf_man \
	"$(grep -rhoP '(DOCKER_BRIDGE "|"com\.docker\.network\.bridge\.|"\K(?=com\.docker\.network\.host))\K[a-z0-9_.]*[a-z0-9_](?=")' \
		src --include='*.c' | grep -vx default_bridge)" "$(entries $conf_man 'Options of Docker')"

problems=$(table src/base/status.c codes)
compare_all problem $daemon_man "$problems" "$(entries $daemon_man PROBLEMS)"
# the first two have a severity that is no literal
compare_all severity $daemon_man "$({ echo PROBLEM_DOCKER_DISCONNECTED, PROBLEM_ERROR PROBLEM_DOCKER_LIMIT, PROBLEM_ERROR &&
	cat src/*/*.c; } | tr -s ' \t\n' ' ' | grep -oP 'PROBLEM_\K[A-Z0-9_]+, PROBLEM_(NOTICE|WARNING|ERROR)' |
	sed 's/, PROBLEM_/ /; s/_/-/g; s/.*/\L&/')" \
	"$(awk '/^\.Sh / { inside = $2 == "PROBLEMS" }
		inside && /^\.It Li / { for (i = 6; i <= NF; i++) if ($i != ",") print $3, $i }' $daemon_man)"
# shellcheck disable=SC2016 # backticks of Markdown
compare_all problem README.md "$problems" "$(awk -F '|' '/^## / { inside = $0 ~ /Troubleshooting/ }
	inside { print $3 }' README.md | grep -oP '`\K[a-z0-9-]+(?=`)')"
# figures were measured: each row is one of those that bench.py has printed
rows=$(sed -n '/^<!-- numbers -->/,/^<!-- .numbers -->/{/^|/p}' README.md)
compare_all "recorded row" README.md "$(grep -xF "$rows" tests/bench/figures.txt || true)" "$rows"
compare_all mode $daemon_man "$(table src/base/config.c modes | grep -vx auto)" "$(entries $daemon_man Modes)"
compare_all reason $daemon_man "$(table src/base/ndp.c drops | grep -vx none)" \
	"$(entries $daemon_man 'Neighbour discovery')"
compare_all endpoint $daemon_man \
	"$(grep -oP '\{ "\K(GET|POST)", "[^"]+' src/daemon/control.c | sed 's/", "/ /')" \
	"$(awk '/^\.Sh / { inside = /CONTROL API/ } inside && /^\.It Li (GET|POST)/ { print $3, $4 }' $daemon_man)"
compare_all "key of the status" $daemon_man "$(grep -oP '^\s+"\K[a-z_]+(?=",)' src/wire/api-json.c)" \
	"$(awk '/^\.S[hs] / { inside = $2 == "Status" } inside && sub(/^\.(It )?Li /, "")' $daemon_man | grep -o '[a-z_]*')"
compare_all "kind of event" $daemon_man "$(table src/wire/api-events.c names && printf 'hello\nlost')" \
	"$(entries $daemon_man Events)"
compare_all metric $daemon_man "$(grep -ohP '\{ "\Kipv6nat_[a-z0-9_]+' src/wire/metrics.c)" \
	"$(entries $daemon_man METRICS)"

if command -v mandoc >/dev/null; then
	# the manuals of others may be missing, and ours are not installed
	lint=$(mandoc -T lint man/* 2>&1 | grep -v 'referenced manual not found\|mandoc.db' || true)
	[[ -z $lint ]] || { echo "$lint" && failed=1; }
fi
exit $failed
