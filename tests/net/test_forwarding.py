# SPDX-License-Identifier: GPL-2.0-or-later
"""Forwarding, and the router advertisements that it would silence.

    client --- router === host (engine that leaves forwarding alone, container web, published)

Property: containers are reached although nobody has switched forwarding on, the host keeps its
default route, nothing is written before the engine has answered or where we are told not to, and
what cannot be written or is set back by somebody else is said and not fought over.
"""

import shlex

import pytest

from lab import Daemon, SocketRelay, outcome, send_ra, tcp_ask, wait_for
from lab.daemon import program

CONF = "net/ipv6/conf"


@pytest.fixture(params=[False])
def lab(request, make_lab):
    """A lab of its own for every test."""
    return make_lab(ra=request.param)


@pytest.fixture
def engine(lab, make_engine):
    """An engine that leaves forwarding alone, as one of a host with ip-forward=false does."""
    engine = make_engine(lab, config={"ip-forward": False})
    engine.network("ula", "fd00:6::/64")
    engine.run("web", "--network ula -p 8080:80")
    lab.host.sysctl(f"{CONF}/all/forwarding", 0)
    return engine


@pytest.fixture
def wrapped(monkeypatch, host):
    """Runs the daemon in a mount namespace of its own, after a shell command: wrapped(command)."""
    def wrap(command):
        daemon = shlex.join(program("IPV6NATD", "build/ipv6natd"))
        script = f'{command} && exec {daemon} "$@"'
        monkeypatch.setenv("IPV6NATD", shlex.join(["unshare", "-m", "sh", "-c", script, "sh"]))
    return wrap


def interfaces(host):
    return [i["ifname"] for i in host.ip_json("link show")]


def sysctls(host):
    """{name: value} of everything that we could have an interest in."""
    return {f"{interface}/{key}": host.sysctl(f"{CONF}/{interface}/{key}")
            for interface in ["all", "default", *interfaces(host)]
            for key in ("forwarding", "accept_ra", "force_forwarding", "proxy_ndp")}


def changed(before, host):
    now = sysctls(host)
    return {name: now[name] for name in now if now[name] != before.get(name)}


def bridge(host):
    return next(name for name in interfaces(host) if name.startswith("br-"))


def hide_force_forwarding(host):
    """A shell command that makes this kernel look like one before 6.17 to what follows it."""
    return " && ".join(f"mount --bind /dev/null /proc/sys/{CONF}/{i}/force_forwarding"
                       for i in ["all", "default", *interfaces(host)])


def reached(lab):
    return outcome(tcp_ask, lab.client, lab.host.v6, 8080, timeout=1) == f"web tcp:80 from {lab.client.v6}"


def codes(daemon):
    return [p["code"] for p in daemon.status()["problems"]]


def default_route(host):
    return host.ip("-6 route show default")


def learn_route(lab):
    """The host has its default route from an advertisement; expects it to be asked for only once."""
    lab.host.sysctl(f"{CONF}/eth0/accept_ra", 1)
    send_ra(lab.router, "lan")
    wait_for(lambda: "proto ra" in default_route(lab.host))


def test_per_interface_where_the_kernel_can(lab, host, engine):
    """force_forwarding on what packets for containers come in on, and nothing else is written."""
    before = sysctls(host)
    daemon = Daemon(engine).start()
    daemon.sync()
    assert reached(lab)
    assert changed(before, host) == {f"{name}/force_forwarding": "1"
                                     for name in ("eth0", "docker0", bridge(host))}
    assert codes(daemon) == []
    daemon.stop()
    # it stays when we go, as the rules do
    assert reached(lab)


@pytest.mark.parametrize("lab", [True], indirect=True)
def test_advertisements_go_on_per_interface(lab, host, engine):
    """accept_ra is left alone by force_forwarding, and the default route stays, and is renewed."""
    learn_route(lab)
    before = sysctls(host)
    daemon = Daemon(engine).start()
    daemon.sync()
    assert "proto ra" in default_route(host) and reached(lab)
    assert not [name for name in changed(before, host) if "force_forwarding" not in name]
    host.ip("route del default")
    send_ra(lab.router, "lan")
    wait_for(lambda: "proto ra" in default_route(host))
    daemon.stop()


def test_for_all_where_it_cannot(lab, host, engine, wrapped):
    """Before kernel 6.17 there is only all.forwarding; accept_ra is left alone where nobody uses it."""
    wrapped(hide_force_forwarding(host))
    before = sysctls(host)
    daemon = Daemon(engine).start()
    daemon.sync()
    assert reached(lab)
    # the kernel copies it to every interface
    assert {name for name in changed(before, host)} == \
        {f"{name}/forwarding" for name in ["all", "default", *interfaces(host)]}
    assert codes(daemon) == []
    daemon.stop()


@pytest.mark.parametrize("lab", [True], indirect=True)
@pytest.mark.parametrize("ours", [True, False])
def test_default_route_from_advertisements_survives(lab, host, engine, wrapped, ours):
    """all.forwarding makes the kernel forget such a route, unless accept_ra=2 was there first: so with
    us, and not without (positive control)."""
    wrapped(hide_force_forwarding(host))
    learn_route(lab)
    if not ours:
        host.sysctl(f"{CONF}/all/forwarding", 1)
        assert default_route(host) == ""
        return
    daemon = Daemon(engine).start()
    daemon.sync()
    assert host.sysctl(f"{CONF}/all/forwarding") == "1"
    assert host.sysctl(f"{CONF}/eth0/accept_ra") == "2"
    assert "proto ra" in default_route(host)
    host.ip("route del default")
    send_ra(lab.router, "lan")
    wait_for(lambda: "proto ra" in default_route(host) and reached(lab))
    daemon.stop()


def test_nothing_before_the_engine_answers(lab, host, engine):
    """Docker decides by forwarding whether to set its own policy: it has to come first."""
    before = sysctls(host)
    with SocketRelay(engine.socket, lab.dir / "relay") as relay:
        relay.fault("stall")
        daemon = Daemon(engine, docker=relay.url).start()
        wait_for(lambda: relay.requests)
        assert daemon.status()["state"] == "starting"
        daemon.reload()
        daemon.wait_notified("RELOADING=1")
        assert daemon.status()["state"] == "starting"
        assert changed(before, host) == {}
        assert host.nft("list tables ip6") == ""
        relay.fault("pass")
        daemon.wait_status(lambda s: s["state"] == "ok")
        assert changed(before, host) and reached(lab)
        daemon.stop()


@pytest.mark.parametrize("forced", [True, False])
def test_report_writes_nothing(lab, host, engine, wrapped, forced):
    """Forwarding=report says what is missing, and is content when the administrator has done it."""
    if not forced:
        wrapped(hide_force_forwarding(host))
    before = sysctls(host)
    daemon = Daemon(engine, config="[Firewall]\nForwarding=report\n").start()
    daemon.sync()
    assert changed(before, host) == {} and not reached(lab)
    problem = daemon.status()["problems"][0]
    assert (problem["code"], problem["severity"]) == ("forwarding-off", "error")
    assert "net.ipv6.conf.all.forwarding=1" in problem["cure"]
    assert daemon.ctl("status").returncode == 1
    if forced:
        for name in "eth0", "docker0", bridge(host):
            host.sysctl(f"{CONF}/{name}/force_forwarding", 1)
    else:
        host.sysctl(f"{CONF}/all/forwarding", 1)
    daemon.sync()
    assert codes(daemon) == [] and reached(lab)
    daemon.stop()


@pytest.mark.parametrize("lab", [True], indirect=True)
def test_report_of_advertisements(lab, host, engine):
    """A host that forwards and lives by advertisements which it is about to ignore: said, not set."""
    learn_route(lab)
    host.sysctl(f"{CONF}/eth0/forwarding", 1)
    daemon = Daemon(engine, config="[Firewall]\nForwarding=report\n").start()
    daemon.sync()
    assert "accept-ra" in codes(daemon)
    assert host.sysctl(f"{CONF}/eth0/accept_ra") == "1"
    host.sysctl(f"{CONF}/eth0/accept_ra", 2)
    daemon.sync()
    assert "accept-ra" not in codes(daemon)
    # no notification tells, but the next look at everything, whose period a reload changes
    daemon.configure("[Docker]\nResyncSec=1\n[Firewall]\nForwarding=report\n")
    daemon.ctl("reload", check=True)
    host.sysctl(f"{CONF}/eth0/accept_ra", 1)
    daemon.wait_status(lambda s: "accept-ra" in [p["code"] for p in s["problems"]])
    daemon.stop()


@pytest.mark.parametrize("forced", [True, False])
def test_read_only(lab, host, engine, wrapped, forced):
    """/proc/sys as containers see it: a problem with the lines for sysctl.d, once in the log; the
    rest works, and all of it when somebody does what the problem says."""
    hidden = "" if forced else " && " + hide_force_forwarding(host)
    wrapped("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys" + hidden)
    before = sysctls(host)
    daemon = Daemon(engine).start()
    for _ in range(3):
        daemon.sync()
    wanted = [f"{CONF}/{name}/force_forwarding" for name in ("eth0", "docker0", bridge(host))] \
        if forced else [f"{CONF}/all/forwarding"]
    problems = [p for p in daemon.status()["problems"] if p["code"] == "sysctl-readonly"]
    assert sorted(p["message"] for p in problems) == \
        sorted(f"cannot set {path} to 1: Read-only file system" for path in wanted)
    for path in wanted:
        assert any(f'"{path} = 1" into /etc/sysctl.d/' in p["cure"] for p in problems)
        assert daemon.log.read_text().count(f"cannot set {path}") == 1
    assert changed(before, host) == {} and not reached(lab)
    # forwarding is not needed by the host itself
    assert tcp_ask(host, host.v6, 8080).startswith("web ")
    for path in wanted:
        host.sysctl(path, 1)
    daemon.sync()
    assert codes(daemon) == [] and reached(lab)
    daemon.stop()


def test_set_back_by_somebody_else(lab, host, engine, wrapped):
    """Said as a problem and set again, but not at once each time: two programs must not fight."""
    wrapped(hide_force_forwarding(host))
    daemon = Daemon(engine).start()
    daemon.wait_status(lambda s: s["state"] == "ok")
    setting = "Set net/ipv6/conf/all/forwarding to 1"
    wait_for(lambda: setting in daemon.log.read_text())
    n = 30
    for _ in range(n):
        host.sysctl(f"{CONF}/all/forwarding", 0)
        if host.sysctl(f"{CONF}/all/forwarding") == "0":
            daemon.status()
    problem = daemon.status()["problems"][0]
    assert problem["code"] == "forwarding-off"
    assert "all/forwarding was set to 1 and has been changed back" in problem["message"]
    assert not reached(lab)
    assert daemon.log.read_text().count(setting) < n / 3
    # at once when somebody asks for it
    daemon.sync()
    wait_for(lambda: host.sysctl(f"{CONF}/all/forwarding") == "1" and reached(lab))
    assert codes(daemon) == []
    daemon.stop()


def test_interface_that_comes_again(lab, host, engine):
    """A new bridge of an old name is a new bridge: what was written for the old one counts no more."""
    daemon = Daemon(engine).start()
    for port in 8081, 8082:
        engine.network("named", "fd00:7::/64", "-o com.docker.network.bridge.name=named0")
        container = engine.run("named", f"--network named -p {port}:80")
        wait_for(lambda: outcome(tcp_ask, container.ns, lab.client.v6, 9, timeout=1) == "refused")
        container.remove()
        engine.docker("network rm named")
    assert codes(daemon) == []
    daemon.stop()
