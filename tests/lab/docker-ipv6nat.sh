#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The ip6tables commands that docker-ipv6nat 0.4.4 runs, in its order: what it leaves behind, and what
# we run beside. The program itself is in no distribution; this is a recording of what it does to
# the kernel, not of how it comes to do it.
#
#     docker-ipv6nat.sh STATE IP6TABLES < orders
#
# STATE is a directory in which it remembers how many rules it believes to have in each chain: that is
# where it inserts. IP6TABLES is the command, ip6tables-nft or ip6tables-legacy. Orders, one a line:
#
#     start [hairpin]                          as the program's start, before it lists networks; hairpin:
#                                              where the engine runs without docker-proxy
#     network BRIDGE SUBNET [noicc]
#     internal BRIDGE [noicc]
#     port BRIDGE CONTAINER PROTOCOL HOST_PORT CONTAINER_PORT [HOST_ADDRESS]
#     no-port ...                              the same words: the container has gone
#     no-network BRIDGE SUBNET [noicc]
#     cleanup                                  as its exit with -cleanup, after no-port and no-network
set -eu

state=$1
ip6tables=$2

count() {
	cat "$state/$1.$2" 2>/dev/null || echo 0
}

remember() {
	echo $(($(count "$1" "$2") + $3)) >"$state/$1.$2"
}

# One process to ask for the rule, one more to insert it: TABLE CHAIN first|last RULE...
ensure() {
	table=$1 chain=$2 where=$3
	shift 3
	if ! "$ip6tables" -t "$table" -C "$chain" "$@" 2>/dev/null; then
		case $where in
		first) "$ip6tables" -t "$table" -I "$chain" 1 "$@" ;;
		last) "$ip6tables" -t "$table" -I "$chain" $(($(count "$table" "$chain") + 1)) "$@" ;;
		esac
	fi
	remember "$table" "$chain" 1
}

remove() {
	table=$1 chain=$2
	shift 3
	if "$ip6tables" -t "$table" -C "$chain" "$@" 2>/dev/null; then
		"$ip6tables" -t "$table" -D "$chain" "$@"
		remember "$table" "$chain" -1
	fi
}

clear_chain() {
	"$ip6tables" -t "$1" -N "$2" 2>/dev/null || "$ip6tables" -t "$1" -F "$2"
	echo 0 >"$state/$1.$2"
}

start() {
	"$ip6tables" -t filter -N DOCKER-USER 2>/dev/null || true
	"$ip6tables" -t filter -C DOCKER-USER -j RETURN 2>/dev/null ||
		"$ip6tables" -t filter -A DOCKER-USER -j RETURN
	clear_chain filter DOCKER
	clear_chain filter DOCKER-ISOLATION-STAGE-1
	clear_chain filter DOCKER-ISOLATION-STAGE-2
	clear_chain nat DOCKER
	echo 0 >"$state/filter.FORWARD"
	echo 0 >"$state/nat.POSTROUTING"
	echo 0 >"$state/nat.PREROUTING"
	echo 0 >"$state/nat.OUTPUT"
	"$ip6tables" -t filter -D FORWARD -j DOCKER-USER 2>/dev/null || true
	ensure filter FORWARD first -j DOCKER-USER
	ensure filter FORWARD last -j DOCKER-ISOLATION-STAGE-1
	ensure filter DOCKER-ISOLATION-STAGE-1 last -j RETURN
	ensure filter DOCKER-ISOLATION-STAGE-2 last -j RETURN
	ensure nat PREROUTING last -m addrtype --dst-type LOCAL -j DOCKER
	if [ "${1:-}" = hairpin ]; then
		touch "$state/hairpin"
		ensure nat OUTPUT last -m addrtype --dst-type LOCAL -j DOCKER
	else
		rm -f "$state/hairpin"
		ensure nat OUTPUT last -m addrtype --dst-type LOCAL -j DOCKER ! -d ::1
	fi
}

verdict() {
	if [ "$1" = noicc ]; then
		echo DROP
	else
		echo ACCEPT
	fi
}

# ensure|remove BRIDGE SUBNET [noicc]
network() {
	"$1" filter DOCKER-ISOLATION-STAGE-1 first -i "$2" ! -o "$2" -j DOCKER-ISOLATION-STAGE-2
	"$1" filter DOCKER-ISOLATION-STAGE-2 first -o "$2" -j DROP
	"$1" filter FORWARD last -o "$2" -j DOCKER
	"$1" filter FORWARD last -o "$2" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	"$1" filter FORWARD last -i "$2" ! -o "$2" -j ACCEPT
	"$1" filter FORWARD last -i "$2" -o "$2" -j "$(verdict "${4:-}")"
	"$1" nat POSTROUTING first -o "$2" -m addrtype --dst-type LOCAL -j MASQUERADE
	"$1" nat POSTROUTING first -s "$3" ! -o "$2" -j MASQUERADE
	[ -e "$state/hairpin" ] || "$1" nat DOCKER first -i "$2" -j RETURN
}

# ensure|remove BRIDGE [noicc]
internal() {
	"$1" filter DOCKER-ISOLATION-STAGE-1 first ! -i "$2" -o "$2" -j DROP
	"$1" filter DOCKER-ISOLATION-STAGE-1 first -i "$2" ! -o "$2" -j DROP
	"$1" filter FORWARD last -i "$2" -o "$2" -j "$(verdict "${3:-}")"
}

# ensure|remove BRIDGE CONTAINER PROTOCOL HOST_PORT CONTAINER_PORT [HOST_ADDRESS]
port() {
	"$1" filter DOCKER last -d "$3" ! -i "$2" -o "$2" -p "$4" -m "$4" --dport "$6" -j ACCEPT
	"$1" nat POSTROUTING last -s "$3" -d "$3" -p "$4" -m "$4" --dport "$6" -j MASQUERADE
	if [ -e "$state/hairpin" ]; then
		"$1" nat DOCKER last -d "${7:-0/0}" -p "$4" -m "$4" --dport "$5" \
			-j DNAT --to-destination "[$3]:$6"
	else
		"$1" nat DOCKER last -d "${7:-0/0}" ! -i "$2" -p "$4" -m "$4" --dport "$5" \
			-j DNAT --to-destination "[$3]:$6"
	fi
}

cleanup() {
	remove filter FORWARD last -j DOCKER-ISOLATION-STAGE-1
	remove nat PREROUTING last -m addrtype --dst-type LOCAL -j DOCKER
	remove nat OUTPUT last -m addrtype --dst-type LOCAL -j DOCKER ! -d ::1
	remove nat OUTPUT last -m addrtype --dst-type LOCAL -j DOCKER
	for chain in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2; do
		"$ip6tables" -t filter -F "$chain" 2>/dev/null || true
		"$ip6tables" -t filter -X "$chain" 2>/dev/null || true
	done
	"$ip6tables" -t nat -F DOCKER 2>/dev/null || true
	"$ip6tables" -t nat -X DOCKER 2>/dev/null || true
}

while read -r order words; do
	# shellcheck disable=SC2086 # words of an order
	case $order in
	start | cleanup) "$order" $words ;;
	network | internal | port) "$order" ensure $words ;;
	no-network) network remove $words ;;
	no-port) port remove $words ;;
	*)
		echo "unknown order: $order" >&2
		exit 2
		;;
	esac
done
