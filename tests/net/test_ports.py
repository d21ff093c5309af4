# SPDX-License-Identifier: GPL-2.0-or-later
"""Published ports in mode nat, seen from outside.

    client --- router === host (engine; eth0 has ::11, and ::21 with preferred_lft 0)

Property: every IPv6 port binding that the engine lists leads to its container on exactly the
addresses it names, whenever these came; the container sees the client's own address; what is not
ours stays with docker-proxy, where the container sees its gateway.
"""

import contextlib
import os
import signal
import socket
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import Capture, Daemon, outcome, peer_of, tcp_ask, udp_ask, wait_for
from reach import link_local

pytestmark = pytest.mark.engine_any

FIRST, SECOND, LATE = "2001:db8:1::11", "2001:db8:1::21", "2001:db8:1::31"
ULA, GATEWAY = "fd00:6::/64", "fd00:6::1"
BINDING = "com.docker.network.bridge.host_binding_ipv6"
DOCKERS_BINDING = "com.docker.network.bridge.host_binding_ipv4"


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.host.ip(f"addr add {SECOND}/64 dev eth0 nodad preferred_lft 0")
    return lab


def end_docker_proxy(host, port):
    """The engine refuses a port that somebody listens on; without its listener it does not notice."""
    with host.entered():
        here = os.readlink("/proc/thread-self/ns/net")
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_text().split("\0")
            if words[0].endswith("docker-proxy") and str(port) in words and \
                    os.readlink(entry / "ns/net") == here:
                os.kill(int(entry.name), signal.SIGKILL)
                wait_for(lambda: not (entry / "fd").exists() or not list((entry / "fd").iterdir()))


def build(engine):
    made = {}
    engine.network("ula", ULA)
    # later versions see the conflict without a listener
    if engine.version == "20.10":
        made["any"] = engine.run("any", "--network ula -p [::]:8091:80")
        end_docker_proxy(engine.host, 8091)
        made["exact"] = engine.run("exact", f"--network ula -p [{FIRST}]:8091:80")
    engine.network("bound", "fd00:7::/64", f"-o {BINDING}={SECOND}")
    engine.network("dockerbound", "fd00:8::/64", f"-o {DOCKERS_BINDING}={SECOND}")
    web = engine.run(
        "web", "--network ula -p 8080:80 -p 8080:80/udp -p 9000-9002:9000-9002 -p [::]:8085:80 "
        f"-p [{FIRST}]:8083:83 -p [{SECOND}]:8083:84 -p [::1]:8082:82 -p 0.0.0.0:8084:80",
        serve="tcp:80 udp:80 tcp:82 tcp:83 tcp:84 tcp:9000 tcp:9001 tcp:9002")
    return {
        **made, "web": web,
        "chosen": engine.run("chosen", "--network ula -p 80"),
        "all": engine.run("all", "--network ula --expose 81 --expose 82/udp -P",
                          serve="tcp:81 udp:82"),
        "no": engine.run("no", "--network ula -p 8090:80 --label ipv6nat.publish=no"),
        "bound": engine.run("bound", "--network bound -p 8086:80"),
        "dockerbound": engine.run("dockerbound", "--network dockerbound -p 8087:80"),
        "default": engine.run("default", "-p 8088:80"),
    }


@pytest.fixture(scope="module")
def world(make_world, module_lab, module_engine):
    containers, daemon = make_world(lambda: build(module_engine))
    # docker-proxy's way is slower to come than ours
    wait_for(lambda: outcome(tcp_ask, module_lab.client, FIRST, 8090).startswith("no "))
    return SimpleNamespace(daemon=daemon, **containers)


def ports(world, name):
    """{(protocol, host address, host port): (container port, state)} of a container's status."""
    return {(p["protocol"], p["host_address"], p["host_port"]): (p["container_port"], p["state"])
            for n in world.daemon.status()["networks"] for c in n["containers"] if c["name"] == name
            for p in c["ports"]}


# -- which bindings lead where ----------------------------------------------------------------

@pytest.mark.parametrize("address, port, expected", [
    (FIRST, 8080, "web tcp:80"), (SECOND, 8080, "web tcp:80"), (FIRST, 8085, "web tcp:80"),
    (FIRST, 9000, "web tcp:9000"), (FIRST, 9001, "web tcp:9001"), (SECOND, 9002, "web tcp:9002"),
    (FIRST, 8083, "web tcp:83"), (SECOND, 8083, "web tcp:84"),
    (SECOND, 8086, "bound tcp:80"), (SECOND, 8087, "dockerbound tcp:80"),
    (FIRST, 8088, "default tcp:80")])
def test_client_is_seen(lab, world, address, port, expected):
    assert tcp_ask(lab.client, address, port, timeout=5) == f"{expected} from {lab.client.v6}"


def test_udp(lab, world):
    for address in FIRST, SECOND:
        assert udp_ask(lab.client, address, 8080, timeout=5) == f"web udp:80 from {lab.client.v6}"


# Nobody translates what was bound to IPv4 or to another address.
@pytest.mark.parametrize("address, port", [(FIRST, 8084), (FIRST, 9003), (FIRST, 8087)])
def test_not_published_here(lab, world, address, port):
    assert tcp_ask(lab.client, lab.host.v4, 8084) == f"web tcp:80 from {lab.client.v4}"
    assert outcome(tcp_ask, lab.client, address, port) == "refused"


# With -p 80 and -P the engine chooses the host port; it is published as any other.
def test_ports_chosen_by_the_engine(lab, world):
    assert tcp_ask(lab.client, FIRST, world.chosen.host_port()) == f"chosen tcp:80 from {lab.client.v6}"
    assert tcp_ask(lab.client, FIRST, world.all.host_port("81/tcp")) == f"all tcp:81 from {lab.client.v6}"
    assert udp_ask(lab.client, FIRST, world.all.host_port("82/udp")) == f"all udp:82 from {lab.client.v6}"


# docker-ipv6nat's option narrows the default binding; on other addresses docker-proxy remains.
def test_host_binding_ipv6_is_the_only_address_translated(lab, world):
    assert peer_of(tcp_ask(lab.client, FIRST, 8086)) == "fd00:7::1"
    assert list(ports(world, "bound")) == [("tcp", SECOND, 8086)]


# "ip" in daemon.json is the default binding of the default bridge alone.
def test_ip_of_the_engine(make_lab, make_engine):
    lab = make_lab()
    lab.host.ip(f"addr add {SECOND}/64 dev eth0 nodad")
    engine = make_engine(lab, config={"ip": SECOND})
    daemon = Daemon(engine)
    try:
        engine.network("ula", ULA)
        engine.run("user", "--network ula -p 8080:80")
        engine.run("default", "-p 8081:80")
        daemon.start()
        daemon.sync()
        for address, port, name in (FIRST, 8080, "user"), (SECOND, 8080, "user"), (SECOND, 8081, "default"):
            assert tcp_ask(lab.client, address, port) == f"{name} tcp:80 from {lab.client.v6}"
        assert outcome(tcp_ask, lab.client, FIRST, 8081) == "refused"
    finally:
        daemon.stop()
        daemon.close()


def test_loopback_binding_stays_with_docker_proxy(lab, world):
    assert peer_of(tcp_ask(lab.host, "::1", 8082)) == GATEWAY
    assert outcome(tcp_ask, lab.client, FIRST, 8082) == "refused"
    assert ports(world, "web")["tcp", "::1", 8082] == (82, "proxied")
    # a "::" port too, where it is asked for by ::1
    assert peer_of(tcp_ask(lab.host, "::1", 8080)) == GATEWAY


def test_label_publish_no_leaves_it_to_docker_proxy(lab, world):
    assert peer_of(tcp_ask(lab.client, FIRST, 8090)) == GATEWAY
    assert set(ports(world, "no").values()) == {(80, "proxied")}


def test_status_lists_the_ports(lab, world):
    assert ports(world, "web") == {
        ("tcp", "::", 8080): (80, "active"), ("udp", "::", 8080): (80, "active"),
        ("tcp", "::", 9000): (9000, "active"), ("tcp", "::", 9001): (9001, "active"),
        ("tcp", "::", 9002): (9002, "active"), ("tcp", "::", 8085): (80, "active"),
        ("tcp", FIRST, 8083): (83, "active"), ("tcp", SECOND, 8083): (84, "active"),
        ("tcp", "::1", 8082): (82, "proxied")}


# A link-local packet cannot be forwarded: translated it would be lost, docker-proxy answers it.
def test_link_local_clients_reach_docker_proxy(lab, world):
    host, router = link_local(lab.host, "eth0"), link_local(lab.router, "lan")
    for ask in tcp_ask, udp_ask:
        assert peer_of(ask(lab.router, FIRST, 8080)) == "2001:db8:1::1"
        assert peer_of(ask(lab.router, f"{host}%lan", 8080)) == GATEWAY
    # docker-proxy's UDP answers from an address of the kernel's choice, so TCP only
    assert peer_of(tcp_ask(lab.router, f"{FIRST}%lan", 8080, source=(f"{router}%lan", 0))) == GATEWAY


# -- counters ---------------------------------------------------------------------------------

def test_connections_are_counted(lab, world):
    def counts():
        listed = world.daemon.find_network("ula")["containers"]
        return {(p["protocol"], p["host_address"], p["host_port"]): p["connections"]
                for p in next(c["ports"] for c in listed if c["name"] == "web")}

    before = counts()
    for _ in range(7):
        tcp_ask(lab.client, FIRST, 8080)
    for _ in range(3):
        udp_ask(lab.client, FIRST, 8080)
    for address in FIRST, FIRST, SECOND:
        tcp_ask(lab.client, address, 8083)
    # many packets, one connection
    with lab.client.connect(FIRST, 8085) as sock:
        for _ in range(20):
            sock.sendall(b"x\n")
            assert sock.recv(100)
    made = {key: n - before[key] for key, n in counts().items() if n != before[key]}
    assert made == {("tcp", "::", 8080): 7, ("udp", "::", 8080): 3, ("tcp", FIRST, 8083): 2,
                    ("tcp", SECOND, 8083): 1, ("tcp", "::", 8085): 1}


# -- addresses come and go --------------------------------------------------------------------

@contextlib.contextmanager
def away(daemon):
    """The daemon is stopped, its rules stay, for as long as the block lasts."""
    daemon.stop()
    try:
        yield
    finally:
        daemon.start()
        daemon.sync()


@pytest.fixture
def late(lab):
    """Adds and removes LATE on the host. The router takes every packet for it to the host."""
    lab.router.ip(f"neigh replace {LATE} lladdr {lab.host.mac} dev lan")

    def add():
        lab.host.ip(f"addr add {LATE}/64 dev eth0 nodad preferred_lft 0")
        # the kernel makes it a local one a moment later; a connection begun before stays untranslated
        wait_for(lambda: LATE in lab.host.ip("-6 route show table local"))

    yield SimpleNamespace(
        add=add,
        remove=lambda: lab.host.ip(f"addr del {LATE}/64 dev eth0"))
    lab.host.run("ip", "addr", "del", f"{LATE}/64", "dev", "eth0", check=False)
    lab.router.ip(f"neigh del {LATE} dev lan")


def is_known(lab):
    return LATE in lab.host.nft("list map ip6 ipv6nat host_address")


def test_address_comes_and_goes(lab, world, late):
    late.add()
    # at once, by the fib's word; then by the map's
    assert tcp_ask(lab.client, LATE, 8080) == f"web tcp:80 from {lab.client.v6}"
    wait_for(lambda: is_known(lab))
    assert tcp_ask(lab.client, LATE, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert udp_ask(lab.client, LATE, 8080) == f"web udp:80 from {lab.client.v6}"
    late.remove()
    wait_for(lambda: not is_known(lab))
    assert not outcome(tcp_ask, lab.client, LATE, 8080, timeout=0.5).startswith("web")
    assert tcp_ask(lab.client, FIRST, 8080) == f"web tcp:80 from {lab.client.v6}"


# Somebody else's address: not local, so what goes there is not ours, whatever its port.
def test_address_of_another_host_is_left_alone(lab, world):
    server = lab.serve(lab.client, "tcp:8080")
    assert tcp_ask(world.web.ns, lab.client.v6, 8080) == f"client tcp:8080 from {FIRST}"
    server.terminate()
    server.wait()


# With the daemon stopped the rules stay, and publish on addresses that nobody told them of.
def test_address_comes_while_the_daemon_is_away(lab, world, late):
    with away(world.daemon):
        late.add()
        assert tcp_ask(lab.client, LATE, 8080) == f"web tcp:80 from {lab.client.v6}"
        assert tcp_ask(lab.client, FIRST, 8083) == f"web tcp:83 from {lab.client.v6}"
        assert outcome(tcp_ask, lab.client, LATE, 8083) == "refused"
        assert not is_known(lab)
    assert is_known(lab)
    assert tcp_ask(lab.client, LATE, 8080) == f"web tcp:80 from {lab.client.v6}"


# -- the same host port twice -----------------------------------------------------------------

@pytest.mark.engine_is("20.10")
def test_exact_address_beats_any(lab, world):
    assert tcp_ask(lab.client, FIRST, 8091) == f"exact tcp:80 from {lab.client.v6}"
    assert tcp_ask(lab.client, SECOND, 8091) == f"any tcp:80 from {lab.client.v6}"
    assert "port-conflict" not in [p["code"] for p in world.daemon.status()["problems"]]


# -- SCTP -------------------------------------------------------------------------------------

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sctp_init(source_port, port):
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65536, 1, 1, 1)
    packet = struct.pack("!HHI", source_port, port, 0) + struct.pack("<I", 0) + chunk
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


# An engine whose kernel has no SCTP refuses such a port, so the element is put in by hand.
def test_sctp_is_translated(lab, world):
    web = world.web.v6()
    with away(world.daemon), Capture(world.web.ns, "eth0", "ip6 proto 132") as capture, \
            lab.client.open_socket(kind=socket.SOCK_RAW, protocol=132) as sock:
        lab.host.nft(input=f"add element ip6 ipv6nat publish_any {{ sctp . 7000 : {web} . 7001 }}\n")
        sock.sendto(sctp_init(5000, 7000), (FIRST, 0))
        capture.wait_for(rf"{lab.client.v6}\.5000 > {web}\.7001: sctp.*INIT")
