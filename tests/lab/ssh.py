# SPDX-License-Identifier: GPL-2.0-or-later
"""A real sshd on a host of the lab, and the real ssh of who logs in there.

Both see an /etc/passwd of their own, in which root has another home: no key, known host or
configuration of this machine has a part in it, and nothing is written outside the lab.
"""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from .engine import engine_dirs
from .netns import AskError, wait_for
from .process import end_process, start_process

PASSWD = "root:x:0:0:root:{home}:/bin/sh\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
SHADOW = "root:*:19000:0:99999:7:::\n"


class Ssh:
    """An sshd on a host, which knows one command by its name: program = {"ipv6natctl": [word...]},
    and has the directory run as /run/ipv6nat. command(...) is what root of another host runs, who
    knows this one as name."""

    def __init__(self, lab, host, name, program, run):
        self.lab, self.host = lab, host
        self.dir = Path(tempfile.mkdtemp(prefix="s", dir=lab.dir))
        self.bin = self.dir / "bin"
        for directory in self.dir / ".ssh", self.bin:
            directory.mkdir(mode=0o700)
        for command, words in program.items():
            (self.bin / command).write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
            (self.bin / command).chmod(0o755)
        self._write_files(name)
        self.log = self.dir / "log"
        directory = Path(engine_dirs("sshd")[0])
        libraries = {str(path.parent) for path in directory.glob("tree/**/lib*.so.*")}
        lab.parts.append(self)
        self.process = start_process(
            host, self._private(f"mount -t tmpfs none /run && mkdir -m 755 /run/sshd /run/ipv6nat && "
                                f"mount --bind {run} /run/ipv6nat",
                                directory / "sshd", "-D", "-e", "-f", self.dir / "sshd_config"),
            self.log, {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)})
        wait_for(self._answers, 20, "sshd answers")

    def _write_files(self, name):
        for key in "host_key", ".ssh/id_ed25519":
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / key], check=True)
        files = {
            "passwd": PASSWD.format(home=self.dir), "shadow": SHADOW,
            "authorized_keys": (self.dir / ".ssh/id_ed25519.pub").read_text(),
            "sshd_config": f"HostKey {self.dir}/host_key\nPidFile none\nStrictModes no\n"
                           f"AuthorizedKeysFile {self.dir}/authorized_keys\nPermitRootLogin prohibit-password\n"
                           f'SetEnv "PATH={self.bin}:/usr/bin:/bin"\n',
            ".ssh/known_hosts": f"{self.host.v6} {(self.dir / 'host_key.pub').read_text()}",
            ".ssh/config": f"Host {name}\n  HostName {self.host.v6}\n  BatchMode yes\n  ConnectTimeout 10\n",
        }
        for file, text in files.items():
            (self.dir / file).write_text(text)

    # what is mounted is gone with the process
    def _private(self, mounts, *command):
        return ["unshare", "--mount", "sh", "-ec",
                f"mount --bind {self.dir}/passwd /etc/passwd; mount --bind {self.dir}/shadow /etc/shadow\n"
                f'{mounts}\nexec "$@"', "sh", *map(str, command)]

    def command(self, *command):
        return self._private("", *command)

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"sshd ended:\n{self.log.read_text()}")
        try:
            self.lab.router.connect(self.host.v6, 22).close()
        except AskError:
            return False
        return True

    def close(self):
        end_process(self.process)
        if self in self.lab.parts:
            self.lab.parts.remove(self)
