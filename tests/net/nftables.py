# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel's nf_tables say about us, and how often anybody has changed them."""

import re
import socket
import struct
import time

NETLINK_NETFILTER = 12
NFT_MSG_DELTABLE = 10 << 8 | 2
NFT_MSG_DELSETELEM = 10 << 8 | 14
NFT_MSG_GETGEN = 10 << 8 | 16
NLM_F_REQUEST = 1
TABLES = "ip6 ipv6nat", "bridge ipv6nat"


def generation(ns):
    """The number of transactions in this namespace, by whomever: two of them tell whether there
    was one in between."""
    with ns.open_socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.settimeout(5)
        sock.send(struct.pack("=IHHIIBBH", 20, NFT_MSG_GETGEN, NLM_F_REQUEST, 1, 0, 0, 0, 0))
        answer = sock.recv(4096)
    # header 16, nfgenmsg 4, then the attribute NFTA_GEN_ID: length, type, number
    length, kind, number = struct.unpack_from("=HH", answer, 20) + struct.unpack_from("!I", answer, 24)
    assert (length, kind) == (8, 1)
    return number


def _attribute(kind, *values):
    value = b"".join(values)
    return struct.pack("=HH", 4 + len(value), kind) + value.ljust(len(value) + 3 & ~3, b"\0")


def _transaction(kind, *attributes):
    """One message in a batch, in family ip6."""
    def message(kind, family, resource, payload=b""):
        return struct.pack("=IHHIIBB", 20 + len(payload), kind, NLM_F_REQUEST, 1, 0, family, 0) + \
            struct.pack("!H", resource) + payload
    return message(16, 0, 10) + message(kind, 10, 0, b"".join(attributes)) + message(17, 0, 10)


def delete_port_and_table(ns, port, pause):
    """Deletes a tcp port that is published on any address, and after this many seconds our table:
    faster than nft can, and looking at the clock all the while, as it is about microseconds."""
    nested = 1 << 15
    table = _attribute(1, b"ipv6nat\0")
    key = _attribute(1 | nested, _attribute(1, struct.pack("!BxxxHxx", socket.IPPROTO_TCP, port)))
    elements = _attribute(3 | nested, _attribute(1 | nested, key))
    first = _transaction(NFT_MSG_DELSETELEM, table, _attribute(2, b"publish_any\0"), elements)
    second = _transaction(NFT_MSG_DELTABLE, table)
    with ns.open_socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.send(first)
        end = time.monotonic() + pause
        while time.monotonic() < end:
            pass
        sock.send(second)


def _sorted_elements(found):
    return "elements = { " + ", ".join(sorted(re.split(r",\s+", found[1].strip()))) + " }"


def tables(ns):
    """Our tables as nft lists them, without counters; sets, chains and elements sorted, as they have
    no order."""
    listed = "".join(ns.nft("-s list table", table, check=False) for table in TABLES)
    listed = re.sub(r"elements = \{(.*?)\}", _sorted_elements, listed, flags=re.DOTALL)
    return sorted(re.split(r"\n(?:}\n|\n?\t(?=set |map |chain ))", listed))


def counters(ns):
    """{element of a published port: packets}, the first packets of connections, that is."""
    listed = ns.nft("list map ip6 ipv6nat publish_any") + \
        ns.nft("list map ip6 ipv6nat publish_address")
    return {key.strip(): int(packets) for key, packets in
            re.findall(r"(\w+ \. \d+|\S+ \. \w+ \. \d+) counter packets (\d+)", listed)}


def find_handle(ns, chain, words):
    """The handle of the first rule of a chain of ours with these words in it."""
    for line in ns.nft("-a list chain ip6 ipv6nat", chain).splitlines():
        if words in line:
            return int(line.rsplit("# handle ", 1)[1])
    raise AssertionError(f"no rule with {words!r} in chain {chain}")


def check_script(ns, script):
    """nft says nothing against this script, and does not load it."""
    ns.nft("-c", input=script)
