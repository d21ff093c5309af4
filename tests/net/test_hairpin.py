# SPDX-License-Identifier: GPL-2.0-or-later
"""Published ports asked for from the inside: by containers and by the host itself.

    router === host1 (engine with docker-proxy), host2 (engine without)
    on each: a (web, sibling, publisher), b (other)

Property: whatever br_netfilter and docker-proxy are set to, a published port answers everybody on
this host, on its outer address and on the bridges'; other networks are seen with their own address.
"""

from types import SimpleNamespace

import pytest

from lab import peer_of, tcp_ask, udp_ask

pytestmark = pytest.mark.engine_any

A, B = "fd00:a::", "fd00:b::"
NF_CALL = "net/bridge/bridge-nf-call-ip6tables"


@pytest.fixture(scope="module")
def module_lab(make_lab):
    return make_lab(hosts=2)


@pytest.fixture(scope="module")
def engines(module_lab, make_engine):
    return {proxy: make_engine(module_lab, host, userland_proxy=proxy)
            for proxy, host in zip((True, False), module_lab.hosts)}


@pytest.fixture(scope="module", params=[True, False], ids=["docker-proxy", "no docker-proxy"])
def module_engine(request, engines):
    return engines[request.param]


def build(engine):
    engine.network("a", A + "/64")
    engine.network("b", B + "/64")
    made = {name: engine.run(name, f"--network {network} {ports}") for name, network, ports in (
        ("web", "a", "-p 8080:80 -p 8080:80/udp"), ("sibling", "a", ""),
        ("publisher", "a", "-p 8081:80 -p 8081:80/udp"), ("other", "b", ""))}
    return SimpleNamespace(engine=engine, host=engine.host, **made)


@pytest.fixture(scope="module")
def made(make_world, module_engine):
    return make_world(lambda: build(module_engine))


@pytest.fixture(params=[1, 0], ids=["nf-call", "no nf-call"])
def world(made, request):
    """With br_netfilter set as the parameter says, which the daemon leaves as it is."""
    world, daemon = made
    world.host.sysctl(NF_CALL, request.param)
    daemon.sync()
    world.nf_call = request.param
    yield world
    assert world.host.sysctl(NF_CALL) == str(request.param)


def addresses(world):
    return world.host.v6, A + "1", B + "1"


# A container's own ports through docker-proxy, which answers datagrams from an address of the
# kernel's choice: the bridge's. This is so without us, too.
def is_lost(world, client, name, ask, address):
    through_proxy = world.engine.config["userland-proxy"] and world.nf_call
    return through_proxy and ask is udp_ask and client == name and address != A + "1"


@pytest.mark.parametrize("ask", [tcp_ask, udp_ask])
@pytest.mark.parametrize("client", ["web", "sibling", "publisher", "other", "host"])
def test_published_port_answers(world, client, ask):
    ns = world.host if client == "host" else getattr(world, client).ns
    for address in addresses(world):
        for name, port in ("web", 8080), ("publisher", 8081):
            if not is_lost(world, client, name, ask, address):
                assert ask(ns, address, port, timeout=5).startswith(f"{name} ")


def test_host_is_seen_with_an_address_of_its_own(world):
    for address in addresses(world):
        assert peer_of(tcp_ask(world.host, address, 8080)) in addresses(world)


@pytest.mark.parametrize("ask", [tcp_ask, udp_ask])
def test_other_network_is_seen_with_its_own_address(world, ask):
    assert peer_of(ask(world.other.ns, world.host.v6, 8080)) == B + "2"
