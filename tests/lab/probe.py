# SPDX-License-Identifier: GPL-2.0-or-later
"""Observers that run beside a test: probers, packet captures, router advertisements.

A prober is a process of its own (main() of this file), so that it keeps its pace whatever
the test is doing. It answers every line on its standard input with its numbers so far, as JSON,
and ends with the input.
"""

import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from .netns import AskError, ask_error, read_line, tcp_ask, wait_for

ICMPV6_ROUTER_ADVERT = 134


class _Child:
    """Parent's side of a prober; use as a context manager, or stop() it."""

    mode = None

    def __init__(self, ns, host, port, interval_ms=10, timeout=2, source_port=0):
        settings = json.dumps({"mode": self.mode, "host": host, "port": port, "timeout": timeout,
                               "interval": interval_ms / 1000, "source_port": source_port})
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
               "PYTHONDONTWRITEBYTECODE": "1"}
        # -P: not the module lab of the directory one happens to be in
        self._process = ns.popen(["/usr/bin/python3", "-P", "-c",
                                  "from lab import probe; probe.main()", settings], env=env,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.result = None
        # it is under way when the first exchange has been tried
        wait_for(lambda: self.now()["tried"], 20, f"{self.mode} prober's first try")

    def now(self):
        """Its numbers so far; after stop() the final ones."""
        if self.result is not None:
            return self.result
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def wait_more(self, n=10, timeout=20):
        """Waits for n more successful exchanges."""
        goal = self.now()["ok"] + n
        return wait_for(lambda: self.now()["ok"] >= goal and self.now(), timeout,
                        f"{n} more answers to the {self.mode} prober")

    def stop(self):
        """Ends it; its numbers."""
        if self.result is None:
            out, _ = self._process.communicate(timeout=30)
            self.result = json.loads(out.splitlines()[-1])
        return self.result

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Prober(_Child):
    """A new TCP connection and one answer every interval_ms.

    tried, ok, failed = [[seconds since start, kind], ...] (no more than 1000), n_failed, slowest_s,
    answers = {line: count}"""
    mode = "tcp"


class Stream(_Child):
    """One TCP connection, one line exchanged every interval_ms. The same numbers; n_failed is 0 or 1
    and the stream ends there, slowest_s is the longest stall."""
    mode = "stream"


class UdpPinger(_Child):
    """One datagram every interval_ms from one source port, answered or not; never waits for the
    answer. The same numbers; n_failed counts the lost ones and only in what stop() returns, failed
    lists ICMP errors; slowest_s is the longest time without an answer."""
    mode = "udp"


class _Numbers:
    def __init__(self):
        self.start = self.last_ok = time.monotonic()
        self.tried = self.ok = self.n_failed = 0
        self.failed, self.answers, self.slowest = [], Counter(), 0.0

    def success(self, answer, took):
        self.ok += 1
        self.answers[answer] += 1
        self.slowest = max(self.slowest, took)

    def failure(self, error):
        self.n_failed += 1
        if len(self.failed) < 1000:
            self.failed.append([round(time.monotonic() - self.start, 4), error.kind])

    def print(self):
        print(json.dumps({"tried": self.tried, "ok": self.ok, "n_failed": self.n_failed,
                          "failed": self.failed, "answers": self.answers,
                          "slowest_s": round(self.slowest, 4)}), flush=True)


class _Here:
    """The namespace this process is in already, for the functions that want one."""

    @staticmethod
    def connect(host, port, kind=socket.SOCK_STREAM, timeout=2, source=None):
        host, _, interface = host.partition("%")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        there = (host, port)
        if family == socket.AF_INET6:
            there += (0, socket.if_nametoindex(interface) if interface else 0)
        sock = socket.socket(family, kind)
        try:
            sock.settimeout(timeout)
            if source:
                sock.bind(source)
            sock.connect(there)
        except OSError as error:
            sock.close()
            raise ask_error(error, host) from None
        return sock


def _exchange_tcp(to, numbers):
    began = time.monotonic()
    answer = tcp_ask(_Here, to["host"], to["port"], timeout=to["timeout"])
    numbers.success(answer, time.monotonic() - began)


def _exchange_line(sock, numbers):
    began = time.monotonic()
    try:
        sock.sendall(b"\n")
    except OSError as error:
        raise ask_error(error, "stream") from None
    answer = read_line(sock)
    numbers.success(answer, time.monotonic() - began)


def _collect_datagrams(sock, numbers, wait=0.0):
    while select.select([sock], [], [], wait)[0]:
        try:
            answer = sock.recv(4096).decode(errors="replace").rstrip("\n")
        except OSError as error:
            numbers.failed.append([round(time.monotonic() - numbers.start, 4),
                                   ask_error(error, "udp").kind])
            continue
        now = time.monotonic()
        numbers.success(answer, now - numbers.last_ok)
        numbers.last_ok = now


def _send_datagram(sock, numbers):
    _collect_datagrams(sock, numbers)
    try:
        sock.send(b"\n")
    except OSError as error:
        numbers.failed.append([round(time.monotonic() - numbers.start, 4), ask_error(error, "udp").kind])


def _probe(to):
    numbers, mode, sock = _Numbers(), to["mode"], None
    source = ("::" if ":" in to["host"] else "0.0.0.0", to["source_port"]) if to["source_port"] else None
    due = time.monotonic()
    over = False
    try:
        if mode != "tcp":
            kind = socket.SOCK_DGRAM if mode == "udp" else socket.SOCK_STREAM
            sock = _Here.connect(to["host"], to["port"], kind, to["timeout"], source)
    except AskError as error:
        numbers.tried += 1
        numbers.failure(error)
        over = True
    while True:
        if not over:
            numbers.tried += 1
            try:
                if mode == "tcp":
                    _exchange_tcp(to, numbers)
                elif mode == "stream":
                    _exchange_line(sock, numbers)
                else:
                    _send_datagram(sock, numbers)
            except AskError as error:
                numbers.failure(error)
                over = mode == "stream"
        due = max(due + to["interval"], time.monotonic())
        if select.select([sys.stdin], [], [], None if over else max(0, due - time.monotonic()))[0]:
            asked = os.read(0, 4096)
            if mode == "udp" and sock:
                _collect_datagrams(sock, numbers, 0.0 if asked else 0.5)
                numbers.n_failed = 0 if asked else numbers.tried - numbers.ok
            for _ in asked or "\n":
                numbers.print()
            if not asked:
                return


def main():
    """The prober's own process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _probe(json.loads(sys.argv[1]))


class Capture:
    """tcpdump on an interface of a namespace, from when the constructor returns."""

    def __init__(self, ns, interface="any", filter=""):
        self.dir = tempfile.TemporaryDirectory(prefix="v6ncap")
        self.pcap = os.path.join(self.dir.name, "pcap")
        log = os.path.join(self.dir.name, "log")
        with open(log, "w") as err:
            # a limit to the length: room for bursts, where packets of any length leave it for eight
            self._process = ns.popen(["tcpdump", "-Z", "root", "-U", "--immediate-mode", "-s", "2048",
                                      "-n", "-i", interface, "-w", self.pcap, *filter.split()],
                                     stdin=subprocess.DEVNULL, stderr=err)

        def listening():
            if self._process.poll() is not None:
                raise RuntimeError(f"tcpdump: {Path(log).read_text()}")
            return "listening on" in Path(log).read_text()
        wait_for(listening, 20, "tcpdump listens")

    def lines(self):
        """What it has seen so far, as tcpdump prints it, without time stamps."""
        done = subprocess.run(["tcpdump", "-Z", "root", "-n", "-t", "-e", "-v", "-r", self.pcap],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return re.sub(r"\n\s+", " ", done.stdout).splitlines()

    def packets(self):
        """What it has seen so far, as scapy packets."""
        from scapy.utils import rdpcap
        return rdpcap(self.pcap)

    def wait_for(self, pattern, timeout=10):
        """Waits for a line that matches the regular expression; the lines that do."""
        return wait_for(lambda: [line for line in self.lines() if re.search(pattern, line)], timeout,
                        f"a packet like {pattern!r}", interval=0.1)

    def stop(self):
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)

    def close(self):
        if self._process.poll() is None:
            self.stop()
        self.dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def send_ra(ns, interface, prefix="2001:db8:1::/64", lifetime=1800, valid=86400, preferred=14400,
            managed=False, hop_limit=64):
    """One router advertisement to all nodes. prefix=None: none; lifetime=0: no default router."""
    packet = struct.pack("!BBHBBHII", ICMPV6_ROUTER_ADVERT, 0, 0, hop_limit, 0x80 if managed else 0,
                         lifetime, 0, 0)
    if prefix:
        address, length = prefix.split("/")
        packet += struct.pack("!BBBBIII", 3, 4, int(length), 0xC0, valid, preferred, 0)
        packet += socket.inet_pton(socket.AF_INET6, address)
    link = ns.ip_json(f"link show dev {interface}")[0]
    packet += b"\x01\x01" + bytes.fromhex(link["address"].replace(":", ""))
    with ns.open_socket(kind=socket.SOCK_RAW, protocol=socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.sendto(packet, ("ff02::1", 0, 0, link["ifindex"]))
