# SPDX-License-Identifier: GPL-2.0-or-later
"""ndppd 0.2.5, Debian's, on a host of the lab: what we are compared with."""

from .engine import engine_dirs
from .process import end_process, start_process


class Ndppd:
    """Answers for every address of a prefix on an interface of the host, by a static rule. Not
    started by the constructor; raises Unavailable where it cannot be had."""

    def __init__(self, lab, prefix, host=None, interface="eth0"):
        self.lab, self.host = lab, host or lab.host
        self.program = f"{engine_dirs('ndppd')[0]}/ndppd"
        self.dir = lab.dir / f"n{len(lab.parts)}"
        self.dir.mkdir()
        self.log = self.dir / "log"
        self.conf = self.dir / "ndppd.conf"
        self.conf.write_text(f"proxy {interface} {{\n  rule {prefix} {{\n    static\n  }}\n}}\n")
        self.process = None
        lab.parts.append(self)

    def start(self):
        self.process = start_process(self.host, [self.program, "-c", self.conf], self.log)
        return self

    def close(self):
        if self.process:
            end_process(self.process)
        if self in self.lab.parts:
            self.lab.parts.remove(self)
