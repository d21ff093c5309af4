# SPDX-License-Identifier: GPL-2.0-or-later
"""A program on a terminal of a given size."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading


class Terminal:
    """Runs a command with a terminal as its standard input, output and error; text is what it has
    shown, lines without what the terminal adds. command: words; ns: where, None: here."""

    def __init__(self, command, ns=None, columns=80, rows=24, env=None):
        self._here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._received = b""
        popen = ns.popen if ns else subprocess.Popen
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        env = {**inherited, "TERM": "xterm", "INPUTRC": "/dev/null", **(env or {})}
        try:
            self.process = popen([str(word) for word in command], stdin=there, stdout=there,
                                 stderr=there, env=env, start_new_session=True)
        finally:
            os.close(there)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        # the terminal is an error to its reader when the last of its users is gone
        with contextlib.suppress(OSError):
            while piece := os.read(self._here, 65536):
                self._received += piece

    @property
    def text(self):
        return self._received.decode(errors="replace").replace("\r\n", "\n")

    def type(self, text):
        os.write(self._here, text.encode())

    def wait(self, timeout=60):
        """Its exit code, after all it has shown has been read."""
        try:
            self.process.wait(timeout)
            self._reader.join(timeout)
        finally:
            self.close()
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        if self._here >= 0:
            os.close(self._here)
            self._here = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
