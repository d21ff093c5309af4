#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows ipv6natd at work: the same questions without it and with it.

A client, a router and a Docker host, all of them network namespaces, a private Docker Engine
20.10 on the host, a container on a ULA network with a published port, and one with an address of the
uplink's own prefix, which nobody routes to the host. Nothing of it touches the machine's own network
or Docker; nothing stays. Exit code 1 when something that should work does not.
"""

import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import AskError, Daemon, Engine, Lab, Unavailable, outcome, peer_of, tcp_ask, udp_ask, wait_for

SUBNET = "fd00:6::/64"
PORT = 8080
# a part of 2001:db8:1::/64, which router and host share as a link
ON_LINK_SUBNET = "2001:db8:1:0:d0::/80"
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def say(text=""):
    print(text, flush=True)


def title(text):
    say(f"\n{paint(1, text)}")


class Demo:
    def __init__(self, lab):
        self.lab = lab
        self.failed = False

    def build(self):
        lab = self.lab
        lab.serve(lab.client, "tcp:80 udp:80")
        self.engine = Engine(lab, version="20.10")
        self.daemon = Daemon(self.engine)
        self.engine.start()
        self.engine.network("ula", SUBNET)
        self.web = self.engine.run("web", f"--network ula -p {PORT}:80 -p {PORT}:80/udp")
        self.engine.network("direct", ON_LINK_SUBNET)
        self.shop = self.engine.run("shop", "--network direct -p 80:80 -p 80:80/udp")
        version = self.engine.api("GET", "/version")["Version"]
        say(f"  client {lab.client.v6}  ---  router  ---  host {lab.host.v6}, Docker Engine {version}")
        say(f"  docker network create --ipv6 --subnet {SUBNET} ula")
        say(f"  docker run --network ula -p {PORT}:80 -p {PORT}:80/udp web        (gets {self.web.v6()})")
        say(f"  docker network create --ipv6 --subnet {ON_LINK_SUBNET} direct")
        say(f"  docker run --network direct -p 80:80 -p 80:80/udp shop        (gets {self.shop.v6()})")

    def show(self, question, ask, ns, address, port, right, seen_by):
        """Asks, prints who was seen; true if the server saw the address that is the right one."""
        try:
            peer = peer_of(ask(ns, address, port))
            answer = f"answered, {seen_by} sees {peer}{self.describe(peer)}"
        except AskError as error:
            peer, answer = None, f"no answer ({error.kind})"
        good = peer == right
        say(f"  {question:<38} {paint(32 if good else 31, answer)}")
        return good

    def describe(self, address):
        return {self.lab.client.v6: ", the client's own address", self.lab.host.v6: ", the host's address",
                SUBNET.replace("::/64", "::1"): ", its gateway: docker-proxy hides the client"
                }.get(address, "")

    def questions(self):
        """The results; all are true on a host where IPv6 works."""
        lab, web, shop = self.lab, self.web, self.shop
        published = f"[{lab.host.v6}]:{PORT}"
        return [self.show(f"container -> client, {name}", ask, web.ns, lab.client.v6, 80, lab.host.v6,
                          "the client")
                for name, ask in (("TCP", tcp_ask), ("UDP", udp_ask))] + \
               [self.show(f"client -> {published}, {name}", ask, lab.client, lab.host.v6, PORT,
                          lab.client.v6, "the container")
                for name, ask in (("TCP", tcp_ask), ("UDP", udp_ask))] + \
               [self.show(f"client -> [{shop.v6()}]:80, {name}", ask, lab.client, shop.v6(), 80,
                          lab.client.v6, "the container")
                for name, ask in (("TCP", tcp_ask), ("UDP", udp_ask))]

    def run(self):
        title("A host with Docker and IPv6")
        self.build()
        title("Without ipv6natd")
        # docker-proxy needs a moment after docker run
        wait_for(lambda: outcome(tcp_ask, self.lab.host, self.lab.host.v6, PORT).startswith("web "))
        if any(self.questions()):
            say(paint(31, "  unexpected: this should not work without ipv6natd"))
            self.failed = True
        title("With ipv6natd, and no configuration")
        daemon = self.daemon.start()
        daemon.sync()
        if not all(self.questions()):
            self.failed = True
        title("ipv6natctl status")
        status = daemon.ctl("status")
        say("  " + (status.stdout or status.stderr).rstrip().replace("\n", "\n  "))
        if status.returncode > 1:
            self.failed = True
        daemon.stop()
        if self.failed:
            say(f"\nThe daemon's log:\n{daemon.log.read_text(errors='replace')}")


def main():
    try:
        with Lab() as lab:
            demo = Demo(lab)
            demo.run()
    except (Unavailable, RuntimeError, AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    say(paint(31, "\nSomething does not work as it should.") if demo.failed else
        paint(32, "\nAll as it should be; nothing was left behind."))
    return 1 if demo.failed else 0


if __name__ == "__main__":
    sys.exit(main())
