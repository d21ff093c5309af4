# SPDX-License-Identifier: GPL-2.0-or-later
"""Which solicitations are answered, and how, frame by frame.

    frames of our own --- (bridge port of the router) === host (engine)

Property: what RFC 4861 7.1.1 calls valid is answered for the addresses of live containers and for
static rules, with R set, S as it was asked, O as configured, the link-layer address, hop limit 255,
to whom asked; everything else is met by silence, and counted by its reason. Silence is always shown
beside a good solicitation that is answered after it.
"""

from collections import Counter

import pytest

from neighbours import (ALL_NODES, ALL_NODES_MAC, ASKER, ASKER_MAC, NONCE, OTHER, OTHER_MAC, Wire,
                        add_neighbour, addresses_from, find_ndp, link_address, neighbour_entry, problem_codes, solicitation, solicited_node)
from lab import Daemon
from reach import link_local

SUBNET = "2001:db8:1:0:d0::/80"
TARGET, CONTROL = "2001:db8:1:0:d0::2", "2001:db8:1:0:d0::3"
NOBODY = "2001:db8:1:0:d0::99"
RULE, IN_RULE = "2001:db8:1:0:e0::/112", "2001:db8:1:0:e0::7"
QUIET = "[NDP]\nAnnounce=no\n"


@pytest.fixture(scope="module")
def containers(module_engine):
    module_engine.network("p", SUBNET)
    made = [module_engine.run(name, f"--network p --ip6 {address} -p {port}:80/udp")
            for name, address, port in (("web", TARGET, 8080), ("control", CONTROL, 8081))]
    yield made
    module_engine.clean()


@pytest.fixture(scope="module")
def daemon(module_engine, containers):
    made = Daemon(module_engine, config=QUIET)
    made.start()
    made.sync()
    yield made
    made.stop()
    made.close()
    made.wipe_rules()


@pytest.fixture(scope="module")
def wire(module_lab):
    with Wire(module_lab.router, "h1") as made:
        yield made


def configure_daemon(daemon, text):
    daemon.configure(text)
    daemon.ctl("reload", check=True)
    daemon.sync()


@pytest.fixture
def configure(daemon):
    """Configures the running daemon for one test."""
    yield lambda text: configure_daemon(daemon, text)
    configure_daemon(daemon, QUIET)


def drops(daemon, before=None):
    """Reasons of silence so far, or since. The router asks for the host itself whenever it likes:
    that is the kernel's to answer, and counted as "own"."""
    ndp = find_ndp(daemon.status())
    now = Counter(ndp["dropped"], answered=ndp["advertisements"])
    now["own"] = 0
    return +(now - before) if before is not None else now


# -- the cases that tell responders apart -----------------------------------------------------

HOST_MAC = "02:00:00:00:01:11"
SLLA = link_address(ASKER_MAC)
GROUP = solicited_node(TARGET)

# number and name, what is special, and what comes of it: "answer", "defence" (to all nodes, S=0), or
# the reason of silence (that the target is unknown, the kernel may find first); None: silence that the
# kernel's filter keeps from us
CASES = [
    ("01 multicast", {}, "answer"),
    ("02 unicast", {"to": TARGET, "to_mac": HOST_MAC}, "answer"),
    ("03 unicast without SLLA", {"to": TARGET, "to_mac": HOST_MAC, "options": b""}, "answer"),
    ("04 multicast without SLLA", {"options": b""}, "answer"),
    ("05 DAD", {"source": "::", "options": b""}, "defence"),
    ("06 DAD with SLLA", {"source": "::"}, "destination"),
    ("07 DAD to the target", {"source": "::", "options": b"", "to": TARGET, "to_mac": HOST_MAC},
     "destination"),
    ("08 bad checksum", {"spoil": 1}, "checksum"),
    ("09 hop limit 64", {"hop_limit": 64}, "hop-limit"),
    ("10 hop limit 254", {"hop_limit": 254}, "hop-limit"),
    ("11 code 1", {"code": 1}, "malformed"),
    ("12 multicast target", {"target": GROUP, "to": GROUP}, "malformed or unknown"),
    ("13 option of length 0", {"options": b"\x01\x00" + SLLA[2:]}, "malformed"),
    ("14 option cut off", {"size": 28}, "malformed"),
    ("15 option beyond the packet", {"options": b"\x01\x02" + SLLA[2:]}, "malformed"),
    ("16 16 bytes of ICMPv6", {"size": 16}, "malformed"),
    ("17 shorter than it says", {"payload": 64}, "malformed"),
    ("18 whole, but a fragment", {"extension": 44}, "fragment"),
    ("19 hop-by-hop options", {"extension": 0}, None),
    ("20 SLLA of 16 bytes", {"options": b"\x01\x02" + SLLA[2:] + bytes(8)}, "malformed"),
    ("21 multicast source", {"source": "ff02::2"}, "source"),
    ("22 loopback source", {"source": "::1"}, "source"),
    ("23 source off the link", {"source": "2001:db8:bad::1"}, "answer"),
    ("24 source is the target", {"source": TARGET}, "source"),
    ("25 to all nodes", {"to": ALL_NODES}, "answer"),
    ("26 multicast in a unicast frame", {"to_mac": HOST_MAC}, "answer"),
    ("27 to another MAC", {"to": TARGET, "to_mac": OTHER_MAC}, None),
    ("28 SLLA and nonce", {"options": SLLA + NONCE}, "answer"),
    ("29 DAD with nonce", {"source": "::", "options": NONCE}, "defence"),
    ("30 SLLA is not the sender", {"mac": OTHER_MAC, "options": SLLA}, "answer"),
    ("31 another group", {"to": "ff02::1:ff00:1234"}, "answer"),
    ("32 DAD to all nodes", {"source": "::", "options": b"", "to": ALL_NODES}, "destination"),
    ("33 still alive", {}, "answer"),
]


@pytest.fixture(scope="module", params=["by address", "by type"])
def kernel_filter(request, daemon):
    """The kernel drops what is unknown for us where it may, but not beside a static rule."""
    rule = f"[Proxy eth0]\nPrefix={RULE}\n" if request.param == "by type" else ""
    configure_daemon(daemon, QUIET + rule)
    yield
    configure_daemon(daemon, QUIET)


@pytest.mark.parametrize("special, wanted", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_case(wire, daemon, kernel_filter, special, wanted):
    """Answered as RFC 4861 7.2.4 says or not at all, and counted as such."""
    before = drops(daemon)
    answers = wire.answers(solicitation(**{"target": TARGET, **special}), CONTROL)
    if wanted not in ("answer", "defence"):
        assert answers == []
        reasons = [[reason] for reason in wanted.split(" or ")] if wanted else [[]]
        assert drops(daemon, before) in [Counter(answered=1) + Counter(reason) for reason in reasons]
        return
    assert len(answers) == 1
    answer, dad = answers[0], wanted == "defence"
    assert (answer.flags, answer.hop_limit, answer.checksum_is_right) == ("R" if dad else "RS", 255, True)
    assert (answer.source, answer.target, answer.mac, answer.link_address) == \
        (TARGET, TARGET, HOST_MAC, HOST_MAC)
    assert (answer.to, answer.to_mac) == ((ALL_NODES, ALL_NODES_MAC) if dad else
                                          (special.get("source", ASKER), ASKER_MAC))
    assert drops(daemon, before) == Counter(answered=2)


def test_kinds_are_counted(wire, daemon):
    """Status tells answers to unicast solicitations and defences from the others."""
    def counted():
        ndp = find_ndp(daemon.status())
        return [ndp[key] for key in ("advertisements", "unicast", "dad")]

    before = counted()
    wire.answers([solicitation(TARGET, to=TARGET, to_mac=HOST_MAC),
                  solicitation(TARGET, "::", options=b"")], CONTROL)
    assert [now - then for now, then in zip(counted(), before)] == [3, 1, 1]


# -- whose addresses --------------------------------------------------------------------------

def test_addresses_of_nobody(wire, daemon):
    """Of the containers' subnet only what a container has is answered, and nothing beside it."""
    before = drops(daemon)
    asked = [NOBODY, "2001:db8:1:0:d1::2", "2001:db8:2::2", "fe80::2"]
    assert wire.answers([solicitation(address) for address in asked], CONTROL) == []
    assert drops(daemon, before) == Counter(answered=1, unknown=len(asked))


def test_addresses_of_this_host(lab, wire, daemon):
    """The kernel answers for its own address on the uplink, and only the kernel (which sets O);
    nobody answers there for the address of the containers' bridge."""
    gateway = "2001:db8:1:0:d0::1"
    assert gateway in str(lab.host.ip_json("-6 addr show"))
    before = find_ndp(daemon.status())["dropped"].get("own", 0)
    answers = wire.answers([solicitation(lab.host.v6), solicitation(gateway)], CONTROL)
    assert [(a.target, a.flags) for a in answers] == [(lab.host.v6, "RSO")]
    assert find_ndp(daemon.status())["dropped"]["own"] >= before + 2


def test_two_askers(wire, daemon):
    """Who asks gets the answer, whoever asked before; also in one burst."""
    asked = [(ASKER, ASKER_MAC), (OTHER, OTHER_MAC)]
    answers = wire.answers([solicitation(TARGET, *who) for who in asked * 20], CONTROL)
    assert Counter((a.to, a.to_mac) for a in answers) == Counter(dict.fromkeys(asked, 20))


def test_two_routers(lab, daemon, containers):
    """Two routers that ask at the same time both reach the container."""
    second = add_neighbour(lab, "router2", "2001:db8:1::2")
    for _ in range(5):
        for ns, interface in (lab.router, "lan"), (second, "eth0"):
            ns.ip(f"neigh flush {TARGET} dev {interface}")
        # no wait in between: both have sent their packet, so their solicitation, before the first answer
        socks = [ns.connect(TARGET, 80, 2, timeout=10) for ns in (lab.router, second)]
        for sock in socks:
            sock.send(b"\n")
        assert [sock.recv(4096).decode().split()[0] for sock in socks] == ["web", "web"]
        for sock in socks:
            sock.close()
        assert {neighbour_entry(lab.router, TARGET, "lan")[0],
                neighbour_entry(second, TARGET, "eth0")[0]} == {HOST_MAC}


# -- settings ---------------------------------------------------------------------------------

@pytest.mark.parametrize("source", ["target", "link-local", "2001:db8:1::11"])
def test_source(lab, wire, configure, source):
    """[NDP] Source= is what answers come from; the rest of them stays."""
    configure(f"{QUIET}Source={source}\n")
    wanted = {"target": TARGET}.get(source, source)
    if source == "link-local":
        wanted = link_local(lab.host, "eth0")
    for special in {}, {"to": TARGET, "to_mac": HOST_MAC}, {"source": "::", "options": b""}:
        answer, = wire.answers(solicitation(TARGET, **special), CONTROL)
        assert (answer.source, answer.target, answer.link_address) == (wanted, TARGET, HOST_MAC)
        assert answer.checksum_is_right


@pytest.mark.parametrize("override, flags", [("never", ["RS", "RS"]), ("multicast", ["RSO", "RS"]),
                                             ("always", ["RSO", "RSO"])])
def test_override(wire, configure, override, flags):
    """[NDP] Override= decides on O in the answers to multicast and to unicast solicitations."""
    configure(f"{QUIET}Override={override}\n")
    answers = wire.answers([solicitation(TARGET), solicitation(TARGET, to=TARGET, to_mac=HOST_MAC)],
                           CONTROL)
    assert [a.flags for a in answers] == flags


def test_no_answers(lab, wire, daemon, configure):
    """[NDP] Answer=no: nobody is answered, and nothing kept from the kernel; with yes again."""
    def kept():
        return f'"eth0" . {TARGET}' in lab.host.nft("list table ip6 ipv6nat")

    assert kept()
    configure("[NDP]\nAnswer=no\n")
    assert find_ndp(daemon.status()) is None
    # here the kernel itself is the control, with its own address
    assert wire.answers(solicitation(TARGET), lab.host.v6, daemon.status) == []
    assert not kept()
    configure(QUIET)
    assert [a.target for a in wire.answers(solicitation(TARGET), CONTROL)] == [TARGET]
    assert kept()


# -- static rules -----------------------------------------------------------------------------

def test_static_rule(lab, wire, daemon, configure):
    """A static rule is answered for every address of its prefix but the host's own, never against
    DAD, never beyond it; containers are answered as before."""
    assert wire.answers(solicitation(IN_RULE), CONTROL) == []
    configure(f"{QUIET}[Proxy eth0]\nPrefix={RULE}\n")
    assert find_ndp(daemon.status())["rules"] == [RULE]
    assert "wide-rule" not in problem_codes(daemon.status())
    before = drops(daemon)
    asked = addresses_from(IN_RULE, 5)
    answers = wire.answers([solicitation(address) for address in asked], CONTROL)
    assert [(a.target, a.flags, a.to_mac, a.link_address) for a in answers] == \
        [(address, "RS", ASKER_MAC, HOST_MAC) for address in asked]
    assert wire.answers([solicitation(IN_RULE, "::", options=b""), solicitation(NOBODY)], CONTROL) == []
    assert drops(daemon, before) == Counter({"answered": 7, "dad-rule": 1, "unknown": 1})
    dad, = wire.answers(solicitation(TARGET, "::", options=b""), CONTROL)
    assert (dad.to, dad.flags) == (ALL_NODES, "R")
    own = "2001:db8:1:0:e0::8"
    lab.host.ip(f"addr add {own}/128 dev lo nodad")
    try:
        daemon.sync()
        assert wire.answers(solicitation(own), CONTROL) == []
    finally:
        lab.host.ip(f"addr del {own}/128 dev lo")


def test_static_rule_is_limited(wire, daemon, configure):
    """Answers of a static rule are limited, those for containers are not."""
    n = 300
    configure(f"{QUIET}RatePerSec=5\n[Proxy eth0]\nPrefix={RULE}\n")
    before = drops(daemon)
    answers = wire.answers([solicitation(address) for address in addresses_from(IN_RULE, n)], CONTROL)
    limited = drops(daemon, before)["rate"]
    assert limited > 0 and answers
    assert len(answers) == n - limited
    assert len(wire.answers([solicitation(TARGET)] * n, CONTROL)) == n


def test_wide_static_rule(wire, daemon, configure):
    """A static rule for many addresses works, and is called a problem."""
    configure(f"{QUIET}[Proxy eth0]\nPrefix=2001:db8:1:0:e0::/80\nPrefix={RULE}\n")
    answer, = wire.answers(solicitation("2001:db8:1:0:e0:5:6:7"), CONTROL)
    assert answer.flags == "RS"
    found = [p for p in daemon.status()["problems"] if p["code"] == "wide-rule"]
    assert len(found) == 1 and "[Proxy eth0] Prefix=2001:db8:1:0:e0::/80" in found[0]["message"]


def test_rule_of_a_missing_interface(wire, daemon, configure):
    """A rule for an interface that is not there is a problem, and nothing else suffers."""
    configure(f"{QUIET}[Proxy eth7]\nPrefix={RULE}\n")
    found = [p for p in daemon.status()["problems"] if p["code"] == "uplink-missing"]
    assert len(found) == 1 and "eth7" in found[0]["message"]
    assert [a.target for a in wire.answers(solicitation(TARGET), CONTROL)] == [TARGET]
