# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket: changes as they happen, who may do what, and clients that mean ill.

    client --- router === host (engine, network "ula" with the container web, published)

Property: every change of the status is one line of /v1/events when it happens, and nothing else is;
reading is for root and the socket's group, changing for root; no client, and no number of them,
keeps the daemon from its job or makes it grow.
"""

import contextlib
import json
import os
import re
import resource
import socket
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from lab import outcome, tcp_ask, wait_for

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
    # lines come in order: what was told before this one is there with it
    running.ctl("reload", check=True)
    follower.wait(kind="config")
    assert [line["kind"] for line in follower.lines] == ["hello", "config"]


# -- who may do what --------------------------------------------------------------------------

GROUP, GID, UID = "ipv6nat", 64321, 64322


@pytest.fixture
def guarded(daemon):
    """A daemon in whose eyes there is a group ipv6nat, and whose socket everybody gets near to."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        groups = Path(directory) / "group"
        groups.write_text(f"root:x:0:\n{GROUP}:x:{GID}:\n")
        daemon.control = Path(directory) / "socket"
        daemon.program = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/group && exec "$@"',
                          str(groups), *daemon.program]
        daemon.start().sync()
        yield daemon
        daemon.stop()


def ask_as(daemon, uid, groups, method, path):
    """The HTTP status that this user gets, or None where it is not let in."""
    who = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={groups}"] if groups else \
        ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    done = daemon.host.run(*who, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method,
                           "--unix-socket", daemon.control, f"http://localhost{path}", check=False)
    assert done.returncode in (0, 7), done.stderr
    return int(done.stdout) if done.returncode == 0 else None


def test_peers(guarded):
    """The kernel's word on who asks: others are not let in, the group reads, root does all."""
    status = guarded.control.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o660, 0, GID)
    for path in "/v1/status", "/v1/plan", "/metrics", "/healthz":
        assert ask_as(guarded, UID, None, "GET", path) is None
        assert ask_as(guarded, UID, GID, "GET", path) == 200
        assert ask_as(guarded, 0, None, "GET", path) == 200
    commits = guarded.status()["backend"]
    for path in "/v1/sync", "/v1/reload":
        assert ask_as(guarded, UID, None, "POST", path) is None
        assert ask_as(guarded, UID, GID, "POST", path) == 403
        assert ask_as(guarded, 0, None, "POST", path) == 200
    assert guarded.status()["backend"] == commits
    # a user's group 0 is not root
    assert ask_as(guarded, UID, f"0,{GID}", "POST", "/v1/sync") == 403


# -- clients that mean ill --------------------------------------------------------------------

def resources(daemon):
    """(resident kilobytes, open file descriptors), as the kernel has them."""
    proc = Path(f"/proc/{daemon.process.pid}")
    return int(re.search(r"VmRSS:\s+(\d+)", (proc / "status").read_text())[1]), \
        len(list((proc / "fd").iterdir()))


def connect(daemon):
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    client.connect(str(daemon.control))
    return client


def close_all(clients):
    for client in clients:
        client.close()


def send(client, data):
    """Whether the other side still takes it; a full buffer is no refusal."""
    try:
        client.send(data, socket.MSG_NOSIGNAL)
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


def assert_bounded(running, memory, fds):
    """64 clients, 16 kB each, and what the allocator makes of it; beside them, requests to Docker."""
    now = resources(running)
    assert now[1] <= fds + 64 + 32
    # sanitizers keep what is freed
    assert now[0] < memory + 8000 or "san" in Path(running.program[-1]).parts


@contextlib.contextmanager
def unharmed(lab, engine, running):
    """During the attack a container is published and reached; after it the API answers, and what
    the attack took is given back."""
    for _ in range(3):
        running.request("GET", "/v1/status")
    memory, fds = resources(running)
    yield
    container = engine.run("during", "--network ula -p 8091:80")
    try:
        # docker-proxy would answer, too
        wait_for(lambda: outcome(tcp_ask, lab.client, lab.host.v6, 8091) ==
                 f"during tcp:80 from {lab.client.v6}")
        assert_bounded(running, memory, fds)
    finally:
        container.remove()


def assert_recovered(running, fds):
    assert running.request("GET", "/v1/status")[0] == 200
    # but for connections to Docker, which are kept for a while
    wait_for(lambda: resources(running)[1] <= fds + 8, what="the clients' sockets are closed")


def test_thousands_of_clients(lab, engine, running):
    """2,000 who connect: most say nothing, some half of a request, some too much."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit[1], 8192), limit[1]))
    memory, fds = resources(running)
    clients = []
    try:
        with unharmed(lab, engine, running):
            for i in range(2000):
                clients.append(connect(running))
                if i % 4 == 1:
                    send(clients[-1], b"GET /v1/status HTT")
                elif i % 4 == 2:
                    send(clients[-1], b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
                elif i % 4 == 3:
                    send(clients[-1], b"GET /v1/status HTTP/1.1\r\nX: " + b"a" * 100000)
    finally:
        close_all(clients)
    assert_recovered(running, fds)
    assert_bounded(running, memory, fds)


def test_slow_clients(lab, engine, running):
    """More of them than there is room for, each sending a byte now and then: nobody is let wait
    for longer than a request may take."""
    fds = resources(running)[1]
    clients, ended = [], threading.Event()

    def trickle():
        for client in clients:
            send(client, b"GET /v1/status HTTP/1.1\r\nX: ")
        while not ended.wait(1):
            for client in clients:
                send(client, b"a")

    thread = threading.Thread(target=trickle)
    try:
        with unharmed(lab, engine, running):
            clients += [connect(running) for _ in range(80)]
            thread.start()
        assert running.request("GET", "/v1/status", timeout=60)[0] == 200
    finally:
        ended.set()
        thread.join()
        close_all(clients)
    assert_recovered(running, fds)


def test_huge_requests(lab, engine, running):
    """Headers and bodies of many megabytes are cut off, and cost none of them."""
    fds = resources(running)[1]
    blob = b"a" * (1 << 20)
    for start in b"GET /v1/status HTTP/1.1\r\nX: ", b"GET /", \
            b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", \
            b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n":
        with unharmed(lab, engine, running), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(running.control))
            client.settimeout(30)
            client.sendall(start)
            with pytest.raises(OSError):
                for _ in range(100):
                    client.sendall(blob)
    assert_recovered(running, fds)


def test_followers_that_leave(lab, engine, running, follow):
    """However many come and go, and those who stay and do not read, all others are told."""
    fds = resources(running)[1]
    with unharmed(lab, engine, running):
        for _ in range(300):
            client = connect(running)
            send(client, b"GET /v1/events HTTP/1.0\r\n\r\n")
            client.close()
        deaf = [connect(running) for _ in range(8)]
        for client in deaf:
            send(client, b"GET /v1/events HTTP/1.0\r\n\r\n")
        follower = follow(running)
        for _ in range(30):
            running.configure("[Network ula]\nMode=off\n")
            running.ctl("reload", check=True)
            running.sync()
            running.configure("")
            running.ctl("reload", check=True)
            running.sync()
    follower.wait(kind="container", name="during", change="removed")
    assert len(follower.find(kind="network", change="changed", name="ula")) == 60
    assert not follower.find(kind="lost")
    follower.close()
    close_all(deaf)
    assert_recovered(running, fds)
