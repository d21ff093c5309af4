# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes of the lab, and HTTP over a unix socket."""

import http.client
import shlex
import signal
import socket
import subprocess
from pathlib import Path


def words(args):
    """Arguments as one types them: every string is split as a shell would."""
    return [word for arg in args for word in shlex.split(str(arg))]


def tail(path, lines=40):
    try:
        return "\n".join(Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)


def start_process(ns, command, log, env=None):
    with open(log, "ab") as out:
        return ns.popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                        cwd="/", start_new_session=True)


def end_process(process, signum=signal.SIGTERM, timeout=30):
    """Ends a process of ours; its exit code."""
    if process.poll() is None:
        process.send_signal(signum)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


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
