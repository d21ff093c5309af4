# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus, Debian's, on a host of the lab: who reads our metrics in earnest."""

import json
import subprocess
import urllib.parse

from .engine import engine_dirs
from .netns import wait_for
from .process import end_process, start_process, tail

CONFIG = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: {rules}
scrape_configs:
  - job_name: ipv6nat
    static_configs:
      - targets: ["{target}"]
"""


def promtool(*args, input=None):
    """promtool(1); the result has stdout, stderr and returncode."""
    return subprocess.run([f"{engine_dirs('prometheus')[0]}/promtool", *map(str, args)], input=input,
                          text=True, capture_output=True, timeout=60)


class Prometheus:
    """Scrapes one target every second. Not started by the constructor; raises Unavailable where it
    cannot be had."""

    ADDRESS = "[::1]:9090"

    def __init__(self, lab, target, host=None, rules=()):
        self.lab, self.host = lab, host or lab.host
        self.program = f"{engine_dirs('prometheus')[0]}/prometheus"
        self.dir = lab.dir / f"m{len(lab.parts)}"
        self.dir.mkdir()
        self.log = self.dir / "log"
        self.conf = self.dir / "prometheus.yml"
        self.conf.write_text(CONFIG.format(target=target, rules=json.dumps([str(r) for r in rules])))
        self.process = None
        lab.parts.append(self)

    def start(self):
        self.process = start_process(self.host, [
            self.program, f"--config.file={self.conf}", f"--storage.tsdb.path={self.dir}/data",
            f"--web.listen-address={self.ADDRESS}", "--log.level=warn"], self.log)
        wait_for(self._ready, 60, f"Prometheus is ready:\n{tail(self.log)}")
        return self

    def _get(self, path):
        done = self.host.run("curl", "-sg", f"http://{self.ADDRESS}{path}", check=False)
        return done.stdout

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Prometheus ended:\n{tail(self.log)}")
        return "is Ready" in self._get("/-/ready")

    def query(self, expression):
        """[(labels, value), ...] of an expression now."""
        answer = json.loads(self._get(f"/api/v1/query?query={urllib.parse.quote(expression)}"))
        if answer["status"] != "success":
            raise AssertionError(f"{expression}: {answer}")
        return [(found["metric"], float(found["value"][1])) for found in answer["data"]["result"]]

    def wait(self, expression, value, timeout=30):
        """Waits until the expression has exactly one result, with this value."""
        wait_for(lambda: [v for _, v in self.query(expression)] == [value], timeout,
                 f"{expression} is {value}", interval=0.2)

    def close(self):
        if self.process:
            end_process(self.process)
        if self in self.lab.parts:
            self.lab.parts.remove(self)
