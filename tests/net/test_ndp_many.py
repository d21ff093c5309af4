# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hundred containers on a link whose bridge snoops MLD.

    asker --- bridge "lan" of the router (mcast_snooping, querier) === eth0 of the host (engine)

Property: every container is answered, although the bridge passes a solicitation on only where somebody
has joined its group: the daemon joins them, up to a cap above which it receives all multicast.
Announcements of many are spread over time.
"""

import concurrent.futures
import json
import socket

import pytest

from lab import Capture, Daemon, image, wait_for
from neighbours import (ADVERTISEMENT, SOLICITATION, Wire, add_neighbour, addresses_from, find_ndp,
                        solicitation, solicited_node)

N, CAP = 200, 256
FIRST = "2001:db8:1:0:d0::10"
ADDRESSES = addresses_from(FIRST, N)
MORE = addresses_from("2001:db8:1:0:d1::1:0", CAP + 4 - N)
NOBODY = "2001:db8:1:0:d0::bad"
MAC = "02:00:00:00:0a:01"


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.router.ip("link set lan type bridge mcast_query_response_interval 100")
    lab.router.ip("link set lan type bridge mcast_snooping 1 mcast_querier 1")
    return lab


@pytest.fixture(scope="module")
def asker(module_lab):
    """Somebody on another port of the bridge, with an end of his own for frames."""
    node = add_neighbour(module_lab, "asker", mac=MAC)
    with Wire(node, "eth0") as wire:
        yield wire


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    engine = make_engine(module_lab, userland_proxy=False)
    yield engine
    # the lab ends them all faster than the engine
    engine.kill()


@pytest.fixture(scope="module")
def containers(module_engine):
    for name, subnet in ("p", "2001:db8:1:0:d0::/80"), ("q", "2001:db8:1:0:d1::/80"):
        module_engine.network(name, subnet)

    def start(i):
        made = module_engine.api("POST", "/containers/create", {
            "Image": image.TAG, "Cmd": ["sleep", "1000000"],
            "HostConfig": {"NetworkMode": "p", "Init": False},
            "NetworkingConfig": {"EndpointsConfig": {
                "p": {"IPAMConfig": {"IPv6Address": ADDRESSES[i]}}}}})
        module_engine.api("POST", f"/containers/{made['Id']}/start", timeout=300)
        return made["Id"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(start, range(N)))


@pytest.fixture(scope="module")
def daemon(module_engine, containers):
    """Started when all of them run, as after an upgrade; all is announced when this returns."""
    made = Daemon(module_engine)
    with Capture(module_engine.host, "eth0", "icmp6") as capture:
        made.start()
        made.sync()
        made.wait_status(lambda s: find_ndp(s)["announcements"] >= 4 * N, 60)
        made.announced = wait_for(lambda: said_unasked(capture), 30, "all of it is captured", interval=1)
    yield made
    made.stop()


def said_unasked(capture):
    """Times of all that is said about N new addresses, which are two probes and four announcements
    for each; None if there is still less."""
    sent = [float(packet.time) for packet in capture.packets() for frame in [bytes(packet)]
            if frame[54] == ADVERTISEMENT or frame[54] == SOLICITATION and frame[22:38] == bytes(16)]
    return sent if len(sent) >= 6 * N else None


def joined(host):
    """The groups that the kernel has joined on eth0."""
    with host.entered(), open("/proc/thread-self/net/igmp6") as file:
        rows = [line.split() for line in file]
    return {row[2] for row in rows if row[1] == "eth0"}


def groups(addresses):
    return {socket.inet_pton(socket.AF_INET6, solicited_node(address)).hex() for address in addresses}


def snooped(lab):
    """The groups that the bridge passes on to the host."""
    found = lab.router.run("bridge", "-j", "mdb", "show", "dev", "lan").stdout
    return {entry["grp"] for part in json.loads(found) for entry in part.get("mdb", [])
            if entry["port"] == "h1"}


def receives_all(host):
    return host.ip_json("-d link show dev eth0")[0]["allmulti"] > 0


def ask_all(asker, addresses, control):
    """Who answers, in one go for all; the last one asked is the control."""
    answers = asker.answers([solicitation(address, mac=MAC) for address in addresses], control)
    return sorted(a.target for a in answers)


def test_all_are_answered(lab, asker, daemon):
    """By solicitations to their groups, through a bridge that passes on only what is joined."""
    assert find_ndp(daemon.status())["targets"] == N
    wanted = {solicited_node(address) for address in ADDRESSES}
    wait_for(lambda: snooped(lab) >= wanted, 30)
    assert groups(ADDRESSES) <= joined(lab.host) and not receives_all(lab.host)
    assert ask_all(asker, ADDRESSES, FIRST) == sorted(ADDRESSES)
    # the control: what nobody has joined does not come through
    with Capture(lab.host, "eth0", "icmp6") as capture:
        assert ask_all(asker, [NOBODY], FIRST) == []
        lines = capture.wait_for(f"who has {FIRST}")
        assert lines and not [line for line in capture.lines() if f"who has {NOBODY}" in line]


def test_announcements_are_spread(daemon):
    """No more than 4,000 frames in a second, however many there are to send: here twice as much is
    let pass, as whoever is late may hurry a little."""
    sent = daemon.announced
    for i in range(len(sent) - 160):
        assert sent[i + 160] - sent[i] >= 160 / 8000


def test_more_than_the_cap(lab, asker, daemon, module_engine, containers):
    """Above the cap all multicast is received; all are answered where the bridge knows no better."""
    for container, address in zip(containers, MORE):
        module_engine.api("POST", "/networks/q/connect", {
            "Container": container, "EndpointConfig": {"IPAMConfig": {"IPv6Address": address}}})
    daemon.sync()
    everybody = ADDRESSES + MORE
    assert find_ndp(daemon.status())["targets"] == len(everybody)
    assert len(joined(lab.host) & groups(everybody)) == CAP
    assert receives_all(lab.host)
    assert "more than 256 solicited-node groups" in daemon.log.read_text()
    lab.router.ip("link set lan type bridge mcast_snooping 0")
    assert ask_all(asker, everybody, FIRST) == sorted(everybody)
    for container in containers[:len(MORE)]:
        module_engine.api("POST", "/networks/q/disconnect", {"Container": container})
    daemon.sync()
    assert not receives_all(lab.host)
    assert groups(ADDRESSES) <= joined(lab.host) and not groups(MORE) & joined(lab.host)
    assert ask_all(asker, everybody, FIRST) == sorted(ADDRESSES)
