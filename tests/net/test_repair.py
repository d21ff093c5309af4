# SPDX-License-Identifier: GPL-2.0-or-later
"""Our tables in the hands of others.

    client --- router === host (engine, network "ula" with the container web, published)

Property: whatever somebody else does to our tables is noticed, named, counted and repaired, the
first times at once and then no faster than once a second; nothing else makes us write, and what
is not ours is never touched.
"""

import re
import subprocess

import pytest

from follow import log_lines, refused_commits
from lab import outcome, read_line, tcp_ask, udp_ask, wait_for
from nftables import counters, delete_port_and_table, find_handle, generation, tables

ULA = "fd00:6::/64"
WEB = "fd00:6::2"


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    engine = make_engine(module_lab)
    engine.network("ula", ULA)
    engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp")
    engine.run("second", "--network ula")
    return engine


@pytest.fixture
def engine(module_engine):
    """The module's engine with its containers, for all tests: a flush takes the engine's own rules
    for IPv4 away, so they are put back."""
    rules = module_engine.host.run("iptables-save").stdout
    yield module_engine
    module_engine.host.run("iptables-restore", input=rules)


@pytest.fixture
def daemon(make_daemon):
    daemon = make_daemon().start()
    daemon.sync()
    return daemon


def backend(daemon):
    return daemon.status()["backend"]


def wait_repaired(daemon, before, repairs=1):
    """Our tables are as before, and it has taken so many repairs since the start of the daemon."""
    wait_for(lambda: tables(daemon.host) == before and backend(daemon)["repairs"] >= repairs, 15,
             "repaired")
    assert backend(daemon)["repairs"] == repairs


def assert_quiet(daemon):
    """A pass over a converged world sends nothing."""
    before, commits = generation(daemon.host), backend(daemon)["commits"]
    for _ in range(3):
        daemon.sync()
    assert (generation(daemon.host), backend(daemon)["commits"]) == (before, commits)


def replace_first_rule(host):
    handle = find_handle(host, "to_closed", "drop")
    return f"replace rule ip6 ipv6nat to_closed handle {handle} accept"


def copy_of(host, chain, words, with_words):
    """The first rule of a chain with these words, changed, with our comment."""
    line = next(line for line in host.nft("list chain ip6 ipv6nat", chain).splitlines() if words in line)
    return line.strip().replace(words, with_words)


def replace_under_our_comment(host):
    handle = find_handle(host, "to_closed", "drop")
    return f"replace rule ip6 ipv6nat to_closed handle {handle} " + \
        copy_of(host, "to_closed", "drop", "accept")


def replace_last_under_our_comment(host):
    lines = [line for line in host.nft("-a list chain ip6 ipv6nat to_closed").splitlines()
             if "# handle" in line and "chain" not in line]
    rule, handle = lines[-1].strip().rsplit(" # handle ", 1)
    assert rule.startswith("drop ")
    return f"replace rule ip6 ipv6nat to_closed handle {handle} {rule.replace('drop', 'accept')}"


# What somebody may do: a name, and an nft script or a function that makes one.
CHANGES = {
    "flush-ip6": "flush ruleset ip6",
    "flush": "flush ruleset",
    "delete-table": "delete table ip6 ipv6nat",
    "delete-element": "delete element ip6 ipv6nat publish_any { tcp . 8080 }",
    "delete-network": f"delete element ip6 ipv6nat source {{ {ULA} }}",
    "delete-rule": lambda host: "delete rule ip6 ipv6nat forward handle "
                                f"{find_handle(host, 'forward', 'vmap @to')}",
    "flush-chain": "flush chain ip6 ipv6nat postrouting",
    "flush-map": "flush map ip6 ipv6nat publish_any",
    "delete-chain": "flush chain ip6 ipv6nat prerouting\ndelete chain ip6 ipv6nat prerouting",
    "delete-set": "flush table ip6 ipv6nat\ndelete set ip6 ipv6nat open",
    "add-rule": "insert rule ip6 ipv6nat forward drop",
    "add-rule-behind": 'add rule ip6 ipv6nat to_closed accept comment "ipv6nat:0123456789abcdef"',
    "replace-rule": replace_first_rule,
    "replace-rule-keep-comment": replace_under_our_comment,
    "replace-last-rule-keep-comment": replace_last_under_our_comment,
    "insert-rule-copy-comment": lambda host: "insert rule ip6 ipv6nat to_closed " +
                                             copy_of(host, "to_closed", "drop", "accept"),
    "add-rule-copy-comment": lambda host: "add rule ip6 ipv6nat forward " +
                                          copy_of(host, "to_closed", "drop", "accept"),
    "add-set": "add set ip6 ipv6nat evil { type ipv6_addr; }",
    "add-chain": "add chain ip6 ipv6nat evil",
    "add-base-chain": "add chain ip6 ipv6nat evil { type filter hook forward priority 5; policy drop; }",
    "add-element": f"add element ip6 ipv6nat publish_any {{ tcp . 8081 : {WEB} . 81 }}",
    "add-interval": f"add element ip6 ipv6nat source {{ fd00:77::/64 : goto to_open }}",
    "replace-value": "delete element ip6 ipv6nat publish_any { tcp . 8080 }\n"
                     "add element ip6 ipv6nat publish_any { tcp . 8080 : fd00:6::3 . 80 }",
    "policy": "add chain ip6 ipv6nat forward { policy drop; }",
    "dormant": "add table ip6 ipv6nat { flags dormant; }",
    "rename": "rename chain ip6 ipv6nat to_open to_opened",
    "bridge-table": "add table bridge ipv6nat\nadd chain bridge ipv6nat evil "
                    "{ type filter hook forward priority 0; policy drop; }",
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_is_repaired_and_named(lab, host, daemon, name):
    """Every kind of change: noticed, repaired by one commit, and whose it was is said."""
    script = CHANGES[name] if isinstance(CHANGES[name], str) else CHANGES[name](host)
    before, commits = tables(host), backend(daemon)["commits"]
    host.nft(input=script)
    wait_repaired(daemon, before)
    assert backend(daemon)["commits"] == commits + 1
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    problems = {p["code"]: p for p in daemon.status()["problems"]}
    assert problems["foreign-repair"]["severity"] == "notice"
    assert "changed by nft and repaired, 1 time" in problems["foreign-repair"]["message"]
    assert re.search(r"^<5>Table ipv6nat was changed by nft \(PID \d+\), repaired$",
                     daemon.log.read_text(), re.MULTILINE)
    assert_quiet(daemon)


def test_change_between_reading_and_writing(lab, host, daemon):
    """What the kernel refuses only because the table has gone while it was being repaired is asked for
    again: no port is left out, and there is no problem but that somebody changes the table."""
    before = tables(host)
    for i in range(30):
        delete_port_and_table(host, 8080, 1e-4 + i * 3e-5)
        wait_for(lambda: tables(host) == before, 15, "repaired")
        assert [p["code"] for p in daemon.status()["problems"]] == ["foreign-repair"]
        assert refused_commits(daemon) == 0
        if i % 2:  # or the next repairs were backed off, and would see both at once
            daemon.stop()
            daemon.start().sync()
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"


def test_connections_outlive_the_table(lab, host, daemon):
    """A connection that was there before the table went goes on when it is back. (One that sends
    just in between may be reset, so this one is silent then.)"""
    before = tables(host)
    with lab.client.connect(host.v6, 8080, timeout=10) as sock:
        sock.sendall(b"\n")
        assert read_line(sock) == f"web tcp:80 from {lab.client.v6}"
        host.nft("flush ruleset ip6")
        wait_repaired(daemon, before)
        sock.sendall(b"\n")
        assert read_line(sock) == f"web tcp:80 from {lab.client.v6}"


def test_other_elements_keep_their_counters(lab, host, daemon):
    """Repairing one element resets no other one."""
    tcp_ask(lab.client, host.v6, 8080)
    udp_ask(lab.client, host.v6, 8080)
    before, counted = tables(host), counters(host)
    assert counted["tcp . 8080"] >= 1 and counted["udp . 8080"] >= 1
    host.nft("delete element ip6 ipv6nat publish_any { tcp . 8080 }")
    wait_repaired(daemon, before)
    assert counters(host)["udp . 8080"] == counted["udp . 8080"]
    assert counters(host)["tcp . 8080"] == 0


def test_flow_led_astray_comes_back(lab, host, daemon):
    """A flow that began while the mapping led elsewhere does not stay there after the repair."""
    source = ("::", 4242)
    assert udp_ask(lab.client, host.v6, 8080, source=source) == f"web udp:80 from {lab.client.v6}"
    daemon.stop()
    host.nft(input="delete element ip6 ipv6nat publish_any { udp . 8080 }\n"
                   "add element ip6 ipv6nat publish_any { udp . 8080 : fd00:6::3 . 80 }")
    assert udp_ask(lab.client, host.v6, 8080, source=("::", 4243)).startswith("second ")
    daemon.start().sync()
    assert udp_ask(lab.client, host.v6, 8080, source=("::", 4243), tries=3) == \
        f"web udp:80 from {lab.client.v6}"


def test_rules_of_others_are_not_touched(host, daemon):
    """Tables beside ours stay as they are, whatever they are called, through repair and removal."""
    foreign = "".join(f"table {family} {name} {{ chain forward {{ type filter hook forward priority 3; "
                      "counter; }; set s { type ipv6_addr; elements = { fd00::1 }; }; }\n"
                      for family, name in (("ip6", "ipv6nat2"), ("inet", "ipv6nat"), ("ip", "ipv6nat"),
                                           ("ip6", "other")))
    host.nft(input=foreign)

    def listed():
        return [host.nft("-s list table", name) for name in
                ("ip6 ipv6nat2", "inet ipv6nat", "ip ipv6nat", "ip6 other")]
    before, ours = listed(), tables(host)
    host.nft("delete table ip6 ipv6nat")
    wait_repaired(daemon, ours)
    daemon.stop()
    daemon.run("--cleanup", check=True)
    assert listed() == before and tables(host) == [""]
    host.nft("delete table ip6 ipv6nat2; delete table inet ipv6nat; delete table ip ipv6nat; "
             "delete table ip6 other")


def test_table_that_somebody_owns(lab, host, make_daemon):
    """A program that made our table and lets nobody else change it is said to be in the way, and no
    lack of permission; when it ends, its table goes with it and ours comes."""
    host.nft("delete table ip6 ipv6nat", check=False)
    owner = host.popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        owner.stdin.write("add table ip6 ipv6nat { flags owner; }\n")
        owner.stdin.flush()
        wait_for(lambda: "flags owner" in host.nft("list table ip6 ipv6nat", check=False))
        daemon = make_daemon().start()
        problem = daemon.wait_status(lambda s: s["problems"])["problems"][0]
        assert problem["code"] == "kernel-refused" and problem["severity"] == "error"
        assert problem["message"].endswith("belongs to another program, and the kernel lets nobody "
                                           "else change it")
        assert "nft list table ip6 ipv6nat" in problem["cure"]
        assert "# progname nft" in host.nft("list table ip6 ipv6nat")
        assert len(log_lines(daemon, "belongs to another program")) == 1
        assert not log_lines(daemon, "ermission|not permitted")
        daemon.stop()
        done = daemon.run("--cleanup")
        assert done.returncode == 1 and "another program owns them" in done.stdout + done.stderr
        daemon.start()
    finally:
        owner.stdin.close()
        owner.wait()
    daemon.wait_status(lambda s: s["state"] == "ok")
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"


def test_churn_of_others_costs_nothing(host, daemon):
    """A firewall front end that loads its rules in a hundred transactions: none of ours in between,
    nothing in the log."""
    before, commits, log = generation(host), backend(daemon)["commits"], daemon.log.read_text()
    host.nft("add table ip6 filter")
    n = 100
    for i in range(n):
        host.nft(f"add chain ip6 filter c{i}")
    host.nft("delete table ip6 filter")
    daemon.sync()
    assert generation(host) == before + n + 2
    assert backend(daemon) == {**backend(daemon), "commits": commits, "repairs": 0}
    assert daemon.log.read_text() == log


def test_converged_passes_send_nothing(host, daemon):
    """Neither sync nor reload writes where nothing has changed; a change does (positive control)."""
    assert_quiet(daemon)
    before = generation(host)
    daemon.ctl("reload", check=True)
    daemon.sync()
    assert generation(host) == before
    host.nft("add table ip6 other")
    assert generation(host) == before + 1
    host.nft("delete table ip6 other")


def cpu_ticks(daemon):
    """User and system time of the daemon so far, in hundredths of a second."""
    stat = open(f"/proc/{daemon.process.pid}/stat").read().rsplit(") ", 1)[1].split()
    return int(stat[11]) + int(stat[12])


# The trap lets the last nft end before the shell does.
FIGHTER = ("trap exit TERM; "
           "while :; do nft delete table ip6 ipv6nat 2>/dev/null; n=$((n+1)); echo $n; done")


def test_fight_is_backed_off(lab, host, daemon):
    """Somebody who deletes our table again and again: repaired at line rate only at first, then
    about once a second; when it stops, everything is there. The daemon answers all the while."""
    before, began, ticks = tables(host), generation(host), cpu_ticks(daemon)
    with open(daemon.dir / "fighter", "w+") as tried:
        fighter = host.popen(["sh", "-c", FIGHTER], stdout=tried)
        try:
            problem = daemon.wait_status(lambda s: s["backend"]["repairs"] >= 12, 30)["problems"][0]
        finally:
            fighter.terminate()
            fighter.wait()
        tried.seek(0)
        deletions = max(map(int, tried))
    spent = cpu_ticks(daemon) - ticks
    assert problem["code"] == "foreign-repair" and problem["severity"] == "warning"
    assert "again and again, last by nft" in problem["message"]
    wait_for(lambda: tables(host) == before, 15, "repaired at last")
    # not a line for each
    said = log_lines(daemon, "was changed by")
    assert len(said) <= 8 and log_lines(daemon, "repaired, 8 times in a row; this happens again and "
                                                "again, backing off")
    # at line rate each deletion would have found a table
    assert generation(host) - began < deletions / 4
    assert backend(daemon)["commits"] < deletions / 8
    # of some seconds: a daemon that spins takes all of them
    assert spent < 100
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    # nobody is left who is to be warned of
    daemon.wait_status(lambda s: [p["severity"] for p in s["problems"]] == ["notice"])
    assert_quiet(daemon)


def test_own_container_is_served_while_backing_off(lab, host, daemon, engine):
    """What Docker changes while a repair waits is in the repair."""
    before = tables(host)
    for _ in range(7):
        host.nft("delete table ip6 ipv6nat")
        wait_for(lambda: tables(host) == before, 15, "repaired")
    assert "backing off" in daemon.log.read_text()
    host.nft("delete table ip6 ipv6nat")
    engine.run("third", "--network ula -p 8099:80")
    wait_for(lambda: outcome(tcp_ask, lab.client, host.v6, 8099) ==
             f"third tcp:80 from {lab.client.v6}", 15)
    engine.docker("rm -f third")
    wait_for(lambda: tables(host) == before, 15)
