#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Documents name what there is, and nothing else: options of --help and of the man page are the
# same; every configuration key is in ipv6nat.conf(5) and in the sample; every problem code is in
# ipv6natd(8).
set -euo pipefail

failed=0
missing=()
complain() {
	echo "$1"
	failed=1
}

have() {
	local file
	for file in "$@"; do
		if [[ ! -e $file ]]; then
			missing+=("$file")
			return 1
		fi
	done
}

# Long options as --help shows them, one per line.
options_of_help() {
	"$1" --help 2>&1 | grep -oE -- '(^|[^[:alnum:]-])--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+' | sort -u
}

# mdoc writes --option as "Fl -option", and after a short one as "Fl o , -option"; only the entries
# of a list (.It) count, not what the text mentions.
options_of_man() {
	grep -E '^\.It .*Fl' "$1" | grep -oE -- ' -[a-z][a-z0-9-]+' | sed 's/^ -/--/' | sort -u
}

compare_options() {
	local program=$1 man=$2 option
	have "$program" "$man" || return 0
	while read -r option; do
		complain "$man: $option of ${program##*/} --help is missing"
	done < <(comm -23 <(options_of_help "$program") <(options_of_man "$man"))
	while read -r option; do
		complain "${program##*/} --help: $option of $man is missing"
	done < <(comm -13 <(options_of_help "$program") <(options_of_man "$man"))
}

# "section key" of the tables in conf-ini-keys.c: static const struct conf_key SECTION_keys[].
config_keys() {
	awk '
		/^static const struct conf_key [a-z]+_keys\[\]/ {
			section = $5
			sub(/_keys.*/, "", section)
		}
		/^};/ { section = "" }
		section && match($0, /\{ *"[A-Za-z]+"/) {
			split(substr($0, RSTART, RLENGTH), quoted, "\"")
			print section, quoted[2]
		}' "$1"
}

# Does a document name the key within its section? Sections begin with [Name] in the sample and with
# a heading or list entry of that name in the man page.
document_has_key() {
	awk -v section="$2" -v key="$3" '
		/^\.S[hs] / || /^[#; ]*\[/ { inside = index(tolower($0), section) > 0 }
		inside && $0 ~ ("(^|[^A-Za-z])" key "($|[^A-Za-z])") { found = 1 }
		END { exit !found }' "$1"
}

compare_keys() {
	local table=src/wire/conf-ini-keys.c document section key n=0
	have "$table" || return 0
	while read -r section key; do
		n=$((n + 1))
		for document in man/ipv6nat.conf.5 contrib/ipv6nat.conf; do
			have "$document" || continue
			document_has_key "$document" "$section" "$key" ||
				complain "$document: [${section^}] $key= is missing"
		done
	done < <(config_keys "$table")
	((n > 0)) || complain "$table: no keys found"
}

compare_problems() {
	local code n=0
	have src/base/status.c man/ipv6natd.8 || return 0
	while read -r code; do
		n=$((n + 1))
		grep -qE "^\.It .*[[:space:]]$code( |\$)" man/ipv6natd.8 ||
			complain "man/ipv6natd.8: problem code $code has no entry"
	done < <(awk -F '"' '/ codes\[\] = \{/ { inside = 1 } /^};/ { inside = 0 }
		inside && NF > 2 { print $2 }' src/base/status.c)
	((n > 0)) || complain "src/base/status.c: no problem codes found"
}

compare_options build/ipv6natd man/ipv6natd.8
compare_options build/ipv6natctl man/ipv6natctl.1
compare_keys
compare_problems
((failed == 0)) || exit 1
if ((${#missing[@]} > 0)); then
	printf '%s\n' "${missing[@]}" | sort -u | sed 's/$/ is not there yet/'
	exit 75
fi
