#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon on uplinks that consist of several devices, with a fake engine that has one network
# inside the uplink's /64 and a running container in it. All in network namespaces:
#
#	router --- (switch) === host --- br-3930a11dc779 --- box
#
# The router is a kernel like any other: it solicits by multicast when it knows nothing, and by
# unicast when it wants to know whether the container is still there.
#
#	uplinks.sh [CASE]...	next to build/ipv6natd, build/ipv6natctl and build/fake-engine
#
# shellcheck disable=SC2317 # some functions are called by name

dir=$(mktemp -d)
engine_id=3930a11dc779
container=2001:db8:1:0:d0::a
absent=2001:db8:1:0:d0::bad
to_router=r0 # the router's device
uplink=
n_failed=0
case=

# ------------------------------------------------------------- little helpers
fail() {
	echo "FAIL $case: $*"
	n_failed=$((n_failed + 1))
}

host() {
	ip netns exec host "$@"
}

router() {
	ip netns exec router "$@"
}

now() {
	cut -d. -f1 /proc/uptime
}

# wait_for SECONDS COMMAND: until it is true
wait_for() {
	local until
	until=$(($(now) + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ "$(now)" -le $until ] || return
		sleep 0.1
	done
}

expect() {
	local seconds=$1 what=$2
	shift 2
	wait_for "$seconds" "$@" || fail "$what; the router's neighbours: $(ip -n router -6 neigh show "$container")"
}

# Answered neither from the router's memory nor because something else was asked before.
reaches() {
	ip -n router -6 neigh flush all >/dev/null 2>&1
	router ping6 -c 1 -W 1 "${1:-$container}"
}

mac_of() {
	cat_in "$1" "/sys/class/net/$2/address"
}

cat_in() {
	ip netns exec "$1" cat "$2"
}

neighbour_is() {
	ip -n router -6 neigh show "$container" dev "$to_router" | grep -q "$1"
}

# ----------------------------------------------------------------- the world
# A pair between two namespaces, both ends up.
pair() {
	ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}

begin() {
	case=$1
	filtered=0
	uplink=$2
	to_router=${3:-r0}
	for ns in router switch host box; do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
		ip netns exec "$ns" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
			echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
	done
	ip -n host link add "br-$engine_id" type bridge
	ip -n host link set "br-$engine_id" up
	ip -n host addr add 2001:db8:1:0:d0::1/80 dev "br-$engine_id" nodad
	pair host v0 box eth0
	ip -n host link set v0 master "br-$engine_id"
	ip -n box addr add "$container/80" dev eth0 nodad
	ip -n box -6 route add default via 2001:db8:1:0:d0::1
}

# Once the uplink is there: addresses, the engine and the daemon.
start() {
	ip -n router addr add 2001:db8:1::1/64 dev "$to_router" nodad
	# One unicast solicitation per attempt would do; three are the default.
	router sh -c "echo 2 >/proc/sys/net/ipv6/neigh/$to_router/ucast_solicit"
	address_uplink
	ip netns exec host build/fake-engine "$dir/docker.sock" >/dev/null 2>&1 &
	engine=$!
	wait_for 5 test -S "$dir/docker.sock"
	: >"$dir/daemon.log"
	ip netns exec host build/ipv6natd --docker "unix://$dir/docker.sock" \
		--control "$dir/control.sock" >"$dir/daemon.log" 2>&1 &
	daemon=$!
	wait_for 10 test -S "$dir/control.sock"
}

address_uplink() {
	ip -n host link set "$uplink" up
	ip -n host addr add 2001:db8:1::16/64 dev "$uplink" nodad
	ip -n host -6 route add default via 2001:db8:1::1 dev "$uplink"
}

end() {
	kill -TERM "$daemon"
	wait "$daemon" || fail "the daemon ended with $?"
	kill "$engine"
	wait "$engine" 2>/dev/null
	[ "$n_failed" = "${n_before:=0}" ] || sed 's/^/  daemon: /' "$dir/daemon.log"
	n_before=$n_failed
	for ns in router switch host box; do
		ip netns del "$ns"
	done
	rm -f "$dir"/*.sock
	echo "done: $case, up $(now) s"
}

# ------------------------------------------------------------- what must hold
# All sockets for IPv6 frames are the uplink's own: none on a port, none on a lower device.
bound_to_uplink() {
	local index
	index=$(cat_in host "/sys/class/net/$uplink/ifindex")
	cat_in host /proc/net/packet |
		awk -v index_="$index" '$4 == "86dd" { n++; if ($5 != index_) wrong = 1 } END { exit !n || wrong }'
}

# The router asks the container by unicast; it believes it is there only if that is answered.
confirmed_by_unicast() {
	ip -n router -6 neigh change "$container" dev "$to_router" \
		lladdr "$(mac_of host "$uplink")" nud probe 2>/dev/null
	wait_for 1 neighbour_is REACHABLE
}

# The router knows the container afterwards.
check_all() {
	expect 10 "does not reach the container" reaches
	bound_to_uplink || fail "sockets: $(cat_in host /proc/net/packet)"
	expect 1 "has another MAC" neighbour_is "$(mac_of host "$uplink")"
	expect 5 "unicast solicitations are not answered" confirmed_by_unicast
	# The kernel would complain about the link-local source of what it forwards. With br_netfilter
	# nothing can keep it from that, without keeping the responder from answering.
	[ "$filtered" = 1 ] || cat_in host /proc/net/snmp6 | grep -Eq '^Icmp6OutDestUnreachs[[:space:]]+0$' ||
		fail "the kernel forwards solicitations: $(cat_in host /proc/net/snmp6 | grep 'Icmp6Out.*Unreach')"
	! reaches $absent >/dev/null || fail "somebody answers for $absent"
	expect 1 "does not reach the container any longer" reaches
	build/ipv6natctl --control "$dir/control.sock" status --json |
		grep -Eq "\"interface\": ?\"$uplink\"" || fail "$uplink is not in the status document"
}

# The router learns another MAC without having asked: its entry changes while it is silent.
check_announced() {
	local mac
	mac=$(mac_of host "$uplink")
	expect 5 "was not told of the new MAC $mac" neighbour_is "$mac"
	expect 5 "does not reach the container with the new MAC" router ping6 -c 1 -W 1 "$container"
}

# --------------------------------------------------------------------- cases
case_vlan() {
	begin VLAN up0.7 r0.7
	pair router r0 host up0
	ip -n router link add link r0 name r0.7 type vlan id 7
	ip -n router link set r0.7 up
	ip -n host link add link up0 name up0.7 type vlan id 7
	start
	check_all
	ip -n host link set up0.7 address 02:00:00:00:07:01
	check_announced
	check_all
	# It goes and comes again, with another index.
	ip -n host link del up0.7
	ip -n host link add link up0 name up0.7 type vlan id 7
	address_uplink
	check_all
	end
}

# Two ports in a switch; mac: what becomes of the MAC when the other port takes over.
bond() {
	ip -n switch link add lan type bridge
	ip -n switch link set lan up
	ip -n host link add bond1 type bond mode active-backup miimon 50 fail_over_mac "$1"
	for n in 0 1; do
		ip link add "s$n" netns host type veth peer name "p$n" netns switch
		ip -n host link set "s$n" master bond1
		ip -n switch link set "p$n" master lan up
	done
	ip -n host link set bond1 up
	pair router r0 switch p2
	ip -n switch link set p2 master lan
}

active_is() {
	[ "$(cat_in host /sys/class/net/bond1/bonding/active_slave)" = "$1" ]
}

# The port fails at the switch's end: no carrier.
fail_over() {
	ip -n switch link set "p${1#s}" down
	expect 5 "$2 does not take over" active_is "$2"
}

case_bond() {
	begin "bond, one MAC" bond1
	bond none
	start
	check_all
	fail_over "$(cat_in host /sys/class/net/bond1/bonding/active_slave)" s1
	expect 3 "does not reach the container by the other port" router ping6 -c 1 -W 1 "$container"
	check_all
	end
}

case_bond_macs() {
	begin "bond, a MAC for each port" bond1
	bond active
	start
	check_all
	before=$(mac_of host bond1)
	fail_over s0 s1
	[ "$before" != "$(mac_of host bond1)" ] || fail "the MAC has not changed"
	check_announced
	check_all
	end
}

case_vlan_on_bond() {
	begin "VLAN on a bond" bond1.7 r0.7
	bond active
	ip -n router link add link r0 name r0.7 type vlan id 7
	ip -n router link set r0.7 up
	ip -n host link add link bond1 name bond1.7 type vlan id 7
	start
	check_all
	fail_over s0 s1
	expect 5 "does not reach the container by the other port" reaches
	check_all
	end
}

# As on hosts of virtual machines: the uplink's addresses are a bridge's.
case_bridge() {
	begin "$1" vmbr0
	filtered=$2
	host sh -c "echo $filtered >/proc/sys/net/bridge/bridge-nf-call-ip6tables"
	pair router r0 host up0
	ip -n host link add vmbr0 type bridge
	ip -n host link set up0 master vmbr0
	start
	check_all
	ip -n host link set vmbr0 address 02:00:00:00:07:02
	check_announced
	check_all
	end
}

[ $# -gt 0 ] || set -- vlan bond bond-macs vlan-on-bond bridge bridge-filtered
for name; do
	case $name in
	vlan) case_vlan ;;
	bond) case_bond ;;
	bond-macs) case_bond_macs ;;
	vlan-on-bond) case_vlan_on_bond ;;
	bridge) case_bridge bridge 0 ;;
	bridge-filtered) case_bridge "bridge, br_netfilter" 1 ;;
	*) fail "no such case: $name" ;;
	esac
done
rm -rf "$dir"
exit $((n_failed > 0))
