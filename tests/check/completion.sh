#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The completions offer what the programs take, and nothing else: commands, options and columns, as
# the programs themselves name them.
set -euo pipefail

ctl=build/ipv6natctl daemon=build/ipv6natd
bash_file=contrib/completion/ipv6natctl.bash zsh_file=contrib/completion/_ipv6natctl
if [[ ! -x $ctl || ! -x $daemon ]]; then
	echo "$ctl and $daemon are not built"
	exit 75
fi
# shellcheck disable=SC1090,SC1091 # shell.sh reads it by itself
. "$bash_file"

failed=0
# same WHAT EXPECTED FOUND: two lists of lines with the same words in any order
same() {
	local line
	while read -r line; do
		echo "$1: $line"
		failed=1
	done < <(diff <(sort -u <<<"$2") <(sort -u <<<"$3") | sed -n 's/^</is missing:/p; s/^>/is not there:/p')
	if [[ -z $2 ]]; then
		echo "$1: the program names none"
		failed=1
	fi
}

# completed FUNCTION WORD...: what bash offers for the last word
completed() {
	local function=$1
	shift
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	"$function"
	printf '%s\n' "${COMPREPLY[@]}"
}

options() {
	"$1" --help | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

commands() {
	"$ctl" --help | sed -n 's/^  \([a-z][a-z-]*\)\( | \([a-z]*\)\)\?\( [A-Z]*\)\?  .*/\1\n\3/p' | sed '/^$/d'
}

# as the program names them to who asks for another
columns() {
	"$ctl" -o '?' "$1" 2>&1 | sed -n 's/^  columns: //p' | tr , '\n'
}

same "$bash_file: commands" "$(commands)" "$(completed _ipv6natctl ipv6natctl '')"
same "$bash_file: options" "$(options "$ctl")" "$(completed _ipv6natctl ipv6natctl --)"
same "$bash_file: options of ipv6natd" "$(options "$daemon")" "$(completed _ipv6natd ipv6natd --)"
for table in networks ports addresses; do
	same "$bash_file: columns of $table" "$(columns "$table")" \
		"$(completed _ipv6natctl ipv6natctl "$table" -o '')"
	same "$zsh_file: columns of $table" "$(columns "$table")" \
		"$(awk -v start="($table) columns=" 'index($0, start) { inside = 1 }
			inside; /;;/ { inside = 0 }' "$zsh_file" | grep -oE '\b[A-Z_]+\b')"
done
same "$zsh_file: commands" "$(commands)" "$(grep -oE "^[[:space:]]*'[a-z-]+:" "$zsh_file" | tr -d "\t ':")"
same "$zsh_file: options" "$( (options "$ctl" && options "$daemon") | sort -u)" \
	"$(grep -oE -- '--[a-z][a-z-]+' "$zsh_file")"
exit $failed
