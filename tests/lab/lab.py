# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts, engines and daemons of the laboratory.

Everything of a Lab lives below one directory and in namespaces of one name prefix, and every
process it causes (shims and containers too) runs in one of these namespaces. So cleaning up needs
no bookkeeping: end what runs in them, unmount what is below, delete both. Labs side by side do not
meet; one whose owner was killed is cleared away by the next one.
"""

import atexit
import concurrent.futures
import contextlib
import ctypes
import fcntl
import http.client
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from . import image
from .netns import Netns, wait_for

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
PREFIX = "v6n"
SCRATCH = Path("/tmp")
MNT_DETACH = 2

_serial = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """Something this machine does not have: a reason to skip, not to fail."""


class ApiError(Exception):
    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


def why_not_here():
    """None, or the reason why no lab can be built on this machine."""
    if os.geteuid() != 0:
        return "needs root (network namespaces, Docker)"
    for program in ("ip", "nft", "iptables", "cc"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return f"needs the program {program}"
    tried = subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL)
    return "may not make network namespaces" if tried.returncode else None


def words(args):
    """Arguments as one types them: every string is split as a shell would."""
    return [word for arg in args for word in shlex.split(str(arg))]


def tail(path, lines=40):
    try:
        return "\n".join(Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)


# -- cleaning up ------------------------------------------------------------------------------

def _processes_in(namespaces):
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns/net") in namespaces:
                    yield int(entry.name)


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
    namespaces = set(_namespace_ids([*named, *containers]))

    def all_ended():
        pids = list(_processes_in(namespaces))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    with contextlib.suppress(AssertionError):
        wait_for(all_ended, timeout=10)
    for path in named:
        subprocess.run(["ip", "netns", "del", path.name], stderr=subprocess.DEVNULL)
    # version 1 has a hierarchy per controller, version 2 one for all
    for root in Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/"):
        for group in *root.glob(f"{directory.name}/*/"), root / directory.name:
            with contextlib.suppress(OSError):
                group.rmdir()
    for point in _mounts_below(directory):
        _libc.umount2(point.encode(), MNT_DETACH)
    shutil.rmtree(directory, ignore_errors=True)


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
        if threading.current_thread() is threading.main_thread() and \
                signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _exit_on)
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
            if isinstance(part, (Engine, Daemon)):
                yield f"end of {part.log}", tail(part.log)

    def close(self):
        if os.getpid() != self._owner or self.dir is None:
            return
        atexit.unregister(self.close)
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


def _start(ns, command, log, env=None):
    with open(log, "ab") as out:
        return ns.popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                        cwd="/", start_new_session=True)


def _end(process, signum=signal.SIGTERM, timeout=30):
    """Ends a process of ours; its exit code."""
    if process.poll() is None:
        process.send_signal(signum)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


# -- the engine -------------------------------------------------------------------------------

class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def unix_request(path, method, url, body=None, headers=None, timeout=60):
    """One HTTP request over a unix socket: (status, headers, bytes)."""
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, url, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


class Engine:
    """A private Docker Engine on a host of the lab, with a containerd of its own.

    ip6tables: None = what this version does by itself (28.5: native IPv6 NAT), True, False.
    More keys of daemon.json as config={...}. Not started by the constructor.
    """

    def __init__(self, lab, host=None, version="20.10", *, userland_proxy=True, ip6tables=None,
                 experimental=False, fixed_cidr_v6="fd00:d0c:16::/64", live_restore=False,
                 config=None):
        self.lab, self.host, self.version = lab, host or lab.host, version
        self.bin = engine_dirs(version)
        self.dir = lab.dir / f"e{len(lab.parts)}"
        self.dir.mkdir()
        self.socket = self.dir / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.log = self.dir / "dockerd.log"
        self.process = self.containerd = None
        self.config = {
            "hosts": [self.url], "data-root": f"{self.dir}/root", "exec-root": f"{self.dir}/exec",
            "pidfile": f"{self.dir}/docker.pid", "containerd": f"{self.dir}/cd.sock",
            "storage-driver": "overlay2", "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{lab.dir.name}",
            "ipv6": bool(fixed_cidr_v6), "userland-proxy": userland_proxy,
            "live-restore": live_restore, "shutdown-timeout": 5,
        }
        if fixed_cidr_v6:
            self.config["fixed-cidr-v6"] = fixed_cidr_v6
        # 20.10 does not know "false" either unless experimental; there it is the default
        if ip6tables is not None and (ip6tables or float(version) >= 27):
            self.config["ip6tables"] = ip6tables
        if experimental or (ip6tables and float(version) < 27):
            self.config["experimental"] = True
        self.config.update(config or {})
        lab.parts.append(self)

    # The machine's system bus is hidden: a firewalld behind it would be told of this engine's
    # bridges and would change the firewall of the machine.
    def _env(self):
        return {"PATH": ":".join([*self.bin, "/usr/sbin:/usr/bin:/sbin:/bin"]),
                "HOME": str(self.dir), "TMPDIR": str(self.dir),
                "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.dir}/no-bus"}

    def start(self, wait=True):
        """Starts the engine (and containerd where it is not running) and waits until it answers."""
        if self.containerd is None or self.containerd.poll() is not None:
            self._start_containerd()
        if self._on_overlay():
            self.config["storage-driver"] = "vfs"
        (self.dir / "daemon.json").write_text(json.dumps(self.config, indent=1))
        self.process = _start(self.host, [f"{self.bin[0]}/dockerd", "--config-file",
                                          self.dir / "daemon.json"], self.log, self._env())
        if wait:
            self.wait_ready()
        return self

    def _start_containerd(self):
        config = self.dir / "containerd.toml"
        config.write_text(f"""version = 2
root = "{self.dir}/cd-root"
state = "{self.dir}/cd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{self.dir}/cd.sock"
""")
        self.containerd = _start(self.host, [f"{self.bin[-1]}/containerd", "--config", config],
                                 self.dir / "containerd.log", self._env())
        wait_for((self.dir / "cd.sock").exists, 20, "containerd's socket")

    # overlay2 cannot live on an overlay, which is what the lab stands on inside a container
    def _on_overlay(self):
        return subprocess.run(["stat", "-f", "-c", "%T", self.dir], capture_output=True,
                              text=True).stdout.strip() in ("overlayfs", "overlay", "UNKNOWN (0x794c7630)")

    def wait_ready(self, timeout=60):
        def answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"dockerd {self.version} ended:\n{tail(self.log)}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                return unix_request(self.socket, "GET", "/_ping", timeout=5)[0] == 200
        wait_for(answers, timeout, f"dockerd {self.version} answers")
        if not self.api("GET", "/images/json"):
            self.load_image()

    def load_image(self):
        name, tag = image.TAG.split(":")
        with open(image.image_tar(), "rb") as tar:
            status, _, reply = unix_request(
                self.socket, "POST", f"/images/create?fromSrc=-&repo={name}&tag={tag}", tar,
                {"Content-Type": "application/x-tar",
                 "Content-Length": str(os.fstat(tar.fileno()).st_size)})
        if status != 200 or b'"error"' in reply:
            raise ApiError(status, reply.decode(errors="replace"))

    def stop(self):
        """As systemctl stop: containers end, unless live_restore."""
        return _end(self.process) if self.process else None

    def kill(self):
        """As a crash: containers keep running."""
        return _end(self.process, signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def api(self, method, path, body=None, timeout=60):
        """A request to the engine's API; the decoded answer, ApiError for a status >= 400."""
        data = None if body is None else json.dumps(body)
        status, headers, reply = unix_request(self.socket, method, path, data,
                                              {"Content-Type": "application/json"}, timeout)
        is_json = "json" in headers.get("Content-Type", "")
        if status >= 400:
            raise ApiError(status, json.loads(reply)["message"] if is_json and reply else reply)
        return json.loads(reply) if is_json and reply else reply.decode()

    def docker(self, *args, check=True, timeout=60):
        """The docker command; strings are split as a shell would. Returns what it prints."""
        env = {**self._env(), "DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.dir)}
        done = subprocess.run([f"{self.bin[-1]}/docker", *words(args)], env=env, text=True,
                              capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise RuntimeError(f"docker {' '.join(words(args))}: {done.stderr.strip()}")
        return (done.stdout if check else done.stdout + done.stderr).strip()

    def network(self, name, subnet6, *args):
        """docker network create with IPv6; returns its ID."""
        return self.docker("network create --ipv6 --subnet", subnet6, *args, name)

    def run(self, name, *args, serve="tcp:80 udp:80", command=None):
        """docker run -d of an echo-server called name on the ports of serve, or of a command."""
        command = command or f"echo-server {name} {serve}"
        return Container(self, self.docker("run -d --name", name, *args, image.TAG, command), name)

    def clean(self):
        """Removes every container and every network of the user's."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(self._remove, [f"/containers/{c['Id']}?force=1&v=1"
                                         for c in self.api("GET", "/containers/json?all=1")]))
            list(pool.map(self._remove, [f"/networks/{n['Id']}" for n in self.api("GET", "/networks")
                                         if n["Name"] not in ("bridge", "host", "none")]))

    def _remove(self, path):
        try:
            self.api("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def running(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        """Ends the engine with its containers; later parts of the lab need not be closed first."""
        if self.running():
            with contextlib.suppress(Exception):
                self.clean()
            _end(self.process)
        if self.containerd:
            _end(self.containerd)
        if self in self.lab.parts:
            self.lab.parts.remove(self)


def engine_dirs(version):
    """Directories of the engine and of the tools all versions share, as engines.sh prints them."""
    done = subprocess.run([HERE / "engines.sh", version, "20.10"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode == 75:
        raise Unavailable(done.stderr.strip())
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.split()


class Container:
    """A container; ns is its network namespace, to ask from inside."""

    def __init__(self, engine, cid, name):
        self.engine, self.id, self.name = engine, cid, name
        self._ns = None

    def __repr__(self):
        return f"<Container {self.name}>"

    def inspect(self):
        return self.engine.api("GET", f"/containers/{self.id}/json")

    @property
    def ns(self):
        if self._ns is None:
            pid = self.inspect()["State"]["Pid"]
            if not pid:
                raise RuntimeError(f"container {self.name} is not running: {self.logs()}")
            self._ns = Netns(f"/proc/{pid}/ns/net", self.name)
        return self._ns

    def _endpoint(self, network, key):
        networks = self.inspect()["NetworkSettings"]["Networks"]
        return networks[network][key] if network else next(n[key] for n in networks.values() if n[key])

    def v6(self, network=None):
        """Its IPv6 address in this network, or in the first that has one."""
        return self._endpoint(network, "GlobalIPv6Address")

    def v4(self, network=None):
        return self._endpoint(network, "IPAddress")

    def host_port(self, port="80/tcp"):
        """The host port that the engine gave to this container port, of the IPv6 binding if any."""
        bindings = self.inspect()["NetworkSettings"]["Ports"][port]
        return int(max(bindings, key=lambda b: ":" in b["HostIp"])["HostPort"])

    def exec(self, *args, check=True):
        return self.engine.docker("exec", self.id, *args, check=check)

    def logs(self):
        return self.engine.docker("logs", self.id, check=False)

    def start(self):
        self._forget()
        self.engine.api("POST", f"/containers/{self.id}/start")

    def stop(self):
        self._forget()
        self.engine.api("POST", f"/containers/{self.id}/stop?t=2")

    def restart(self):
        self._forget()
        self.engine.api("POST", f"/containers/{self.id}/restart?t=2")

    def remove(self):
        self._forget()
        self.engine.api("DELETE", f"/containers/{self.id}?force=1&v=1")

    def _forget(self):
        if self._ns:
            self._ns.close()
            self._ns = None


# -- our daemon -------------------------------------------------------------------------------

class Daemon:
    """ipv6natd on a host of the lab, following its engine. Not started by the constructor.

    config: text of its configuration file (never the machine's own); docker: other URL than the
    engine's, e.g. of a SocketRelay; args: more arguments. IPV6NATD, IPV6NATCTL name the programs.
    """

    SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")

    def __init__(self, engine=None, host=None, lab=None, *, docker=None, config="", args=(), env=None):
        self.lab = lab or engine.lab
        self.host = host or (engine.host if engine else self.lab.host)
        self.docker = docker or (engine.url if engine else "unix:///nowhere")
        self.program = os.environ.get("IPV6NATD", str(TOP / "build/ipv6natd"))
        self.ctl_program = os.environ.get("IPV6NATCTL", str(TOP / "build/ipv6natctl"))
        self.dir = Path(tempfile.mkdtemp(prefix="d", dir=self.lab.dir))
        self.log = self.dir / "log"
        self.control = self.dir / "ctl.sock"
        self.conf = self.dir / "conf"
        self.args, self.env = list(args), env or {}
        self.process = None
        self.notified = []
        self.configure(config)
        self.lab.parts.append(self)

    def configure(self, text):
        """Writes the configuration file; a running daemon reads it at reload()."""
        self.conf.write_text(text)

    def command(self, *args):
        return [self.program, "--docker", self.docker, "--control", str(self.control),
                "--config", str(self.conf), *self.args, *words(args)]

    def environment(self):
        return {**os.environ, **self.env}

    def start(self, wait=True, timeout=30):
        """Starts it and waits for READY=1, as systemd would."""
        if self.running():
            raise RuntimeError("the daemon is running already")
        if not os.access(self.program, os.X_OK):
            raise RuntimeError(f"{self.program} is missing: build it first, or name it in IPV6NATD")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.dir / f"notify{len(list(self.dir.glob('notify*')))}"
        self._notify.bind(str(path))
        self._notify.settimeout(0.05)
        self.notified = []
        env = {**self.environment(), "NOTIFY_SOCKET": str(path)}
        self.process = _start(self.host, self.command(), self.log, env)
        if wait:
            self.wait_notified("READY=1", timeout)
        return self

    def wait_notified(self, text, timeout=30):
        """Waits for a line of the sd_notify protocol, since the start of the daemon."""
        def seen():
            with contextlib.suppress(TimeoutError):
                self.notified += self._notify.recv(8192).decode().splitlines()
            if text in self.notified:
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"ipv6natd ended with {self.process.returncode} "
                                     f"before {text}:\n{tail(self.log)}")
        wait_for(seen, timeout, f"ipv6natd says {text}", interval=0)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def run(self, *args, check=False, timeout=60):
        """The daemon's program in the foreground: run("--once"), run("--dry-run"), run("--cleanup")."""
        return self._run(self.command(*args), check, timeout)

    def ctl(self, *args, check=False, timeout=60):
        """ipv6natctl, on the daemon's host; the result has stdout, stderr and returncode."""
        return self._run([self.ctl_program, "--control", str(self.control), *words(args)], check, timeout)

    def _run(self, command, check, timeout):
        process = self.host.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, env=self.environment())
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        self.assert_clean(err, f"{command[0]}, exit code {process.returncode}")
        if check and process.returncode:
            raise AssertionError(f"{' '.join(command)}: exit code {process.returncode}\n{out}{err}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def status(self):
        """The status document; the exit code 1 of a host with problems is none for us."""
        done = self.ctl("--json status")
        if not done.stdout.strip():
            raise AssertionError(f"ipv6natctl status: exit code {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def request(self, method, path, timeout=30):
        """A request to the control socket: (status, decoded JSON or text)."""
        status, headers, body = unix_request(self.control, method, path, timeout=timeout)
        is_json = "json" in headers.get("Content-Type", "") and "lines" not in headers["Content-Type"]
        return status, json.loads(body) if is_json and body else body.decode()

    def wait_status(self, predicate, timeout=15):
        """Waits until predicate(status) is true; the status then."""
        last = {}

        def so():
            last.clear()
            last.update(self.status())
            return predicate(last)
        try:
            wait_for(so, timeout, interval=0.05)
        except AssertionError:
            raise AssertionError(f"status did not come to what was awaited within {timeout} s:\n"
                                 f"{json.dumps(last, indent=1)}") from None
        return last

    def find_network(self, name, status=None):
        """The network of that name in the status, or None."""
        return next((n for n in (status or self.status())["networks"] if n["name"] == name), None)

    def sync(self):
        return self.ctl("sync", check=True)

    def reload(self):
        """SIGHUP; returns at once."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self, signum=signal.SIGTERM):
        """Stops it and checks that it went in peace."""
        if self.process is None:
            return
        crashed = self.process.poll()
        code = _end(self.process, signum)
        self.process = None
        self._notify.close()
        assert crashed is None, f"ipv6natd had ended with {crashed}:\n{tail(self.log)}"
        self.assert_clean(self.log.read_text(errors="replace"), str(self.log))
        assert code == 0, f"ipv6natd: exit code {code} on signal {signum}:\n{tail(self.log)}"

    def kill(self):
        """kill -9; the rules stay."""
        _end(self.process, signal.SIGKILL)
        self.process = None
        self._notify.close()

    def restart(self):
        self.stop()
        return self.start()

    def assert_clean(self, text, where):
        found = self.SANITIZER.search(text)
        assert not found, f"sanitizer report, {where}:\n{text[max(0, found.start() - 200):][:6000]}"

    def wipe_rules(self):
        """Takes our tables away, whatever state they are in, for the next test."""
        for family in "ip6", "bridge":
            self.host.nft("delete table", family, "ipv6nat", check=False)

    def close(self):
        if self in self.lab.parts:
            self.lab.parts.remove(self)
        if self.process is not None:
            _end(self.process)
