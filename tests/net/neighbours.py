# SPDX-License-Identifier: GPL-2.0-or-later
"""Neighbour discovery as frames: solicitations, good and bad, and what comes back on the wire."""

import ipaddress
import re
import select
import socket
import struct
from dataclasses import dataclass

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_RCVBUFFORCE = 33
SOLICITATION, ADVERTISEMENT, UNREACHABLE = 135, 136, 1
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"
ALL_NODES_MAC = "33:33:00:00:00:01"
# somebody on the link who asks, and who need not exist
ASKER, ASKER_MAC = "fe80::a", "02:00:00:00:00:0a"
OTHER, OTHER_MAC = "fe80::b", "02:00:00:00:00:0b"
CONTROL, CONTROL_MAC = "fe80::c", "02:00:00:00:00:0c"


def packed(address):
    return socket.inet_pton(socket.AF_INET6, address)


def printed(address):
    return socket.inet_ntop(socket.AF_INET6, address)


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def solicited_node(address):
    return printed(packed("ff02::1:ff00:0")[:13] + packed(address)[13:])


def multicast_mac(group):
    return "33:33:" + packed(group)[12:].hex(":")


def link_address(mac, kind=1):
    """The option source link-layer address, or another one of its form."""
    return bytes([kind, 1]) + mac_bytes(mac)


NONCE = bytes([14, 1, 1, 2, 3, 4, 5, 6])


def checksum(source, destination, next_header, data):
    """RFC 8200 8.1; 0 where the checksum in data is right."""
    whole = packed(source) + packed(destination) + struct.pack("!II", len(data), next_header) + data
    total = sum(struct.unpack(f"!{(len(whole) + 1) // 2}H", whole + b"\0" * (len(whole) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ip6(source, destination, next_header, data, hop_limit=64, payload=None):
    return struct.pack("!IHBB", 6 << 28, len(data) if payload is None else payload, next_header,
                       hop_limit) + packed(source) + packed(destination) + data


def ethernet(source, destination, data):
    return mac_bytes(destination) + mac_bytes(source) + b"\x86\xdd" + data


def solicitation(target, source=ASKER, mac=ASKER_MAC, *, to=None, to_mac=None, options=None,
                 hop_limit=255, code=0, spoil=0, payload=None, size=None, extension=None):
    """A frame; without more words a good multicast solicitation with the sender's address as an
    option. spoil: added to the checksum; size: of ICMPv6, cut off there; payload: what the IPv6
    header says; extension: number of a header of 8 bytes before ICMPv6."""
    to = to or solicited_node(target)
    if to_mac is None:
        to_mac = multicast_mac(to)
    icmp = packed(target) + (link_address(mac) if options is None else options)
    icmp = (struct.pack("!BBHI", SOLICITATION, code, 0, 0) + icmp)[:size]
    icmp = icmp[:2] + struct.pack("!H", checksum(source, to, 58, icmp) + spoil & 0xFFFF) + icmp[4:]
    if extension is not None:
        # a whole packet as a fragment, or hop-by-hop options with nothing but padding
        icmp = {44: b"\x3a\0\0\0\0\0\0\x01", 0: b"\x3a\0\x01\x04\0\0\0\0"}[extension] + icmp
    return ethernet(mac, to_mac, ip6(source, to, 58 if extension is None else extension, icmp,
                                     hop_limit, payload))


@dataclass(frozen=True)
class Advertisement:
    """A neighbour advertisement as it was on the wire."""
    mac: str            # of the frame's sender
    to_mac: str
    source: str
    to: str
    target: str
    flags: str          # of R S O those that are set
    link_address: str   # option TLLA, or None
    hop_limit: int
    checksum_is_right: bool

    @property
    def solicited(self):
        return "S" in self.flags


def parse_advertisement(frame):
    """An Advertisement, or None for any other frame."""
    if len(frame) < 78 or frame[12:14] != b"\x86\xdd" or frame[20] != 58 or frame[54] != ADVERTISEMENT:
        return None
    source, to = printed(frame[22:38]), printed(frame[38:54])
    icmp = frame[54:54 + struct.unpack("!H", frame[18:20])[0]]
    option = icmp[24:]
    return Advertisement(
        mac=frame[6:12].hex(":"), to_mac=frame[:6].hex(":"), source=source, to=to,
        target=printed(icmp[8:24]),
        flags="".join(name for name, bit in (("R", 0x80), ("S", 0x40), ("O", 0x20)) if icmp[4] & bit),
        link_address=option[2:8].hex(":") if option[:2] == b"\x02\x01" else None,
        hop_limit=frame[21], checksum_is_right=checksum(source, to, 58, icmp) == 0)


class Wire:
    """One end of a link, for frames: Wire(lab.router, "h1") is on the wire of host1. Sees all that
    comes in, before a bridge takes it away and whomever it is for."""

    def __init__(self, ns, interface):
        self._sock = ns.open_socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        with ns.entered():
            self._sock.bind((interface, ETH_P_ALL))

    def send(self, *frames):
        for frame in frames:
            self._sock.send(frame)

    def advertisements(self, until, timeout=20):
        """Those that come in, to the one for which until(it) is true; without that one."""
        seen = []
        while select.select([self._sock], [], [], timeout)[0]:
            found = parse_advertisement(self._sock.recv(2048))
            if found and until(found):
                return seen
            if found:
                seen.append(found)
        raise AssertionError(f"the advertisement that was awaited does not come; others: {seen}")

    def first(self, until, timeout=20):
        """The first advertisement for which until(it) is true."""
        found = []
        self.advertisements(lambda a: until(a) and not found.append(a), timeout)
        return found[0]

    def answers(self, frame, control, then=None):
        """What is answered to the frame. Silence proves itself: a good solicitation for the
        address control follows, and when that is answered, the frame has been seen, too. Where the
        control is not the daemon's but the kernel's to answer, "then" asks the daemon for something
        (daemon.status), as what has come before is dealt with before."""
        frames = [frame] if isinstance(frame, bytes) else frame
        self.pending()
        self.send(*frames, solicitation(control, CONTROL, CONTROL_MAC))
        seen = self.advertisements(lambda a: a.to == CONTROL)
        if then:
            then()
            seen += self.pending()
        return [a for a in seen if a.solicited or "O" not in a.flags and a.to == ALL_NODES]

    def pending(self):
        """The advertisements that have come in and were not read yet."""
        frames = []
        while select.select([self._sock], [], [], 0)[0]:
            frames.append(self._sock.recv(2048))
        return [a for a in map(parse_advertisement, frames) if a]

    def close(self):
        self._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def add_neighbour(lab, name, v6=None, mac=None):
    """A further namespace on the link of the hosts; its interface is eth0, the bridge's port has
    its name."""
    node = lab.add_node(name, v6, mac=mac)
    address = ["address", mac] if mac else []
    lab.router.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", *address,
                   "netns", node.name)
    lab.router.ip(f"link set {name} master lan up")
    node.ip("link set eth0 up")
    if v6:
        node.ip(f"addr add {v6}/64 dev eth0 nodad")
        node.ip("route add default via 2001:db8:1::1")
    return node


def addresses_from(first, n):
    """n addresses, the first one and those after it."""
    return [str(ipaddress.IPv6Address(first) + i) for i in range(n)]


def neighbour_entry(ns, address, interface):
    """(MAC, state) that a namespace's kernel knows for the address."""
    for entry in ns.ip_json(f"-6 neigh show {address} dev {interface}"):
        return entry.get("lladdr"), entry["state"][0]
    return None, None


def solicited_by(capture, address):
    """Who has asked for the address, in a Capture: his source; "::" is DAD, and our own probes."""
    found = (re.search(rf"\) (\S+) > \S+: .*who has {address}\b(?!:)", line) for line in capture.lines())
    return [match[1] for match in found if match]


def find_ndp(status, interface="eth0"):
    """What the status says of what is answered there, or None."""
    return next((n for n in status["ndp"] if n["interface"] == interface), None)


def problem_codes(status):
    return [p["code"] for p in status["problems"]]
