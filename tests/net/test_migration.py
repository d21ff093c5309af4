# SPDX-License-Identifier: GPL-2.0-or-later
"""Coming from docker-ipv6nat, and running beside it.

    client --- router === host (engine that does not translate, docker-ipv6nat's rules, the daemon)

The program itself is not to be had here: lab/docker-ipv6nat.sh runs the ip6tables commands that it
runs, in its order, for the containers and networks that the engine has.

Property: its rules are recognised in either kind of ip6tables and said to be there, with a command
that removes them and nothing else. While they are there, and whoever came first or goes first, what
works goes on working and what is closed stays closed.
"""

from pathlib import Path

import pytest

from follow import answer, mappings
from lab import outcome, read_line, tcp_ask, udp_ask, wait_for
from nftables import generation
from reach import answers, at_once, is_blocked, reach, reach_briefly

SCRIPT = Path(__file__).resolve().parents[1] / "lab" / "docker-ipv6nat.sh"
KINDS = "ip6tables-nft", "ip6tables-legacy"
LEFT = "leftover-rules"
ULA, OTHER, HIDDEN = "fd00:6::/64", "fd00:7::/64", "fd00:8::/64"
GONE = "br-0123456789ab"
OPTION = "-o com.docker.network.bridge."

# An administrator's own, close to what is removed.
ADMIN = """*filter
:MINE - [0:0]
-A INPUT -i eth0 -p tcp -m tcp --dport 9999 -j DROP
-A FORWARD -i eth9 -o docker0 -j ACCEPT
-A FORWARD -o docker0 -p tcp -m tcp --dport 9999 -j DROP
-A FORWARD -i br-ula ! -o br-ula -p tcp -m tcp --dport 9999 -j DROP
-A FORWARD -i virbr0 ! -o virbr0 -j ACCEPT
-A FORWARD -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i br-ula -o eth9 -j DROP
-A FORWARD -j MINE
-A MINE -s fd00:6::99/128 -j DROP
COMMIT
*nat
-A PREROUTING -i eth9 -p tcp -m tcp --dport 22 -j DNAT --to-destination [2001:db8::1]:22
-A POSTROUTING -o eth9 -j MASQUERADE
-A POSTROUTING -s fd00:6::/64 -o eth9 -j MASQUERADE
-A POSTROUTING -s fd00:99::/64 ! -o virbr0 -j MASQUERADE
-A POSTROUTING -s fd00:6::98/128 -d fd00:6::98/128 -j MASQUERADE
-A POSTROUTING -o virbr0 -m addrtype --src-type LOCAL -j MASQUERADE
COMMIT
*mangle
-A FORWARD -o docker0 -j MARK --set-xmark 0x5/0xffffffff
COMMIT
"""


class Predecessor:
    """docker-ipv6nat, as far as the kernel sees of it."""

    def __init__(self, engine, directory, ip6tables="ip6tables-nft"):
        self.engine, self.host, self.ip6tables = engine, engine.host, ip6tables
        self.state = directory / ip6tables
        self.state.mkdir()

    def order(self, *lines):
        self.host.run(SCRIPT, self.state, self.ip6tables, input="\n".join(lines) + "\n")

    def networks(self):
        """An order's words for each of the engine's ULA networks, by the network's ID."""
        orders = {}
        for network in self.engine.api("GET", "/networks"):
            subnets = [c["Subnet"] for c in network["IPAM"]["Config"] or [] if c["Subnet"][:2] == "fd"]
            if not subnets:
                continue
            options = network["Options"]
            bridge = options.get("com.docker.network.bridge.name", "br-" + network["Id"][:12])
            noicc = options.get("com.docker.network.bridge.enable_icc") == "false" and " noicc" or ""
            orders[network["Id"]] = f"internal {bridge}{noicc}" if network["Internal"] else \
                f"network {bridge} {subnets[0]}{noicc}"
        return orders

    def ports(self, container):
        """Orders' words for what the container publishes, on the first of its networks."""
        settings = container.inspect()["NetworkSettings"]
        networks = self.networks()
        endpoint = next(iter(settings["Networks"].values()))
        if networks.get(endpoint["NetworkID"], "internal").startswith("internal"):
            return []
        bridge = networks[endpoint["NetworkID"]].split()[1]
        return [f"{bridge} {endpoint['GlobalIPv6Address']} {protocol} {binding['HostPort']} {port}"
                for port, protocol, bindings in
                ((*key.split("/"), value or []) for key, value in settings["Ports"].items())
                for binding in bindings if binding["HostIp"] == "::"]

    def start(self, *containers):
        hairpin = "" if self.engine.config["userland-proxy"] else " hairpin"
        self.order(f"start{hairpin}", *self.networks().values(),
                   *(f"port {words}" for c in containers for words in self.ports(c)))
        return self

    def adds(self, container):
        self.order(*(f"port {words}" for words in self.ports(container)))

    def stop_with_cleanup(self, *containers):
        self.order(*(f"no-port {words}" for c in containers for words in self.ports(c)),
                   *(f"no-{words}" for words in self.networks().values()
                     if words.startswith("network")), "cleanup")


def saved(host, kind):
    """The rules and the chains of the user's, as they stand."""
    lines = host.run(f"{kind}-save").stdout.splitlines()
    return [line for line in lines if line[0] in "*-" or (line[0] == ":" and " - " in line)]


def wipe(host, kind):
    for table in "filter", "nat", "mangle":
        host.run(kind, "-t", table, "-F")
        host.run(kind, "-t", table, "-X")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def host(lab):
    """The host without a rule of ip6tables before and after."""
    yield lab.host
    for kind in KINDS:
        wipe(lab.host, kind)


@pytest.fixture
def predecessor(engine, host, tmp_path, kind):
    return Predecessor(engine, tmp_path, kind)


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.serve(lab.client)
    return lab


def build(engine):
    """Networks of all kinds, containers that publish; by their names."""
    engine.network("ula", ULA, OPTION + "name=br-ula")
    engine.network("other", OTHER, OPTION + "enable_icc=false")
    engine.network("hidden", HIDDEN, "--internal")
    return {"web": engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp"),
            "peer": engine.run("peer", "--network ula"),
            "far": engine.run("far", "--network other -p 8081:80"),
            "plain": engine.run("plain", "-p 8082:80"),
            "inner": engine.run("inner", "--network hidden")}


def told(daemon):
    """The problem, or None."""
    found = [p for p in daemon.status()["problems"] if p["code"] == LEFT]
    assert len(found) <= 1
    return found[0] if found else None


def wait_told(daemon, so=True):
    """Waits until it is told, or no longer: x_tables says nothing by itself, so ask."""
    def look():
        daemon.sync()
        return bool(told(daemon)) == so
    wait_for(look, 15, "told" if so else "told no longer")
    return told(daemon)


def cure(host, problem):
    """What the problem says to do, as somebody who pastes it into a shell."""
    said = "".join(host.run("sh", "-c", problem["cure"]).stderr.splitlines())
    # of the other kind, once that has been used in this namespace
    assert not said or said.startswith("# Warning: ip6tables-legacy tables present"), said


@pytest.mark.engine_any
@pytest.mark.parametrize("admin_has", ["rules-in-docker-user", "nothing-there"])
def test_cure_removes_all_of_it_and_nothing_else(lab, host, engine, daemon, order, predecessor, kind,
                                                 admin_has):
    host.run(f"{kind}-restore", input=ADMIN)
    before = saved(host, kind)

    def world():
        containers = build(engine)
        predecessor.start(containers["web"], containers["far"], containers["plain"])
        # of a network and a container that are no more
        predecessor.order(f"network {GONE} fd00:9::/64", f"port {GONE} fd00:9::2 udp 53 53 2001:db8:1::11")
        if admin_has != "nothing-there":
            host.run(kind, "-I", "DOCKER-USER", "-i", "eth9", "-j", "DROP")
    order(world, daemon)
    problem = wait_told(daemon)
    assert problem["severity"] == "warning"
    assert problem["message"].startswith(f"{kind} holds the rules of docker-ipv6nat for br-")
    assert "stop it for good" in problem["message"]
    assert {n["mode"] for n in daemon.status()["networks"]} == {"nat", "internal"}
    published = mappings(host)
    assert len(published) == 4
    cure(host, problem)
    kept = {":DOCKER-USER - [0:0]", "-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -i eth9 -j DROP",
            "-A DOCKER-USER -j RETURN"} if admin_has != "nothing-there" else set()
    after = saved(host, kind)
    assert [line for line in after if line not in kept] == before
    assert kept <= set(after)
    assert bool(kept) == ("DOCKER-USER has rules of yours" in problem["message"])
    wait_told(daemon, False)
    assert mappings(host) == published
    host.run("sh", "-c", problem["cure"], check=not kept)


def test_what_cleanup_leaves(host, engine, daemon, predecessor):
    """After its -cleanup nothing is left but DOCKER-USER, which is no trouble, and, if it was killed
    before, the rules of what had gone meanwhile, which hold one of its chains."""
    web = build(engine)["web"]
    predecessor.start(web)
    daemon.start()
    wait_told(daemon)
    predecessor.stop_with_cleanup(web)
    internal = [line for line in saved(host, predecessor.ip6tables) if line.startswith("-A FORWARD")]
    assert len(internal) == 2  # the jump to DOCKER-USER, and the internal network's rule
    wait_told(daemon, False)
    predecessor.order("start", f"network {GONE} fd00:9::/64", "cleanup")
    problem = wait_told(daemon)
    assert f"for {GONE}: nothing uses them" in problem["message"]
    cure(host, problem)
    assert not [line for line in saved(host, predecessor.ip6tables) if GONE in line or "DOCKER" in line]
    wait_told(daemon, False)


def test_only_its_chains(host, daemon, predecessor):
    """Of a host without IPv6 networks: the rules that it makes at its start."""
    predecessor.order("start")
    daemon.start()
    problem = wait_told(daemon)
    cure(host, problem)
    assert not [line for line in saved(host, predecessor.ip6tables) if line[0] != "*"]
    wait_told(daemon, False)


def test_names_that_a_shell_could_misread(host, daemon, predecessor):
    """The cure goes through root's shell: a bridge whose name is a command is not in it."""
    predecessor.order("start", "network br.x fd00:1::/64", "network $(reboot) fd00:2::/64",
                      "network '|x fd00:3::/64")
    daemon.start()
    problem = wait_told(daemon)
    assert "reboot" not in problem["cure"] and "|x" not in problem["cure"]
    assert "br[.]x" in problem["cure"]
    cure(host, problem)
    left = [line for line in saved(host, predecessor.ip6tables) if line[0] == "-"]
    assert left and not [line for line in left if "br.x" in line or "DOCKER" in line]


def test_somebody_else_uses_its_chain(host, daemon, predecessor):
    """A chain that somebody else jumps to cannot go: then nothing goes, and ip6tables says why."""
    kind = predecessor.ip6tables
    predecessor.order("start", "network docker0 fd00:d0c:16::/64")
    host.run(kind, "-A", "INPUT", "-i", "eth9", "-j", "DOCKER")
    daemon.start()
    problem = wait_told(daemon)
    before = saved(host, kind)
    done = host.run("sh", "-c", problem["cure"], check=False)
    assert done.returncode != 0 and done.stderr
    filters = [line for line in before if line in saved(host, kind)]
    assert "-A INPUT -i eth9 -j DOCKER" in filters and "-A FORWARD -o docker0 -j DOCKER" in filters


# -- rules of Docker's own ---------------------------------------------------------------------


def dockers(engine, host):
    """Docker's own rules, without its counters."""
    return [line for line in saved(host, "ip6tables-nft") if line[0] == "-"]


@pytest.mark.engine_is("20.10")
def test_docker_translates_no_longer(lab, host, engine, daemon):
    """Rules that Docker made while it translated stay when that is switched off. They look like
    Docker's, but by its version they can have no owner: the networks are ours, and the command removes
    these as well."""
    build(engine)
    assert engine.docker("rm -f inner far") == "inner\nfar"
    try:
        engine.stop()
        engine.config.update(ip6tables=True, experimental=True)
        engine.start()
        engine.docker("start web")
        assert [line for line in dockers(engine, host) if "br-ula" in line and "MASQUERADE" in line]
        daemon.start().sync()
        assert daemon.find_network("ula")["mode"] == "native" and not told(daemon)
    finally:
        engine.stop()
        del engine.config["ip6tables"], engine.config["experimental"]
        engine.start()
    engine.docker("start web")
    daemon.wait_status(lambda s: s["docker"]["connected"] and
                       daemon.find_network("ula", s)["mode"] == "nat")
    problem = wait_told(daemon)
    assert "of docker-ipv6nat or of a Docker that translated for " in problem["message"]
    cure(host, problem)
    assert not dockers(engine, host)
    wait_told(daemon, False)
    # the policy is not a rule, and nobody else's to change
    host.run("ip6tables", "-P", "FORWARD", "ACCEPT")
    assert answer(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"


@pytest.mark.engine_is("20.10", "28.5")
def test_docker_translates(make_engine, make_lab, tmp_path, make_daemon, engine_version):
    """Where Docker translates by itself, its chains are its own: only what it never makes is said to be
    left over, and removed."""
    lab = make_lab()
    engine = make_engine(lab, ip6tables=None if engine_version == "28.5" else True)
    daemon = make_daemon(engine)
    engine.network("ula", ULA, OPTION + "name=br-ula")
    web = engine.run("web", "--network ula -p 8080:80")
    daemon.start().sync()
    assert not told(daemon) and daemon.find_network("ula")["mode"] == "native"
    Predecessor(engine, tmp_path).start(web)
    problem = wait_told(daemon)
    assert "restart Docker" in problem["message"] and "-X" not in problem["cure"]
    before = dockers(engine, lab.host)
    marks = [line for line in before if "--dst-type LOCAL -j MASQUERADE" in line]
    assert len(marks) == 2  # of ula and of the default bridge
    cure(lab.host, problem)
    assert dockers(engine, lab.host) == [line for line in before if line not in marks]
    wait_told(daemon, False)
    engine.restart()
    engine.docker("start web")
    daemon.wait_status(lambda s: s["docker"]["connected"] and s["state"] == "ok")
    assert daemon.find_network("ula")["mode"] == "native" and not told(daemon)
    assert answer(lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"


# -- beside it --------------------------------------------------------------------------------


def questions(lab, c):
    """What somebody may try, from everywhere to everywhere: {name: answer}."""
    client, host = lab.client, lab.host

    def ask(ns, address, port, timeout=5):
        return outcome(tcp_ask, ns, address, port, timeout=timeout)

    def closed(ns, address):
        got = reach_briefly(ns, address)
        return "closed" if is_blocked(got) else got
    calls = {
        "out": lambda: reach(c["web"].ns, client.v6),
        "out-far": lambda: reach(c["far"].ns, client.v6),
        "published": lambda: ask(client, host.v6, 8080),
        "published-udp": lambda: outcome(udp_ask, client, host.v6, 8080, timeout=5),
        "published-far": lambda: ask(client, host.v6, 8081),
        "published-plain": lambda: ask(client, host.v6, 8082),
        "unpublished": lambda: ask(client, host.v6, 8089),
        "from-host": lambda: ask(host, host.v6, 8080),
        "from-loopback": lambda: ask(host, "::1", 8080),
        "host-to-container": lambda: reach(host, c["web"].v6()),
        "same-network": lambda: reach(c["peer"].ns, c["web"].v6()),
        "own-network": lambda: ask(c["peer"].ns, host.v6, 8080),
        "own-port": lambda: ask(c["web"].ns, host.v6, 8080),
        "other-network": lambda: ask(c["far"].ns, host.v6, 8080),
        "other-network-back": lambda: ask(c["web"].ns, host.v6, 8081),
        "isolation": lambda: closed(c["far"].ns, c["web"].v6()),
        "isolation-back": lambda: closed(c["web"].ns, c["far"].v6()),
        "icc": lambda: closed(c["icc"].ns, c["far"].v6()),
        "inner-out": lambda: closed(c["inner"].ns, client.v6),
        "inner-to-host": lambda: ask(c["inner"].ns, host.v6, 8080, 0.5),
    }
    return dict(zip(calls, at_once(*calls.values())))


def served(answers):
    """Those that got an answer at all: {name}."""
    return {name for name, got in answers.items()
            if (got["tcp"] if isinstance(got, dict) else got).count(" from ")}



@pytest.fixture(params=["it-first", "we-first"])
def it_first(request):
    return request.param == "it-first"


@pytest.fixture
def beside(engine, host, daemon, it_first, tmp_path):
    """Both run, started in either order, with all containers there: (containers, docker-ipv6nat)."""
    c = build(engine)
    c["icc"] = engine.run("icc", "--network other")
    for port, name in (8080, "web"), (8081, "far"), (8082, "plain"):
        assert answer(host, "::1", port).startswith(f"{name} ")
    other = Predecessor(engine, tmp_path)
    if it_first:
        other.start(c["web"], c["far"], c["plain"])
    daemon.start().sync()
    if not it_first:
        other.start(c["web"], c["far"], c["plain"])
    problem = wait_told(daemon)
    assert "it runs beside us, or was stopped" in problem["message"]
    return c, other


def shows_the_client(lab, got):
    """What this is all about, on a host that has either of the two."""
    client = lab.client.v6
    assert got["published"] == f"web tcp:80 from {client}"
    assert got["published-udp"] == f"web udp:80 from {client}"
    assert got["published-far"] == f"far tcp:80 from {client}"
    assert got["published-plain"] == f"plain tcp:80 from {client}"
    assert got["out"] == got["out-far"] == answers("client", lab.host.v6)
    assert got["isolation"] == got["isolation-back"] == got["icc"] == got["inner-out"] == "closed"
    assert got["inner-to-host"] == "timeout" and got["unpublished"] == "refused"


def test_with_both_all_works_that_worked_with_one(lab, host, engine, daemon, tmp_path):
    """The same questions with docker-ipv6nat alone, with both, with its rules left behind, and with
    ours alone: nothing is lost on the way."""
    c = build(engine)
    c["icc"] = engine.run("icc", "--network other")
    for port, name in (8080, "web"), (8081, "far"), (8082, "plain"):
        assert answer(host, "::1", port).startswith(f"{name} ")
    other = Predecessor(engine, tmp_path).start(c["web"], c["far"], c["plain"])
    alone = questions(lab, c)
    shows_the_client(lab, alone)
    daemon.start().sync()
    both = questions(lab, c)
    shows_the_client(lab, both)
    assert both == alone
    cure(host, told(daemon))
    wait_told(daemon, False)
    ours = questions(lab, c)
    shows_the_client(lab, ours)
    assert served(alone) <= served(ours)
    # here it is for us to say who asks
    assert ours["other-network"] == f"web tcp:80 from {c['far'].v6()}"
    other.start(c["web"], c["far"], c["plain"])
    wait_told(daemon)
    assert questions(lab, c) == alone


def test_without_docker_proxy(make_lab, make_engine, make_daemon, tmp_path):
    """The same where docker-ipv6nat does docker-proxy's work, too: what it reaches stays so. (Its other
    networks, and [::1], it does not.)"""
    lab = make_lab()
    lab.serve(lab.client)
    engine = make_engine(lab, userland_proxy=False)
    daemon = make_daemon(engine)
    c = build(engine)
    c["icc"] = engine.run("icc", "--network other")
    Predecessor(engine, tmp_path).start(c["web"], c["far"], c["plain"])
    for port, name in (8080, "web"), (8081, "far"), (8082, "plain"):
        assert answer(lab.client, lab.host.v6, port) == f"{name} tcp:80 from {lab.client.v6}"
    alone = questions(lab, c)
    shows_the_client(lab, alone)
    assert served(alone) >= {"own-network", "own-port"} and "other-network" not in served(alone)
    daemon.start().sync()
    both = questions(lab, c)
    shows_the_client(lab, both)
    assert served(both) >= served(alone)
    cure(lab.host, wait_told(daemon))
    wait_told(daemon, False)
    assert not [line for line in saved(lab.host, "ip6tables-nft") if line[0] != "*"]
    ours = questions(lab, c)
    shows_the_client(lab, ours)
    assert served(ours) >= served(alone) | {"other-network"}


def test_either_may_go(lab, host, engine, daemon, beside, it_first):
    """Whoever was first; the one that stays serves what runs and what is started then."""
    c, other = beside
    shows_the_client(lab, questions(lab, c))
    daemon.stop()
    daemon.run("--cleanup", check=True)
    late = engine.run("late", "--network ula -p 8083:80")
    other.adds(late)
    shows_the_client(lab, questions(lab, c))
    assert answer(lab.client, host.v6, 8083) == f"late tcp:80 from {lab.client.v6}"
    daemon.start().sync()
    wait_told(daemon)
    other.stop_with_cleanup(late, *(c[name] for name in ("web", "far", "plain")))
    later = engine.run("later", "--network other -p 8084:80")
    wait_told(daemon, False)
    shows_the_client(lab, questions(lab, c))
    assert answer(lab.client, host.v6, 8084) == f"later tcp:80 from {lab.client.v6}"
    assert later.v6()


def test_containers_come_and_go_beside_it(lab, host, engine, daemon, beside):
    """Both follow the engine. Nobody takes the other's change for one of his own tables."""
    c, other = beside
    repairs = daemon.status()["backend"]["repairs"]
    for port in 8090, 8091:
        late = engine.run(f"late{port}", f"--network ula -p {port}:80")
        other.adds(late)
        wait_for(lambda: ("tcp", port) in mappings(host))
        assert answer(lab.client, host.v6, port) == f"late{port} tcp:80 from {lab.client.v6}"
    words = other.ports(late)
    late.remove()
    other.order(*(f"no-port {w}" for w in words))
    wait_for(lambda: ("tcp", 8091) not in mappings(host))
    assert outcome(tcp_ask, lab.client, host.v6, 8091, timeout=5) == "refused"
    daemon.sync()
    before = generation(host)
    daemon.sync()
    assert generation(host) == before
    assert daemon.status()["backend"]["repairs"] == repairs == 0
    assert not [line for line in daemon.log.read_text().splitlines()
                if line[:3] in ("<3>", "<4>") and LEFT not in line]
    assert c["web"].v6()


def test_connections_outlive_the_change(lab, host, daemon, engine, tmp_path):
    """A connection made while docker-ipv6nat was alone goes on through both, through the removal of its
    rules, and a new one through each of the steps; and the same the other way round."""
    web = build(engine)["web"]
    assert answer(host, "::1", 8080).startswith("web ")
    other = Predecessor(engine, tmp_path).start(web)
    expected = f"web tcp:80 from {lab.client.v6}"

    def ask(sock):
        sock.sendall(b"\n")
        return read_line(sock)

    def flow():
        """Datagrams of one and the same flow."""
        return udp_ask(lab.client, host.v6, 8080, source=("::", 4242), tries=3).replace("udp", "tcp")
    with lab.client.connect(host.v6, 8080, timeout=10) as first:
        assert ask(first) == flow() == expected
        daemon.start().sync()
        with lab.client.connect(host.v6, 8080, timeout=10) as second:
            assert ask(first) == ask(second) == flow() == expected
            cure(host, wait_told(daemon))
            wait_told(daemon, False)
            with lab.client.connect(host.v6, 8080, timeout=10) as third:
                assert ask(first) == ask(second) == ask(third) == flow() == expected
                # and back again
                other.start(web)
                daemon.stop()
                daemon.run("--cleanup", check=True)
                assert ask(first) == ask(second) == ask(third) == flow() == expected
    assert tcp_ask(lab.client, host.v6, 8080) == expected
    # each flow is tracked once, and as what it is
    tracked = host.run("conntrack", "-L", "-f", "ipv6", "-p", "udp", "--orig-port-src", "4242").stdout
    assert len(tracked.splitlines()) == 1 and f"src={web.v6()}" in tracked
