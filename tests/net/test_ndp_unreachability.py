# SPDX-License-Identifier: GPL-2.0-or-later
"""Routers that ask again and again whether a container is still there.

    client --- router === host (engine) --- container, three times side by side

The router's memory is short: a neighbour is trusted for 2 s, and then asked by unicast. In the second
lab it keeps one packet while it asks, as hardware routers do. In the third one ndppd 0.2.5 answers
instead of us.

Property: of 4000 datagrams in 200 s none is lost, every solicitation is answered, and the host never
tells the router that it cannot forward one (ICMPv6 "beyond scope"), which it does beside ndppd (the
control). iputils' ping would not do: its MSG_CONFIRM spares the router all doubt.
"""

import re
from types import SimpleNamespace

import pytest

from lab import Capture, Daemon, Ndppd, UdpPinger, Unavailable, outcome, udp_ask, wait_for
from neighbours import find_ndp

SUBNET = "2001:db8:1:0:d0::/80"
WEB = "2001:db8:1:0:d0::2"
INTERVAL_MS, N_PROBES = 50, 4000
IMPATIENT = {"base_reachable_time_ms": 2000, "delay_first_probe_time": 1, "gc_stale_time": 4}
VARIANTS = {"ours": {}, "ours, small queue": {"unres_qlen_bytes": 1}, "ndppd": {}}

pytestmark = pytest.mark.slow


def start_responder(name, lab, engine):
    if name == "ndppd":
        return Ndppd(lab, SUBNET).start()
    daemon = Daemon(engine).start()
    daemon.sync()
    return daemon


def build(make_lab, make_engine, name):
    """A lab whose client reaches the container, and a capture of what is asked and answered."""
    lab = make_lab()
    for key, value in (IMPATIENT | VARIANTS[name]).items():
        lab.router.sysctl(f"net/ipv6/neigh/lan/{key}", value)
    engine = make_engine(lab)
    engine.network("p", SUBNET)
    engine.run("web", f"--network p --ip6 {WEB} -p 80:80/udp")
    try:
        responder = start_responder(name, lab, engine)
    except Unavailable as reason:
        return SimpleNamespace(name=name, missing=str(reason))
    wait_for(lambda: outcome(udp_ask, lab.client, WEB, 80, timeout=0.5).startswith("web "), 30)
    return SimpleNamespace(name=name, missing=None, lab=lab, responder=responder,
                           capture=Capture(lab.host, "eth0", "icmp6"))


def count(capture, pattern):
    return sum(bool(re.search(pattern, line)) for line in capture.lines())


@pytest.fixture(scope="module")
def runs(make_lab, make_engine):
    """All of them at once, each with a pinger of its own for 200 s; the numbers of each."""
    made = [build(make_lab, make_engine, name) for name in VARIANTS]
    present = [run for run in made if not run.missing]
    for run in present:
        run.pinger = UdpPinger(run.lab.client, WEB, 80, interval_ms=INTERVAL_MS)
    for run in present:
        wait_for(lambda r=run: r.pinger.now()["tried"] >= N_PROBES, 2 * N_PROBES * INTERVAL_MS / 1000,
                 "all datagrams are sent", interval=1)
        run.numbers = run.pinger.stop()
        run.capture.stop()
        # not our own probes, whose source is ::
        asks = rf"\) [^:]\S+ > {{}}: .*solicitation.*who has {WEB}"
        run.seen = {"advertisements": count(run.capture, rf"advertisement.*tgt is {WEB}, .*solicited"),
                    "multicast solicitations": count(run.capture, asks.format(r"ff02:\S+")),
                    "unicast solicitations": count(run.capture, asks.format(WEB)),
                    "beyond scope": count(run.capture, r"ICMP6, destination unreachable, beyond scope")}
        if run.name != "ndppd":
            run.status = run.responder.status()
            run.responder.stop()
    yield {run.name: run for run in made}
    for run in present:
        run.capture.close()


def shown(run):
    numbers = run.numbers
    return (f"{run.name}: {numbers['n_failed']} of {numbers['tried']} lost, longest wait "
            f"{numbers['slowest_s']} s, {run.seen}")


@pytest.mark.parametrize("name", ["ours", "ours, small queue"])
def test_nothing_is_lost(runs, name):
    """No loss, no error, and every unicast solicitation is answered, so that the router asks the
    link only once."""
    run = runs[name]
    assert run.numbers["tried"] >= N_PROBES
    assert (run.numbers["n_failed"], run.numbers["failed"]) == (0, [])
    assert run.seen["beyond scope"] == 0, shown(run)
    # the router has asked by unicast at all, and got each of its answers
    assert run.seen["unicast solicitations"] >= 10, shown(run)
    assert run.seen["advertisements"] == \
        run.seen["unicast solicitations"] + run.seen["multicast solicitations"], shown(run)
    assert run.seen["multicast solicitations"] <= 1, shown(run)
    ndp = find_ndp(run.status)
    assert ndp["unicast"] >= run.seen["unicast solicitations"] and ndp["lost"] == 0


def test_beside_ndppd(runs, capsys):
    """The same router beside ndppd gets no answer to any unicast solicitation, and errors instead."""
    with capsys.disabled():
        print()
        for run in runs.values():
            print(f"  {run.name}: {run.missing}" if run.missing else f"  {shown(run)}")
    theirs = runs["ndppd"]
    if theirs.missing:
        pytest.skip(theirs.missing)
    assert theirs.seen["beyond scope"] >= 10
    assert theirs.seen["multicast solicitations"] > runs["ours"].seen["multicast solicitations"]
