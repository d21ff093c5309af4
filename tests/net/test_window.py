# SPDX-License-Identifier: GPL-2.0-or-later
"""When a container starts: from which moment on its ports are its own.

    client --- router === host (engine, with a runtime "held" that waits before the process runs)

Property: a mapping with an explicit host port stands before the container's process runs, so that
no answer ever comes by another way; one whose port the engine chooses stands when docker run
returns or soon after. A start that fails, or that is not asked for, leaves nothing behind and takes
nothing from others.
"""

import concurrent.futures
import os
from types import SimpleNamespace

import pytest

from follow import answer, containers, first_answer, is_mapped, log_lines, mappings, ports, rules
from lab import ApiError, Prober, outcome, tcp_ask, udp_ask, wait_for

pytestmark = pytest.mark.engine_any

ULA = "fd00:6::/64"

# What runc is asked for last is to let the process run.
HELD = """#!/bin/sh
for word; do
	if [ "$word" = start ]; then
		: >{dir}/arrived
		while ! [ -e {dir}/go ]; do sleep 0.01; done
		grep -q fail {dir}/go && exit 1
	fi
done
exec runc "$@"
"""


@pytest.fixture(scope="module")
def held_dir(module_lab):
    directory = module_lab.dir / "held"
    directory.mkdir()
    (directory / "runtime").write_text(HELD.format(dir=directory))
    (directory / "runtime").chmod(0o755)
    return directory


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine, held_dir):
    return make_engine(module_lab,
                       config={"runtimes": {"held": {"path": str(held_dir / "runtime")}}})


@pytest.fixture
def held(held_dir, engine):
    """Starts a container in a thread: held.start(container id) returns when all is ready but the
    process; held.release() lets it run and returns the start's error, or None."""
    def attempt(cid):
        try:
            engine.api("POST", f"/containers/{cid}/start")
        except ApiError as error:
            return error

    def clear():
        for name in "arrived", "go":
            (held_dir / name).unlink(missing_ok=True)

    def start(cid):
        clear()
        state.future = pool.submit(attempt, cid)
        wait_for((held_dir / "arrived").exists, 20, "the runtime is asked to start the process")

    def release(how="go"):
        (held_dir / "go").write_text(how)
        return state.future.result(30)

    state = SimpleNamespace(start=start, release=release, future=None)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            yield state
        finally:
            (held_dir / "go").write_text("go")


def create(engine, name, *args, command=None):
    command = command or f"echo-server {name} tcp:80 udp:80"
    return engine.docker("create --name", name, "--network ula", *args, "bb:1", command)


@pytest.fixture
def ula(engine):
    engine.network("ula", ULA)


# -- the mapping is first ---------------------------------------------------------------------

# No time is measured here: the process cannot run before we have seen the mapping.
@pytest.mark.parametrize("stopped_before", [False, True], ids=["created", "stopped-long-ago"])
def test_mapping_stands_before_the_process_runs(lab, engine, ula, daemon, order, held, stopped_before):
    cid = order(lambda: create(engine, "web", "--runtime held -p 8080:80 -p 8080:80/udp"), daemon)
    if stopped_before:
        held.start(cid)
        held.release()
        engine.api("POST", f"/containers/{cid}/stop?t=2")
        wait_for(lambda: not mappings(lab.host))
        daemon.restart()
        daemon.sync()
    assert mappings(lab.host) == {} and ports(daemon.status(), "web") == {}
    held.start(cid)
    wait_for(lambda: set(mappings(lab.host)) == {("tcp", 8080), ("udp", 8080)})
    assert engine.api("GET", "/containers/json") == []
    daemon.wait_status(lambda s: ports(s, "web") == {8080: "assumed"})
    # nobody listens there: the container's kernel says so itself, docker-proxy has no part in it
    assert outcome(tcp_ask, lab.client, lab.host.v6, 8080) == "refused"
    before = rules(lab.host)
    with Prober(lab.client, lab.host.v6, 8080, interval_ms=2) as prober:
        assert held.release() is None
        first, so_far = first_answer(lab.client, lab.host.v6, 8080)
        prober.wait_more(5)
    assert first == f"web tcp:80 from {lab.client.v6}" and so_far <= {"refused"}
    assert list(prober.result["answers"]) == [first]
    assert {kind for _, kind in prober.result["failed"]} <= {"refused"}
    assert udp_ask(lab.client, lab.host.v6, 8080, tries=3) == f"web udp:80 from {lab.client.v6}"
    daemon.wait_status(lambda s: ports(s, "web") == {8080: "active"})
    assert rules(lab.host) == before


# Nobody knows the port before the engine says it, which it does when the start is done.
def test_chosen_port(lab, engine, ula, daemon, order, held):
    cid = order(lambda: create(engine, "web", "--runtime held -p 80 -p 8090-8095:81"), daemon)
    held.start(cid)
    daemon.wait_status(lambda s: containers(s, "ula") == {"web"})
    assert mappings(lab.host) == {}
    assert held.release() is None
    bindings = engine.api("GET", f"/containers/{cid}/json")["NetworkSettings"]["Ports"]
    chosen = {("tcp", int(bindings[f"{port}/tcp"][0]["HostPort"])) for port in (80, 81)}
    wait_for(lambda: set(mappings(lab.host)) == chosen)
    port = int(bindings["80/tcp"][0]["HostPort"])
    assert answer(lab.client, lab.host.v6, port) == f"web tcp:80 from {lab.client.v6}"


# Who asks when docker run has returned is at worst too early for the server itself. Many at once,
# at the engine's pace (STARTS=1000 in the environment for more of them).
def test_first_answers(lab, engine, ula, daemon, engine_version):
    n = int(os.environ.get("STARTS", 100 if engine_version == "20.10" else 40))
    daemon.start()
    daemon.wait_status(lambda s: "ula" in [network["name"] for network in s["networks"]])
    before_all = rules(lab.host)
    ids = [engine.api("POST", f"/containers/create?name=c{i}", {
        "Image": "bb:1", "Cmd": ["echo-server", f"c{i}", "tcp:80"],
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"NetworkMode": "ula", "PortBindings": {"80/tcp": [{"HostPort": str(10000 + i)}]}},
    })["Id"] for i in range(n)]
    assert mappings(lab.host) == {}

    def start(i):
        engine.api("POST", f"/containers/{ids[i]}/start")
        return i, *first_answer(lab.client, lab.host.v6, 10000 + i)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(start, range(n)))
        wrong = [(i, first, before) for i, first, before in results
                 if first != f"c{i} tcp:80 from {lab.client.v6}" or before - {"refused"}]
        assert wrong == []
        assert set(mappings(lab.host)) == {("tcp", 10000 + i) for i in range(n)}
        daemon.wait_status(lambda s: all(ports(s, f"c{i}") == {10000 + i: "active"} for i in range(n)))
    # many at once; but 20.10 may wait for itself then, for ever (libnetwork's getSvcRecords against
    # processEndpointDelete)
    with concurrent.futures.ThreadPoolExecutor(1 if engine_version == "20.10" else 8) as pool:
        list(pool.map(lambda i: engine.api("DELETE", f"/containers/{i}?force=1"), ids))
    wait_for(lambda: mappings(lab.host) == {})
    daemon.wait_status(lambda s: not containers(s, "ula"))
    daemon.sync()
    assert rules(lab.host) == before_all


# -- starts that fail -------------------------------------------------------------------------

def test_create_alone(lab, engine, ula, daemon, order):
    order(lambda: create(engine, "idle", "-p 8080:80"), daemon)
    assert mappings(lab.host) == {} and not containers(daemon.status(), "ula")
    # it was seen: what comes after it is there
    engine.run("web", "--network ula -p 8081:80")
    wait_for(lambda: set(mappings(lab.host)) == {("tcp", 8081)})


# The process cannot be run: what was assumed goes again.
def test_held_start_fails(lab, engine, ula, daemon, order, held):
    cid = order(lambda: create(engine, "web", "--runtime held -p 8080:80"), daemon)
    held.start(cid)
    wait_for(lambda: is_mapped(lab.host, 8080))
    assert held.release("fail") is not None
    wait_for(lambda: mappings(lab.host) == {})
    daemon.wait_status(lambda s: not containers(s, "ula"))
    assert outcome(tcp_ask, lab.client, lab.host.v6, 8080) == "refused"


def test_command_not_found(lab, engine, ula, daemon, order):
    cid = order(lambda: create(engine, "web", "-p 8080:80", command="/no/such/program"), daemon)
    with Prober(lab.client, lab.host.v6, 8080, interval_ms=2) as prober:
        for _ in range(3):
            with pytest.raises(ApiError):
                engine.api("POST", f"/containers/{cid}/start")
        daemon.sync()
        assert mappings(lab.host) == {} and not containers(daemon.status(), "ula")
    assert prober.result["answers"] == {}


# A server of the host's own has the port: it keeps it, whatever anybody tries to start.
def test_port_of_the_host(lab, engine, ula, daemon, order):
    server = lab.serve(lab.host, "tcp:8080", name="host")
    try:
        cid = order(lambda: create(engine, "web", "-p 8080:80"), daemon)
        with Prober(lab.client, lab.host.v6, 8080, interval_ms=2) as prober:
            for _ in range(5):
                with pytest.raises(ApiError):
                    engine.api("POST", f"/containers/{cid}/start")
            prober.wait_more(5)
            daemon.sync()
            assert mappings(lab.host) == {}
        assert prober.result["n_failed"] == 0
        assert list(prober.result["answers"]) == [f"host tcp:8080 from {lab.client.v6}"]
    finally:
        server.terminate()
        server.wait()


# Another container has it.
def test_port_of_another_container(lab, engine, ula, daemon, order):
    def build():
        engine.run("web", "--network ula -p 8080:80")
        return create(engine, "late", "-p 8080:80")
    cid = order(build, daemon)
    before = rules(lab.host)
    with Prober(lab.client, lab.host.v6, 8080, interval_ms=2) as prober:
        for _ in range(5):
            with pytest.raises(ApiError):
                engine.api("POST", f"/containers/{cid}/start")
        prober.wait_more(5)
        daemon.sync()
    assert prober.result["n_failed"] == 0
    assert list(prober.result["answers"]) == [f"web tcp:80 from {lab.client.v6}"]
    assert rules(lab.host) == before
    assert "port-conflict" not in [p["code"] for p in daemon.status()["problems"]]


# A process that is over before anybody looks: no trace of it, and nothing to complain about.
def test_short_lives(lab, engine, ula, daemon):
    daemon.start().sync()
    before = rules(lab.host)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: engine.docker(f"run --rm --network ula -p {8080 + i}:80 bb:1 true"),
                      range(8)))
    wait_for(lambda: rules(lab.host) == before)
    daemon.wait_status(lambda s: not containers(s, "ula"))
    daemon.sync()
    assert rules(lab.host) == before
    assert not log_lines(daemon, "<[0-4]>")
