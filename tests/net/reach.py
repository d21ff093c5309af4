# SPDX-License-Identifier: GPL-2.0-or-later
"""Which ways lead from a namespace to an address, in one word or line for each."""

import concurrent.futures

from lab import outcome, tcp_ask, udp_ask

# Long enough for an answer on one machine: a negative proves something only beside a positive
# control, which waits for longer.
SHORT = 0.5

NOTHING = {"tcp": "timeout", "udp": "timeout", "echo": "timeout"}


def echo(ns, address, timeout=5, source=None):
    """Is an ICMPv6 echo request answered? "answered", "timeout" or "unreachable"."""
    options = ["-I", source] if source else []
    done = ns.run("ping", "-6", "-n", "-c", "1", "-W", timeout, *options, address, check=False)
    if done.returncode == 0:
        return "answered"
    return "unreachable" if "nreachable" in done.stdout + done.stderr else "timeout"


def answers(name, peer, port=80):
    """What reach() is where everything arrives and the server sees this peer."""
    return {"tcp": f"{name} tcp:{port} from {peer}", "udp": f"{name} udp:{port} from {peer}",
            "echo": "answered"}


def at_once(*calls):
    """Results of functions that wait, called side by side."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def reach(ns, address, port=80, timeout=5):
    """{"tcp": answer or kind of error, "udp": the same, "echo": "answered" or kind of error}"""
    tcp, udp, icmp = at_once(lambda: outcome(tcp_ask, ns, address, port, timeout=timeout),
                             lambda: outcome(udp_ask, ns, address, port, timeout=timeout),
                             lambda: echo(ns, address, timeout))
    return {"tcp": tcp, "udp": udp, "echo": icmp}


def reach_briefly(ns, address, port=80):
    """For what is expected to be NOTHING."""
    return reach(ns, address, port, timeout=SHORT)


def is_blocked(got):
    """Nothing of a reach() got through. On one bridge even the neighbour is not found."""
    return set(got.values()) <= {"timeout", "unreachable"}


def link_local(ns, interface):
    """The interface's link-local address there."""
    return next(a["local"] for part in ns.ip_json(f"-6 addr show dev {interface} scope link")
                for a in part.get("addr_info", []) if "local" in a)
