# SPDX-License-Identifier: GPL-2.0-or-later
"""ipv6natd on a host of the lab, and ipv6natctl beside it."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from .netns import wait_for
from .process import end_process, start_process, tail, unix_request, words

TOP = Path(__file__).resolve().parents[2]


def program(variable, built):
    """A program of ours as a command: from the environment, where a wrapper may stand before it
    (IPV6NATD="valgrind -q build/ipv6natd"), else what make has built."""
    command = shlex.split(os.environ.get(variable, "")) or [str(TOP / built)]
    if not shutil.which(command[0]):
        raise RuntimeError(f"{command[0]} is missing: build it first, or name it in {variable}")
    # the daemon runs in another directory
    return [os.path.abspath(word) if "/" in word and os.path.exists(word) else word for word in command]


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
        self.program = program("IPV6NATD", "build/ipv6natd")
        self.ctl_program = program("IPV6NATCTL", "build/ipv6natctl")
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
        return [*self.program, "--docker", self.docker, "--control", str(self.control),
                "--config", str(self.conf), *self.args, *words(args)]

    def environment(self):
        return {**os.environ, **self.env}

    def start(self, wait=True, timeout=30):
        """Starts it and waits for READY=1, as systemd would."""
        if self.running():
            raise RuntimeError("the daemon is running already")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.dir / f"notify{len(list(self.dir.glob('notify*')))}"
        self._notify.bind(str(path))
        self.notified = []
        self._notify_reader = threading.Thread(target=self._collect_notified, daemon=True,
                                               args=(self._notify, self.notified))
        self._notify_reader.start()
        env = {**self.environment(), "NOTIFY_SOCKET": str(path)}
        self.process = start_process(self.host, self.command(), self.log, env)
        if wait:
            self.wait_notified("READY=1", timeout)
        return self

    def wait_notified(self, text, timeout=30):
        """Waits for a line of the sd_notify protocol, since the start of the daemon."""
        def seen():
            if text in self.notified:
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"ipv6natd ended with {self.process.returncode} "
                                     f"before {text}:\n{tail(self.log)}")
        wait_for(seen, timeout, f"ipv6natd says {text}", interval=0.001)

    # As systemd does, all the time: the queue is short, and who sends to a full one waits.
    @staticmethod
    def _collect_notified(sock, lines):
        with contextlib.suppress(OSError):
            while text := sock.recv(8192):
                lines += text.decode().splitlines()

    def _end_notify(self):
        # what was sent before is still read; close alone would not wake the thread in recv()
        with contextlib.suppress(OSError):
            self._notify.shutdown(socket.SHUT_RDWR)
        self._notify_reader.join()
        self._notify.close()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def run(self, *args, check=False, timeout=60):
        """The daemon's program in the foreground: run("--once"), run("--dry-run"), run("--cleanup")."""
        return self._run(self.command(*args), check, timeout)

    def ctl(self, *args, check=False, timeout=60):
        """ipv6natctl, on the daemon's host; the result has stdout, stderr and returncode."""
        return self._run([*self.ctl_program, "--control", str(self.control), *words(args)], check, timeout)

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
        code = end_process(self.process, signum)
        self.process = None
        self._end_notify()
        assert crashed is None, f"ipv6natd had ended with {crashed}:\n{tail(self.log)}"
        self.assert_clean(self.log.read_text(errors="replace"), str(self.log))
        assert code == 0, f"ipv6natd: exit code {code} on signal {signum}:\n{tail(self.log)}"

    def kill(self):
        """kill -9; the rules stay."""
        end_process(self.process, signal.SIGKILL)
        self.process = None
        self._end_notify()

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
            end_process(self.process)


def end_daemons(daemons):
    """Stops them and takes their rules away, also when one of them does not go in peace."""
    try:
        for daemon in daemons:
            daemon.stop()
    finally:
        for daemon in daemons:
            daemon.close()
            daemon.wipe_rules()
