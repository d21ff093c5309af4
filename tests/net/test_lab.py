# SPDX-License-Identifier: GPL-2.0-or-later
"""The laboratory itself, without our daemon.

    client --- router === host1 (engine), host2

Property: what the other tests take for granted is so: the topology carries packets, the engine
runs containers, asking tells the server and the address it saw, faults and probers do what they
say, and nothing is left behind. The answers recorded here are those of the engines alone.
"""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lab import (Capture, Closed, Daemon, Prober, Refused, SocketRelay, Stream, Timeout, UdpPinger,
                 Unreachable, outcome, peer_of, send_ra, tcp_ask, udp_ask, unix_request, wait_for)

pytestmark = pytest.mark.engine_any

TESTS = Path(__file__).resolve().parents[1]
ULA = "fd00:6::/64"


@pytest.fixture(scope="module")
def module_lab(make_lab):
    return make_lab(hosts=2)


@pytest.fixture
def web(engine):
    engine.network("ula", ULA)
    return engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp -p 8081:81")


def test_topology_carries_both_families(lab):
    for host in lab.hosts:
        for address in host.v6, host.v4:
            lab.client.run("ping", "-c", "1", "-W", "5", address)
    lab.hosts[0].run("ping", "-c", "1", "-W", "5", lab.hosts[1].v6)
    assert "dadfailed" not in lab.host.ip("-6 addr show")


def test_errors_are_told_apart(lab):
    with pytest.raises(Refused):
        tcp_ask(lab.client, lab.host.v6, 9)
    with pytest.raises(Refused):
        udp_ask(lab.client, lab.host.v6, 9)
    with pytest.raises(Unreachable):
        tcp_ask(lab.client, "2001:db8:77::1", 9)
    lab.host.nft(input="table ip6 t { chain c { type filter hook input priority 0;\n"
                       "tcp dport 9 drop; }; }")
    assert outcome(tcp_ask, lab.client, lab.host.v6, 9, timeout=0.3) == Timeout.kind
    lab.host.nft("delete table ip6 t")


def test_container_is_served_by_its_name_on_every_way(lab, engine, web):
    assert web.v6() == "fd00:6::2"
    assert tcp_ask(lab.host, web.v6(), 80) == "web tcp:80 from fd00:6::1"
    assert udp_ask(lab.host, web.v6(), 80) == "web udp:80 from fd00:6::1"
    assert tcp_ask(lab.client, lab.host.v4, 8080) == f"web tcp:80 from {lab.client.v4}"
    assert web.exec("echo", "hello") == "hello"
    assert web.host_port("80/tcp") == 8080


# An engine without NAT for IPv6 leaves the port to docker-proxy: this is what our daemon is for.
def test_published_port_shows_the_gateway_without_us(lab, engine, web):
    for ask in tcp_ask, udp_ask:
        assert peer_of(ask(lab.client, lab.host.v6, 8080)) == "fd00:6::1"
    # docker-proxy accepts before it knows that nobody listens on port 81
    assert outcome(tcp_ask, lab.client, lab.host.v6, 8081) in (Closed.kind, "reset")


def test_container_does_not_get_out_without_us(lab, web):
    server = lab.serve(lab.client, "tcp:7000")
    try:
        assert outcome(tcp_ask, web.ns, lab.client.v6, 7000, timeout=2) in ("timeout", "unreachable")
        # positive controls: the server is there, the container gets out by the other family
        assert tcp_ask(lab.host, lab.client.v6, 7000) == f"client tcp:7000 from {lab.host.v6}"
        assert tcp_ask(web.ns, lab.client.v4, 7000) == f"client tcp:7000 from {lab.host.v4}"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.engine_is("28.5")
def test_native_engine_shows_the_client(make_lab, make_engine):
    lab = make_lab()
    engine = make_engine(lab, ip6tables=None)
    engine.network("ula", ULA)
    engine.run("web", "--network ula -p 8080:80")
    assert peer_of(tcp_ask(lab.client, lab.host.v6, 8080)) == lab.client.v6


def test_clean_leaves_nothing_of_the_user(engine, web):
    engine.clean()
    assert engine.api("GET", "/containers/json?all=1") == []
    assert {n["Name"] for n in engine.api("GET", "/networks")} == {"bridge", "host", "none"}


def test_engine_crash_and_restart(lab, make_engine):
    host = lab.hosts[1]
    engine = make_engine(lab, host, live_restore=True)
    engine.network("ula", ULA)
    web = engine.run("web", "--network ula")
    engine.kill()
    assert tcp_ask(host, "fd00:6::2", 80) == "web tcp:80 from fd00:6::1"
    engine.start()
    assert web.inspect()["State"]["Running"]
    engine.close()


def test_probers_count_what_happens(lab, engine, web):
    to = (lab.client, lab.host.v6, 8080)
    with Prober(*to) as tcp, Stream(*to) as stream, UdpPinger(*to, source_port=4000) as udp:
        for prober in tcp, stream, udp:
            prober.wait_more(10)
        web.remove()
        wait_for(lambda: tcp.now()["n_failed"])
    assert tcp.result["ok"] and tcp.result["n_failed"]
    assert stream.result["n_failed"] == 1
    assert udp.result["ok"] and udp.result["n_failed"]
    assert list(tcp.result["answers"]) == ["web tcp:80 from fd00:6::1"]


def test_capture_sees_a_router_advertisement(make_lab):
    lab = make_lab(ra=True)
    assert lab.host.ip("-6 route show default") == ""
    with Capture(lab.host, "eth0", "icmp6") as capture:
        send_ra(lab.router, "lan")
        capture.wait_for("router advertisement.*2001:db8:1::/64")
        wait_for(lambda: "proto ra" in lab.host.ip("-6 route show default"))
        from scapy.layers.inet6 import ICMPv6ND_RA
        assert any(ICMPv6ND_RA in packet for packet in capture.packets())


def relay_request(relay, path="/version", timeout=5):
    return unix_request(relay.path, "GET", path, timeout=timeout)


@pytest.mark.parametrize("mode, expected", [
    ("stall", "TimeoutError"), ("cut", "IncompleteRead"), ("reset", "ConnectionResetError"),
    ("garbage", "BadStatusLine"), ("500", "500"), ("badjson", "200"), ("endless", "TimeoutError")])
def test_relay_does_what_its_mode_says(lab, engine, mode, expected):
    with SocketRelay(engine.socket, lab.dir / "relay") as relay:
        assert relay_request(relay)[0] == 200
        relay.fault(mode, "/version")
        assert relay_request(relay, "/_ping")[0] == 200
        try:
            # an endless answer is never silent, so a deadline of its own ends it
            got = str(limited(relay) if mode == "endless" else relay_request(relay, timeout=1)[0])
        except Exception as error:
            got = type(error).__name__
        assert got == expected or (mode == "reset" and got in ("RemoteDisconnected",))
        relay.fault("pass")
        assert relay_request(relay)[0] == 200
        assert relay.seen("/version") == ["GET /version"] * 3


def limited(relay):
    before = relay.endless_bytes
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(relay.path)
        sock.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        while relay.endless_bytes < before + 4_000_000:
            assert sock.recv(1 << 20)
    raise TimeoutError


def test_relay_cuts_a_running_event_stream(lab, engine):
    with SocketRelay(engine.socket, lab.dir / "relay") as relay:
        curl = subprocess.Popen(["curl", "-sN", "--unix-socket", relay.path, "http://localhost/events"],
                                stdout=subprocess.PIPE)
        wait_for(lambda: relay.seen("/events"))
        relay.fault("cut", "/events")
        wait_for(lambda: (engine.network("ula", ULA), engine.clean(), curl.poll())[2] is not None)
        assert not curl.stdout.read().endswith(b"\n")
        relay.down()
        with pytest.raises(OSError):
            relay_request(relay)
        relay.up()
        assert relay_request(relay)[0] == 200


# A test run that is ended by a signal leaves nothing; what a killed one leaves, the next lab takes.
# A shell without job control starts what runs in the background with SIGINT ignored, nohup with SIGHUP,
# and that is inherited: the run asked here heeds them.
@pytest.mark.parametrize("signum, again", [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 0),
                                           (signal.SIGINT, 20), (signal.SIGKILL, 0)])
def test_nothing_is_left_behind(signum, again, engine_version, make_lab):
    """Nor is the end of a run cut short by him who cannot wait for it."""
    script = textwrap.dedent(f"""
        import signal, sys, time
        sys.path.insert(0, {str(TESTS)!r})
        from lab import Engine, Lab
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        lab = Lab()
        engine = Engine(lab, version={engine_version!r}).start()
        engine.run("web", "-p 8080:80")
        print(lab.dir, flush=True)
        time.sleep(600)
        """)
    child = subprocess.Popen([sys.executable, "-B", "-c", script], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
    directory = Path(child.stdout.readline().strip())
    assert directory.is_dir()
    child.send_signal(signum)
    for _ in range(again):
        time.sleep(0.05)
        child.send_signal(signum)
    child.wait(60)
    if signum == signal.SIGKILL:
        assert directory.is_dir()
        make_lab()
    assert not directory.exists()
    assert not list(Path("/run/netns").glob(f"{directory.name}-*"))
    assert str(directory) not in Path("/proc/mounts").read_text()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            assert os.fsencode(directory) not in (process / "cmdline").read_bytes()
        except OSError:
            pass


FAKE_DAEMON = """#!/bin/sh
case "$*" in *--once*) echo once; exit 0;; esac
echo "fake daemon: $*" >&2
trap 'echo {last} >&2; exit {code}' TERM
printf 'READY=1\\nSTATUS=fake' | socat - "UNIX-SENDTO:$NOTIFY_SOCKET"
while :; do sleep 0.1; done
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes daemons whose program is a script that ends in the way wanted."""
    def make(engine, last="bye", code=0, **options):
        path = tmp_path / "daemon"
        path.write_text(FAKE_DAEMON.format(last=last, code=code))
        path.chmod(0o755)
        monkeypatch.setenv("IPV6NATD", f"env {path}")
        monkeypatch.setenv("IPV6NATCTL", "/bin/echo")
        return Daemon(engine, **options)
    return make


def test_daemon_is_ready_and_stopped(engine, fake):
    daemon = fake(engine, config="[Daemon]\n").start()
    assert daemon.notified == ["READY=1", "STATUS=fake"]
    assert f"--docker {engine.url}" in daemon.log.read_text()
    assert daemon.conf.read_text() == "[Daemon]\n"
    assert daemon.run("--once").stdout == "once\n"
    assert daemon.ctl("sync").stdout.split() == ["--control", str(daemon.control), "sync"]
    assert str(daemon.process.pid) in daemon.host.run("ip", "netns", "pids", daemon.host.name).stdout
    daemon.stop()
    daemon.start().kill()
    daemon.start().stop()


@pytest.mark.parametrize("options", [
    {"code": 1}, {"last": "ERROR: AddressSanitizer: heap-use-after-free"},
    {"last": "x.c:1:2: runtime error: signed integer overflow"}])
def test_daemon_that_ends_badly_fails_the_test(engine, fake, options):
    daemon = fake(engine, **options).start()
    with pytest.raises(AssertionError):
        daemon.stop()


def test_daemon_that_died_fails_the_test(engine, fake):
    daemon = fake(engine).start()
    # even where it calls that a success
    daemon.process.terminate()
    daemon.process.wait()
    with pytest.raises(AssertionError):
        daemon.stop()
