# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows that are under way when a mapping comes, moves or goes.

    client (servers on 53, 8080) --- router === host (engine, network "ula")

Property: a flow that a changed mapping contradicts goes where the mapping now leads, with its next
packet; every other flow is left alone.
"""

import pytest

from lab import Prober, Stream, UdpPinger, outcome, read_line, tcp_ask, udp_ask, wait_for

GATEWAY = "fd00:6::1"
FLOW = ("::", 4242)


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.serve(lab.client, "udp:53 udp:8080 tcp:8080")
    return lab


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    return make_engine(module_lab)


@pytest.fixture
def engine(engine):
    engine.network("ula", "fd00:6::/64")
    return engine


def run_web(engine, name="web", ports="-p 8080:80 -p 8080:80/udp"):
    return engine.run(name, "--network ula", ports)


def ask_flow(lab, port=8080, source=FLOW):
    """The same flow each time: one source port; lost datagrams do not count."""
    return udp_ask(lab.client, lab.host.v6, port, source=source, tries=4, timeout=0.5)


def entries(host, words=""):
    """The lines of the host's connection table with these words in them."""
    listed = host.run("conntrack", "-L", "-f", "ipv6").stdout
    return [line for line in listed.splitlines() if words in line]


def test_flow_leaves_docker_proxy(lab, engine, daemon):
    """A UDP flow that docker-proxy carries when the daemon starts moves to the container, which sees
    the client from then on."""
    run_web(engine)
    wait_for(lambda: outcome(ask_flow, lab) == f"web udp:80 from {GATEWAY}")
    daemon.start().sync()
    wait_for(lambda: outcome(ask_flow, lab) == f"web udp:80 from {lab.client.v6}")


def test_busy_flow_leaves_docker_proxy(lab, engine, daemon):
    """The same for one that never pauses long enough for its entry to expire."""
    run_web(engine)
    wait_for(lambda: outcome(ask_flow, lab) == f"web udp:80 from {GATEWAY}")
    with UdpPinger(lab.client, lab.host.v6, 8080, interval_ms=2, source_port=4300) as udp:
        udp.wait_more(10)
        daemon.start().sync()
        ours = f"web udp:80 from {lab.client.v6}"
        wait_for(lambda: udp.now()["answers"].get(ours, 0) > 20, 20)
    assert set(udp.result["answers"]) == {ours, f"web udp:80 from {GATEWAY}"}


def test_flow_that_is_known_the_wrong_way_round(lab, host, engine, daemon):
    """Where nothing was tracked before, the first packet seen of a flow may be docker-proxy's answer:
    its entry leads from the host to the client, and is no less in the way."""
    run_web(engine)
    host.run("conntrack", "-I", "-p", "udp", "-t", 120, "-s", host.v6, "-d", lab.client.v6,
             "--sport", 8080, "--dport", FLOW[1])
    wait_for(lambda: outcome(ask_flow, lab) == f"web udp:80 from {GATEWAY}")
    daemon.start().sync()
    wait_for(lambda: outcome(ask_flow, lab) == f"web udp:80 from {lab.client.v6}")


def test_flow_that_began_before_the_container(lab, engine, daemon):
    """A client that has sent into the void for some time is answered as soon as there is somebody."""
    daemon.start().sync()
    with UdpPinger(lab.client, lab.host.v6, 8080, interval_ms=2, source_port=4301) as udp:
        wait_for(lambda: udp.now()["tried"] > 50)
        run_web(engine)
        wait_for(lambda: udp.now()["answers"].get(f"web udp:80 from {lab.client.v6}", 0) > 20, 20)


def test_flow_moves_to_the_next_container(lab, engine, daemon):
    """The port is published by another container: a flow to the old one, which still runs, follows."""
    web = run_web(engine)
    run_web(engine, "idle", "")
    daemon.start().sync()
    assert ask_flow(lab) == f"web udp:80 from {lab.client.v6}"
    with UdpPinger(lab.client, lab.host.v6, 8080, interval_ms=2, source_port=4302) as udp:
        udp.wait_more(10)
        web.remove()
        run_web(engine, "next")
        wait_for(lambda: udp.now()["answers"].get(f"next udp:80 from {lab.client.v6}", 0) > 20, 20)
    assert ask_flow(lab) == f"next udp:80 from {lab.client.v6}"


def test_flow_moves_while_the_daemon_is_away(lab, engine, daemon):
    """The same when the daemon only learns of it at its next start."""
    web = run_web(engine)
    daemon.start().sync()
    assert ask_flow(lab) == f"web udp:80 from {lab.client.v6}"
    daemon.kill()
    web.remove()
    run_web(engine, "filler", "")
    run_web(engine, "next")
    daemon.start().sync()
    assert ask_flow(lab) == f"next udp:80 from {lab.client.v6}"


def test_entries_of_a_removed_mapping_are_gone(lab, host, engine, daemon):
    """What led to the container is forgotten in both protocols; a mapping that stays keeps its own.
    (The network is taken from us while the container runs: the engine clears up when one ends.)"""
    engine.network("staying", "fd00:7::/64")
    run_web(engine)
    engine.run("other", "--network staying -p 8081:80/udp")
    daemon.start().sync()
    with lab.client.connect(host.v6, 8080) as sock:
        exchange(sock)
        ask_flow(lab)
        ask_flow(lab, 8081)
        for protocol in "tcp", "udp":
            assert [e for e in entries(host, "dport=8080 src=fd00:6::2 ") if e.startswith(protocol)]
        kept = entries(host, "dport=8081 src=fd00:7::2 ")
        assert kept
        daemon.configure("[Network ula]\nMode=off\n")
        daemon.ctl("reload", check=True)
        wait_for(lambda: not entries(host, "dport=8080 src=fd00:6::2 "))
    assert len(entries(host, "dport=8081 src=fd00:7::2 ")) == len(kept)


def exchange(sock):
    sock.sendall(b"\n")
    return read_line(sock)


@pytest.fixture(params=[True, False], ids=["tracked", "not tracked"])
def tracked(request, host):
    """Whether connections are tracked before our rules are there. What conntrack has not seen begin
    is new to it, and would be translated with its next packet."""
    if request.param:
        host.nft(input="table ip6 other { chain c { type filter hook input priority 0; "
                       "ct state established accept; }; }")
    host.run("conntrack", "-F")
    yield request.param
    host.nft("delete table ip6 other", check=False)


def test_tcp_through_docker_proxy_survives(lab, host, engine, daemon, tracked):
    """A TCP connection that docker-proxy carries stays with it, whether it is silent when the daemon
    starts, and when its rules are made again, or not; new ones do not go there."""
    run_web(engine)
    by_proxy, by_us = (f"web tcp:80 from {address}" for address in (GATEWAY, lab.client.v6))
    wait_for(lambda: outcome(tcp_ask, lab.client, host.v6, 8080) == by_proxy)
    with lab.client.connect(host.v6, 8080, timeout=5) as sock, \
            Stream(lab.client, host.v6, 8080, interval_ms=2) as stream:
        assert exchange(sock) == by_proxy
        stream.wait_more(5)
        assert bool(entries(host)) == tracked
        daemon.start().sync()
        assert tcp_ask(lab.client, host.v6, 8080) == by_us
        for _ in range(3):
            assert exchange(sock) == by_proxy
            stream.wait_more(5)
            daemon.restart().sync()
        daemon.kill()
        daemon.wipe_rules()
        host.run("conntrack", "-F")
        daemon.start().sync()
        assert exchange(sock) == by_proxy
        stream.wait_more(5)
    assert set(stream.result["answers"]) == {by_proxy} and stream.result["n_failed"] == 0


@pytest.mark.parametrize("tracked", [False], ids=["not tracked"], indirect=True)
@pytest.mark.parametrize("attempt", range(3))
def test_no_connection_fails_at_the_first_start(lab, host, engine, daemon, tracked, attempt):
    """New connections all the while: each is carried by docker-proxy or comes to the container."""
    run_web(engine)
    wait_for(lambda: outcome(tcp_ask, lab.client, host.v6, 8080) == f"web tcp:80 from {GATEWAY}")
    probers = [Prober(lab.client, host.v6, 8080, interval_ms=0) for _ in range(2)]
    with probers[0], probers[1]:
        for prober in probers:
            prober.wait_more(20)
        daemon.start().sync()
        for prober in probers:
            prober.wait_more(20)
    for prober in probers:
        assert not prober.result["failed"] and len(prober.result["answers"]) == 2


def test_tcp_survives_a_mapping_that_comes_later(lab, host, engine, daemon, tracked):
    """The daemon runs, and leaves the network alone at first."""
    run_web(engine)
    wait_for(lambda: outcome(tcp_ask, lab.client, host.v6, 8080) == f"web tcp:80 from {GATEWAY}")
    with lab.client.connect(host.v6, 8080, timeout=5) as before:
        assert exchange(before) == f"web tcp:80 from {GATEWAY}"
        daemon.configure("[Network ula]\nMode=off\n")
        daemon.start().sync()
        with lab.client.connect(host.v6, 8080, timeout=5) as meanwhile:
            assert exchange(meanwhile) == f"web tcp:80 from {GATEWAY}"
            daemon.configure("")
            daemon.ctl("reload", check=True)
            daemon.sync()
            assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
            for sock in before, meanwhile:
                assert exchange(sock) == f"web tcp:80 from {GATEWAY}"


def test_unrelated_flows_are_left_alone(lab, host, engine, daemon):
    """Not touched by a mapping of UDP port 8080 that comes and goes: the container's own flow to port
    8080 of somebody else, the host's, another published port's, and a connection to the container."""
    run_web(engine, "web", "-p 8081:80/udp")
    daemon.start().sync()
    web = wait_for(lambda: outcome(ask_flow, lab, 8081).startswith("web ") and
                   engine.api("GET", "/containers/json")[0]["Id"])
    address = engine.api("GET", f"/containers/{web}/json")["NetworkSettings"]["Networks"]["ula"][
        "GlobalIPv6Address"]
    inside = engine.run("inside", "--network ula")
    flows = {
        "out of a container": (inside.ns, lab.client.v6, 8080, 4500),
        "out of the host": (host, lab.client.v6, 8080, 4501),
        "another port": (lab.client, host.v6, 8081, 4502),
        "straight to a container": (host, address, 80, 4503),
    }

    def identified():
        """{flow: the identity of its entry}, which a new entry would not have"""
        listed = host.run("conntrack", "-L", "-f", "ipv6", "-o", "id").stdout.splitlines()
        return {name: [line.rsplit("id=", 1)[1] for line in listed if f"sport={source} dport={port}" in line]
                for name, (_, _, port, source) in flows.items()}
    for ns, to, port, source in flows.values():
        udp_ask(ns, to, port, source=("::", source))
    # positive control: this one has to go, or it would never reach the container that comes
    outcome(udp_ask, lab.client, host.v6, 8080, source=FLOW, timeout=0.2)
    before = identified()
    assert all(len(ids) == 1 for ids in before.values()), before
    other = run_web(engine, "other", "-p 8080:80/udp")
    daemon.sync()
    wait_for(lambda: outcome(ask_flow, lab) == f"other udp:80 from {lab.client.v6}")
    other.remove()
    daemon.sync()
    wait_for(lambda: not entries(host, "dport=8080 src=fd00:6::"))
    assert identified() == before


def test_flow_between_containers_by_the_published_port(lab, host, engine, daemon):
    """A container of another network that uses the published port follows the mapping, too."""
    web = run_web(engine)
    engine.network("other", "fd00:7::/64")
    asking = engine.run("asking", "--network other")
    daemon.start().sync()

    def ask():
        return udp_ask(asking.ns, host.v6, 8080, source=FLOW, tries=4, timeout=0.5)
    assert ask() == f"web udp:80 from {asking.v6()}"
    web.remove()
    run_web(engine, "next")
    wait_for(lambda: outcome(ask) == f"next udp:80 from {asking.v6()}")
