# SPDX-License-Identifier: GPL-2.0-or-later
"""The laboratory: its hosts, and how it goes away again.

Everything of a Lab lives below one directory and in namespaces of one name prefix, and every
process it causes (shims and containers too) runs in one of these namespaces, or in a control group
of that name. So cleaning up needs no bookkeeping: end what runs in them, unmount what is below,
delete all. Labs side by side do not meet; one whose owner was killed is cleared away by the next one.
"""

import atexit
import contextlib
import ctypes
import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from . import image
from .netns import Netns, wait_for
from .process import tail

PREFIX = "v6n"
SCRATCH = Path("/tmp")
MNT_DETACH = 2

_serial = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """Something this machine does not have: a reason to skip, not to fail."""


def why_not_here():
    """None, or the reason why no lab can be built on this machine."""
    if os.geteuid() != 0:
        return "needs root (network namespaces, Docker)"
    for program in ("ip", "nft", "iptables", "cc"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return f"needs the program {program}"
    tried = subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL)
    return "may not make network namespaces" if tried.returncode else None


# -- cleaning up ------------------------------------------------------------------------------

def _processes_in(namespaces):
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns/net") in namespaces:
                    yield int(entry.name)


# Version 1 has a hierarchy per controller, version 2 one for all.
def _control_groups(name):
    """Those of this name and below, the innermost first."""
    for root in Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/"):
        for group, _, _ in os.walk(root / name, topdown=False):
            yield Path(group)


def _processes_grouped(groups):
    for group in groups:
        with contextlib.suppress(OSError):
            yield from map(int, (group / "cgroup.procs").read_text().split())


def _namespace_ids(paths):
    for path in paths:
        with contextlib.suppress(OSError):
            yield f"net:[{os.stat(path).st_ino}]"


def _mounts_below(directory):
    with open("/proc/self/mounts") as mounts:
        points = [line.split()[1] for line in mounts]
    return sorted((p for p in points if p.startswith(f"{directory}/")), key=len, reverse=True)


def wipe(directory):
    """Ends and removes all that is left of the lab of this directory, however it ended."""
    named = list(Path("/run/netns").glob(f"{directory.name}-*"))
    containers = directory.glob("*/exec/netns/*")
    namespaces = set(_namespace_ids([*named, *containers])) - {os.readlink("/proc/self/ns/net")}

    def all_ended():
        pids = {*_processes_in(namespaces), *_processes_grouped(_control_groups(directory.name))}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    with contextlib.suppress(AssertionError):
        wait_for(all_ended, timeout=10)
    for path in named:
        subprocess.run(["ip", "netns", "del", path.name], stderr=subprocess.DEVNULL)
    for group in _control_groups(directory.name):
        with contextlib.suppress(OSError):
            group.rmdir()
    for point in _mounts_below(directory):
        _libc.umount2(point.encode(), MNT_DETACH)
    # the lock goes last: what could not be removed now stays known to the next lab
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != "lock":
            entry.unlink()
    if [entry.name for entry in directory.iterdir()] in ([], ["lock"]):
        shutil.rmtree(directory)


def _lock(directory, create):
    """The lock that says that this lab has a living owner, or None."""
    file = None
    with contextlib.suppress(OSError):
        file = open(directory / "lock", "w" if create else "r")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file
    if file:
        file.close()
    return None


def wipe_orphans():
    for directory in SCRATCH.glob(f"{PREFIX}*-*"):
        lock = _lock(directory, create=False)
        if lock:
            wipe(directory)
            lock.close()


def _exit_on(signum, _frame):
    sys.exit(128 + signum)


@contextlib.contextmanager
def _unhurried():
    """Ctrl-C once more, or a terminal that closes, does not end what is done in here halfway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, signal.SIG_IGN)
              for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


# -- the lab ----------------------------------------------------------------------------------

class Node(Netns):
    """A namespace of the topology; v6 and v4: its own addresses, mac: of its eth0."""

    def __init__(self, name, v6, v4, mac=None):
        super().__init__(f"/run/netns/{name}", name)
        self.v6, self.v4, self.mac = v6, v4, mac


class Lab:
    """client --- router (bridge "lan") === hosts

        client  2001:db8:99::2/64   198.51.100.2/24   via router ...::1, ...1
        hostN   2001:db8:1::1N/64   192.0.2.1N/24     via router 2001:db8:1::1, 192.0.2.1 (on eth0)

    No duplicate address detection and no router advertisements anywhere; with ra=True the hosts
    accept them, have no IPv6 default route, and wait for send_ra(lab.router, "lan", ...).
    """

    def __init__(self, hosts=1, ra=False):
        reason = why_not_here()
        if reason:
            raise Unavailable(reason)
        wipe_orphans()
        self.dir = SCRATCH / f"{PREFIX}{os.getpid()}-{next(_serial)}"
        self.dir.mkdir(mode=0o700)
        self._lock = _lock(self.dir, create=True)
        self.parts = []
        self.ra = ra
        self._owner = os.getpid()
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():
            for signum in signal.SIGTERM, signal.SIGHUP:
                if signal.getsignal(signum) == signal.SIG_DFL:
                    signal.signal(signum, _exit_on)
        try:
            self._build(hosts)
        except BaseException:
            self.close()
            raise

    def _build(self, n_hosts):
        self.client = self.add_node("client", "2001:db8:99::2", "198.51.100.2")
        self.router = self.add_node("router", "2001:db8:1::1", "192.0.2.1")
        self.hosts = []
        self._ip("link add client netns {router} type veth peer name eth0 netns {client}",
                 router=self.router.name, client=self.client.name)
        for name in "net/ipv6/conf/all/forwarding", "net/ipv4/ip_forward":
            self.router.sysctl(name, 1)
        self._ip("""link add lan type bridge mcast_snooping 0
                    link set lan up
                    addr add 2001:db8:1::1/64 dev lan nodad
                    addr add 192.0.2.1/24 dev lan
                    link set client up
                    addr add 2001:db8:99::1/64 dev client nodad
                    addr add 198.51.100.1/24 dev client""", ns=self.router)
        self._ip("""addr add 2001:db8:99::2/64 dev eth0 nodad
                    addr add 198.51.100.2/24 dev eth0
                    link set eth0 up
                    route add default via 198.51.100.1
                    route add default via 2001:db8:99::1""", ns=self.client)
        for _ in range(n_hosts):
            self.add_host()

    def add_host(self):
        n = len(self.hosts) + 1
        host = self.add_node(f"host{n}", f"2001:db8:1::1{n}", f"192.0.2.1{n}", f"02:00:00:00:01:1{n}")
        self._ip("link add h{n} netns {router} type veth peer name eth0 address {mac} netns {host}",
                 n=n, router=self.router.name, host=host.name, mac=host.mac)
        self._ip(f"link set h{n} master lan up", ns=self.router)
        host.sysctl("net/ipv6/conf/eth0/accept_ra", int(self.ra))
        self._ip(f"""addr add {host.v6}/64 dev eth0 nodad
                     addr add {host.v4}/24 dev eth0
                     link set eth0 up
                     route add default via 192.0.2.1""", ns=host)
        if not self.ra:
            host.ip("route add default via 2001:db8:1::1")
        self.hosts.append(host)
        return host

    def add_node(self, name, v6=None, v4=None, mac=None):
        """A further namespace, with nothing in it but lo; links are the caller's."""
        name = f"{self.dir.name}-{name}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        node = Node(name, v6, v4, mac)
        self.parts.append(node)
        for which in "all", "default":
            node.sysctl(f"net/ipv6/conf/{which}/accept_dad", 0)
            node.sysctl(f"net/ipv6/conf/{which}/accept_ra", 0)
        node.ip("link set lo up")
        return node

    def serve(self, ns, ports="tcp:80 udp:80", name=None):
        """Starts an echo-server in a namespace; its process. It ends with the lab at the latest."""
        name = name or ns.name.removeprefix(f"{self.dir.name}-")
        server = ns.popen([image.echo_server(), name, *ports.split()],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if server.stdout.readline() != b"ready\n":
            raise RuntimeError(f"echo-server {name} {ports} in {ns.name} does not start")
        return server

    @property
    def host(self):
        return self.hosts[0]

    @staticmethod
    def _ip(batch, ns=None, **names):
        command = ["ip", "-batch", "-"]
        if ns:
            ns.run(*command, input=batch.format(**names))
        else:
            subprocess.run(command, input=batch.format(**names), text=True, check=True)

    def reports(self):
        """(title, text) for a failed test: the rulesets and the ends of all logs."""
        for host in self.hosts:
            ruleset = host.run("nft", "list", "ruleset", check=False)
            yield f"nft list ruleset on {host.name}", ruleset.stdout + ruleset.stderr
        for part in self.parts:
            if hasattr(part, "report"):
                yield part.report()
            elif hasattr(part, "log"):
                yield f"end of {part.log}", tail(part.log)

    def close(self):
        if os.getpid() != self._owner or self.dir is None:
            return
        with _unhurried():
            atexit.unregister(self.close)
            self._close()

    def _close(self):
        try:
            for part in reversed(list(self.parts)):
                with contextlib.suppress(Exception):
                    part.close()
        finally:
            wipe(self.dir)
            self._lock.close()
            self.dir = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
