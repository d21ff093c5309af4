# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon comes and goes, the traffic stays.

    client --- router === host (engine, network "ula" with the container web, published)

Property: a restart, a crash and an upgrade of the daemon cost no connection, no datagram and no
counter; what changed meanwhile is caught up; nothing of ours stays where that is wanted, and what
is ours but does not fit is replaced at once.
"""

import pytest

from follow import refused_commits
from lab import Daemon, Prober, Stream, UdpPinger, outcome, tcp_ask, udp_ask, wait_for
from nftables import counters, generation, tables


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    return make_engine(module_lab)


@pytest.fixture
def web(engine):
    engine.network("ula", "fd00:6::/64")
    return engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp")


def started(daemon):
    """Starts the daemon; its backend numbers when it has applied what there is."""
    daemon.start().sync()
    return daemon.status()["backend"]


def connections(daemon):
    return {p["protocol"]: p["connections"] for p in
            daemon.find_network("ula")["containers"][0]["ports"]}


RESTARTS = {"stop": Daemon.stop, "kill": Daemon.kill, "hangup": Daemon.reload}


@pytest.mark.parametrize("config", ["", "[Daemon]\nOnStop=keep\n"])
@pytest.mark.parametrize("how", RESTARTS)
def test_traffic_does_not_notice(lab, host, web, make_daemon, how, config):
    """Restarts under a long connection, new connections and datagrams all the while: none fails,
    each sees the container and is seen as the client; not one transaction is sent."""
    daemon = make_daemon(config=config)
    started(daemon)
    to = lab.client, host.v6, 8080
    with Stream(*to, interval_ms=2) as stream, Prober(*to, interval_ms=2) as tcp, \
            UdpPinger(*to, interval_ms=2) as udp:
        for prober in stream, tcp, udp:
            prober.wait_more(20)
        before, listed, counted = generation(host), tables(host), connections(daemon)
        for _ in range(3):
            RESTARTS[how](daemon)
            tcp.wait_more(20)
            if how != "hangup":
                assert started(daemon)["commits"] == 0
            for prober in stream, tcp, udp:
                prober.wait_more(20)
        assert generation(host) == before and tables(host) == listed
        assert connections(daemon)["tcp"] >= counted["tcp"] + 120
        assert connections(daemon)["udp"] == counted["udp"]
    for prober in stream, tcp, udp:
        assert prober.result["n_failed"] == 0 and not prober.result["failed"]
        protocol = "udp" if prober is udp else "tcp"
        assert list(prober.result["answers"]) == [f"web {protocol}:80 from {lab.client.v6}"]


def test_rules_stay_without_the_daemon(lab, host, web, daemon):
    """OnStop=keep is the default: the container is reached with nobody there."""
    started(daemon)
    listed = tables(host)
    daemon.stop()
    assert tables(host) == listed
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert "STOPPING=1" in daemon.notified


def test_on_stop_remove(lab, host, engine, web, make_daemon):
    """OnStop=remove leaves neither of our tables, and the rest of the ruleset as it was."""
    engine.network("quiet", "fd00:7::/64", "-o com.docker.network.bridge.enable_icc=false")
    engine.run("alone", "--network quiet")
    # the engine has switched it on; where bridged frames do not visit ip6 tables, ICC off needs a
    # table of family bridge
    host.sysctl("net/bridge/bridge-nf-call-ip6tables", 0)
    listed = host.nft("-s list tables")
    daemon = make_daemon(config="[Daemon]\nOnStop=remove\n")
    started(daemon)
    assert {"table ip6 ipv6nat", "table bridge ipv6nat"} <= set(host.nft("list tables").splitlines())
    daemon.stop()
    assert host.nft("-s list tables") == listed
    assert "Removed our tables" in daemon.log.read_text()
    # docker-proxy takes over again, as before us
    assert tcp_ask(lab.client, host.v6, 8080) == "web tcp:80 from fd00:6::1"
    host.sysctl("net/bridge/bridge-nf-call-ip6tables", 1)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_changes_meanwhile_are_caught_up(lab, host, engine, web, daemon, how):
    """Containers and networks that came and went without the daemon: one transaction."""
    engine.network("old", "fd00:7::/64")
    leaving = engine.run("leaving", "--network old -p 8081:80")
    started(daemon)
    assert tcp_ask(lab.client, host.v6, 8081) == f"leaving tcp:80 from {lab.client.v6}"
    RESTARTS[how](daemon)
    leaving.remove()
    engine.docker("network rm old")
    engine.network("new", "fd00:8::/64")
    engine.run("coming", "--network new -p 8082:80")
    before = generation(host)
    assert started(daemon)["commits"] == 1 and generation(host) == before + 1
    for port, expected in ((8082, f"coming tcp:80 from {lab.client.v6}"), (8081, "refused"),
                           (8080, f"web tcp:80 from {lab.client.v6}")):
        assert outcome(tcp_ask, lab.client, host.v6, port) == expected
    assert not any("fd00:7:" in part for part in tables(host))


def test_change_of_the_address_meanwhile(lab, host, engine, web, daemon):
    """The container came back with another address: the port leads there."""
    started(daemon)
    daemon.kill()
    web.remove()
    engine.run("first", "--network ula")
    engine.run("web2", "--network ula -p 8080:80 -p 8080:80/udp")
    started(daemon)
    for ask, protocol in (tcp_ask, "tcp"), (udp_ask, "udp"):
        assert ask(lab.client, host.v6, 8080, timeout=5) == f"web2 {protocol}:80 from {lab.client.v6}"


def test_upgrade_in_one_transaction(lab, host, web, daemon):
    """A table with our name that is none of this version's: replaced, never without rules between."""
    host.nft(input="""table ip6 ipv6nat {
        map publish_any { type inet_service : ipv6_addr; elements = { 8080 : fd00:6::9 }; }
        set bridges { type mark; }
        chain prerouting { type nat hook prerouting priority -90; policy accept;
            tcp dport 8080 dnat ip6 to tcp dport map @publish_any; }
        chain forward { type filter hook forward priority 7; policy drop; }
    }
    table bridge ipv6nat { chain forward { type filter hook forward priority 7; policy accept; }; }""")
    assert outcome(tcp_ask, lab.client, host.v6, 8080, timeout=0.5) in ("timeout", "unreachable")
    before = generation(host)
    assert started(daemon)["commits"] == 1 and generation(host) == before + 1
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    assert "table bridge ipv6nat" not in host.nft("list tables")
    daemon.restart()
    assert daemon.sync() and daemon.status()["backend"]["commits"] == 0


def test_counters_of_a_table_that_stays(lab, host, web, daemon):
    """connections counts on over restarts, and from zero for a mapping that is made anew."""
    started(daemon)
    for _ in range(3):
        tcp_ask(lab.client, host.v6, 8080)
    daemon.restart()
    daemon.sync()
    assert connections(daemon)["tcp"] == 3 == counters(host)["tcp . 8080"]
    web.stop()
    daemon.sync()
    web.start()
    daemon.sync()
    assert connections(daemon)["tcp"] == 0


# -- what goes -------------------------------------------------------------------------------

def test_cleanup(lab, host, web, daemon):
    """--cleanup removes both tables without Docker and leaves no trace; again, it has nothing to do."""
    listed = host.nft("-s list ruleset")
    started(daemon)
    daemon.stop()
    host.nft("add table bridge ipv6nat")
    daemon.docker = "unix:///nowhere"
    assert daemon.run("--cleanup").returncode == 0
    assert host.nft("-s list ruleset") == listed
    before = generation(host)
    again = daemon.run("--cleanup")
    assert again.returncode == 0 and "nothing of ours" in again.stderr
    assert generation(host) == before


@pytest.mark.parametrize("what", ["--cleanup", "--once"])
def test_not_beside_a_running_daemon(host, web, daemon, what):
    """Two that write the same tables: the second is refused, with the process and the cure."""
    started(daemon)
    listed, before = tables(host), generation(host)
    done = daemon.run(what)
    assert done.returncode == 1
    assert f"PID {daemon.process.pid}" in done.stderr
    assert "systemctl stop ipv6natd" in done.stderr and f"kill {daemon.process.pid}" in done.stderr
    assert tables(host) == listed and generation(host) == before


# -- what the kernel refuses -----------------------------------------------------------------

def test_one_refusal_does_not_stop_the_rest(lab, host, engine, web, daemon):
    """More subnets than the kernel's set takes (each /24 fills a quarter of it): what did not fit is a
    problem in the kernel's words, everything else is in force; once corrected, it is over."""
    started(daemon)
    for i in range(4):
        engine.network(f"wide{i}", f"fd2{i}::/24")
    engine.network("late", "fd00:9::/64")
    engine.run("other", "--network late -p 8081:80")
    status = daemon.wait_status(lambda s: s["state"] == "degraded")
    refused = [p for p in status["problems"] if p["code"] == "kernel-refused"]
    assert refused and all("of inside: " in p["message"] and p["severity"] == "error" and p["cure"]
                           for p in refused)
    assert "Too many open files in system" in refused[0]["message"]
    daemon.sync()
    for port, name in ((8080, "web"), (8081, "other")):
        assert tcp_ask(lab.client, host.v6, port) == f"{name} tcp:80 from {lab.client.v6}"
    before = generation(host)
    daemon.sync()
    assert generation(host) == before
    engine.docker("network rm wide3")
    daemon.sync()
    assert daemon.status()["state"] == "ok"
    assert daemon.log.read_text().count("kernel-refused: ") == 2 * len(refused)


@pytest.mark.parametrize("again", ["resync", "reload"])
def test_refusal_ends_with_its_cause(engine, web, make_daemon, again):
    """What has been refused is tried again with each resync and another configuration, and not said
    again."""
    daemon = make_daemon(config="[Docker]\nResyncSec=1\n" if again == "resync" else "")
    started(daemon)
    for i in range(4):
        engine.network(f"wide{i}", f"fd2{i}::/24")
    daemon.wait_status(lambda s: s["state"] == "degraded")
    tried = refused_commits(daemon)
    if again == "resync":
        wait_for(lambda: refused_commits(daemon) > tried, what="tried again")
        engine.docker("network rm wide0")
    else:
        daemon.configure("[Network wide0]\nMode=off\n")
        daemon.ctl("reload", check=True)
    daemon.wait_status(lambda s: s["state"] == "ok")
    log = daemon.log.read_text()
    assert log.count("<3>kernel-refused: ") == log.count("Solved: kernel-refused: ") > 0


def test_table_owned_by_another_program(lab, host, web, daemon):
    """The kernel lets nobody but its owner write to such a table: a problem, said once, with nothing
    broken; when the owner has gone the daemon goes on by itself."""
    owner = host.popen(["nft", "-i"], stdin=-1, stdout=-3, text=True)
    owner.stdin.write("add table ip6 ipv6nat { flags owner; }\n")
    owner.stdin.flush()
    wait_for(lambda: "owner" in host.nft("list tables", check=False) or
             "owner" in host.nft("list table ip6 ipv6nat", check=False))
    daemon.start()
    status = daemon.wait_status(lambda s: s["state"] == "degraded")
    assert [(p["code"], p["message"]) for p in status["problems"]] == \
        [("kernel-refused", "table ipv6nat belongs to another program, and the kernel lets nobody "
                            "else change it")]
    assert daemon.ctl("sync").returncode == 1
    assert tcp_ask(lab.client, host.v6, 8080) == "web tcp:80 from fd00:6::1"
    owner.stdin.close()
    owner.wait()
    daemon.wait_status(lambda s: s["state"] == "ok" and not s["problems"])
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    log = daemon.log.read_text()
    assert log.count("belongs to another program") == 2 and "Solved: kernel-refused" in log
