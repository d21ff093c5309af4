# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of the answers when the uplink changes, goes and comes.

    client --- router (bridge lan, port h1) === eth0 of the host (engine) --- container

Property: whatever happens to the uplink, the container is reached again as soon as the host itself
is, without a restart of the daemon, which neither exits nor spins meanwhile. As long as the uplink
is gone, so is the container (the control of each test).
"""

import time

import pytest

from follow import cpu_seconds
from lab import Daemon, end_daemons, outcome, udp_ask, wait_for
from neighbours import Wire, find_ndp, neighbour_entry, problem_codes, solicitation

SUBNET = "2001:db8:1:0:d0::/80"
WEB = "2001:db8:1:0:d0::2"


@pytest.fixture(scope="module")
def web(module_engine):
    module_engine.network("p", SUBNET)
    yield module_engine.run("web", f"--network p --ip6 {WEB} -p 8080:80/udp")
    module_engine.clean()


@pytest.fixture
def make_daemon(module_engine, web):
    """Makes daemons (not started) on the host of the container that all tests share."""
    made = []

    def make(config=""):
        made.append(Daemon(module_engine, config=config))
        return made[-1]

    yield make
    end_daemons(made)


@pytest.fixture
def daemon(lab, make_daemon):
    """Every test begins and ends with a container that is reached, by the same daemon."""
    daemon = make_daemon().start()
    daemon.sync()
    wait_reached(lab)
    process, used, began = daemon.process, cpu_seconds(daemon.process), time.monotonic()
    yield daemon
    wait_reached(lab)
    assert daemon.process is process and daemon.running()
    # Not a limit on time, but on work: whoever spins uses all that he can get.
    used = cpu_seconds(process) - used
    assert used < 0.5 or used < (time.monotonic() - began) / 10


def ask(lab, timeout=0.5, address=WEB):
    return outcome(udp_ask, lab.client, address, 80, timeout=timeout)


def wait_reached(lab, address=WEB):
    # A router that has asked in vain tells so at once for a moment, and asks again.
    wait_for(lambda: ask(lab, address=address) == f"web udp:80 from {lab.client.v6}", 30, "web is reached")


def forget(lab):
    """The router has no memory of the container, so that it must ask."""
    lab.router.ip(f"neigh flush {WEB} dev lan")


def configure_host(lab, interface="eth0"):
    """What whoever looks after the network of a host does when a link comes up."""
    lab.host.run("ip", "-batch", "-", input=f"""
        addr replace {lab.host.v6}/64 dev {interface} nodad
        addr replace {lab.host.v4}/24 dev {interface}
        link set {interface} up
        route replace default via 192.0.2.1
        route replace default via 2001:db8:1::1 dev {interface}""")


def set_mac(lab, mac):
    lab.host.ip(f"link set eth0 address {mac}")


def test_mac_changes(lab, daemon):
    """A router that knows the old MAC is told the new one, unasked, and so is one that asks."""
    wait_for(lambda: neighbour_entry(lab.router, WEB, "lan")[0] == lab.host.mac)
    fresh = "02:00:00:00:01:99"
    try:
        with Wire(lab.router, "h1") as wire:
            set_mac(lab, fresh)
            told = wire.first(lambda a: a.target == WEB and a.link_address == fresh)
            assert (told.flags, told.to, told.mac) == ("RO", "ff02::1", fresh)
            wait_for(lambda: neighbour_entry(lab.router, WEB, "lan")[0] == fresh)
            wait_reached(lab)
            wire.send(solicitation(WEB))
            asked = wire.first(lambda a: a.target == WEB and a.solicited)
            assert (asked.mac, asked.link_address) == (fresh, fresh)
    finally:
        set_mac(lab, lab.host.mac)
    wait_for(lambda: neighbour_entry(lab.router, WEB, "lan")[0] == lab.host.mac)


def test_carrier_goes_and_comes(lab, daemon):
    """The cable is pulled and plugged in."""
    lab.router.ip("link set h1 down")
    try:
        daemon.wait_status(lambda s: not s["uplinks"] or not s["uplinks"][0]["up"])
        forget(lab)
        assert ask(lab) in ("timeout", "unreachable")
    finally:
        lab.router.ip("link set h1 up")
    forget(lab)


def test_link_down_and_up(lab, daemon):
    """Down takes the addresses and routes away, too; the daemon waits without work for them."""
    lab.host.ip("link set eth0 down")
    try:
        daemon.wait_status(lambda s: not find_ndp(s))
        forget(lab)
        assert ask(lab) in ("timeout", "unreachable")
        before = cpu_seconds(daemon.process)
        time.sleep(1)
        assert cpu_seconds(daemon.process) - before < 0.6
    finally:
        configure_host(lab)
    forget(lab)


def test_link_is_deleted_and_made_again(lab, daemon):
    """Another interface of the same name: nothing of the old one is of use."""
    lab.host.ip("link del eth0")
    try:
        daemon.wait_status(lambda s: not find_ndp(s))
        assert ask(lab) in ("timeout", "unreachable")
    finally:
        lab.router.run("ip", "link", "add", "h1", "type", "veth", "peer", "name", "eth0", "address",
                       lab.host.mac, "netns", lab.host.name)
        lab.router.ip("link set h1 master lan up")
        configure_host(lab)
    forget(lab)
    wait_reached(lab)
    assert f'"eth0" . {WEB}' in lab.host.nft("list table ip6 ipv6nat")


def test_link_is_renamed(lab, daemon):
    """The name changes in status and rules; unicast solicitations are kept from the kernel there."""
    def rename(old, new):
        lab.host.ip(f"link set {old} down")
        lab.host.ip(f"link set {old} name {new}")
        configure_host(lab, new)

    rename("eth0", "wan0")
    try:
        daemon.wait_status(lambda s: find_ndp(s, "wan0") and not find_ndp(s, "eth0"))
        forget(lab)
        wait_reached(lab)
        assert f'"wan0" . {WEB}' in lab.host.nft("list table ip6 ipv6nat")
    finally:
        rename("wan0", "eth0")
    daemon.wait_status(lambda s: find_ndp(s, "eth0"))
    forget(lab)


def test_many_changes(lab, daemon):
    """Changes faster than anyone can follow end where slow ones do."""
    for i in range(20):
        set_mac(lab, f"02:00:00:00:02:{i:02x}")
        lab.router.ip("link set h1 down")
        lab.router.ip("link set h1 up")
    set_mac(lab, lab.host.mac)
    forget(lab)


def test_uplink_that_is_not_there_yet(lab, make_daemon):
    """An uplink that is named in the configuration may come after the start of the daemon."""
    daemon = make_daemon("[Uplink]\nInterface=wan1\n").start()
    daemon.sync()
    found = [p["message"] for p in daemon.status()["problems"] if p["code"] == "uplink-missing"]
    assert len(found) == 1 and "wan1" in found[0]
    forget(lab)
    assert ask(lab) in ("timeout", "unreachable")
    before = cpu_seconds(daemon.process)
    time.sleep(1)
    assert cpu_seconds(daemon.process) - before < 0.2
    lab.host.ip("link set eth0 down")
    lab.host.ip("link set eth0 name wan1")
    try:
        configure_host(lab, "wan1")
        wait_reached(lab)
        status = daemon.wait_status(lambda s: find_ndp(s, "wan1"))
        assert "uplink-missing" not in problem_codes(status)
    finally:
        lab.host.ip("link set wan1 down")
        lab.host.ip("link set wan1 name eth0")
        configure_host(lab)

