# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers that hold addresses of the uplink's own prefix, which nobody routes to their host.

    client --- router 2001:db8:1::/64 on-link === host1 (engine), host2 (engine), neighbours
    containers: 2001:db8:1:0:d0::/80, a part of that prefix

Property: the router finds a container's address on the host from when the container runs until it
stops, and finds nothing else there: no address that no container has, and none that somebody else
has. Without the daemon it finds none of them. (Which frames are answered, and how, is tested in
test_ndp_frames.py; what links do in test_ndp_links.py.)
"""

import contextlib
import fcntl
import os
import struct

import pytest

from lab import Capture, Daemon, UdpPinger, outcome, tcp_ask, udp_ask, wait_for
from neighbours import (ALL_NODES, ALL_ROUTERS, Wire, add_neighbour, addresses_from, checksum, ethernet,
                        find_ndp, ip6, multicast_mac, neighbour_entry, problem_codes, solicitation,
                        solicited_by)
from reach import answers, echo, reach, reach_briefly

SUBNET = "2001:db8:1:0:d0::/80"
FIRST = "2001:db8:1:0:d0::2"
NOBODY = "2001:db8:1:0:d0::1:0"
BRIDGE = "com.docker.network.bridge."
PUBLISH = "-p 80:80 -p 80:80/udp"


def bridge_of(network_id):
    return f"br-{network_id[:12]}"


def is_nothing(got):
    """Nothing of a reach() arrived; the router may say so, or not."""
    return set(got.values()) <= {"timeout", "unreachable"}


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.serve(lab.client)
    return lab


@pytest.fixture
def wire(lab):
    with Wire(lab.router, "h1") as made:
        yield made


@pytest.fixture
def control(engine):
    """A container that is there for the whole test: what is answered when silence is to be shown."""
    engine.network("control", "2001:db8:1:0:cc::/80")
    return engine.run("control", "--network control").v6()


def answered(wire, address, control, then=None):
    """Is a solicitation for the address answered by the daemon? (For the control see Wire.)"""
    got = wire.answers(solicitation(address), control, then)
    assert {(a.target, a.flags) for a in got} <= {(address, "RS")}
    return bool(got)


def forget(lab, *addresses):
    for address in addresses:
        lab.router.ip(f"neigh flush {address} dev lan")


# -- the whole of it --------------------------------------------------------------------------

@pytest.mark.engine_any
def test_reached_through_us(lab, engine, daemon, order):
    """Nobody finds the container without the daemon; with it TCP, UDP and echo arrive from where
    they come, and answers find back. Both orders end there."""

    def world():
        engine.network("p", SUBNET)
        web = engine.run("web", f"--network p {PUBLISH}", serve="tcp:80 udp:80 tcp:81 udp:81")
        wait_for(lambda: outcome(tcp_ask, lab.host, web.v6(), 80).startswith("web "))
        return web

    if order.world_first:
        web = world()
        assert is_nothing(reach_briefly(lab.client, web.v6()))
        forget(lab, web.v6())
        order = lambda _, daemon: daemon.start().sync() and web
    web = order(world, daemon)
    assert reach(lab.client, web.v6()) == answers("web", lab.client.v6)
    assert outcome(tcp_ask, lab.client, web.v6(), 81, timeout=0.5) == "timeout"
    assert reach(web.ns, lab.client.v6) == answers("client", web.v6())
    assert neighbour_entry(lab.router, web.v6(), "lan")[0] == lab.host.mac
    status = daemon.status()
    assert [c["answered"] for c in daemon.find_network("p", status)["containers"]] == ["eth0"]
    assert find_ndp(status)["targets"] == 1
    assert web.v6() in daemon.ctl("addresses", check=True).stdout


def test_killed_and_started_again(lab, engine, daemon, wire):
    """Whoever is killed answers nothing, and everything again after a start."""
    engine.network("p", SUBNET)
    web = engine.run("web", f"--network p {PUBLISH}")
    daemon.start()
    daemon.sync()
    # the kernel answers for the host's own address all the time: the control
    assert answered(wire, web.v6(), lab.host.v6, daemon.status)
    daemon.kill()
    assert not answered(wire, web.v6(), lab.host.v6)
    daemon.start()
    daemon.sync()
    assert answered(wire, web.v6(), lab.host.v6, daemon.status)
    forget(lab, web.v6())
    assert reach(lab.client, web.v6()) == answers("web", lab.client.v6)
    daemon.stop()
    assert not answered(wire, web.v6(), lab.host.v6)


# -- from when until when ---------------------------------------------------------------------

@pytest.mark.engine_any
def test_as_long_as_the_container_lives(lab, engine, daemon, wire, control):
    """Not before it starts, not after it stops; a pause does not matter."""
    daemon.start()
    engine.network("p", SUBNET)
    engine.docker(f"create --name web --network p --ip6 {FIRST} bb:1 echo-server web udp:80")
    web = next(c for c in engine.api("GET", "/containers/json?all=1") if c["Names"] == ["/web"])["Id"]

    def after(*command):
        if command:
            engine.docker(*command)
        daemon.sync()
        return answered(wire, FIRST, control)

    assert not after()
    assert after("start web")
    assert after("pause web")
    assert after("unpause web")
    assert not after("stop -t 0 web")
    assert after("start web")
    assert not after("network disconnect p web")
    assert after(f"network connect --ip6 {FIRST} p web")
    assert after("restart -t 0 web")
    assert after("rename web web2")
    assert not after("rm -f", web)
    assert daemon.find_network("p")["containers"] == []


@pytest.mark.engine_any
def test_announced_before_the_first_packet(lab, engine, daemon):
    """A container that starts is made known, so that routers have an entry before they need one."""
    daemon.start()
    daemon.sync()
    engine.network("p", SUBNET)
    with Capture(lab.router, "h1", "icmp6") as capture, Wire(lab.router, "h1") as wire:
        engine.run("web", f"--network p --ip6 {FIRST}")
        for to, flags in (ALL_ROUTERS, "R"), (ALL_NODES, "RO"):
            told = wire.first(lambda a, to=to: (a.target, a.to) == (FIRST, to))
            assert (told.flags, told.hop_limit, told.source) == (flags, 255, FIRST)
            assert (told.mac, told.link_address, told.to_mac) == (lab.host.mac, lab.host.mac,
                                                                  multicast_mac(to))
        # nobody has asked
        assert set(solicited_by(capture, FIRST)) <= {"::"}


@pytest.mark.parametrize("announce", ["yes", "no"])
def test_moves_to_another_host(two_hosts, announce):
    """An address that moves to another host is found there at once, because that host says so. The
    router would trust its memory for minutes; without announcements it does (the control)."""
    lab, engines, daemons = two_hosts
    for daemon in daemons:
        daemon.configure(f"[NDP]\nAnnounce={announce}\n")
        daemon.ctl("reload", check=True)
        daemon.sync()
    lab.router.sysctl("net/ipv6/neigh/lan/base_reachable_time_ms", 1000 * 3600)
    forget(lab, FIRST)

    def start(i):
        made = engines[i].run(f"on{i + 1}", f"--network p --ip6 {FIRST} -p 80/udp", serve="udp:80")
        daemons[i].sync()
        return made

    first = start(0)
    # conntrack on the way must not remember either, hence a fresh port for each ask
    wait_for(lambda: outcome(udp_ask, lab.client, FIRST, 80, timeout=0.5).startswith("on1 "), 30)
    assert neighbour_entry(lab.router, FIRST, "lan") == (lab.hosts[0].mac, "REACHABLE")
    with UdpPinger(lab.client, FIRST, 80, interval_ms=20) as pinger:
        pinger.wait_more()
        with Capture(lab.router, "lan", "icmp6") as capture:
            first.remove()
            daemons[0].sync()
            start(1)
            if announce == "yes":
                wait_for(lambda: any(line.startswith("on2 ") for line in pinger.now()["answers"]))
                assert neighbour_entry(lab.router, FIRST, "lan")[0] == lab.hosts[1].mac
                # told, not asked
                assert set(solicited_by(capture, FIRST)) <= {"::"}
            else:
                assert neighbour_entry(lab.router, FIRST, "lan")[0] == lab.hosts[0].mac
                assert not any(line.startswith("on2 ") for line in pinger.now()["answers"])
    engines[1].docker("rm -f on2")
    daemons[1].sync()


@pytest.fixture(scope="module")
def two_hosts(make_lab, make_engine):
    """Two hosts on one link, whose engines give addresses of the same subnet."""
    lab = make_lab(hosts=2)
    engines = [make_engine(lab, host) for host in lab.hosts]
    daemons = []
    for engine in engines:
        engine.network("p", SUBNET)
        daemons.append(Daemon(engine).start())
        daemons[-1].sync()
    yield lab, engines, daemons
    for daemon in daemons:
        daemon.stop()


# -- others on the link -----------------------------------------------------------------------

def test_an_address_in_use_is_defended(lab, engine, daemon, control):
    """A neighbour whose kernel wants a container's address finds by DAD that it is taken; another
    address it gets (the control)."""
    daemon.start()
    # else our own probes and announcements would be what keeps the address from him
    daemon.wait_status(lambda s: find_ndp(s) and find_ndp(s)["announcements"] == 4)
    thief = add_neighbour(lab, "thief")
    thief.sysctl("net/ipv6/conf/eth0/accept_dad", 1)
    for address in control, "2001:db8:1:0:cc::99":
        thief.ip(f"addr add {address}/64 dev eth0")

    def flags():
        found = {a["local"]: a for part in thief.ip_json("-6 addr show dev eth0 scope global")
                 for a in part.get("addr_info", []) if "local" in a}
        return not any(a.get("tentative") and not a.get("dadfailed") for a in found.values()) and \
            {local for local, a in found.items() if a.get("dadfailed")}
    try:
        assert wait_for(flags) == {control}
        assert find_ndp(daemon.status())["dad"] >= 1
        assert "address-conflict" not in problem_codes(daemon.status())
    finally:
        lab.router.ip("link del thief")


def test_an_address_of_somebody_else(lab, engine, daemon, wire, control):
    """What somebody else on the link has is not answered, and called a conflict, until he goes."""
    daemon.start()
    daemon.sync()
    holder = add_neighbour(lab, "holder", FIRST, "02:00:00:00:00:55")
    lab.serve(holder)
    wait_for(lambda: outcome(udp_ask, lab.client, FIRST, 80, timeout=0.5).startswith("holder "), 20)
    engine.network("p", SUBNET)
    engine.run("web", f"--network p --ip6 {FIRST} {PUBLISH}")

    def conflicts(status):
        return [p["message"] for p in status["problems"] if p["code"] == "address-conflict"]

    status = daemon.wait_status(conflicts)
    message, = conflicts(status)
    assert FIRST in message and "02:00:00:00:00:55" in message
    assert status["state"] == "degraded"
    assert [c["answered"] for c in daemon.find_network("p", status)["containers"]] == [None]
    assert not answered(wire, FIRST, control)
    forget(lab, FIRST)
    assert outcome(udp_ask, lab.client, FIRST, 80).startswith("holder ")
    # the other one goes
    lab.router.ip("link del holder")
    daemon.wait_status(lambda s: not conflicts(s), 60)
    assert answered(wire, FIRST, control)
    forget(lab, FIRST)
    wait_for(lambda: outcome(udp_ask, lab.client, FIRST, 80, timeout=0.5).startswith("web "), 20)


# -- scans ------------------------------------------------------------------------------------

def scan_frames(lab, targets):
    """To each of them a datagram, an echo request and the beginning of a connection."""
    source = lab.client.v6
    for i, target in enumerate(targets):
        kinds = {17: struct.pack("!HHHH", 40000, 80, 9, 0) + b"\n",
                 58: struct.pack("!BBHHH", 128, 0, 0, 1, i),
                 6: struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, 0x50, 2, 65535, 0, 0)}
        for protocol, data in kinds.items():
            at = {17: 6, 58: 2, 6: 16}[protocol]
            data = data[:at] + struct.pack("!H", checksum(source, target, protocol, data)) + data[at + 2:]
            yield ethernet("02:00:00:00:00:0a", lab.host.mac, ip6(source, target, protocol, data))


@pytest.mark.parametrize("label", ["", "--label ipv6nat.firewall=open"], ids=["closed", "open"])
def test_scan(lab, engine, daemon, wire, label):
    """Packets to addresses that nobody has, and solicitations for them, come to nothing: the host
    asks for none of them on the bridge, where without the daemon it does (the control)."""
    bridge = bridge_of(engine.network("p", SUBNET, label))
    web = engine.run("web", f"--network p {PUBLISH}").v6()
    unassigned = addresses_from(NOBODY, 2000)

    def asked_on_bridge():
        return {entry["dst"] for entry in lab.host.ip_json(f"-6 neigh show dev {bridge}")} & set(unassigned)

    wire.send(*scan_frames(lab, unassigned[:10]))
    wait_for(lambda: asked_on_bridge() == set(unassigned[:10]))
    daemon.start()
    daemon.sync()
    lab.host.ip(f"neigh flush dev {bridge}")
    wait_for(lambda: not asked_on_bridge())
    before = find_ndp(daemon.status())
    with Capture(lab.host, bridge, "icmp6") as capture:
        wire.send(*scan_frames(lab, unassigned))
        # what is sent last arrives last
        assert reach(lab.client, web) == answers("web", lab.client.v6)
        assert not asked_on_bridge()
        assert not [line for line in capture.lines() if f"who has {NOBODY[:-1]}" in line]
    solicitations = [solicitation(address) for address in unassigned]
    for i in range(0, len(unassigned), 200):
        assert wire.answers(solicitations[i:i + 200], web) == []
    now = find_ndp(daemon.status())
    unknown = [n["dropped"].get("unknown", 0) + n["lost"] for n in (before, now)]
    assert unknown[1] - unknown[0] == len(unassigned)
    assert not asked_on_bridge()


# -- other uplinks, other networks ------------------------------------------------------------

def test_bridge_as_uplink(make_lab, make_engine):
    """A host whose only interface is in a bridge answers on the bridge, which has the addresses,
    with the bridge's own MAC, and nowhere else."""
    lab = make_lab()
    host, mac = lab.host, "02:00:00:00:01:bb"
    host.run("ip", "-batch", "-", input=f"""
        addr flush dev eth0
        link add br0 type bridge mcast_snooping 0
        link set br0 address {mac}
        link set eth0 master br0
        link set br0 up
        addr add {host.v6}/64 dev br0 nodad
        addr add {host.v4}/24 dev br0
        route replace default via 192.0.2.1
        route replace default via 2001:db8:1::1""")
    engine = make_engine(lab)
    engine.network("p", SUBNET)
    web = engine.run("web", f"--network p {PUBLISH}").v6()
    daemon = Daemon(engine).start()
    daemon.sync()
    assert [n["interface"] for n in daemon.status()["ndp"]] == ["br0"]
    with Wire(lab.router, "h1") as wire:
        # the bridge and its port need a moment before they pass the first frames
        answer, = wait_for(lambda: wire.answers(solicitation(web), host.v6))
        assert (answer.mac, answer.link_address, answer.flags) == (mac, mac, "RS")
    wait_for(lambda: outcome(tcp_ask, lab.client, web, 80).startswith("web "), 20)
    assert neighbour_entry(lab.router, web, "lan")[0] == mac
    daemon.stop()


@contextlib.contextmanager
def tun(ns, name):
    """A tun device, which is up as long as somebody holds its end."""
    with ns.entered():
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))
    try:
        yield
    finally:
        os.close(fd)


def test_uplink_that_is_not_ethernet(lab, engine, daemon, wire, control):
    """A tunnel has no neighbours: a problem says so, and nothing else breaks."""
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("needs /dev/net/tun")
    with tun(lab.host, "tun0"):
        lab.host.ip("link set tun0 up")
        lab.host.ip("addr add 2001:db8:77::2/64 dev tun0 nodad")
        lab.host.ip("-6 route add default dev tun0 metric 4096")
        engine.network("t", "2001:db8:77:0:d0::/80")
        engine.run("tunnelled", "--network t")
        daemon.start()
        daemon.sync()
        status = daemon.status()
        assert daemon.find_network("t", status)["uplink"] == "tun0"
        found = [p for p in status["problems"] if p["code"] == "uplink-not-ethernet"]
        assert len(found) == 1 and "tun0" in found[0]["message"]
        assert daemon.log.read_text().count("not an Ethernet interface") == 1
        assert answered(wire, control, lab.host.v6, daemon.status)
    daemon.wait_status(lambda s: "uplink-not-ethernet" not in problem_codes(s))
    assert answered(wire, control, lab.host.v6, daemon.status)


def test_subnet_that_is_the_uplinks_prefix(lab, engine, daemon, wire):
    """A network that takes in the whole link is a problem; what no container has may be anybody's
    there, and is let through. With a network that is a part of the prefix it is not (the control)."""
    results = {}
    daemon.start()
    for subnet in "2001:db8:1::/64", SUBNET:
        gateway = "--gateway 2001:db8:1::fffe" if subnet.endswith("/64") else ""
        bridge = bridge_of(engine.network("p", subnet, gateway))
        web = engine.run("web", f"--network p --ip6 {FIRST} {PUBLISH}", serve="udp:80")
        daemon.sync()
        # somebody whom Docker does not know of, behind the bridge, and whom the router finds
        web.ns.ip(f"addr add {NOBODY}/128 dev eth0 nodad")
        lab.host.ip(f"route add {NOBODY}/128 dev {bridge}")
        lab.host.ip(f"route add {FIRST}/128 dev {bridge}")
        lab.router.ip(f"neigh replace {NOBODY} lladdr {lab.host.mac} dev lan nud permanent")
        status = daemon.status()
        results[subnet] = ("subnet-overlap" in problem_codes(status),
                           answered(wire, FIRST, lab.host.v6, daemon.status),
                           answered(wire, NOBODY, lab.host.v6, daemon.status),
                           outcome(udp_ask, lab.client, NOBODY, 80, timeout=1).split()[0])
        lab.router.ip(f"neigh del {NOBODY} dev lan")
        web.remove()
        engine.docker("network rm p")
    assert results == {"2001:db8:1::/64": (True, True, False, "web"),
                       SUBNET: (False, True, False, "timeout")}


# -- engines with rules of their own ----------------------------------------------------------

@pytest.mark.engine_is("28.5")
def test_native_networks(make_lab, make_engine):
    """Of an engine that keeps IPv6 rules itself, networks that it does not translate are answered;
    for others the option that would change it is named."""
    lab = make_lab()
    engine = make_engine(lab, ip6tables=None)
    engine.network("p", SUBNET, f"-o {BRIDGE}gateway_mode_ipv6=routed")
    engine.network("translated", "2001:db8:1:0:e0::/80")
    web = engine.run("web", f"--network p {PUBLISH}").v6()
    hidden = engine.run("hidden", "--network translated -p 81:80").v6()
    assert is_nothing(reach_briefly(lab.client, web))
    forget(lab, web, hidden)
    daemon = Daemon(engine).start()
    daemon.sync()
    status = daemon.status()
    assert {n["name"]: n["mode"] for n in status["networks"] if n["name"] in ("p", "translated")} == \
        {"p": "native", "translated": "native"}
    notice, = [p for p in status["problems"] if p["code"] == "forward-drop"]
    assert notice["severity"] == "notice" and "translated" in notice["message"]
    assert "gateway_mode_ipv6=routed" in notice["cure"]
    with Wire(lab.router, "h1") as wire:
        assert not answered(wire, hidden, web)
    wait_for(lambda: outcome(tcp_ask, lab.client, web, 80, timeout=1) == f"web tcp:80 from {lab.client.v6}", 20)
    assert outcome(udp_ask, lab.client, web, 80) == f"web udp:80 from {lab.client.v6}"
    assert outcome(tcp_ask, lab.client, lab.host.v6, 81) == f"hidden tcp:80 from {lab.client.v6}"
    daemon.stop()
