# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine stops, crashes, restarts, comes late.

    client --- router === host1 (engine), host2 (engine with live-restore)

Property: an engine that is gone is not containers that are gone. Whatever the engine's life, the
kernel's state stays and published ports answer as long as their containers live; the daemon says
that it is alone, once, and when the engine is back it says so, once, and knows what has changed.
"""

import contextlib
import os
import signal
import time

import pytest

from follow import (answer, connected, containers, disconnected, errors, is_mapped, log_lines,
                    mappings, ports, rules)
from lab import Prober, SocketRelay, outcome, tcp_ask, udp_ask, wait_for

pytestmark = pytest.mark.engine_any

ULA = "fd00:6::/64"
FORWARDING = "net/ipv6/conf/all/forwarding"
GONE, BACK = "keeping all rules", " is back: "


@pytest.fixture(scope="module")
def module_lab(make_lab):
    return make_lab(hosts=2)


@pytest.fixture(scope="module")
def module_live(module_lab, make_engine):
    return make_engine(module_lab, module_lab.hosts[1], live_restore=True)


@pytest.fixture
def live(module_live):
    """The engine with live-restore, without anything of an earlier test."""
    if not module_live.running():
        module_live.start()
    yield module_live
    if not module_live.running():
        module_live.start()
    module_live.clean()


def web(engine, *args, name="web", port=8080):
    if name == "web":
        engine.network("ula", ULA)
    return engine.run(name, f"--network ula -p {port}:80 -p {port}:80/udp", *args)


def assert_said_once(daemon):
    assert len(log_lines(daemon, GONE)) == len(log_lines(daemon, BACK)) == 1
    # one more at the start, when it was found
    assert len(log_lines(daemon, "ocker engine")) == 3


# -- stop, crash, restart ---------------------------------------------------------------------

# Containers outlive the engine: not one connection of theirs may fail, from its end to after its
# return, and not one element may move.
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_live_restore(lab, live, make_daemon, order, end):
    daemon, host = make_daemon(live), live.host
    order(lambda: web(live), daemon)
    before, commits = rules(host), daemon.status()["backend"]["commits"]
    assert mappings(host)["udp", 8080]
    with Prober(lab.client, host.v6, 8080, interval_ms=5) as prober:
        getattr(live, end)()
        away = daemon.wait_status(disconnected)
        assert away["state"] == "degraded" and containers(away, "ula") == {"web"}
        assert rules(host) == before
        prober.wait_more(20)
        assert udp_ask(lab.client, host.v6, 8080) == f"web udp:80 from {lab.client.v6}"
        live.start()
        daemon.wait_status(lambda s: s["state"] == "ok" and connected(s))
        daemon.sync()
        prober.wait_more(20)
    assert list(prober.result["answers"]) == [f"web tcp:80 from {lab.client.v6}"]
    assert prober.result["n_failed"] == 0
    assert rules(host) == before
    assert daemon.status()["backend"]["commits"] == commits
    assert_said_once(daemon)


# Containers of an engine that crashed go on until it is back, and end then; what it starts again
# may have another address, and what it does not start again is gone.
def test_crash(lab, engine, make_daemon, order):
    daemon, host = make_daemon(), engine.host

    def build():
        web(engine, "--restart always")
        web(engine, name="once", port=8081)
    order(build, daemon)
    engine.kill()
    daemon.wait_status(disconnected)
    for name, port in ("web", 8080), ("once", 8081):
        assert answer(lab.client, host.v6, port) == f"{name} tcp:80 from {lab.client.v6}"
    engine.start()
    status = daemon.wait_status(lambda s: connected(s) and containers(s, "ula") == {"web"})
    assert not errors(status)
    wait_for(lambda: not is_mapped(host, 8081))
    assert answer(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert outcome(tcp_ask, lab.client, host.v6, 8081) == "refused"
    assert_said_once(daemon)


# systemctl restart docker: containers end in order and are started again.
def test_restart(lab, engine, make_daemon, order):
    daemon, host = make_daemon(), engine.host

    def build():
        web(engine, "--restart always")
        web(engine, name="once", port=8081)
    order(build, daemon)
    engine.stop()
    assert daemon.wait_status(disconnected)["state"] == "degraded"
    engine.start()
    daemon.wait_status(lambda s: connected(s) and containers(s, "ula") == {"web"})
    wait_for(lambda: set(mappings(host)) == {("tcp", 8080), ("udp", 8080)})
    assert answer(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert_said_once(daemon)


# A second outage is told as the first one was.
def test_twice(lab, live, make_daemon, order):
    daemon = make_daemon(live)
    order(lambda: web(live), daemon)
    for n in 1, 2:
        live.kill()
        daemon.wait_status(disconnected)
        live.start()
        daemon.wait_status(connected)
        assert len(log_lines(daemon, GONE)) == len(log_lines(daemon, BACK)) == n
    assert answer(lab.client, live.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"


def test_container_ends_while_the_engine_is_away(lab, live, make_daemon, order):
    daemon, host = make_daemon(live), live.host

    def build():
        web(live)
        return web(live, name="mortal", port=8081).inspect()["State"]["Pid"]
    pid = order(build, daemon)
    with Prober(lab.client, host.v6, 8080) as prober:
        live.kill()
        daemon.wait_status(disconnected)
        os.kill(pid, signal.SIGKILL)
        # nobody has told us
        assert is_mapped(host, 8081)
        live.start()
        daemon.wait_status(lambda s: connected(s) and containers(s, "ula") == {"web"})
        wait_for(lambda: not is_mapped(host, 8081))
        prober.wait_more(5)
    assert prober.result["n_failed"] == 0
    assert outcome(tcp_ask, lab.client, host.v6, 8081) == "refused"


# The engine lives on, but nobody hears it: everything that can change has changed afterwards.
def test_changes_while_nobody_listens(lab, engine, make_daemon):
    host = engine.host
    with SocketRelay(engine.socket, lab.dir / "relay") as relay:
        daemon = make_daemon(docker=relay.url).start()
        stays, goes, renamed = (web(engine, name=name, port=8080 + i)
                                for i, name in enumerate(["web", "goes", "renamed"]))
        engine.network("other", "fd00:7::/64")
        engine.run("other", "--network other -p 8090:80")
        daemon.sync()
        with Prober(lab.client, host.v6, 8080) as prober:
            relay.down()
            daemon.wait_status(disconnected)
            goes.remove()
            engine.docker("rename renamed new-name")
            engine.docker("rm -f other")
            engine.docker("network rm other")
            engine.network("other", "fd00:8::/64")
            engine.run("again", "--network other -p 8090:80")
            assert mappings(host)["tcp", 8090] == ("fd00:7::2", 80)
            # events of the last two seconds are asked for: those that came before tell nothing
            n_events = daemon.status()["docker"]["events"]
            time.sleep(3)
            relay.up()
            daemon.wait_status(connected)
            daemon.sync()
            status = daemon.status()
            assert status["docker"]["events"] == n_events
            prober.wait_more(5)
        assert prober.result["n_failed"] == 0
        assert containers(status, "ula") == {"web", "new-name"}
        assert containers(status, "other") == {"again"}
        assert mappings(host)["tcp", 8090] == ("fd00:8::2", 80)
        assert not is_mapped(host, 8081) and is_mapped(host, 8082)
        assert answer(lab.client, host.v6, 8090) == f"again tcp:80 from {lab.client.v6}"
        daemon.stop()


# SIGHUP to the engine changes nothing of ours.
def test_reload_of_the_engine(lab, engine, daemon, order):
    order(lambda: web(engine), daemon)
    before, commits = rules(engine.host), daemon.status()["backend"]["commits"]
    engine.reload()
    engine.run("marker", "--network ula")
    daemon.wait_status(lambda s: containers(s, "ula") == {"web", "marker"})
    assert rules(engine.host) == before
    assert daemon.status()["backend"]["commits"] == commits
    assert len(log_lines(daemon, "ocker engine")) == 1


# -- the engine comes late --------------------------------------------------------------------

# Ready at once, without a guess: before the engine's first answer nothing is written anywhere.
def test_engine_absent_at_start(lab, engine, daemon):
    host = engine.host
    web(engine, "--restart always")
    engine.stop()
    host.sysctl(FORWARDING, 0)
    daemon.start()
    status = daemon.wait_status(disconnected)
    assert status["state"] == "starting" and status["networks"] == []
    assert rules(host) == "" and host.sysctl(FORWARDING) == "0"
    assert daemon.request("GET", "/healthz")[0] == 503
    assert daemon.ctl("sync").returncode == 1
    engine.start()
    daemon.wait_status(lambda s: s["state"] == "ok" and containers(s, "ula") == {"web"})
    wait_for(lambda: is_mapped(host, 8080))
    assert answer(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert daemon.request("GET", "/healthz")[0] == 200
    assert len(log_lines(daemon, GONE)) == 1


# What the last run has left is in force until the engine has spoken, and if it says the same
# nothing is written at all.
def test_daemon_restarts_while_the_engine_is_away(lab, live, make_daemon, order):
    daemon, host = make_daemon(live), live.host
    order(lambda: web(live), daemon)
    before = rules(host)
    with Prober(lab.client, host.v6, 8080) as prober:
        live.kill()
        daemon.restart()
        assert daemon.wait_status(disconnected)["state"] == "starting"
        assert rules(host) == before
        prober.wait_more(5)
        live.start()
        daemon.wait_status(lambda s: s["state"] == "ok")
        daemon.sync()
        prober.wait_more(5)
    assert prober.result["n_failed"] == 0
    assert rules(host) == before
    assert daemon.status()["backend"]["commits"] == 0


# Its socket, the directory of it, or one further up need not be there, nor stay.
@pytest.mark.parametrize("path", ["late.sock", "late/docker.sock", "later/than/late/docker.sock"])
def test_socket_appears(lab, engine, make_daemon, path):
    path = lab.dir / path
    daemon = make_daemon(docker=f"unix://{path}").start()
    daemon.wait_status(disconnected)
    for _ in range(2):
        path.parent.mkdir(parents=True, exist_ok=True)
        with SocketRelay(engine.socket, path):
            daemon.wait_status(lambda s: s["state"] == "ok" and connected(s))
        daemon.wait_status(disconnected)
        with contextlib.suppress(OSError):
            path.parent.rmdir()
    daemon.stop()


# What stands in the socket's place is no socket, then one that nobody listens on, then the engine.
def test_socket_of_nobody(lab, engine, make_daemon):
    path = lab.dir / "nobody.sock"
    path.write_text("")
    daemon = make_daemon(docker=f"unix://{path}").start()
    daemon.wait_status(disconnected)
    path.unlink()
    relay = SocketRelay(engine.socket, path)
    relay.down()
    daemon.wait_status(disconnected)
    relay.up()
    daemon.wait_status(lambda s: s["state"] == "ok")
    daemon.stop()
    relay.close()


# -- which API --------------------------------------------------------------------------------

API_MAX = (1, 52)


def number(version):
    return tuple(int(part) for part in version.split("."))


# The highest that both know, in every request but the first.
def test_version_is_negotiated(lab, engine, make_daemon, engine_version):
    offered = engine.api("GET", "/version")["ApiVersion"]
    with SocketRelay(engine.socket, lab.dir / "relay") as relay:
        daemon = make_daemon(docker=relay.url).start()
        docker = daemon.wait_status(connected)["docker"]
        assert docker["version"].startswith(f"{engine_version}.")
        assert number(docker["api"]) == min(number(offered), API_MAX)
        web(engine)
        daemon.sync()
        assert ports(daemon.status(), "web")
        assert relay.requests[0] == "GET /_ping"
        assert not [r for r in relay.requests[1:] if not r.startswith(f"GET /v{docker['api']}/")]
        assert not log_lines(daemon, "<[0-4]>")
        daemon.stop()


# An engine whose owner has raised the lowest version to its highest.
@pytest.mark.engine_is("26.1", "28.5")
def test_lowest_version_of_the_engine(lab, make_engine, make_daemon, engine, monkeypatch):
    api = engine.api("GET", "/version")["ApiVersion"]
    daemon = make_daemon().start()
    daemon.wait_status(connected)
    engine.stop()
    monkeypatch.setattr(engine, "_env", lambda env=engine._env(): {**env, "DOCKER_MIN_API_VERSION": api})
    engine.start()
    assert daemon.wait_status(connected)["docker"]["api"] == api
    engine.stop()
