#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU time of a new connection to a published port: rulesets compared side by side.

Usage: datapath.py [--modes udp-in,tcp-in,udp-out,tcp-out] [RULESET[@PORTS] ...]; needs root and the programs
bench-datapath and bench-rules, which "make bench" builds and uses too. RULESET: see RULESETS; "ours" is what
the daemon's own code makes for this topology.

Topology:  client (2001:db8:1::c, 2001:db8:c::/64) -- up0 router -- brA (fd00:a::/64) - a1 fd00:a::a1
                                                              |-- brB (fd00:b::/64) - b1 fd00:b::b1
                                                              '-- brI (fd00:1::/64, internal) - i1 fd00:1::11

Property:  one ruleset after the other is loaded into the same router namespace, in turn (A B C A B C ...), so
that all share addresses, memory layout and noise. Every timed connection is checked by datapath.c;
the rulesets that claim to be complete also pass the functional matrix before the first and after
the last round, and their counters must agree with the number of connections.
"""

import argparse
import ctypes
import os
import re
import select
import socket
import statistics
import subprocess
import sys

HOST = "2001:db8:1::1"          # the router's address on the uplink, wildcard bindings
EXACT = "2001:db8:1::10"        # one with bindings of its own
LATE = "2001:db8:1::20"         # on the router, but not in @host_address: as if the daemon were not there
A1, A2, B1, I1 = "fd00:a::a1", "fd00:a::a2", "fd00:b::b1", "fd00:1::11"
PORT, TARGET = 10000, 9000
WARM_UP = 500                   # as in datapath.c
LINKLOCAL = "fe80::1:1"
BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build")
PROGRAMS = {}                   # name -> path, see use_programs()
libc = ctypes.CDLL(None, use_errno=True)


def use_programs(directory):
    for name in "datapath", "rules":
        PROGRAMS[name] = os.path.join(directory, "bench-" + name)


# ------------------------------------------------------------------ topology

class Lab:
    def __init__(self):
        self.ns = {n: f"dp{os.getpid()}{n}" for n in ("client", "router", "a1", "a2", "b1", "i1")}

    def path(self, name):
        return "/run/netns/" + self.ns[name]

    def run(self, name, *argv, **kw):
        return subprocess.run(["nsenter", "--net=" + self.path(name), *argv], check=True, text=True, **kw)

    def ip(self, name, commands):
        self.run(name, "ip", "-6", "-batch", "-", input=commands)

    def up(self):
        for n in self.ns.values():
            subprocess.run(["ip", "netns", "add", n], check=True)
        for n in self.ns:
            self.run(n, "sh", "-c", "ip link set lo up; cd /proc/sys/net/ipv6/conf; for i in all default; do "
                     "echo 0 >$i/accept_dad; echo 0 >$i/accept_ra; done")
        self.run("router", "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        self.run("client", "sh", "-c", "echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind")
        self.ip("router", f"""link add up0 type veth peer name eth0 netns {self.ns['client']}
link set up0 up
addr add {HOST}/64 dev up0 nodad
addr add {EXACT}/64 dev up0 nodad preferred_lft 0
addr add {LATE}/64 dev up0 nodad preferred_lft 0
addr add {LINKLOCAL}/64 dev up0 nodad
route add 2001:db8:c::/64 via 2001:db8:1::c
""")
        self.ip("client", f"""link set eth0 up
addr add 2001:db8:1::c/64 dev eth0 nodad
addr add fe80::c/64 dev eth0 nodad
route add local 2001:db8:c::/64 dev lo
route add default via {HOST}
""")
        for bridge, net, names in (("brA", "fd00:a::", ("a1", "a2")), ("brB", "fd00:b::", ("b1",)),
                                   ("brI", "fd00:1::", ("i1",))):
            self.ip("router", f"link add {bridge} type bridge mcast_snooping 0\n"
                    f"addr add {net}1/64 dev {bridge} nodad\nlink set {bridge} up\n")
            for n in names:
                self.ip("router", f"link add v{n} type veth peer name eth0 netns {self.ns[n]}\n"
                        f"link set v{n} master {bridge}\nlink set v{n} up\n")
                address = {"a1": A1, "a2": A2, "b1": B1, "i1": I1}[n]
                self.ip(n, f"link set eth0 up\naddr add {address}/64 dev eth0 nodad\nroute add default via {net}1\n")

    def down(self):
        for n in self.ns.values():
            subprocess.run(["ip", "netns", "del", n], check=False, stderr=subprocess.DEVNULL)

    def load(self, ruleset):
        tool, text = ruleset
        self.run("router", "nft", "flush", "ruleset")
        if tool == "nft":
            self.run("router", "nft", "-f", "-", input=text)
        elif tool == "ip6tables":
            self.run("router", "ip6tables-nft-restore", input=text)

    def socket(self, name, kind=socket.SOCK_DGRAM):
        """A socket in a namespace; it stays there when the thread comes back."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path(name), os.O_RDONLY)
        try:
            if libc.setns(there, 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            return socket.socket(socket.AF_INET6, kind)
        finally:
            libc.setns(home, 0)
            os.close(there)
            os.close(home)


# ------------------------------------------------------------------ rulesets

def ports(n):
    return range(PORT, PORT + n)


def ip6tables_single(n, protocol):
    """One DNAT rule per port, and nothing else. A random port is found after n / 2 of them."""
    rules = "".join(f"-A PREROUTING -p {protocol} -m {protocol} --dport {port} -j DNAT "
                    f"--to-destination [{A1}]:{TARGET}\n" for port in ports(n))
    return "ip6tables", f"*nat\n{rules}COMMIT\n"


def ip6tables_docker(n, protocol):
    """What dockerd 20.10 with ip6tables makes for one network and one port."""
    return "ip6tables", f"""*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d ::1/128 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s fd00:a::/64 ! -o brA -j MASQUERADE
-A POSTROUTING -s {A1}/128 -d {A1}/128 -p {protocol} -m {protocol} --dport {TARGET} -j MASQUERADE
-A DOCKER -i brA -j RETURN
-A DOCKER ! -i brA -p {protocol} -m {protocol} --dport {PORT} -j DNAT --to-destination [{A1}]:{TARGET}
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o brA -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o brA -j DOCKER
-A FORWARD -i brA ! -o brA -j ACCEPT
-A FORWARD -i brA -o brA -j ACCEPT
-A DOCKER -d {A1}/128 ! -i brA -o brA -p {protocol} -m {protocol} --dport {TARGET} -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i brA ! -o brA -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o brA -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
"""


def ip6tables_plain(n, protocol):
    """The shortest complete form: DNAT in a chain of its own, accepts, masquerade; no addrtype, no isolation."""
    return "ip6tables", f"""*nat
:DOCKER - [0:0]
-A PREROUTING -j DOCKER
-A DOCKER -p {protocol} -m {protocol} --dport {PORT} -j DNAT --to-destination [{A1}]:{TARGET}
-A POSTROUTING -s fd00:a::/64 ! -o brA -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -o brA -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -d {A1}/128 ! -i brA -o brA -p {protocol} -m {protocol} --dport {TARGET} -j ACCEPT
-A FORWARD -i brA ! -o brA -j ACCEPT
-A FORWARD -i brA -o brA -j ACCEPT
COMMIT
"""


def ip6tables_ipv6nat(n, protocol):
    """The three rules that docker-ipv6nat makes for each port, in its chains."""
    match = f"-p {protocol} -m {protocol} --dport"
    dnat = "".join(f"-A DOCKER ! -i brA {match} {p} -j DNAT --to-destination [{A1}]:{TARGET}\n" for p in ports(n))
    # each port stands for another container, whose address differs
    others = [f"fd00:a::{p:x}" for p in ports(n)][1:] + [A1]
    hairpin = "".join(f"-A POSTROUTING -s {a}/128 -d {a}/128 {match} {TARGET} -j MASQUERADE\n" for a in others)
    accept = "".join(f"-A DOCKER -d {a}/128 ! -i brA -o brA {match} {TARGET} -j ACCEPT\n" for a in others)
    return "ip6tables", f"""*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d ::1/128 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s fd00:a::/64 ! -o brA -j MASQUERADE
{hairpin}-A DOCKER -i brA -j RETURN
{dnat}COMMIT
*filter
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o brA -j DOCKER
-A FORWARD -o brA -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i brA ! -o brA -j ACCEPT
-A FORWARD -i brA -o brA -j ACCEPT
{accept}-A DOCKER-ISOLATION-STAGE-1 -i brA ! -o brA -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o brA -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
COMMIT
"""


def conntrack_only(n, protocol):
    return "nft", """table ip6 bench {
	chain forward { type filter hook forward priority -1; ct state established,related accept; }
}
"""


def ours(n, protocol, *edits):
    """What the daemon's own code makes; an edit (pattern, replacement) makes a variant of it."""
    text = subprocess.run([PROGRAMS["rules"], "script", str(n), protocol], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    for old, new in edits:
        text, found = re.subn(old, new, text)
        if not found:
            raise ValueError(f"no such text in the daemon's ruleset: {old}")
    return "nft", text


def variant(*edits):
    return lambda n, protocol: ours(n, protocol, *edits)


COUNTING = ("ours", "control")          # their counters are checked after every slice
RULESETS = {
    "none": lambda n, protocol: ("none", ""),
    "ct": conntrack_only,
    "ipt-min": ip6tables_single,
    "ipt-plain": ip6tables_plain,
    "ipt-docker": ip6tables_docker,
    "ipt-ipv6nat": ip6tables_ipv6nat,
    "ours": variant(),
    "control": variant(),               # the same again: its distance to "ours" is the noise
    "no-counter": variant((r"\t\tcounter\n", "")),
    "no-guards": variant((r"(?s)(chain publish_to_(?:any|address) \{\n).*?(\t\tdnat )", r"\1\2")),
    "no-fib": variant((r"\t\tfib daddr type local[^\n]*\n", "")),
    "post-interval": variant((r"@nh,64,32 @inside ip6 saddr vmap @source", "ip6 saddr vmap @source")),
    "post-gate": variant((r"@nh,64,32 @inside ip6 saddr vmap @source", "@nh,64,32 vmap @gate"),
                         (r"\tset inside {", "\tmap gate {\n\t\ttypeof @nh,64,32 : verdict\n\t\tsize 1024\n\t\telements = "
                          "{ 0xfd00000a : goto from_brA, 0xfd00000b : goto from_brB }\n\t}\n\tset inside {")),
}


# ------------------------------------------------------------------ correctness

# sender, its source address ("" = any), destination, port -> who gets it ("" = nobody), the source seen there
MATRIX = (
    ("client", "2001:db8:c::77", HOST, PORT, "a1", "2001:db8:c::77"),           # ::, source preserved
    ("client", "", EXACT, PORT, "a1", "2001:db8:1::c"),                         # ::, another address
    ("client", "", "fd00:a::1", PORT, "a1", "2001:db8:1::c"),                   # ::, the bridge's address
    ("client", "", HOST, 7000, "b1", "2001:db8:1::c"),
    ("client", "", EXACT, 7000, "a2", "2001:db8:1::c"),                         # the exact address wins
    ("client", "", EXACT, 7100, "b1", "2001:db8:1::c"),
    ("client", "", HOST, 7100, "router", "2001:db8:1::c"),                      # not published on this one
    ("client", "", LATE, PORT, "a1", "2001:db8:1::c"),                          # not in @host_address
    ("client", "", LATE, 7100, "router", "2001:db8:1::c"),
    ("client", "fe80::c%eth0", HOST, PORT, "router", "fe80::c"),
    ("client", "fe80::c%eth0", LATE, PORT, "router", "fe80::c"),
    ("client", "", LINKLOCAL + "%eth0", PORT, "router", "fe80::c"),
    ("client", "", A1, TARGET, "", ""),                                         # closed without publication
    ("client", "", I1, TARGET, "", ""),
    ("router", "", "::1", PORT, "router", "::1"),
    ("router", "", HOST, PORT, "a1", HOST),
    ("router", "", LATE, PORT, "a1", LATE),
    ("router", "fd00:a::1", "2001:db8:c::5", PORT, "client", "fd00:a::1"),      # the host's own: no masquerade
    ("a2", "", HOST, PORT, "a1", "fd00:a::1"),                                  # same bridge: masqueraded
    ("a2", "", LATE, PORT, "a1", "fd00:a::1"),
    ("b1", "", HOST, PORT, "a1", B1),                                           # other bridge: source preserved
    ("i1", "", HOST, PORT, "", ""),                                               # internal: neither this way
    ("a1", "", "2001:db8:c::5", PORT, "client", HOST),                          # remote, same port number: masquerade
    ("b1", "", "2001:db8:c::5", PORT, "client", EXACT),                         # fixed source
    ("i1", "", "2001:db8:c::5", PORT, "", ""),
    ("a1", "", B1, TARGET, "", ""),
    ("a1", "", I1, TARGET, "", ""),
    ("a1", "", A2, TARGET, "a2", A1),                                           # icc
    ("i1", "", A2, TARGET, "", ""),
)
COUNTED = 10            # rows of the matrix that ask for port PORT of "::", and are not link-local
LISTEN = {"a1": [TARGET], "a2": [TARGET], "b1": [TARGET], "i1": [TARGET], "router": [PORT, 7000, 7100], "client": [PORT]}


def udp(lab, name, address="::", port=0):
    sock = lab.socket(name)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_IPV6, 78, 1)         # IPV6_FREEBIND
    if "%" in address:
        home, there = (os.open(p, os.O_RDONLY) for p in ("/proc/thread-self/ns/net", lab.path(name)))
        libc.setns(there, 0)
        address = (address.split("%")[0], port, 0, socket.if_nametoindex(address.split("%")[1]))
        libc.setns(home, 0)
        os.close(home)
        os.close(there)
    else:
        address = (address, port)
    return sock, address


def receive(listeners):
    """Waits for the first datagram; a second one, or one for somebody else, would be seen as well."""
    ready, _, _ = select.select(list(listeners), [], [], 0.15)
    return [(listeners[s], s.recvfrom(16)[1][0].split("%")[0]) for s in ready]


def check_matrix(lab):
    listeners = {}
    for name, numbers in LISTEN.items():
        for port in numbers:
            sock, address = udp(lab, name, port=port)
            sock.bind(address)
            listeners[sock] = name
    bad = []
    for name, source, dest, port, target, seen in MATRIX:
        for attempt in range(2):                        # the first may wait for neighbour discovery
            sock, local = udp(lab, name, source or "::")
            sock.bind(local)
            _, remote = udp(lab, name, dest, port)
            sock.sendto(b"x", remote)
            got = receive(listeners)
            sock.close()
            if got or not target:
                break
        if got != ([(target, seen)] if target else []):
            bad.append(f"{name} {source} -> {dest} {port}: {got or 'nobody'}, not {target or 'nobody'} {seen}")
    for sock in listeners:
        sock.close()
    return bad


def counted(lab):
    """Connections to all ports of "::" but 7000, by the counters of the elements."""
    out = lab.run("router", "nft", "list", "map", "ip6", "ipv6nat", "publish_any", stdout=subprocess.PIPE).stdout
    return sum(int(n) for port, n in re.findall(r"(?:udp|tcp) \. (\d+) counter packets (\d+)", out) if port != "7000")


def check(lab, name):
    lab.load(RULESETS[name](1, "udp"))
    for n in ("a1", "a2", "b1", "i1", "client"):        # neighbours
        subprocess.run(["nsenter", "--net=" + lab.path(n), "ping", "-6", "-c1", "-W1", HOST], stdout=subprocess.DEVNULL)
    lab.load(RULESETS[name](1, "udp"))
    bad = check_matrix(lab)
    count = counted(lab) if name in COUNTING else COUNTED
    if count != COUNTED:
        bad.append(f"counter {count}, not {COUNTED}")
    print(f"{name}: {len(MATRIX)} cases, " + ("all right" if not bad else "WRONG\n  " + "\n  ".join(bad)), flush=True)
    return not bad


# ------------------------------------------------------------------ measurement

def command(lab, name, mode, n, flows):
    protocol, direction = mode.split("-")
    direct = name in ("none", "ct")
    argv = [PROGRAMS["datapath"], "-R", lab.path("router"), "-l", str(TARGET), "-n", str(flows)]
    if direction == "in":
        argv += ["-S", lab.path("client"), "-T", lab.path("a1"), "-s", "2001:db8:c::", "-d", A1 if direct else HOST,
                 "-p", str(TARGET if direct else PORT), "-k", str(1 if direct else n)]
    else:
        argv += ["-o", "-S", lab.path("a1"), "-T", lab.path("client"), "-s", A1, "-d", "2001:db8:c::",
                 "-e", A1 if direct or name == "ipt-min" else HOST, "-p", "1", "-k", "1"]
    return argv + (["-t"] if protocol == "tcp" else [])


def measure(lab, case, mode, flows, cpu):
    name, n = case
    if name == "ipt-ipv6nat":
        flows = min(flows, 500)         # slow enough to be measured with fewer
    lab.load(RULESETS[name](n, mode.split("-")[0]))
    out = subprocess.run(["taskset", "-c", str(cpu), "nice", "-n", "-10", *command(lab, name, mode, n, flows)],
                         check=True, text=True, stdout=subprocess.PIPE).stdout
    if name in COUNTING:
        expected = flows + WARM_UP if mode.endswith("-in") else 0
        if counted(lab) != expected:
            raise SystemExit(f"{name}@{n}: the counters say {counted(lab)} connections, not {expected}")
    return float(out.split()[0])


def measure_all(lab, cases, mode, rounds, flows, cpu=1):
    """CPU ns per connection, for each case one value per round; the first round warms up."""
    times = {c: [] for c in cases}
    for r in range(rounds + 1):
        for c in cases:
            value = measure(lab, c, mode, flows, cpu)
            if r:
                times[c].append(value)
    return times


def ratio(times, case, base):
    """Median of the rounds' ratios."""
    return statistics.median(v / w for v, w in zip(times[case], times[base]))


def report(mode, times, flows):
    bases = [c for c in times if c[0].startswith("ipt-") or c in (("ours", 1),)]
    rounds = len(next(iter(times.values())))
    print(f"{mode}: CPU ns per connection, {rounds} rounds of {flows}")
    for c, values in times.items():
        ratios = "  ".join(f"/{b[0]}@{b[1]} {ratio(times, c, b):.3f}" for b in bases)
        print(f"  {c[0]:>16}@{c[1]:<6} median {statistics.median(values):8.0f}  min {min(values):8.0f}  "
              f"max {max(values):8.0f}   {ratios}", flush=True)


DEFAULT = "ct ipt-min ipt-min@1000 ipt-plain ipt-docker ours@1 ours@1000 ours@10000 control@10000"


def parse_case(text):
    name, _, n = text.partition("@")
    return name, int(n or 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", default=BUILD, help="directory of bench-datapath and bench-rules")
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--flows", type=int, default=6000)
    parser.add_argument("--modes", default="udp-in")
    parser.add_argument("--check", default="ours", help="rulesets that must pass the functional matrix")
    parser.add_argument("cases", nargs="*", default=DEFAULT.split())
    args = parser.parse_args()
    use_programs(args.programs)
    lab = Lab()
    good = True
    try:
        lab.up()
        for name in args.check.split(","):
            good &= not name or check(lab, name)
        for mode in args.modes.split(","):
            report(mode, measure_all(lab, [parse_case(c) for c in args.cases], mode, args.rounds, args.flows,
                                     args.cpu), args.flows)
        for name in args.check.split(","):
            good &= not name or check(lab, name)
    finally:
        lab.down()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
