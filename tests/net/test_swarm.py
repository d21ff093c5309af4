# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports that a swarm service publishes in host mode.

    client --- router === host (engine, swarm of one; docker_gwbridge made with --ipv6 beforehand)

Property: a task's ports belong to docker_gwbridge, which is in no list of its container's networks;
they are published on IPv6 all the same, and the task gets out. A bridge that is the swarm's network
is on this host while a task needs it, and is the bridge that it is here.
"""

import pytest

from lab import Container, outcome, tcp_ask, udp_ask, wait_for
from reach import answers, reach

GATEWAY_NET, NEAR_NET = "fd00:99::/64", "fd00:98::/64"


def serve(engine, name, network, port):
    # by its ID the image is not looked for in a registry
    image = engine.api("GET", "/images/json")[0]["Id"]
    engine.docker(f"service create --detach --no-resolve-image --name {name} --network {network} "
                  f"--publish mode=host,published={port},target=80 "
                  f"--publish mode=host,published={port},target=80,protocol=udp",
                  image, f"echo-server {name} tcp:80 udp:80")


def running(engine, name):
    return engine.docker(f"service ps --filter desired-state=running --format {{{{.CurrentState}}}} {name}"
                         ).startswith("Running")


def build(engine):
    engine.network("docker_gwbridge", GATEWAY_NET,
                   "-o com.docker.network.bridge.name=docker_gwbridge "
                   "-o com.docker.network.bridge.enable_icc=false")
    engine.docker("swarm init --advertise-addr", engine.host.v4)
    engine.docker("network create -d overlay over")
    serve(engine, "task", "over", 8080)
    wait_for(lambda: running(engine, "task"), 60)
    task = engine.api("GET", "/containers/json")[0]
    engine.docker("network create --config-only --ipv6 --subnet", NEAR_NET, "near-here")
    engine.docker("network create -d bridge --scope swarm --config-from near-here near")
    serve(engine, "next", "near", 8081)
    wait_for(lambda: running(engine, "next"), 60)
    return task


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
    module_engine.docker("service rm task next")
    wait_for(lambda: not module_engine.api("GET", "/containers/json?all=1"), 30)
    module_engine.docker("network rm over near")
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


# In a manager's list it has no IPv6 and no subnets. It keeps its ID when it comes again.
def test_bridge_of_the_swarm(lab, world, module_engine):
    daemon = world[1]

    def is_near(status):
        return [n["subnets"] for n in status["networks"] if n["name"] == "near"] == [[NEAR_NET]]

    for n in 1, 2:
        daemon.sync()
        assert is_near(daemon.status())
        for ask, protocol in (tcp_ask, "tcp"), (udp_ask, "udp"):
            assert ask(lab.client, lab.host.v6, 8081) == f"next {protocol}:80 from {lab.client.v6}"
        if n == 1:
            commits = daemon.status()["backend"]["commits"]
            daemon.sync()
            assert daemon.status()["backend"]["commits"] == commits
            daemon.restart()
            daemon.sync()
            assert daemon.status()["backend"]["commits"] == 0
            module_engine.docker("service scale --detach next=0")
            daemon.wait_status(lambda s: not is_near(s), 30)
            module_engine.docker("service scale --detach next=1")
            wait_for(lambda: running(module_engine, "next"), 60)
