# SPDX-License-Identifier: GPL-2.0-or-later
"""What leaves the containers of mode nat.

    client (server) --- router === host (engine; eth0 has ::11, and ::53, ::54 with preferred_lft 0)

Property: a container reaches the world over TCP, UDP and ICMPv6, with the source address that its
network was given and its owner allowed, and with its own where it is not to be translated.
"""

from types import SimpleNamespace

import pytest

from lab import Capture, peer_of, tcp_ask, udp_ask
from reach import answers, echo, reach

pytestmark = pytest.mark.engine_any

UPLINK, SECOND, THIRD = "2001:db8:1::11", "2001:db8:1::53", "2001:db8:1::54"
POOLED = "2001:db8:1::f1"
CONFIG = f"""
[Pool web]
Range=2001:db8:1::f0/124
[Network conf*]
Snat={THIRD}
"""
BRIDGE = "com.docker.network.bridge."
# network: (its arguments, the source that the world sees; None: the container's own)
NETWORKS = {
    "plain": ("", UPLINK),
    "label": (f"--label ipv6nat.snat={SECOND}", SECOND),
    "option": (f"-o com.docker.network.host_ipv6={SECOND}", SECOND),
    "pooled": (f"--label ipv6nat.snat={POOLED}", POOLED),
    "conf": ("", THIRD),
    "conf_too": (f"--label ipv6nat.snat={SECOND}", THIRD),
    "refused": ("--label ipv6nat.snat=2001:db8:77::1", UPLINK),
    "invalid": ("--label ipv6nat.snat=fe80::1", UPLINK),
    "untouched": (f"-o {BRIDGE}enable_ip_masquerade=false", None),
}


def subnet(name, host=""):
    return f"fd00:{1 + list(NETWORKS).index(name)}::{host}"


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    for address in SECOND, THIRD:
        lab.host.ip(f"addr add {address}/64 dev eth0 nodad preferred_lft 0")
    # nobody answers for addresses of a pool here, and the world has to know what is not translated
    lab.router.ip(f"neigh replace {POOLED} lladdr {lab.host.mac} dev lan")
    for name in "untouched", "label":
        lab.router.ip(f"route add {subnet(name)}/64 via {lab.host.v6}")
    lab.serve(lab.client)
    return lab


@pytest.fixture(scope="module")
def world(make_world, module_engine):
    def build():
        made = {"docker0": module_engine.run("docker0")}
        for name, (args, _) in NETWORKS.items():
            module_engine.network(name, subnet(name) + "/64", args)
            made[name] = module_engine.run(name, f"--network {name}")
        return made

    containers, daemon = make_world(build, config=CONFIG)
    return SimpleNamespace(containers=containers, daemon=daemon)


@pytest.mark.parametrize("name", ["docker0", *NETWORKS])
def test_source_address(lab, world, name):
    expected = NETWORKS.get(name, ("", UPLINK))[1] or subnet(name, "2")
    container = world.containers[name].ns
    assert reach(container, lab.client.v6) == answers("client", expected)
    # echo tells nothing about the source it was seen with
    with Capture(lab.client, "eth0", "icmp6") as capture:
        assert echo(container, lab.client.v6) == "answered"
        seen = capture.wait_for("echo request")
    assert all(f" {expected} > {lab.client.v6}: " in line for line in seen)


# The router knows no way back to a private prefix: what arrives anyway was translated.
def test_source_port_is_kept(lab, world):
    for ask in tcp_ask, udp_ask:
        answer = ask(world.containers["plain"].ns, lab.client.v6, 80, source=("::", 4711))
        assert peer_of(answer) == UPLINK


# An error from the way comes back to the container: what it asked was translated in it.
def test_icmp_errors_come_back(lab, world):
    container = world.containers["plain"].ns
    done = container.run("ping", "-6", "-n", "-c", "1", "-W", "5", "2001:db8:77::1", check=False)
    assert "Destination unreachable" in done.stdout and "From 2001:db8:1::1 " in done.stdout


# The host's own connections to its containers, and the answers to them, are nobody's to translate.
def test_host_to_container_is_untouched(lab, world):
    assert reach(lab.host, subnet("label", "2")) == answers("label", subnet("label", "1"))


# Nor are those to elsewhere, where a service of the host is bound to a bridge's address.
def test_host_with_the_bridges_address_is_untouched(lab, world):
    bridge = subnet("label", "1")
    for ask in tcp_ask, udp_ask:
        assert peer_of(ask(lab.host, lab.client.v6, 80, source=(bridge, 0))) == bridge
        assert peer_of(ask(world.containers["label"].ns, lab.client.v6, 80)) == SECOND


def test_status_says_which_address_and_why_not(lab, world):
    status = world.daemon.status()
    for name in NETWORKS:
        expected = NETWORKS[name][1]
        found = world.daemon.find_network(name, status)
        assert found["mode"] == "nat"
        assert found["snat"] == (None if expected in (UPLINK, None) else expected)
    problems = {p["code"]: p["message"] for p in status["problems"]}
    assert "network refused: label ipv6nat.snat=2001:db8:77::1" in problems["address-refused"]
    assert "network invalid: label ipv6nat.snat=fe80::1" in problems["label-invalid"]
    assert sum(p["code"] == "address-refused" for p in status["problems"]) == 1
