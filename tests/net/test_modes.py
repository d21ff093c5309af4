# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mode a network gets and what that does to packets.

    client --- router === host (engine)
    router: 2001:db8:2::/64 and 2001:db8:1:0:d0::/80 via the host, private prefixes too

Property: the mode follows configuration, label, option and prefix, in this order, says why, and
packets obey it. In modes routed and proxy containers keep their own address in both directions,
published container ports are open on it and host ports are translated as well; mode off and
native leave everything to Docker. (That the uplink answers for containers of mode proxy is tested elsewhere.)
"""

from types import SimpleNamespace

import pytest

from lab import outcome, peer_of, tcp_ask, udp_ask, wait_for
from reach import NOTHING, answers, echo, reach, reach_briefly

BRIDGE = "com.docker.network.bridge."
CONFIG = """
[Network conf_*]
Mode=routed
[Network conf_n*]
Mode=nat
[Network conf_off]
Mode=off
"""
# network: subnet, arguments, mode, words of the reason
NETWORKS = {
    "routed": ("2001:db8:2::", 64, "", "routed", "neither private nor on-link"),
    "proxy": ("2001:db8:1:0:d0::", 80, "", "proxy", "inside 2001:db8:1::/64, on-link on eth0"),
    "nat": ("fd00:1::", 64, "", "nat", "private prefix"),
    "ularouted": ("fd00:2::", 64, f"-o {BRIDGE}gateway_mode_ipv6=routed", "routed",
                  "gateway_mode_ipv6=routed"),
    "labelled": ("2001:db8:3::", 64, "--label ipv6nat.mode=nat", "nat", "label ipv6nat.mode=nat"),
    "optioned": ("2001:db8:4::", 64, "-o ipv6nat.mode=nat", "nat", "option ipv6nat.mode=nat"),
    "both": ("fd00:3::", 64, "-o ipv6nat.mode=off --label ipv6nat.mode=routed", "routed", "label"),
    "conf_a": ("fd00:4::", 64, "--label ipv6nat.mode=off", "routed", "[Network conf_*]"),
    "conf_nat": ("2001:db8:5::", 64, "", "nat", "[Network conf_n*]"),
    "conf_off": ("fd00:5::", 64, "--label ipv6nat.mode=nat", "off", "[Network conf_off]"),
    "invalid": ("fd00:6::", 64, "--label ipv6nat.mode=bridged", "nat", "private prefix"),
    "off": ("fd00:7::", 64, "--label ipv6nat.mode=off", "off", "label ipv6nat.mode=off"),
    "native": ("fd00:8::", 64, "--label ipv6nat.mode=native", "native", "label ipv6nat.mode=native"),
    "internal": ("fd00:9::", 64, "--internal", "internal", "internal network"),
}
OWN, TRANSLATED, NOBODY = "own", "translated", "nobody"
# network: the source its containers are seen with outside
SOURCE = {"routed": OWN, "proxy": OWN, "ularouted": OWN, "both": OWN, "conf_a": OWN,
          "nat": TRANSLATED, "labelled": TRANSLATED, "optioned": TRANSLATED, "conf_nat": TRANSLATED,
          "invalid": TRANSLATED}
UNTRANSLATED = [name for name, source in SOURCE.items() if source == OWN]
UNTOUCHED = ["off", "conf_off", "native"]


def port(name):
    return 8000 + list(NETWORKS).index(name)


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    for subnet, length, *_ in NETWORKS.values():
        lab.router.ip(f"route add {subnet}/{length} via {lab.host.v6}")
    lab.serve(lab.client)
    return lab


@pytest.fixture(scope="module")
def world(make_world, module_lab, module_engine):
    def build():
        made = {}
        for name, (subnet, length, args, *_) in NETWORKS.items():
            module_engine.network(name, f"{subnet}/{length}", args)
            if name != "internal":
                made[name] = module_engine.run(
                    name, f"--network {name} --expose 82 -p {port(name)}:80 -p {port(name)}:80/udp",
                    serve="tcp:80 udp:80 tcp:81 udp:81")
        return made

    containers, daemon = make_world(build, config=CONFIG)
    for name, container in containers.items():
        container.address = container.v6()
        assert echo(container.ns, NETWORKS[name][0] + "1") == "answered"
    return SimpleNamespace(daemon=daemon, containers=containers)


# -- decisions --------------------------------------------------------------------------------

@pytest.mark.engine_any
def test_mode_and_reason(world):
    status = world.daemon.status()
    for name, (*_, mode, reason) in NETWORKS.items():
        found = world.daemon.find_network(name, status)
        assert (name, found["mode"]) == (name, mode)
        assert reason in found["reason"]
        assert found["uplink"] == (None if mode in ("off", "internal") else "eth0")


@pytest.mark.engine_any
def test_problems_say_what_was_not_followed(world):
    messages = [(p["code"], p["message"]) for p in world.daemon.status()["problems"]]
    assert [m for code, m in messages if code == "label-invalid"] == \
        ["network invalid: label ipv6nat.mode=bridged is not valid and is ignored"]
    assert {m.split(":")[0] for code, m in messages if code == "unrouted-prefix"} == \
        {"network routed", "network ularouted"}
    closed = {m.split(":")[0] for code, m in messages if code == "unpublished-closed"}
    assert closed == {f"container {name} on network {name}" for name in UNTRANSLATED}


# -- packets ----------------------------------------------------------------------------------

@pytest.mark.engine_any
@pytest.mark.parametrize("name", SOURCE)
def test_outbound(lab, world, name):
    container = world.containers[name]
    source = container.address if SOURCE[name] == OWN else lab.host.v6
    assert reach(container.ns, lab.client.v6) == answers("client", source)


@pytest.mark.engine_any
@pytest.mark.parametrize("name", SOURCE)
def test_host_port_is_translated(lab, world, name, engine_version):
    if name == "ularouted" and engine_version == "28.5":
        # Docker's own meaning, where the engine knows the option
        assert outcome(tcp_ask, lab.client, lab.host.v6, port(name)) == "refused"
        return
    for ask, protocol in (tcp_ask, "tcp"), (udp_ask, "udp"):
        assert ask(lab.client, lab.host.v6, port(name)) == f"{name} {protocol}:80 from {lab.client.v6}"


@pytest.mark.engine_any
@pytest.mark.parametrize("name", UNTRANSLATED)
def test_published_container_port_is_open(lab, world, name):
    container = world.containers[name]
    assert reach(lab.client, container.address) == answers(name, lab.client.v6)
    assert reach_briefly(lab.client, container.address, 81) == {**NOTHING, "echo": "answered"}
    # the host's port number means nothing on the container's address
    assert outcome(tcp_ask, lab.client, container.address, port(name), timeout=0.5) == "timeout"


@pytest.mark.engine_any
@pytest.mark.parametrize("name", [name for name in SOURCE if SOURCE[name] == TRANSLATED])
def test_container_addresses_of_mode_nat_are_closed(lab, world, name):
    assert reach_briefly(lab.client, world.containers[name].address) == NOTHING


# From another network a published container port is as open as from outside, and no more.
@pytest.mark.engine_any
@pytest.mark.parametrize("client", ["nat", "proxy"])
def test_published_container_port_from_another_network(lab, world, client):
    ns = world.containers[client].ns
    target = world.containers["routed"].address
    source = world.containers[client].address
    assert reach(ns, target) == {**answers("routed", source), "echo": "timeout"}
    assert reach_briefly(ns, target, 81) == NOTHING


# Only addresses that the engine gave to containers answer echo, others in the prefix do not.
@pytest.mark.engine_any
@pytest.mark.parametrize("name", ["routed", "proxy"])
def test_echo_to_live_addresses_only(lab, world, name):
    subnet, length, *_ = NETWORKS[name]
    container = world.containers[name]
    container.ns.ip(f"addr add {subnet}99/{length} dev eth0 nodad")
    try:
        assert echo(lab.host, f"{subnet}99") == "answered"
        assert echo(lab.client, container.address) == "answered"
        assert echo(lab.client, f"{subnet}99", 0.5) == "timeout"
        assert outcome(tcp_ask, lab.client, f"{subnet}99", 80, timeout=0.5) == "timeout"
    finally:
        container.ns.ip(f"addr del {subnet}99/{length} dev eth0")


# Off and (here without Docker's own rules) native: neither translated nor closed, as without us.
@pytest.mark.parametrize("name", UNTOUCHED)
def test_untouched(lab, world, name):
    container = world.containers[name]
    assert reach(lab.client, container.address, 81) == answers(name, lab.client.v6, 81)
    assert reach(container.ns, lab.client.v6) == answers("client", container.address)
    # docker-proxy, which may be slower than we are
    assert wait_for(lambda: outcome(tcp_ask, lab.client, lab.host.v6, port(name)).startswith(f"{name} "))
    assert peer_of(tcp_ask(lab.client, lab.host.v6, port(name))) == NETWORKS[name][0] + "1"
    ruleset = lab.host.nft("list table ip6 ipv6nat")
    network = world.daemon.find_network(name)
    assert network["bridge"] not in ruleset and container.address not in ruleset


# Docker's own rules, where the engine has them, are left to do their work.
@pytest.mark.engine_is("28.5")
def test_native_engine(make_lab, make_engine, daemon_on):
    lab = make_lab()
    engine = make_engine(lab, ip6tables=None)
    lab.serve(lab.client)
    engine.network("ula", "fd00:1::/64")
    web = engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp")
    daemon = daemon_on(engine)
    network = daemon.find_network("ula")
    assert network["mode"] == "native"
    assert "are present" in network["reason"]
    assert network["bridge"] not in lab.host.nft("list table ip6 ipv6nat")
    for ask, protocol in (tcp_ask, "tcp"), (udp_ask, "udp"):
        assert ask(lab.client, lab.host.v6, 8080) == f"web {protocol}:80 from {lab.client.v6}"
    assert reach(web.ns, lab.client.v6) == answers("client", lab.host.v6)


@pytest.fixture
def daemon_on(make_daemon):
    def start(engine):
        daemon = make_daemon(engine).start()
        daemon.sync()
        return daemon
    return start
