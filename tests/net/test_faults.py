# SPDX-License-Identifier: GPL-2.0-or-later
"""The way to the engine misbehaves.

    client --- router === host (engine <- relay that fails as told <- daemon)

Property: whatever comes instead of an answer, the daemon lives and keeps what is known, tries again
without haste, says it once, and catches up as soon as the engine is understood again. What is
wrong with one answer holds up no other.
"""

import concurrent.futures
import time
from types import SimpleNamespace

import pytest

from follow import (answer, connected, containers, cpu_seconds, disconnected, is_mapped, log_lines, mappings,
                    ports, rules)
from lab import Prober, SocketRelay, wait_for

pytestmark = pytest.mark.engine_any

ULA = "fd00:6::/64"
PING, EVENTS, LIST, NETWORKS = "/_ping", "/events", "/containers/json", "GET [^ ]*/networks$"
GONE, BACK = "keeping all rules", " is back: "


@pytest.fixture(scope="module")
def world(module_engine):
    """Containers and a network that all tests share: only "web" stays as it is."""
    module_engine.network("ula", ULA)
    yield SimpleNamespace(
        web=module_engine.run("web", "--network ula -p 8080:80"),
        other=module_engine.run("other", "--network ula -p 8081:80"))
    module_engine.clean()


@pytest.fixture
def engine(module_engine):
    return module_engine


@pytest.fixture
def relay(lab, engine, world):
    if not world.other.inspect()["State"]["Running"]:
        world.other.start()
    if world.web.inspect()["Name"] != "/web":
        engine.docker("rename", world.web.id, "web")
    with SocketRelay(engine.socket, lab.dir / "relay") as relay:
        yield relay


@pytest.fixture
def daemon(relay, make_daemon):
    """Running and converged; ends before the relay does."""
    daemon = make_daemon(docker=relay.url, config="[Docker]\nResyncSec=3600\n").start()
    daemon.wait_status(lambda s: containers(s, "ula") == {"web", "other"})
    daemon.sync()
    yield daemon
    daemon.stop()


def toggle(world):
    """Changes what other tests may have changed already: it stops or starts."""
    if world.other.inspect()["State"]["Running"]:
        world.other.engine.api("POST", f"/containers/{world.other.id}/kill")
        return False
    world.other.start()
    return True


def endure(daemon, relay, seconds=1):
    """For a while the daemon neither spins nor storms the engine."""
    used, asked = cpu_seconds(daemon.process), len(relay.requests)
    commits = daemon.status()["backend"]["commits"]
    time.sleep(seconds)
    assert cpu_seconds(daemon.process) - used < 0.7 * seconds  # a spin takes all of it
    assert len(relay.requests) - asked < 60 * seconds
    assert daemon.status()["backend"]["commits"] == commits


def assert_caught_up(lab, daemon, engine, runs):
    daemon.wait_status(lambda s: s["state"] == "ok" and connected(s) and
                       ("other" in containers(s, "ula")) == runs)
    wait_for(lambda: is_mapped(engine.host, 8081) == runs)
    assert answer(lab.client, engine.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert not [p for p in daemon.status()["problems"] if p["code"].startswith("docker-")]


# -- no connection ----------------------------------------------------------------------------

# The connection is lost, and the next ones fail in every way there is. Without the lists, what
# events tell is believed; without the events, nothing changes.
@pytest.mark.parametrize("mode, match", [
    ("reset", ""), ("garbage", ""), ("500", ""), ("endless", ""), ("cut", ""), ("badjson", ""),
    ("reset", EVENTS), ("500", EVENTS), ("badjson", EVENTS), ("badjson", "/version"),
    ("garbage", LIST), ("500", LIST), ("endless", LIST), ("badjson", NETWORKS)])
def test_reconnects_fail(lab, engine, world, relay, daemon, mode, match):
    before = rules(engine.host)
    with Prober(lab.client, engine.host.v6, 8080) as prober:
        relay.fault(mode, match)
        relay.hang_up()
        wait_for(lambda: log_lines(daemon, GONE))
        runs = toggle(world)
        hears = match in (LIST, NETWORKS)
        if hears:
            wait_for(lambda: is_mapped(engine.host, 8081) == runs)
        endure(daemon, relay)
        status = daemon.status()
        assert status["state"] == "degraded" and status["docker"]["version"]
        if not hears:
            assert containers(status, "ula") == {"web", "other"}
            assert rules(engine.host) == before
        relay.fault("pass")
        assert_caught_up(lab, daemon, engine, runs)
        prober.wait_more(5)
    assert prober.result["n_failed"] == 0
    assert len(log_lines(daemon, BACK)) == 1
    # the end of the connection, and why the next ones failed: each once, however often it was tried
    said = log_lines(daemon, GONE)
    assert len(said) == len(set(said)) <= 3


# Nothing comes back at all. That is no reason to give up: an engine may take its time to start.
@pytest.mark.parametrize("match", [PING, EVENTS, LIST])
def test_silence(lab, engine, world, relay, daemon, match):
    before = rules(engine.host)
    relay.fault("stall", match)
    relay.hang_up()
    wait_for(lambda: relay.seen(match)[1:])
    runs = toggle(world)
    if match == LIST:
        wait_for(lambda: is_mapped(engine.host, 8081) == runs)
    endure(daemon, relay)
    assert match == LIST or rules(engine.host) == before
    assert daemon.status()["state"] == "degraded"
    assert answer(lab.client, engine.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    relay.fault("pass")
    assert_caught_up(lab, daemon, engine, runs)
    assert len(log_lines(daemon, GONE)) == len(log_lines(daemon, BACK)) == 1


# Who waits for "sync" is told in the end, and the daemon goes on.
def test_sync_during_silence(lab, engine, relay, daemon):
    relay.fault("stall", LIST)
    assert daemon.ctl("sync").returncode == 1
    assert "docker-disconnected" in [p["code"] for p in daemon.status()["problems"]]
    assert len(log_lines(daemon, "has not answered")) == 1
    relay.fault("pass")
    daemon.wait_status(lambda s: s["state"] == "ok")
    daemon.sync()


# ... also when a reload has made it connect anew meanwhile, and so is who asks after that.
def test_sync_across_a_reload(relay, daemon):
    relay.fault("stall", LIST)
    n = len(relay.seen(LIST))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(daemon.ctl, "sync")
        wait_for(lambda: relay.seen(LIST)[n:])
        daemon.configure("[Docker]\nResyncSec=3600\nCertPath=/nowhere\n")
        daemon.ctl("reload", check=True)
        relay.fault("pass")
        assert waiting.result().returncode == 0
    daemon.sync()


# Somebody else's server behind the address.
def test_not_docker(lab, engine, make_daemon):
    server = lab.host.popen(["socat", f"UNIX-LISTEN:{lab.dir}/other,fork",
                             "SYSTEM:'printf \"HTTP/1.0 200 OK\\r\\n\\r\\nhello\"'"])
    try:
        wait_for((lab.dir / "other").exists)
        daemon = make_daemon(docker=f"unix://{lab.dir}/other").start()
        problem = daemon.wait_status(disconnected)["problems"][0]
        assert "not Docker" in problem["message"] and "DOCKER_HOST" in problem["cure"]
        daemon.stop()
    finally:
        server.terminate()
        server.wait()
        (lab.dir / "other").unlink(missing_ok=True)


# -- a running connection ---------------------------------------------------------------------

# The event stream breaks at the next event, in the middle of a line or between two.
@pytest.mark.parametrize("mode", ["cut", "reset"])
def test_event_stream_breaks(lab, engine, world, relay, daemon, mode):
    with Prober(lab.client, engine.host.v6, 8080) as prober:
        relay.fault(mode, EVENTS)
        runs = toggle(world)
        wait_for(lambda: log_lines(daemon, GONE))
        relay.fault("pass")
        assert_caught_up(lab, daemon, engine, runs)
        prober.wait_more(5)
    assert prober.result["n_failed"] == 0
    assert len(log_lines(daemon, BACK)) == 1


# Lost events are found by the periodic look.
def test_events_are_lost(lab, engine, world, relay, make_daemon):
    daemon = make_daemon(docker=relay.url, config="[Docker]\nResyncSec=1\n").start()
    daemon.wait_status(lambda s: containers(s, "ula") == {"web", "other"})
    relay.fault("stall", EVENTS)
    for _ in range(2):
        n, runs = daemon.status()["docker"]["events"], toggle(world)
        assert_caught_up(lab, daemon, engine, runs)
        assert daemon.status()["docker"]["events"] == n
    assert not log_lines(daemon, GONE)
    daemon.stop()


# ... and by asking for one; without either nothing tells.
def test_sync_finds_what_events_did_not_tell(lab, engine, world, relay, daemon):
    relay.fault("stall", EVENTS)
    runs = toggle(world)
    assert is_mapped(engine.host, 8081) != runs
    daemon.sync()
    assert is_mapped(engine.host, 8081) == runs
    assert ("other" in containers(daemon.status(), "ula")) == runs


# The period is one of the keys that a reload changes; the engine stays connected meanwhile.
def test_period_changes(lab, engine, world, relay, daemon):
    greetings = len(relay.seen(PING))
    relay.fault("stall", EVENTS)
    runs = toggle(world)
    daemon.configure("[Docker]\nResyncSec=1\n")
    daemon.ctl("reload", check=True)
    assert_caught_up(lab, daemon, engine, runs)
    assert len(relay.seen(PING)) == greetings


# The periodic look fails although events come: what is known stays, what events tell is believed.
@pytest.mark.parametrize("mode", ["500", "badjson", "endless"])
def test_lists_fail(lab, engine, world, relay, make_daemon, mode):
    daemon = make_daemon(docker=relay.url, config="[Docker]\nResyncSec=1\n").start()
    daemon.wait_status(lambda s: containers(s, "ula") == {"web", "other"})
    relay.fault(mode, LIST)
    daemon.wait_status(lambda s: s["state"] == "degraded")
    runs = toggle(world)
    wait_for(lambda: is_mapped(engine.host, 8081) == runs)
    endure(daemon, relay)
    assert is_mapped(engine.host, 8080)
    relay.fault("pass")
    assert_caught_up(lab, daemon, engine, runs)
    assert len(log_lines(daemon, "does not say what there is")) == 1
    daemon.stop()


# One object cannot be read: it stays as it was known, and its neighbours do not wait for it.
@pytest.mark.parametrize("mode", ["stall", "500", "badjson", "cut", "endless"])
def test_one_container_cannot_be_read(lab, engine, world, relay, daemon, mode):
    host, before = engine.host, rules(engine.host)
    relay.fault(mode, f"/containers/{world.web.id}/json")
    engine.docker("rename web spider")
    wait_for(lambda: relay.seen(f"/containers/{world.web.id}/json")[1:])
    beside = engine.run("beside", "--network ula -p 8082:80")
    try:
        wait_for(lambda: is_mapped(host, 8082))
        assert answer(lab.client, host.v6, 8082) == f"beside tcp:80 from {lab.client.v6}"
        endure(daemon, relay)
        assert containers(daemon.status(), "ula") == {"web", "other", "beside"}
        assert is_mapped(host, 8080)
    finally:
        beside.remove()
    wait_for(lambda: not is_mapped(host, 8082))
    relay.fault("pass")
    daemon.wait_status(lambda s: containers(s, "ula") == {"spider", "other"} and s["state"] == "ok")
    assert rules(host) == before
    assert len(log_lines(daemon, "Cannot read container")) <= 1


# A network whose members cannot be read: its containers tell what they can themselves, and nothing
# of what is known is lost.
@pytest.mark.parametrize("mode", ["500", "badjson"])
def test_one_network_cannot_be_read(lab, engine, world, relay, daemon, mode):
    before = rules(engine.host)
    nid = engine.api("GET", "/networks/ula")["Id"]
    relay.fault(mode, f"/networks/{nid}$")
    beside = engine.run("beside", "--network ula -p 8082:80")
    try:
        wait_for(lambda: is_mapped(engine.host, 8082))
        assert relay.seen(f"/networks/{nid}$")
        assert answer(lab.client, engine.host.v6, 8082) == f"beside tcp:80 from {lab.client.v6}"
        endure(daemon, relay)
        assert is_mapped(engine.host, 8080) and is_mapped(engine.host, 8081)
    finally:
        beside.remove()
    relay.fault("pass")
    wait_for(lambda: rules(engine.host) == before)
    assert len(log_lines(daemon, "Cannot read network")) == 1


# Many containers cannot be read for long; the rest of the world is still followed.
def test_many_stalled_requests(lab, engine, world, relay, daemon):
    ids = [engine.api("POST", "/containers/create",
                      {"Image": "bb:1", "Cmd": ["true"], "HostConfig": {"NetworkMode": "ula"}})["Id"]
           for _ in range(40)]
    try:
        daemon.sync()
        relay.fault("stall", "/containers/(" + "|".join(ids) + ")/json")
        for i in ids:
            engine.api("POST", f"/containers/{i}/rename?name=x{i[:12]}")
        runs = toggle(world)
        wait_for(lambda: is_mapped(engine.host, 8081) == runs)
        assert ports(daemon.status(), "web") == {8080: "active"}
        relay.fault("pass")
    finally:
        for i in ids:
            engine.api("DELETE", f"/containers/{i}?force=1")
    assert_caught_up(lab, daemon, engine, runs)
    assert mappings(engine.host)
