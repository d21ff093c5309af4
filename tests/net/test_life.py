# SPDX-License-Identifier: GPL-2.0-or-later
"""What containers and networks go through while they are followed.

    client --- router === host (engine)

Property: whatever is done to a container or a network, its ports are published exactly while it is
there to answer, at the address it has now and under the host port the engine gives it now; status
and kernel tell the same; and what happens to one is of no consequence to its neighbours.
"""

import pytest

from follow import answer, containers, is_mapped, log_lines, mappings, ports, rules
from lab import Prober, outcome, tcp_ask, udp_ask, wait_for

pytestmark = pytest.mark.engine_any

ULA, OTHER = "fd00:6::/64", "fd00:7::/64"


@pytest.fixture
def world(engine, daemon, order):
    """web is the one that has a life, beside stays as it is."""
    def build():
        engine.network("ula", ULA)
        engine.run("beside", "--network ula -p 8090:80")
        return engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp")
    return order(build, daemon)


@pytest.fixture(autouse=True)
def neighbour(lab, world):
    """The connections to beside, which never fail."""
    with Prober(lab.client, lab.host.v6, 8090) as prober:
        yield prober
    assert prober.result["n_failed"] == 0
    assert list(prober.result["answers"]) == [f"beside tcp:80 from {lab.client.v6}"]


def assert_published(lab, daemon, port=8080, name="web", target=None):
    """Over both protocols (when it is the port of old), in the kernel and in the status."""
    wait_for(lambda: is_mapped(lab.host, port))
    assert answer(lab.client, lab.host.v6, port) == f"{name} tcp:80 from {lab.client.v6}"
    if port == 8080:
        assert udp_ask(lab.client, lab.host.v6, port, tries=3) == f"{name} udp:80 from {lab.client.v6}"
    if target:
        assert mappings(lab.host)["tcp", port] == (target, 80)
    daemon.wait_status(lambda s: ports(s, name).get(port) == "active")


def assert_closed(lab, daemon, port=8080, name="web"):
    wait_for(lambda: not is_mapped(lab.host, port) and not is_mapped(lab.host, port, "udp"))
    daemon.wait_status(lambda s: port not in ports(s, name))
    assert outcome(tcp_ask, lab.client, lab.host.v6, port) == "refused"


def test_restart(lab, engine, daemon, world):
    for _ in range(2):
        world.restart()
        assert_published(lab, daemon)
    daemon.sync()
    assert set(mappings(lab.host)) == {("tcp", 8080), ("udp", 8080), ("tcp", 8090)}


def test_stop_and_start(lab, engine, daemon, world):
    world.stop()
    assert_closed(lab, daemon)
    # another container has the address now: the port follows the one it was promised to
    squatter = engine.run("squatter", "--network ula")
    world.start()
    assert_published(lab, daemon, target=world.v6())
    assert world.v6() != squatter.v6()


# A frozen container is not a stopped one: its ports are kept, and serve when it thaws.
def test_pause(lab, engine, daemon, world):
    before = rules(lab.host)
    engine.docker("pause web")
    daemon.sync()
    assert rules(lab.host) == before and ports(daemon.status(), "web") == {8080: "active"}
    # the container's kernel takes the connection, nobody answers
    assert outcome(tcp_ask, lab.client, lab.host.v6, 8080, timeout=1) == "timeout"
    engine.docker("unpause web")
    daemon.sync()
    assert rules(lab.host) == before
    assert_published(lab, daemon)


def test_rename(lab, engine, daemon, world):
    before = rules(lab.host)
    engine.docker("rename web spider")
    daemon.wait_status(lambda s: containers(s, "ula") == {"beside", "spider"})
    assert rules(lab.host) == before
    assert answer(lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"


@pytest.mark.parametrize("end", ["kill", "rm -f", "kill -s TERM"])
def test_end(lab, engine, daemon, world, end):
    assert_published(lab, daemon)
    engine.docker(end, "web")
    assert_closed(lab, daemon)
    assert containers(daemon.status(), "ula") == {"beside"}


# The process ends by itself and the engine starts it again.
def test_restart_policy(lab, engine, daemon, world):
    crashing = engine.run("crashing", "--network ula -p 8081:80 --restart always",
                          command="sh -c 'echo-server crashing tcp:80 & sleep 1; kill -9 $!'")
    for _ in range(2):
        n = crashing.inspect()["RestartCount"]
        assert_published(lab, daemon, 8081, "crashing")
        wait_for(lambda: crashing.inspect()["RestartCount"] > n, 30)
    crashing.remove()
    assert_closed(lab, daemon, 8081, "crashing")


# The client's own questions during all of it are answered by web or by nobody (through docker-proxy,
# where they came before the engine had said that there is a port), whoever has its address by now.
def test_nobody_else_answers(lab, engine, daemon, world):
    old = world.v6()
    with Prober(lab.client, lab.host.v6, 8080, interval_ms=2) as prober:
        world.restart()
        engine.docker("kill web")
        wait_for(lambda: not is_mapped(lab.host, 8080))
        assert engine.run("squatter", "--network ula").v6() == old
        world.start()
        assert_published(lab, daemon, target=world.v6())
        prober.wait_more(5)
    assert {line.split(" from ")[0] for line in prober.result["answers"]} == {"web tcp:80"}


# -- networks ---------------------------------------------------------------------------------

# Ports belong to the gateway endpoint: the network that comes first takes them, and gives them back.
# The engine may choose another host port then, and tells nobody.
def test_connect_and_disconnect(lab, engine, daemon, world):
    chosen = engine.run("chosen", "--network ula -p 80")
    first = chosen.host_port()
    assert_published(lab, daemon, first, "chosen", chosen.v6("ula"))
    engine.network("another", OTHER)
    # by the names' order the new one is the gateway
    engine.docker("network connect another chosen")
    second = chosen.host_port()
    assert_published(lab, daemon, second, "chosen", chosen.v6("another"))
    daemon.wait_status(lambda s: "chosen" in containers(s, "another") & containers(s, "ula"))
    if second != first:
        assert not is_mapped(lab.host, first)
    engine.docker("network disconnect another chosen")
    third = chosen.host_port()
    assert_published(lab, daemon, third, "chosen", chosen.v6("ula"))
    daemon.wait_status(lambda s: "chosen" not in containers(s, "another"))
    daemon.sync()
    assert [port for _, port in mappings(lab.host)].count(third) == 1
    assert len(mappings(lab.host)) == 4


# Away from its only network, a container has no ports; back on it, it has them again.
def test_only_network(lab, engine, daemon, world):
    engine.docker("network disconnect ula web")
    assert_closed(lab, daemon)
    daemon.wait_status(lambda s: containers(s, "ula") == {"beside"})
    engine.docker("network connect ula web")
    daemon.wait_status(lambda s: containers(s, "ula") == {"beside", "web"})
    if engine.api("GET", f"/containers/{world.id}/json")["NetworkSettings"]["Ports"].get("80/tcp"):
        assert_published(lab, daemon)


# A network of the same name is another network: other bridge, other prefix, other containers.
def test_network_of_the_same_name(lab, engine, daemon, world):
    for n, subnet in enumerate([OTHER, "fd00:8::/64", OTHER]):
        nid = engine.network("again", subnet)
        container = engine.run("inner", "--network again -p 8081:80")
        assert_published(lab, daemon, 8081, "inner", container.v6())
        found = daemon.find_network("again")
        assert found["id"] == nid and found["subnets"] == [subnet]
        assert f"br-{nid[:12]}" in rules(lab.host)
        container.remove()
        engine.docker("network rm again")
        daemon.wait_status(lambda s: not [x for x in s["networks"] if x["name"] == "again"])
        wait_for(lambda: nid[:12] not in rules(lab.host))


def test_prune(lab, engine, daemon, world):
    engine.network("idle", OTHER)
    engine.run("over", "--network idle -p 8081:80")
    engine.docker("kill over")
    engine.network("empty", "fd00:8::/64")
    engine.docker("kill web")
    daemon.wait_status(lambda s: {"idle", "empty", "ula"} <= {n["name"] for n in s["networks"]})
    engine.docker("container prune -f")
    engine.docker("network prune -f")
    daemon.wait_status(lambda s: {n["name"] for n in s["networks"]} == {"bridge", "ula"})
    wait_for(lambda: set(mappings(lab.host)) == {("tcp", 8090)})
    daemon.sync()
    assert set(mappings(lab.host)) == {("tcp", 8090)}


# -- all at once ------------------------------------------------------------------------------

# After any mixture, what was followed is what is found by looking at everything again.
def test_following_and_looking_agree(lab, engine, daemon, world):
    engine.network("another", OTHER)
    some = [engine.run(f"c{i}", f"--network ula -p {8100 + i}:80") for i in range(4)]
    engine.docker("network connect another c0")
    some[1].stop()
    some[2].restart()
    some[3].remove()
    engine.docker("rename c0 d0")
    engine.docker("pause c2")
    engine.docker("network disconnect ula d0")
    some[1].start()
    engine.docker("unpause c2")

    def settled(s):
        return containers(s, "ula") == {"beside", "web", "c1", "c2"} and \
            containers(s, "another") == {"d0"} and ports(s, "d0") == {8100: "active"}
    daemon.wait_status(settled)
    wait_for(lambda: {port for _, port in mappings(lab.host)} == {8080, 8090, 8100, 8101, 8102})
    followed, commits = rules(lab.host), daemon.status()["backend"]["commits"]
    daemon.sync()
    assert rules(lab.host) == followed
    assert daemon.status()["backend"]["commits"] == commits
    daemon.restart()
    daemon.sync()
    assert rules(lab.host) == followed
    assert daemon.status()["backend"]["commits"] == 0
    assert not log_lines(daemon, "<[0-4]>")
