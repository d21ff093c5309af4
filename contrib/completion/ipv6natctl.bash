# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of ipv6natctl and ipv6natd for bash; needs nothing but bash.
# shellcheck shell=bash

# The option, or nothing, whose argument is being typed; bash takes "--control=/x" for three words.
_ipv6nat_option() {
	local previous=${COMP_WORDS[COMP_CWORD - 1]}

	[[ ${COMP_WORDS[COMP_CWORD]} == = ]] && printf '%s' "$previous" && return
	[[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $previous == -* ]] && printf '%s' "$previous"
}

_ipv6nat_words() {
	local IFS=$' \t\n'

	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_ipv6nat_files() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# Of a list as "A,B" or "+A,B" only the last one is completed.
_ipv6natctl_columns() {
	local current=$1 columns before=

	case " ${COMP_WORDS[*]} " in
	*" networks "*) columns='NETWORK MODE BRIDGE SUBNETS UPLINK CONTAINERS REASON ID SNAT PREFIX' ;;
	*" ports "*) columns='CONTAINER NETWORK PROTOCOL HOST TARGET STATE CONNECTIONS HOST_ADDRESS
		HOST_PORT ADDRESS CONTAINER_PORT ID' ;;
	*" addresses "*) columns='ADDRESS INTERFACE CONTAINER NETWORK KIND ID' ;;
	*) return ;;
	esac
	if [[ $current == *,* ]]; then
		before=${current%,*},
	elif [[ $current == +* ]]; then
		before=+
	fi
	compopt -o nospace 2>/dev/null
	_ipv6nat_words "$columns" "$(tr '[:lower:]' '[:upper:]' <<<"${current#"$before"}")"
	COMPREPLY=("${COMPREPLY[@]/#/$before}")
}

_ipv6natctl() {
	local current=${COMP_WORDS[COMP_CWORD]} option commands word

	option=$(_ipv6nat_option)
	[[ $current == = ]] && current=
	case $option in
	--control) _ipv6nat_files "$current" && return ;;
	--host) mapfile -t COMPREPLY < <(compgen -A hostname -- "$current") && return ;;
	-o | --output) _ipv6natctl_columns "$current" && return ;;
	esac
	if [[ $current == -* ]]; then
		_ipv6nat_words '--control --host --output --json --no-legend --no-color --version --help' "$current"
		return
	fi
	commands='status networks ports addresses plan monitor sync reload import-ndppd version help'
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ $word == import-ndppd ]] && _ipv6nat_files "$current" && return
		[[ " $commands " == *" $word "* ]] && return
	done
	_ipv6nat_words "$commands" "$current"
}

_ipv6natd() {
	local current=${COMP_WORDS[COMP_CWORD]} option

	option=$(_ipv6nat_option)
	[[ $current == = ]] && current=
	case $option in
	--config | --control) _ipv6nat_files "$current" && return ;;
	--docker) _ipv6nat_words 'unix:// tcp:// https://' "$current" && return ;;
	--backend) _ipv6nat_words 'auto nftables ip6tables' "$current" && return ;;
	esac
	_ipv6nat_words '--config --docker --control --backend --check --check-config --dry-run --once
		--cleanup --json --verbose --version --help' "$current"
}

complete -F _ipv6natctl ipv6natctl
complete -F _ipv6natd ipv6natd
