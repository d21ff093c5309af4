# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces, and questions asked from inside them.

A thread may change its own network namespace and change back: a socket stays in the namespace it
was made in, a process stays in the one its parent's thread was in. So nothing here needs a helper
process, and asking costs microseconds where "ip netns exec" costs 16 ms.
"""

import contextlib
import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import time

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class AskError(Exception):
    """A question that got no answer; kind says how: refused, timeout, unreachable, reset, closed."""
    kind = "failed"


class Refused(AskError):
    kind = "refused"


class Timeout(AskError):
    kind = "timeout"


class Unreachable(AskError):
    """No route, or a router, a firewall or nobody on the link says that there is no way."""
    kind = "unreachable"


class Reset(AskError):
    kind = "reset"


class Closed(AskError):
    """The connection ended without an answer: docker-proxy does this when its target is not there."""
    kind = "closed"


_KINDS = {
    errno.ECONNREFUSED: Refused, errno.ETIMEDOUT: Timeout, errno.EAGAIN: Timeout,
    errno.EHOSTUNREACH: Unreachable, errno.ENETUNREACH: Unreachable, errno.EACCES: Unreachable,
    errno.EPERM: Unreachable, errno.EADDRNOTAVAIL: Unreachable,
    errno.ECONNRESET: Reset, errno.EPIPE: Reset,
}


def ask_error(error, what):
    if isinstance(error, TimeoutError):
        return Timeout(f"{what}: no answer")
    return _KINDS.get(error.errno, AskError)(f"{what}: {error.strerror or error}")


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


class Netns:
    """One network namespace, known by a path: a named one, or /proc/PID/ns/net."""

    def __init__(self, path, name=None):
        self.path = str(path)
        self.name = name or self.path
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def __repr__(self):
        return f"<Netns {self.name}>"

    def close(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in this namespace for as long as the block lasts."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self._fd)
            try:
                yield self
            finally:
                _setns(before)
        finally:
            os.close(before)

    def popen(self, command, **options):
        with self.entered():
            return subprocess.Popen([str(word) for word in command], **options)

    def run(self, *command, check=True, input=None, timeout=60):
        """Runs a command here; its result has stdout and stderr as text."""
        process = self.popen(command, stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if check and process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))} in {self.name}: "
                               f"exit code {process.returncode}\n{out}{err}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def ip(self, *words):
        """ip(8) here: ns.ip("route add 2001:db8::/64 dev eth0") or single words."""
        return self.run("ip", *" ".join(map(str, words)).split()).stdout

    def ip_json(self, *words):
        return json.loads(self.ip("-j", *words) or "[]")

    def sysctl(self, name, value=None):
        """Reads or writes a sysctl; name with slashes: net/ipv6/conf/all/forwarding."""
        with self.entered(), open(f"/proc/sys/{name}", "r" if value is None else "w") as file:
            if value is None:
                return file.read().strip()
            return file.write(str(value))

    def open_socket(self, family=socket.AF_INET6, kind=socket.SOCK_STREAM, protocol=0):
        with self.entered():
            return socket.socket(family, kind, protocol)

    def address(self, host, port):
        """(family, socket address) of a literal, with %interface where it is link-local."""
        if ":" not in host:
            return socket.AF_INET, (host, port)
        host, _, interface = host.partition("%")
        with self.entered():
            scope = socket.if_nametoindex(interface) if interface else 0
        return socket.AF_INET6, (host, port, 0, scope)

    def connect(self, host, port, kind=socket.SOCK_STREAM, timeout=2, source=None):
        """A connected socket; source = (address, port) to come from."""
        family, there = self.address(host, port)
        sock = self.open_socket(family, kind)
        try:
            sock.settimeout(timeout)
            if source:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(self.address(*source)[1])
            sock.connect(there)
        except OSError as error:
            sock.close()
            raise ask_error(error, f"[{host}]:{port}") from None
        return sock

    def nft(self, *words, input=None, check=True):
        """nft here: ns.nft("list ruleset"), or ns.nft(input=script)."""
        if input is not None:
            words = (*words, "-f", "-")
        return self.run("nft", *" ".join(map(str, words)).split(), input=input, check=check).stdout

    def nft_json(self, *words):
        return json.loads(self.nft("-j", *words))["nftables"]


def read_line(sock, what="peer"):
    """One line from a stream, without its end."""
    received = b""
    try:
        while not received.endswith(b"\n"):
            piece = sock.recv(4096)
            if not piece:
                raise Closed(f"{what}: closed without an answer")
            received += piece
    except OSError as error:
        raise ask_error(error, what) from None
    return received.decode(errors="replace").rstrip("\n")


def tcp_ask(ns, host, port, text="", timeout=2, source=None):
    """The line an echo-server answers over a new connection, or one of the AskErrors."""
    sock = ns.connect(host, port, timeout=timeout, source=source)
    with sock:
        # closed by reset: no TIME_WAIT, the same source port can be used at once
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            sock.sendall(text.encode() + b"\n")
        except OSError as error:
            raise ask_error(error, f"[{host}]:{port}") from None
        return read_line(sock, f"[{host}]:{port}")


def udp_ask(ns, host, port, text="", timeout=2, source=None, tries=1):
    """The same by one datagram (or up to tries of them, each waiting for timeout)."""
    with ns.connect(host, port, socket.SOCK_DGRAM, timeout, source) as sock:
        for left in reversed(range(tries)):
            try:
                sock.send(text.encode() + b"\n")
                return sock.recv(4096).decode(errors="replace").rstrip("\n")
            except OSError as error:
                if not left:
                    raise ask_error(error, f"udp [{host}]:{port}") from None


def outcome(ask, *args, **options):
    """What an ask ends in, as one word or line: the answer, or the kind of its error."""
    try:
        return ask(*args, **options)
    except AskError as error:
        return error.kind


def peer_of(answer):
    """The address that the server says it saw."""
    return answer.split(" from ", 1)[1].split()[0]


def wait_for(condition, timeout=10, what=None, interval=0.02):
    """Polls until the condition is true and returns its value. Generous, and never an assertion on
    time: it only ends a wait that would last for ever."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what or getattr(condition, '__name__', 'condition')}: "
                                 f"not so within {timeout} s")
        time.sleep(interval)
