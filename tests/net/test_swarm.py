# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports that a swarm service publishes in host mode.

    client --- router === host (engine, swarm of one; docker_gwbridge made with --ipv6 beforehand)

Property: a task's ports belong to docker_gwbridge, which is in no list of its container's networks;
they are published on IPv6 all the same, and the task gets out.
"""

import pytest

from lab import Container, outcome, tcp_ask, udp_ask, wait_for
from reach import answers, reach

GATEWAY_NET = "fd00:99::/64"


def build(engine):
    engine.network("docker_gwbridge", GATEWAY_NET,
                   "-o com.docker.network.bridge.name=docker_gwbridge "
                   "-o com.docker.network.bridge.enable_icc=false")
    engine.docker("swarm init --advertise-addr", engine.host.v4)
    engine.docker("network create -d overlay over")
    # by its ID the image is not looked for in a registry
    image = engine.api("GET", "/images/json")[0]["Id"]
    engine.docker("service create --detach --no-resolve-image --name task --network over "
                  "--publish mode=host,published=8080,target=80 "
                  "--publish mode=host,published=8080,target=80,protocol=udp",
                  image, "echo-server task tcp:80 udp:80")
    wait_for(lambda: engine.docker("service ps --format {{.CurrentState}} task").startswith("Running"), 60)
    return engine.api("GET", "/containers/json")[0]


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.serve(lab.client)
    return lab


def overlays(engine):
    return [n["Id"] for n in engine.api("GET", "/networks") if n["Driver"] == "overlay"]


@pytest.fixture(scope="module")
def world(make_world, module_engine):
    task, daemon = make_world(lambda: build(module_engine))
    yield task, daemon
    module_engine.docker("service rm task")
    wait_for(lambda: not module_engine.api("GET", "/containers/json?all=1"), 30)
    module_engine.docker("network rm over")
    module_engine.docker("swarm leave --force")
    wait_for(lambda: not overlays(module_engine), 30)


def test_host_mode_ports_are_published(lab, world):
    task, daemon = world
    for ask, protocol in (tcp_ask, "tcp"), (udp_ask, "udp"):
        assert ask(lab.client, lab.host.v6, 8080) == f"task {protocol}:80 from {lab.client.v6}"
    network = daemon.find_network("docker_gwbridge")
    assert network["mode"] == "nat"
    assert [c["id"] for c in network["containers"]] == [task["Id"]]
    assert {p["protocol"]: p["connections"] for p in network["containers"][0]["ports"]} == \
        {"tcp": 1, "udp": 1}


def test_task_gets_out(lab, world, module_engine):
    task = Container(module_engine, world[0]["Id"], "task")
    assert reach(task.ns, lab.client.v6) == answers("client", lab.host.v6)
    assert outcome(tcp_ask, task.ns, lab.host.v6, 8080).startswith("task ")
