# SPDX-License-Identifier: GPL-2.0-or-later
"""A private Docker Engine on a host of the lab, and its containers."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import subprocess
from pathlib import Path

from . import image
from .lab import Unavailable
from .netns import Netns, wait_for
from .process import end_process, start_process, tail, unix_request, words

HERE = Path(__file__).resolve().parent


class ApiError(Exception):
    """The engine's API said no."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


class Engine:
    """A private Docker Engine on a host of the lab, with a containerd of its own.

    ip6tables: None = what this version does by itself (28.5: native IPv6 NAT), True, False.
    More keys of daemon.json as config={...}; path: where it looks for programs before it looks in
    the machine's directories. Not started by the constructor.
    """

    def __init__(self, lab, host=None, version="20.10", *, userland_proxy=True, ip6tables=None,
                 experimental=False, fixed_cidr_v6="fd00:d0c:16::/64", live_restore=False,
                 config=None, path=()):
        self.lab, self.host, self.version = lab, host or lab.host, version
        self.bin, self.path = engine_dirs(version), [str(directory) for directory in path]
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
        return {"PATH": ":".join([*self.bin, *self.path, "/usr/sbin:/usr/bin:/sbin:/bin"]),
                "HOME": str(self.dir), "TMPDIR": str(self.dir),
                "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.dir}/no-bus"}

    def start(self, wait=True):
        """Starts the engine (and containerd where it is not running) and waits until it answers."""
        if self.containerd is None or self.containerd.poll() is not None:
            self._start_containerd()
        self.configure()
        self.process = start_process(self.host, [f"{self.bin[0]}/dockerd", "--config-file",
                                          self.dir / "daemon.json"], self.log, self._env())
        if wait:
            self.wait_ready()
        return self

    def configure(self):
        """Writes daemon.json."""
        if self._on_overlay():
            self.config["storage-driver"] = "vfs"
        (self.dir / "daemon.json").write_text(json.dumps(self.config, indent=1))

    def _write_containerd_config(self):
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
        return config

    def _start_containerd(self):
        config = self._write_containerd_config()
        self.containerd = start_process(self.host, [f"{self.bin[-1]}/containerd", "--config", config],
                                 self.dir / "containerd.log", self._env())
        wait_for((self.dir / "cd.sock").exists, 20, "containerd's socket")

    # overlay2 cannot live on an overlay, which is what the lab stands on inside a container
    def _on_overlay(self):
        return subprocess.run(["stat", "-f", "-c", "%T", self.dir], capture_output=True,
                              text=True).stdout.strip() in ("overlayfs", "overlay", "UNKNOWN (0x794c7630)")

    def _assert_alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"dockerd {self.version} ended:\n{tail(self.log)}")

    def wait_ready(self, timeout=60):
        def answers():
            self._assert_alive()
            with contextlib.suppress(OSError, http.client.HTTPException):
                return unix_request(self.socket, "GET", "/_ping", timeout=5)[0] == 200
        wait_for(answers, timeout, f"dockerd {self.version} answers")
        if not self.api("GET", "/images/json"):
            self.load_image()

    def netns_path(self, pid):
        """Where the network namespace of a process is, whose number is the engine's."""
        return f"/proc/{pid}/ns/net"

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
        return end_process(self.process) if self.process else None

    def kill(self):
        """As a crash: containers keep running."""
        return end_process(self.process, signal.SIGKILL)

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
        """docker run -d of an echo-server called name on the ports of serve, or of a command. A server
        listens when this returns."""
        made = Container(self, self.docker("run -d --name", name, *args, image.TAG,
                                           command or f"echo-server {name} {serve}"), name)
        if not command:
            wait_for(made.said_ready, 20, f"the server in container {name} listens")
        return made

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
            end_process(self.process)
        if self.containerd:
            end_process(self.containerd)
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
            self._ns = Netns(self.engine.netns_path(pid), self.name)
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

    def said_ready(self):
        return "ready" in self.engine.api("GET", f"/containers/{self.id}/logs?stdout=1")

    def logs(self):
        return self.engine.docker("logs", self.id, check=False)

    def start(self):
        self.forget()
        self.engine.api("POST", f"/containers/{self.id}/start")

    def stop(self):
        self.forget()
        self.engine.api("POST", f"/containers/{self.id}/stop?t=2")

    def restart(self):
        self.forget()
        self.engine.api("POST", f"/containers/{self.id}/restart?t=2")

    def remove(self):
        self.forget()
        self.engine.api("DELETE", f"/containers/{self.id}?force=1&v=1")

    def forget(self):
        """The namespace of its process, which is another one after the engine has restarted it."""
        if self._ns:
            self._ns.close()
            self._ns = None
