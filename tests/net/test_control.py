# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket: changes as they happen, who may do what, and clients that mean ill.

    client --- router === host (engine, network "ula" with the container web, published)

Property: every change of the status is one line of /v1/events when it happens, and nothing else is;
reading is for root and the socket's group, changing for root; no client, and no number of them,
keeps the daemon from its job or makes it grow.
"""

import contextlib
import json
import socket
import threading

import pytest

from lab import wait_for

ULA = "fd00:6::/64"


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    engine = make_engine(module_lab)
    engine.network("ula", ULA)
    engine.run("web", "--network ula -p 8080:80")
    return engine


@pytest.fixture
def engine(module_engine):
    """The module's engine with its containers, for all tests."""
    return module_engine


@pytest.fixture
def host(lab):
    return lab.host


@pytest.fixture
def running(daemon):
    daemon.start().sync()
    return daemon


class Follower:
    """A client of /v1/events; lines is what it has read so far, decoded."""

    def __init__(self, daemon):
        self.lines = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(daemon.control))
        # 1.0: lines as they are, no chunks
        self.socket.sendall(b"GET /v1/events HTTP/1.0\r\n\r\n")
        self.file = self.socket.makefile("r", encoding="utf-8")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.wait(kind="hello")

    def _read(self):
        with contextlib.suppress(OSError):
            for line in self.file:
                self.lines.append(json.loads(line))

    def find(self, **wanted):
        return [line for line in self.lines if all(line.get(k) == v for k, v in wanted.items())]

    def wait(self, **wanted):
        """Waits for a line with these keys; the first of them."""
        wait_for(lambda: self.find(**wanted), 15, f"a line with {wanted}")
        return self.find(**wanted)[0]

    def clear(self):
        """Forgets what there is, and what is still under way."""
        del self.lines[:]

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.file.close()
        self.socket.close()


@pytest.fixture
def follow():
    made = []

    def make(daemon):
        made.append(Follower(daemon))
        return made[-1]

    yield make
    for follower in made:
        follower.close()


# -- events -----------------------------------------------------------------------------------

def test_a_container_comes_and_goes(engine, running, follow):
    """Its container, its port and the ruleset's elements, with the keys that are promised."""
    follower = follow(running)
    assert follower.lines[0]["kind"] == "hello" and follower.lines[0]["version"] == running.status()["version"]
    container = engine.run("new", "--network ula -p 8090:80")
    # assumed first, it may be, until the engine confirms it
    port = follower.wait(kind="port", container="new", state="active")
    for key, value in {"name": "8090/tcp", "network": "ula", "protocol": "tcp", "host_address": "::",
                       "host_port": 8090, "container_port": 80}.items():
        assert port[key] == value
    assert follower.find(kind="port", container="new")[0]["change"] == "added"
    added = follower.wait(kind="container", change="added", name="new")
    assert added["network"] == "ula" and added["address"].startswith("fd00:6::")
    assert follower.wait(kind="ruleset", change="changed")["was"]["elements"]
    for line in follower.lines[1:]:
        assert {"time", "kind", "change", "name", "message"} <= line.keys(), line
    container.remove()
    assert "8090/tcp" in follower.wait(kind="port", change="removed")["message"]
    follower.wait(kind="container", change="removed", name="new")


def test_engine_config_uplink_and_ruleset(host, running, follow):
    """What is not Docker's doing."""
    follower = follow(running)
    running.configure("[Network ula]\nMode=off\n")
    running.ctl("reload", check=True)
    assert follower.wait(kind="config", change="changed")["reads"] == 2
    changed = follower.wait(kind="network", change="changed", name="ula")
    assert changed["mode"] == "off" and changed["was"]["mode"] == "nat"
    running.configure("")
    running.ctl("reload", check=True)
    follower.wait(kind="network", mode="nat", name="ula")
    follower.clear()
    host.nft("flush ruleset ip6")
    repaired = follower.wait(kind="ruleset", repairs=1)
    assert repaired["was"]["repairs"] == 0
    follower.wait(kind="problem", change="added", code="foreign-repair", severity="notice")
    host.ip("addr add 2001:db8:1::77/64 dev eth0 nodad")
    try:
        uplink = follower.wait(kind="uplink", change="changed", name="eth0")
        assert set(uplink["addresses"]) - set(uplink["was"]["addresses"]) == {"2001:db8:1::77"}
    finally:
        host.ip("addr del 2001:db8:1::77/64 dev eth0")


def test_nothing_happens(running, follow):
    """A converged pass tells nothing, and no number of readers of the status does."""
    follower = follow(running)
    for _ in range(3):
        running.sync()
        running.status()
    assert [line["kind"] for line in follower.lines] == ["hello"]
