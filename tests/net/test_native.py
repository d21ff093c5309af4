# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside an engine that translates IPv6 itself.

    client --- router === host (engine with its own ip6tables: 28.5 by itself, older ones on request)

Property: networks that Docker translates are left to it, byte for byte: the same questions get the
same answers as without us, in both orders. It is said when Docker's rules are lost, and nothing is
taken over behind the user's back; a mode that somebody asks for is honoured.
"""

import re

import pytest

from follow import answer, errors, is_mapped, log_lines, mappings, rules
from lab import Daemon, outcome, tcp_ask, udp_ask, wait_for
from reach import at_once, reach, reach_briefly

pytestmark = pytest.mark.engine_any

ULA, OTHER = "fd00:6::/64", "fd00:7::/64"
LOST = "docker-rules-lost"


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.serve(lab.client)
    return lab


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine, engine_version):
    """By itself from 27 on; before, as an experiment."""
    return make_engine(module_lab, ip6tables=None if engine_version == "28.5" else True)


def build(engine):
    engine.network("ula", ULA)
    engine.network("other", OTHER, "-o com.docker.network.bridge.enable_icc=false")
    return {"web": engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp --restart always"),
            "peer": engine.run("peer", "--network ula"),
            "far": engine.run("far", "--network other -p 8081:80"),
            "icc": engine.run("icc", "--network other")}


def questions(lab, c):
    """Published ports, what is not published, other networks, the same network, the way out."""
    client, host = lab.client, lab.host

    def ask(ns, address, port, timeout=5):
        return outcome(tcp_ask, ns, address, port, timeout=timeout)
    calls = {
        "published": lambda: ask(client, host.v6, 8080),
        "published-udp": lambda: outcome(udp_ask, client, host.v6, 8080, timeout=5),
        "published-far": lambda: ask(client, host.v6, 8081),
        "from-host": lambda: ask(host, host.v6, 8080),
        "host-to-container": lambda: reach(host, c["web"].v6()),
        "hairpin": lambda: ask(c["peer"].ns, host.v6, 8080),
        "self": lambda: ask(c["web"].ns, host.v6, 8080),
        "other-network": lambda: ask(c["far"].ns, host.v6, 8080, 1),
        "direct": lambda: reach_briefly(client, c["web"].v6()),
        "isolation": lambda: reach_briefly(c["far"].ns, c["web"].v6()),
        "same-network": lambda: reach(c["peer"].ns, c["web"].v6()),
        "icc": lambda: reach_briefly(c["icc"].ns, c["far"].v6()),
        "out": lambda: reach(c["web"].ns, client.v6),
        "unpublished": lambda: ask(client, host.v6, 8082),
    }
    return dict(zip(calls, at_once(*calls.values())))


@pytest.fixture
def client_knows_the_way(lab):
    """So that it is not for the lack of a route that a container is not reached directly."""
    lab.router.ip(f"route replace {ULA} via {lab.host.v6}")
    yield
    lab.router.ip(f"route del {ULA}")


def modes(status):
    return {n["name"]: n["mode"] for n in status["networks"]}


def dockers_rules(host):
    saved = host.run("ip6tables-save").stdout
    return [line for line in saved.splitlines() if line[0] in "-*"]


@pytest.fixture
def settled(lab):
    """Waits until the containers serve."""
    def wait():
        for port, name in (8080, "web"), (8081, "far"):
            assert answer(lab.client, lab.host.v6, port) == f"{name} tcp:80 from {lab.client.v6}"
    return wait


def test_same_answers(lab, engine, daemon, order, settled, client_knows_the_way):
    c = {}

    def world():
        c.update(build(engine))
        settled()
        if order.world_first:
            c["alone"] = questions(lab, c)
    order(world, daemon)
    with_us = questions(lab, c)
    if not order.world_first:
        daemon.stop()
        daemon.wipe_rules()
        c["alone"] = questions(lab, c)
    assert with_us == c["alone"]
    # and these are no answers of an engine that does not translate
    assert with_us["published"] == f"web tcp:80 from {lab.client.v6}"
    assert with_us["out"]["tcp"] == f"client tcp:80 from {lab.host.v6}"
    assert with_us["isolation"]["tcp"] == "timeout"


def test_nothing_is_ours(lab, engine, daemon, order):
    order(lambda: build(engine), daemon)
    before = dockers_rules(lab.host)
    status = daemon.status()
    assert set(modes(status).values()) == {"native"} and not errors(status)
    assert all("Docker's own" in n["reason"] for n in status["networks"])
    ours = rules(lab.host)
    for network in "ula", "other":
        assert engine.api("GET", f"/networks/{network}")["Id"][:12] not in ours
    assert "docker0" not in ours and mappings(lab.host) == {}
    # the bridges' own addresses are the host's, no more
    assert not re.search("fd00:[0-9a-f:]*/|fd00:[67]::[^1]", ours)
    daemon.sync()
    assert dockers_rules(lab.host) == before and rules(lab.host) == ours
    assert not log_lines(daemon, "<[0-4]>")


# A network made and removed while we look: never ours and never lost, not even for a moment.
def test_network_comes_and_goes(lab, engine, daemon, tmp_path):
    daemon.start()
    daemon.sync()
    seen = tmp_path / "monitor"
    with open(seen, "wb") as out:
        monitor = lab.host.popen(["stdbuf", "-oL", "nft", "monitor"], stdout=out)
    try:
        for _ in range(3):
            nid = engine.network("brief", ULA)
            engine.run("web", "--network brief -p 8080:80")
            status = daemon.wait_status(lambda s: "brief" in modes(s) and
                                        daemon.find_network("brief", s)["containers"])
            assert modes(status)["brief"] == "native"
            engine.docker("rm -f web")
            engine.docker("network rm brief")
            assert not errors(daemon.wait_status(lambda s: "brief" not in modes(s)))
        wait_for(lambda: f"br-{nid[:12]}" in seen.read_text())
    finally:
        monitor.terminate()
        monitor.wait()
    ours = [line for line in seen.read_text().splitlines() if " ip6 ipv6nat " in line]
    assert ours and not [line for line in ours if "br-" in line or "8080" in line]
    assert not log_lines(daemon, "<[0-4]>")


# The kernel tells nobody of new rules in the older x_tables: they are looked for with the network.
def test_network_comes_with_older_rules(make_lab, make_engine, engine_version):
    lab = make_lab()
    programs = lab.dir / "legacy"
    programs.mkdir()
    for name in "iptables", "ip6tables":
        (programs / name).symlink_to(f"/usr/sbin/{name}-legacy")
    engine = make_engine(lab, ip6tables=None if engine_version == "28.5" else True, path=[programs])
    daemon = Daemon(engine)
    try:
        daemon.start()
        daemon.sync()
        engine.network("ula", ULA)
        engine.run("web", "--network ula -p 8080:80")
        status = daemon.wait_status(lambda s: "ula" in modes(s) and
                                    daemon.find_network("ula", s)["containers"])
        assert "DOCKER" in lab.host.run("ip6tables-legacy-save").stdout
        assert set(modes(status).values()) == {"native"} and mappings(lab.host) == {}
        daemon.sync()
        assert not errors(daemon.status())
    finally:
        daemon.stop()
        daemon.close()


# Somebody flushes Docker's chains: that is said, and what it takes to mend it; taking over would
# be a surprise. The engine's next start brings its rules back.
def test_rules_are_lost(lab, engine, daemon, order, settled):
    def world():
        c = build(engine)
        settled()
        return c
    order(world, daemon)
    try:
        lab.host.run("ip6tables", "-F")
        status = daemon.wait_status(lambda s: LOST in errors(s))
        assert set(modes(status).values()) == {"native"} and status["state"] == "degraded"
        told = [p for p in status["problems"] if p["code"] == LOST]
        assert any("ula" in p["message"] for p in told)
        assert all("restart Docker" in p["cure"] for p in told)
        assert mappings(lab.host) == {}
    finally:
        engine.restart()
    status = daemon.wait_status(lambda s: s["docker"]["connected"] and s["state"] == "ok")
    assert set(modes(status).values()) == {"native"} and LOST not in [p["code"] for p in status["problems"]]
    assert answer(lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert mappings(lab.host) == {}


# The engine restarts and is as it was: at no time anything is said to be lost.
def test_engine_restarts(lab, engine, daemon, order, settled):
    order(lambda: (build(engine), settled()), daemon)
    ours = rules(lab.host)
    engine.restart()
    status = daemon.wait_status(lambda s: s["docker"]["connected"] and s["state"] == "ok")
    assert set(modes(status).values()) == {"native"}
    assert answer(lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert rules(lab.host) == ours
    assert not log_lines(daemon, LOST)


# Who asks for a mode gets it: for this network alone.
def test_label_on_a_native_network(lab, engine, daemon, order, settled):
    def world():
        build(engine)
        engine.network("wanted", "fd00:8::/64", "--label ipv6nat.mode=nat")
        settled()
        return engine.run("forced", "--network wanted -p 8083:80")
    forced = order(world, daemon)
    status = daemon.status()
    assert modes(status)["wanted"] == "nat" and modes(status)["ula"] == "native"
    assert set(mappings(lab.host)) == {("tcp", 8083)}
    assert answer(lab.client, lab.host.v6, 8083) == f"forced tcp:80 from {lab.client.v6}"
    assert reach(forced.ns, lab.client.v6)["tcp"] == f"client tcp:80 from {lab.host.v6}"
    assert answer(lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"


# The same engine comes back without its own translation: then it is ours; and the other way round.
def test_engine_changes_its_mind(lab, engine, daemon, order, settled, monkeypatch):
    order(lambda: (build(engine), settled()), daemon)
    native = {key: engine.config.get(key) for key in ("ip6tables", "experimental")}
    try:
        engine.stop()
        engine.config.update(ip6tables=False)
        if native["experimental"]:
            del engine.config["ip6tables"], engine.config["experimental"]
        # what it has left behind is not cleaned up by the engine
        for table in "filter", "nat", "raw":
            lab.host.run("ip6tables", "-t", table, "-F")
        lab.host.run("ip6tables", "-P", "FORWARD", "ACCEPT")
        engine.start()
        status = daemon.wait_status(lambda s: s["docker"]["connected"] and
                                    set(modes(s).values()) == {"nat"} and s["state"] == "ok")
        assert LOST not in [p["code"] for p in status["problems"]]
        wait_for(lambda: is_mapped(lab.host, 8080))
        assert answer(lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    finally:
        engine.stop()
        engine.config.update({key: value for key, value in native.items() if value is not None})
        if native["ip6tables"] is None:
            engine.config.pop("ip6tables", None)
        engine.start()
    daemon.wait_status(lambda s: s["docker"]["connected"] and set(modes(s).values()) == {"native"})
    wait_for(lambda: mappings(lab.host) == {})
    assert answer(lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
