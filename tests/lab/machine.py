# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole Debian with its own systemd on a host of the lab, and a Docker Engine as a service in it.

    lab = Lab()
    machine = Machine(lab)                      # not booted yet: its files are below machine.root
    machine.copy("build/ipv6natd", "/usr/sbin/ipv6natd")
    machine.boot()                              # in the namespace of lab.host, until "running"
    machine.systemctl("start ipv6natd")
    machine.run("ipv6natctl", "status").stdout
    machine.show("ipv6natd", "MainPID", "StatusText")
    engine = MachineEngine(machine).start()     # docker.service; else as any other Engine
    machine.power_off()                         # what is on its disk stays; boot() again
    lab.close()                                 # ends and removes all of it, also when the test failed

The machine shares the network namespace of its host, so lab.client and the others see it as they see
any host. systemd-nspawn runs it, with all of root's powers but for those over /proc/sys, of which
only /proc/sys/net is writable. Its first boot needs the network, for Debian's archive; the root file
system is kept in the lab's cache, and every machine writes to a layer of its own above it.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import itertools
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from . import image
from .engine import Engine
from .lab import Unavailable
from .netns import wait_for
from .process import end_process, tail, words

HERE = Path(__file__).resolve().parent

# Enough to boot, for the daemon, and for the Docker Engine of engines.sh.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "iproute2", "iptables", "nftables", "kmod", "procps",
            "ca-certificates", "libdevmapper1.02.1", "libseccomp2", "libsystemd0", "libcurl4",
            "libmnl0", "libnftnl11", "libjansson4", "libmicrohttpd12", "libinih1", "libsmartcols1")
# They belong to the hardware or to the machine this one runs on, or need a terminal.
MASKED = ("console-getty.service", "getty.target", "systemd-sysctl.service", "systemd-udevd.service",
          "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service",
          "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer",
          "dpkg-db-backup.timer", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
          "systemd-modules-load.service")

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()


def root_template(suite, packages):
    """A Debian root file system of the cache, made if it is not there. Nobody may write to it."""
    if not shutil.which("mmdebstrap"):
        raise Unavailable("mmdebstrap is not installed")
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    root = image.cache_dir() / f"machine-{suite}-{digest}"
    root.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{root}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            unfinished = Path(f"{root}.new")
            shutil.rmtree(unfinished, ignore_errors=True)
            mirror = subprocess.run([HERE / "engines.sh", "--mirror"], capture_output=True, text=True)
            done = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase",
                                   f"--include={','.join(packages)}", suite, unfinished,
                                   mirror.stdout.strip()], capture_output=True, text=True)
            if done.returncode:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise Unavailable(f"cannot make a root file system of {suite}: {done.stderr[-500:]}")
            unfinished.rename(root)
    return root


class Machine:
    """A Debian system on a host of the lab. Not booted by the constructor.

    root: its file system, to read and to write before it boots and while it runs; what systemd
    mounts on it (/run, /proc) is seen at path() only. packages: more Debian packages.
    """

    def __init__(self, lab, host=None, suite="bookworm", packages=()):
        if not shutil.which("systemd-nspawn"):
            raise Unavailable("systemd-nspawn is not installed")
        self.lab, self.host = lab, host or lab.host
        self.name = f"{lab.dir.name}-m{next(_serial)}"
        self.dir = lab.dir / self.name
        self.log = self.dir / "console.log"
        self.process = self.leader = None
        template = root_template(suite, (*PACKAGES, *packages))
        self.root = mount_layer(template, self.dir)
        lab.parts.append(self)
        self._prepare()

    def _prepare(self):
        for unit in MASKED:
            link = self.root / "etc/systemd/system" / unit
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")
        self.write("/etc/hostname", "machine\n")
        self.write("/etc/machine-id", "")

    def boot(self, timeout=90):
        """Boots it, or boots it again; returns when systemd has started all there is to start."""
        # What nspawn notes about machines in there goes with it, also when it is killed.
        command = ["unshare", "--mount", "--propagation=slave", "sh", "-euc",
                   'mkdir -p "$1"; mount -t tmpfs nspawn "$1"; shift; exec "$@"', "sh",
                   "/run/systemd/nspawn", "systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}",
                   f"--machine={self.name}", "--register=no", "--keep-unit", "--console=pipe",
                   f"--network-namespace-path={self.host.path}", "--capability=all",
                   "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--settings=no",
                   f"--bind={self.lab.dir}:{self.lab.dir}:norbind",
                   f"--bind-ro={image.cache_dir() / 'engines'}"]
        # keyctl() and bpf(), which an engine needs, are there as on a host
        env = {**os.environ, "SYSTEMD_SECCOMP": "0", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env=env, cwd="/", start_new_session=True,
                                            preexec_fn=lambda: _enter_cgroup(
                                                self.lab.dir.name, self.name))
        self.leader = wait_for(self._find_leader, timeout, f"{self.name} starts")
        state = wait_for(self._settled, timeout, f"{self.name} has booted", interval=0.1)
        if state != "running":
            raise RuntimeError(f"{self.name} is {state}:\n{self.systemctl('--failed', check=False)}\n"
                               f"{tail(self.log)}")
        return self

    # nspawn's child that is process 1 in there, once it is systemd.
    def _find_leader(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"systemd-nspawn ended:\n{tail(self.log)}")
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                if re.search(r"^NSpid:.*\t1$", status, re.M) and status.startswith("Name:\tsystemd\n"):
                    return int(child)
        return None

    def _settled(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended:\n{tail(self.log)}")
        state = self.systemctl("is-system-running", check=False)
        return state if state in ("running", "degraded", "maintenance", "stopping") else None

    def running(self):
        return self.process is not None and self.process.poll() is None

    # -- from outside -------------------------------------------------------------------------

    def path(self, inside):
        """A path of the running machine as seen from here: path("/run/docker.sock")."""
        return Path(f"/proc/{self.leader}/root") / str(inside).lstrip("/")

    def copy(self, source, inside, mode=0o755):
        """Copies a file into the machine's disk."""
        target = self.root / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(mode)

    def write(self, inside, text, mode=0o644):
        """Writes a file to the machine's disk."""
        target = self.root / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(text)
        target.chmod(mode)

    # -- inside -------------------------------------------------------------------------------

    def run(self, *command, check=True, input=None, timeout=60, env=None):
        """Runs a command as root in the machine; the result has stdout and stderr as text."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.leader), "--all", "--root", "--wd=/", "--",
             *map(str, command)], text=True, capture_output=True, timeout=timeout,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **(env or {})},
            **({"input": input} if input is not None else {"stdin": subprocess.DEVNULL}))
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))} in {self.name}: exit code "
                               f"{done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def systemctl(self, *args, check=True, timeout=120):
        """systemctl; strings are split as a shell would. Returns what it prints."""
        done = self.run("systemctl", "--no-pager", *words(args), check=check, timeout=timeout)
        return (done.stdout if check else done.stdout + done.stderr).strip()

    def show(self, unit, *properties):
        """Properties of a unit, as the manager has them: {name: text}."""
        lines = self.systemctl("show", unit, f"--property={','.join(properties)}").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def is_active(self, unit):
        return self.systemctl("is-active", unit, check=False) == "active"

    def journal(self, unit):
        """What a unit has said since the machine booted."""
        return self.run("journalctl", "--no-pager", "--boot", "--output=cat", f"--unit={unit}").stdout

    def report(self):
        """(title, text) for a failed test."""
        if not self.running():
            return f"end of {self.log}", tail(self.log)
        units = self.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "ipv6nat*").stdout
        return f"journal of {self.name}", units + self.run(
            "journalctl", "--no-pager", "--lines=60", "--output=short-precise", "_PID=1", "+",
            "_COMM=ipv6natd", "+", "_COMM=ipv6natctl", check=False).stdout

    # -- its end ------------------------------------------------------------------------------

    def power_off(self, timeout=60):
        """As the button does: services are stopped in order."""
        self.systemctl("poweroff", check=False)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._kill()
        self.process = self.leader = None

    def _kill(self):
        if self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)
        end_process(self.process, timeout=10)

    def close(self):
        """As pulling the plug. What is mounted and written goes with the lab."""
        if self in self.lab.parts:
            self.lab.parts.remove(self)
        if self.running():
            self._kill()
        self.process = self.leader = None


def mount_layer(template, directory):
    """A copy of template below a directory of the lab, which is made: what is written stays there."""
    root, upper, work = (directory / name for name in ("root", "upper", "work"))
    for path in root, upper, work:
        path.mkdir(parents=True)
    options = f"lowerdir={template},upperdir={upper},workdir={work}"
    if _libc.mount(b"overlay", str(root).encode(), b"overlay", 0, options.encode()) < 0:
        raise Unavailable(f"cannot mount an overlay: {os.strerror(ctypes.get_errno())}")
    return root


# Machines must not share a control group: each systemd takes the one it starts in for the whole.
# Version 1 has a hierarchy per controller, version 2 one for all. They go with the lab.
def _enter_cgroup(*names):
    top = Path("/sys/fs/cgroup")
    hierarchies = [top] if (top / "cgroup.procs").exists() else top.glob("*/")
    for group in hierarchies:
        with contextlib.suppress(OSError):
            for name in names:
                parent, group = group, group / name
                group.mkdir(exist_ok=True)
                for inherited in "cpuset.cpus", "cpuset.mems":
                    if (group / inherited).exists():
                        (group / inherited).write_text((parent / inherited).read_text())
            (group / "cgroup.procs").write_text(str(os.getpid()))


# -- the engine -----------------------------------------------------------------------------------

class MachineEngine(Engine):
    """The lab's Docker Engine as containerd.service and docker.service of a booted machine, where it
    listens as usual at /run/docker.sock too. Everything else is as with any other Engine."""

    def __init__(self, machine, **options):
        self.machine = machine
        config = {"hosts": [], **options.pop("config", {})}
        super().__init__(machine.lab, machine.host, config=config, **options)
        self.config["hosts"] = [self.url, "unix:///run/docker.sock"]
        self.config["pidfile"] = "/run/docker.pid"
        # Control groups of containers are below the machine's.
        del self.config["cgroup-parent"]
        self._install()

    def _install(self):
        path = ":".join([*self.bin, "/usr/sbin:/usr/bin:/sbin:/bin"])
        common = f"Environment=PATH={path}\nDelegate=yes\nKillMode=process\nOOMScoreAdjust=-500\n"
        self._write_containerd_config()
        # Version 1: nspawn gives all hierarchies but systemd's own read-only.
        self.machine.write("/etc/systemd/system/containerd.service", f"""[Unit]
Description=containerd container runtime
After=network.target
[Service]
{common}Type=notify
ExecStartPre=-/bin/sh -c 'for g in /sys/fs/cgroup/*/; do mount -o remount,bind,rw $$g; done'
ExecStart={self.bin[-1]}/containerd --config {self.dir}/containerd.toml
""")
        self.machine.write("/etc/systemd/system/docker.service", f"""[Unit]
Description=Docker Application Container Engine
After=network-online.target containerd.service
Wants=network-online.target containerd.service
[Service]
{common}Type=notify
ExecStart={self.bin[0]}/dockerd --config-file {self.dir}/daemon.json
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutStartSec=0
Restart=always
RestartSec=2
[Install]
WantedBy=multi-user.target
""")
        for link in ("docker", "dockerd", "containerd"):
            target = self.bin[-1] if link != "dockerd" else self.bin[0]
            path = self.machine.root / "usr/bin" / link
            path.unlink(missing_ok=True)
            path.symlink_to(f"{target}/{link}")

    def start(self, wait=True):
        self.configure()
        if self.machine.running():
            self.machine.systemctl("daemon-reload")
            self.machine.systemctl("start docker")
            if wait:
                self.wait_ready()
        return self

    def stop(self):
        self.machine.systemctl("stop docker")

    def kill(self):
        self.machine.systemctl("kill --signal=KILL --kill-who=main docker")

    def reload(self):
        self.machine.systemctl("reload docker")

    def running(self):
        return self.machine.running() and self.machine.is_active("docker")

    def report(self):
        return f"journal of docker on {self.machine.name}", "\n".join(
            self.machine.journal("docker").splitlines()[-20:]) if self.machine.running() else ""

    def _assert_alive(self):
        if not self.running():
            raise RuntimeError(f"docker.service ended:\n{self.machine.journal('docker')}")

    def netns_path(self, pid):
        return self.machine.path(f"/proc/{pid}/ns/net")

    def close(self):
        if self in self.lab.parts:
            self.lab.parts.remove(self)
