# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon has made of the engine's word: in the kernel, in its status, in its log."""

import os
import re

from lab import AskError, tcp_ask

_ELEMENT = re.compile(r"(\w+) \. (\d+) (?:counter packets \d+ bytes \d+ )?: (\S+) \. (\d+)")


def mappings(host):
    """{(protocol, host port): (address, container port)} of the "::" mappings in the kernel."""
    listed = host.nft("list map ip6 ipv6nat publish_any", check=False)
    return {(protocol, int(port)): (address, int(container_port))
            for protocol, port, address, container_port in _ELEMENT.findall(listed)}


def is_mapped(host, port, protocol="tcp"):
    return (protocol, port) in mappings(host)


def rules(host):
    """Our table without its counters."""
    return host.nft("-s list table ip6 ipv6nat", check=False)


def connected(status):
    return status["docker"]["connected"]


def disconnected(status):
    """Nobody to follow, and it says so in every place."""
    return not connected(status) and "docker-disconnected" in errors(status) and \
        status["state"] in ("degraded", "starting")


def errors(status):
    return [p["code"] for p in status["problems"] if p["severity"] == "error"]


def containers(status, network):
    """Names of the containers that the status lists in this network."""
    return {c["name"] for n in status["networks"] if n["name"] == network for c in n["containers"]}


def ports(status, name):
    """{host port: state} of a container."""
    return {p["host_port"]: p["state"] for n in status["networks"] for c in n["containers"]
            if c["name"] == name for p in c["ports"]}


def log_lines(daemon, pattern=""):
    return [line for line in daemon.log.read_text(errors="replace").splitlines()
            if re.search(pattern, line)]


def refused_commits(daemon):
    """How often the kernel has refused a transaction since the daemon's start."""
    _, metrics = daemon.request("GET", "/metrics")
    return int(re.search(r"^ipv6nat_commit_errors_total (\d+)$", metrics, re.MULTILINE)[1])


def cpu_seconds(process):
    """What the process has used of the CPU so far."""
    with open(f"/proc/{process.pid}/stat") as stat:
        words = stat.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def first_answer(ns, host, port, tries=10000):
    """The first answer of a port whose server is about to listen, and what came before it: only a
    refusal is the server's own; "closed", for example, is docker-proxy's."""
    before = set()
    for _ in range(tries):
        try:
            return tcp_ask(ns, host, port, timeout=5), before
        except AskError as error:
            before.add(error.kind)
    return None, before


def answer(ns, host, port):
    """The answer of a server that may not listen yet."""
    return first_answer(ns, host, port)[0]
