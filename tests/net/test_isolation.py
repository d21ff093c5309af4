# SPDX-License-Identifier: GPL-2.0-or-later
"""Who does not reach whom.

    client --- router === host (engine)        router: all container subnets via the host
                           |  \\
              vpn === wg0 -+   networks a, b (nat), gua (routed), inside (internal), noicc (ICC off),
                               open (label), trusting (configuration), trusting2 (Docker's option)

Property: networks are closed to each other and to outside, but for published ports, and for what
their owner opened; internal networks in both directions; containers to each other with ICC off.
What is blocked is asked for beside something on the same path that answers.
"""

from types import SimpleNamespace

import pytest

from lab import outcome, peer_of, tcp_ask, udp_ask, wait_for
from reach import NOTHING, SHORT, answers, at_once, echo, is_blocked, link_local, reach, reach_briefly

pytestmark = pytest.mark.engine_any

BRIDGE = "com.docker.network.bridge."
NF_CALL = "net/bridge/bridge-nf-call-ip6tables"
CONFIG = "[Network trust*ng]\nTrusted=wg0\n"
NETWORKS = {
    "a": ("fd00:a::", ""), "b": ("fd00:b::", ""), "gua": ("2001:db8:2::", ""),
    "inside": ("fd00:c::", "--internal"), "noicc": ("fd00:d::", f"-o {BRIDGE}enable_icc=false"),
    "open": ("fd00:e::", "--label ipv6nat.firewall=open"), "trusting": ("fd00:f::", ""),
    "trusting2": ("fd00:10::", f"-o {BRIDGE}trusted_host_interfaces=lan7:wg0"),
}
# container: its network, its ports
CONTAINERS = {
    "a1": ("a", "-p 8080:80 -p 8080:80/udp"), "a2": ("a", ""), "b1": ("b", ""),
    "g1": ("gua", "-p 8081:81 -p 8081:81/udp"), "in1": ("inside", "-p 8082:80"), "in2": ("inside", ""),
    "n1": ("noicc", "-p 8083:80 -p 8083:80/udp"), "n2": ("noicc", ""),
    "o1": ("open", "-p 8084:80"), "t1": ("trusting", ""), "u1": ("trusting2", ""),
}
ECHO_ONLY = {**NOTHING, "echo": "answered"}
PORT = {"a1": 8080, "n1": 8083}


def net(name):
    return NETWORKS[name][0]


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.vpn = lab.add_node("vpn", "2001:db8:50::2")
    lab.host.ip(f"link add wg0 type veth peer name eth0 netns {lab.vpn.name}")
    lab.host.ip("link set wg0 up")
    lab.vpn.ip("link set eth0 up")
    lab.host.ip("addr add 2001:db8:50::1/64 dev wg0 nodad")
    lab.vpn.ip("addr add 2001:db8:50::2/64 dev eth0 nodad")
    lab.vpn.ip("route add default via 2001:db8:50::1")
    lab.router.ip(f"route add 2001:db8:50::/64 via {lab.host.v6}")
    for name in NETWORKS:
        lab.router.ip(f"route add {net(name)}/64 via {lab.host.v6}")
    lab.serve(lab.client)
    lab.serve(lab.host, "tcp:7000 udp:7000")
    return lab


@pytest.fixture(scope="module")
def world(make_world, module_lab, module_engine):
    def build():
        for name, (subnet, args) in NETWORKS.items():
            module_engine.network(name, subnet + "/64", args)
        made = {name: module_engine.run(name, f"--network {network} {ports}",
                                        serve="tcp:80 udp:80 tcp:81 udp:81")
                for name, (network, ports) in CONTAINERS.items()}
        # not every engine gives an internal network a gateway: who has root in it may set one
        for name in "in1", "in2":
            made[name].ns.ip(f"route replace default via {net('inside')}1")
        return made

    containers, daemon = make_world(build, config=CONFIG)
    for name, container in containers.items():
        container.address = container.v6()
        # the bridge is ready when the gateway answers
        assert echo(container.ns, net(CONTAINERS[name][0]) + "1") == "answered"
    return SimpleNamespace(daemon=daemon, **containers)


def parallel_reach(pairs, ask=reach_briefly):
    """{(from, to): reach()} of many pairs (name, container or namespace, name, address), at once."""
    return dict(zip(pairs, at_once(*(lambda p=p: ask(*p) for p in pairs))))


# -- networks and outside ---------------------------------------------------------------------

# Neither another private network nor a routed one is reached by its containers' addresses.
def test_networks_are_closed_to_each_other(lab, world):
    pairs = [(x.ns, y.address) for x, y in ((world.a1, world.b1), (world.b1, world.a1),
                                            (world.a1, world.n2), (world.n2, world.a1),
                                            (world.a1, world.t1), (world.t1, world.a1))]
    assert all(got == NOTHING for got in parallel_reach(pairs).values())
    assert reach(world.a1.ns, world.a2.address) == answers("a2", world.a1.address)
    assert reach(world.a2.ns, world.a1.address) == answers("a1", world.a2.address)


# In mode routed a live container answers echo requests from outside; other networks are not outside.
def test_routed_network_answers_echo_only(lab, world):
    assert reach_briefly(lab.client, world.g1.address) == ECHO_ONLY
    assert reach_briefly(world.a1.ns, world.g1.address) == NOTHING
    assert reach_briefly(world.g1.ns, world.a1.address) == NOTHING


# The container sees who asks: it is not hidden behind docker-proxy, nor translated.
def test_published_port_of_another_network(lab, world):
    for ask in tcp_ask, udp_ask:
        for client in world.g1, world.b1:
            answer = ask(client.ns, lab.host.v6, 8080, timeout=5)
            assert answer.startswith("a1 ") and peer_of(answer) == client.address


@pytest.mark.parametrize("name", ["a1", "a2", "n1", "t1"])
def test_closed_from_outside(lab, world, name):
    container = getattr(world, name)
    assert reach_briefly(lab.client, container.address) == NOTHING
    assert reach_briefly(lab.vpn, container.address) == (
        answers("t1", lab.vpn.v6) if name == "t1" else NOTHING)
    if name in PORT:
        assert tcp_ask(lab.client, lab.host.v6, PORT[name]) == f"{name} tcp:80 from {lab.client.v6}"
    # the same path carries the answers to what the container itself began
    assert reach(container.ns, lab.client.v6) == answers("client", lab.host.v6)


def test_gateway_and_host_are_reached(lab, world):
    for container, network in (world.a1, "a"), (world.n1, "noicc"), (world.g1, "gua"):
        for address in net(network) + "1", lab.host.v6:
            assert reach(container.ns, address, 7000)["tcp"].startswith("host1 tcp:7000")
            assert echo(container.ns, address) == "answered"


# -- opened by their owners -------------------------------------------------------------------

def test_label_open(lab, world):
    assert reach(lab.client, world.o1.address) == answers("o1", lab.client.v6)
    assert reach(lab.vpn, world.o1.address, 81) == answers("o1", lab.vpn.v6, 81)
    # other networks are not outside
    for client in world.a1, world.g1:
        assert reach_briefly(client.ns, world.o1.address) == NOTHING
    assert reach_briefly(world.o1.ns, world.a1.address) == NOTHING
    assert tcp_ask(world.g1.ns, lab.host.v6, 8084).startswith("o1 tcp:80")


@pytest.mark.parametrize("name", ["t1", "u1"])
def test_trusted_interface(lab, world, name):
    container = getattr(world, name)
    assert reach(lab.vpn, container.address) == answers(name, lab.vpn.v6)
    assert reach(lab.host, container.address)["tcp"].startswith(f"{name} ")
    assert reach_briefly(lab.client, container.address) == NOTHING
    assert reach_briefly(world.a1.ns, container.address) == NOTHING


def test_unpublished_accept(lab, world):
    config = world.daemon.conf.read_text()
    world.daemon.configure(config + "[Firewall]\nUnpublished=accept\n")
    world.daemon.ctl("reload", check=True)
    try:
        for container, name in (world.a2, "a2"), (world.g1, "g1"):
            assert reach(lab.client, container.address) == answers(name, lab.client.v6)
        for client, server in (world.b1, world.a2), (world.a2, world.b1), (world.a1, world.g1):
            assert reach_briefly(client.ns, server.address) == NOTHING
        assert reach_briefly(lab.client, world.in1.address) == NOTHING
    finally:
        world.daemon.configure(config)
        world.daemon.ctl("reload", check=True)
    assert reach_briefly(lab.client, world.a2.address) == NOTHING


# -- internal networks ------------------------------------------------------------------------

def test_inside_works(lab, world):
    assert reach(world.in1.ns, world.in2.address) == answers("in2", world.in1.address)
    assert reach(lab.host, world.in1.address) == answers("in1", net("inside") + "1")


def test_nothing_enters_an_internal_network(lab, world):
    pairs = [(ns, world.in1.address) for ns in (lab.client, lab.vpn, world.a1.ns, world.g1.ns)]
    assert all(got == NOTHING for got in parallel_reach(pairs).values())
    # the engine lists no ports for it, and so nobody publishes them
    assert outcome(tcp_ask, lab.client, lab.host.v6, 8082) == "refused"


def test_nothing_leaves_an_internal_network(lab, world):
    pairs = [(world.in1.ns, address) for address in
             (lab.client.v6, lab.vpn.v6, world.a1.address, world.g1.address, world.o1.address)]
    assert all(got == NOTHING for got in parallel_reach(pairs).values())
    # not to a container port that is published, either
    assert reach_briefly(world.in1.ns, world.g1.address, 81) == NOTHING
    assert (tcp_ask(world.a1.ns, world.g1.address, 81)
            == answers("g1", world.a1.address, 81)["tcp"])


# Neither to published ports of other networks, whichever of the host's addresses is asked: not
# translated, and not through docker-proxy. The host itself is not closed to it.
def test_internal_network_does_not_reach_published_ports(lab, world):
    gateway = net("inside") + "1"
    link_locals = link_local(lab.host, world.daemon.find_network("inside")["bridge"]) + "%eth0"
    addresses = lab.host.v6, gateway, net("a") + "1", link_locals
    asked = [(ask, world.in1.ns, address, 8080) for address in addresses for ask in (tcp_ask, udp_ask)]
    assert at_once(*(lambda a=a: outcome(*a, timeout=SHORT) for a in asked)) == ["timeout"] * 8
    for address in addresses:
        assert tcp_ask(world.in1.ns, address, 7000).startswith("host1 ")
    for ask in tcp_ask, udp_ask:
        assert ask(world.b1.ns, lab.host.v6, 8080).startswith("a1 ")


# -- ICC off ----------------------------------------------------------------------------------

@pytest.fixture(params=[1, 0], ids=["nf-call", "no nf-call"])
def nf_call(request, lab, world):
    """br_netfilter is switched while the daemon runs; the daemon leaves it so."""
    lab.host.sysctl(NF_CALL, request.param)
    yield request.param
    assert lab.host.sysctl(NF_CALL) == str(request.param)


def test_icc_off(lab, world, nf_call):
    n1, n2 = world.n1, world.n2
    pairs = [(n1.ns, n2.address), (n2.ns, n1.address),
             (n1.ns, link_local(n2.ns, "eth0") + "%eth0"), (n2.ns, link_local(n1.ns, "eth0") + "%eth0")]
    assert all(map(is_blocked, parallel_reach(pairs).values()))
    # the same by link-local addresses where ICC is on
    assert reach(world.a1.ns, link_local(world.a2.ns, "eth0") + "%eth0")["echo"] == "answered"
    for container in n1, n2:
        assert reach(container.ns, net("noicc") + "1", 7000) == answers("host1", container.address, 7000)
        assert reach(container.ns, lab.client.v6) == answers("client", lab.host.v6)


# Docker's meaning of ICC off: published ports are reached by everyone, on the same bridge too.
def test_icc_off_does_not_close_published_ports(lab, world, nf_call):
    world.daemon.sync()
    for ask in tcp_ask, udp_ask:
        for ns in world.n2.ns, world.a1.ns, lab.client, lab.host:
            assert ask(ns, lab.host.v6, 8083, timeout=5).startswith("n1 ")
    assert tcp_ask(world.n1.ns, lab.host.v6, 8083, timeout=5).startswith("n1 ")


# IPv4 is Docker's: without br_netfilter its own rules do not see bridged frames, and so be it.
def test_icc_off_is_not_about_ipv4(lab, world):
    for value in 0, 1:
        lab.host.sysctl("net/bridge/bridge-nf-call-iptables", value)
        assert outcome(tcp_ask, world.n1.ns, world.n2.v4(), 80, timeout=0.5).startswith("n2") == (value == 0)


def isolated_ports(host):
    return host.nft("list table bridge ipv6nat", check=False).count("veth")


# A container that comes later is closed off as well, one that goes is forgotten. With it the daemon
# sees that br_netfilter was switched: its own port is left to docker-proxy then, or not any more.
def test_icc_off_for_newcomers(lab, world, nf_call, module_engine):
    n3 = module_engine.run("n3", "--network noicc", serve="tcp:80 udp:80")
    try:
        wait_for(lambda: isolated_ports(lab.host) == 3)
        assert reach(n3.ns, lab.client.v6) == answers("client", lab.host.v6)
        assert is_blocked(reach_briefly(world.n2.ns, n3.v6()))
        assert is_blocked(reach_briefly(n3.ns, world.n2.address))
        assert tcp_ask(world.n1.ns, lab.host.v6, 8083, timeout=5).startswith("n1 ")
    finally:
        n3.remove()
    wait_for(lambda: isolated_ports(lab.host) == 2)
