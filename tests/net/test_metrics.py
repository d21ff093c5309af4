# SPDX-License-Identifier: GPL-2.0-or-later
"""What Prometheus gets to know.

    client --- router === host (engine, daemon, Prometheus)
    networks: "ula" fd00:6::/64 (web, published), "own" 2001:db8:1:0:d0::/80, a part of the on-link prefix

Property: /metrics is what the status, the kernel's counters and the wire say, in a format that
promtool has nothing against; Prometheus itself reads it; the TCP port shows that and nothing else.
"""

import re
import shutil
from pathlib import Path

import pytest

from lab import Prometheus, SocketRelay, promtool, tcp_ask, wait_for
from neighbours import Wire, solicitation

TOP = Path(__file__).resolve().parents[2]
ADDRESS = "[::1]:9469"
LISTEN = f"[Metrics]\nListen={ADDRESS}\n"
TARGET, NOBODY = "2001:db8:1:0:d0::2", "2001:db8:1:0:d0::99"
PORT = {"network": "ula", "container": "web", "protocol": "tcp", "host_address": "::", "host_port": "8080"}


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    engine = make_engine(module_lab)
    engine.network("ula", "fd00:6::/64")
    engine.run("web", "--network ula -p 8080:80")
    engine.network("own", "2001:db8:1:0:d0::/80")
    engine.run("near", f"--network own --ip6 {TARGET}")
    return engine


@pytest.fixture
def engine(module_engine):
    """The module's engine with its containers, for all tests."""
    return module_engine


@pytest.fixture
def daemon(daemon):
    daemon.configure(LISTEN)
    return daemon


SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def read_metrics(text):
    """{(name, ((label, value), ...)): number}; no sample may be there twice."""
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            key = name, tuple(sorted(LABEL.findall(labels or "")))
            assert key not in samples, key
            samples[key] = float(value)
    return samples


class Metrics:
    """One reading of a daemon's metrics: metrics["NAME", label="value"]."""

    def __init__(self, daemon):
        status, self.text = daemon.request("GET", "/metrics")
        assert status == 200
        self.samples = read_metrics(self.text)

    def get(self, name, **labels):
        return self.samples[name, tuple(sorted(labels.items()))]


def curl(host, path, *args):
    """(HTTP status or 0 without a connection, body) by TCP."""
    done = host.run("curl", "-sg", "-w", "\n%{http_code}", *args, f"http://{ADDRESS}{path}", check=False)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


# -- values -----------------------------------------------------------------------------------

def test_promtool_has_no_complaint(running):
    done = promtool("check", "metrics", input=Metrics(running).text)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # ... which it would say
    done = promtool("check", "metrics", input="# TYPE ipv6nat_commits counter\nipv6nat_commits 1\n")
    assert done.returncode != 0


def test_status_and_metrics_agree(running):
    metrics, status = Metrics(running), running.status()
    assert metrics.get("ipv6nat_build_info", version=status["version"]) == 1
    assert metrics.get("ipv6nat_state", state=status["state"]) == 1
    assert metrics.get("ipv6nat_docker_connected") == 1
    assert metrics.get("ipv6nat_docker_info", version=status["docker"]["version"],
                       api=status["docker"]["api"]) == 1
    assert metrics.get("ipv6nat_elements") == status["backend"]["elements"]
    assert metrics.get("ipv6nat_commits_total") == status["backend"]["commits"] == 1
    assert metrics.get("ipv6nat_commit_errors_total") == 0
    for mode in "nat", "proxy", "off":
        assert metrics.get("ipv6nat_networks", mode=mode) == \
            sum(n["mode"] == mode for n in status["networks"])
    assert metrics.get("ipv6nat_containers") == 2
    assert metrics.get("ipv6nat_ports", state="active") == 1
    assert metrics.get("ipv6nat_uplink_up", interface="eth0") == 1
    assert metrics.get("ipv6nat_ndp_targets", interface="eth0") == 1
    now = float(running.host.run("date", "+%s").stdout)
    assert now - 60 <= metrics.get("ipv6nat_last_sync_timestamp_seconds") <= now + 1
    assert now - 60 <= metrics.get("process_start_time_seconds") <= now + 1
    rss = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{running.process.pid}/status").read_text())[1]
    assert metrics.get("process_resident_memory_bytes") == pytest.approx(int(rss) * 1024, rel=0.2)


def test_connections_are_counted(lab, host, running):
    before = Metrics(running).get("ipv6nat_port_connections_total", **PORT)
    for _ in range(7):
        tcp_ask(lab.client, host.v6, 8080)
    assert Metrics(running).get("ipv6nat_port_connections_total", **PORT) == before + 7


def test_repairs_are_counted(host, running):
    before = Metrics(running)
    host.nft("delete table ip6 ipv6nat")
    wait_for(lambda: Metrics(running).get("ipv6nat_repairs_total") == 1)
    after = Metrics(running)
    assert after.get("ipv6nat_commits_total") == before.get("ipv6nat_commits_total") + 1
    assert after.get("ipv6nat_problems", code="foreign-repair", severity="notice") == 1
    assert not [key for key in before.samples if ("code", "foreign-repair") in key[1]]


def test_configuration_is_counted(running):
    assert Metrics(running).get("ipv6nat_config_reads_total") == 1
    running.configure(f"{LISTEN}[Nonsense]\n")
    assert running.ctl("reload").returncode == 1
    assert Metrics(running).get("ipv6nat_config_errors_total") == 1
    assert Metrics(running).get("ipv6nat_config_reads_total") == 1


def test_solicitations_are_counted(lab, running):
    """Three for a container, one whose checksum is wrong; the last one proves that all were seen."""
    def difference(name, **labels):
        return Metrics(running).get(name, interface="eth0", **labels) - \
            before.get(name, interface="eth0", **labels)
    good = solicitation(TARGET)
    bad = good[:-1] + bytes([good[-1] ^ 1])
    with Wire(lab.router, "h1") as wire:
        wire.answers(good, TARGET)
        before = Metrics(running)
        wire.answers([good, bad, good], TARGET)
        wait_for(lambda: difference("ipv6nat_ndp_advertisements_total") == 3)
    assert difference("ipv6nat_ndp_solicitations_total") == 4
    assert difference("ipv6nat_ndp_dropped_total", reason="checksum") == 1
    assert difference("ipv6nat_ndp_dropped_total", reason="hop-limit") == 0


def test_latency(engine, running):
    """Each commit that an event caused counts once; what nobody's event caused does not."""
    def count():
        return Metrics(running).get("ipv6nat_event_to_rule_seconds_count")
    before = Metrics(running)
    running.host.nft("delete table ip6 ipv6nat")
    wait_for(lambda: Metrics(running).get("ipv6nat_repairs_total") == 1)
    assert count() == before.get("ipv6nat_event_to_rule_seconds_count")
    start = count()
    container = engine.run("new", "--network ula -p 8090:80")
    wait_for(lambda: count() >= start + 1)
    container.remove()
    wait_for(lambda: count() >= start + 2)
    running.sync()
    after = Metrics(running)
    commits = after.get("ipv6nat_commits_total") - before.get("ipv6nat_commits_total") - 1
    assert count() == start + commits == after.get("ipv6nat_event_to_rule_seconds_bucket", le="+Inf")
    # not a time in other units: none took no time at all, none took longer than the test
    assert 0 < after.get("ipv6nat_event_to_rule_seconds_sum") < 60
    assert after.get("ipv6nat_docker_events_total", type="network") > \
        before.get("ipv6nat_docker_events_total", type="network")


def test_engine_gone(lab, engine, host, daemon):
    with SocketRelay(engine.socket, lab.dir / "relay") as relay:
        daemon.docker = relay.url
        daemon.start().sync()
        tcp_ask(lab.client, host.v6, 8080)
        relay.down()
        wait_for(lambda: Metrics(daemon).get("ipv6nat_docker_connected") == 0)
        metrics = Metrics(daemon)
        assert metrics.get("ipv6nat_state", state="degraded") == 1
        assert metrics.get("ipv6nat_docker_errors_total") > 0
        assert metrics.get("ipv6nat_problems", code="docker-disconnected", severity="error") == 1
        assert metrics.get("ipv6nat_port_connections_total", **PORT) >= 1  # what is known stays
        assert curl(host, "/healthz") == (503, "degraded\n")
        relay.up()
        wait_for(lambda: Metrics(daemon).get("ipv6nat_docker_connected") == 1)
        daemon.stop()


# -- the port ---------------------------------------------------------------------------------

def test_port_shows_nothing_else(host, running):
    status, body = curl(host, "/metrics")
    assert status == 200 and "ipv6nat_build_info" in body
    assert curl(host, "/healthz") == (200, "ok\n")
    for path in "/", "/v1/status", "/v1/plan", "/v1/events", "/v1/sync", "/v1/reload", "/metrics/":
        assert curl(host, path)[0] == 404, path
        assert curl(host, path, "-d", "x")[0] == 404, path
    assert curl(host, "/metrics", "-d", "x")[0] == 405


def test_port_follows_the_configuration(host, running):
    """Opened and closed by a reload; where it cannot be had, this is said, and all else goes on."""
    running.configure("")
    running.ctl("reload", check=True)
    assert curl(host, "/metrics")[0] == 0
    # IPv4 as well
    running.configure("[Metrics]\nListen=127.0.0.1:9470\n")
    running.ctl("reload", check=True)
    assert "ipv6nat_build_info" in host.run("curl", "-s", "http://127.0.0.1:9470/metrics").stdout
    taken = host.popen(["python3", "-c", "import socket\n"
                        "s = socket.create_server(('::1', 9469), family=socket.AF_INET6)\n"
                        "print(flush=True)\ninput()"], stdin=-1, stdout=-1)
    try:
        taken.stdout.readline()
        running.configure(LISTEN)
        running.ctl("reload", check=True)
        problem, = [p for p in running.status()["problems"] if p["code"] == "metrics-listen"]
        assert problem["severity"] == "warning" and "Address already in use" in problem["message"]
        assert f"{ADDRESS}: cannot listen: Address already in use" in running.log.read_text()
        running.sync()
    finally:
        taken.communicate(b"\n")
    running.ctl("reload", check=True)
    assert curl(host, "/metrics")[0] == 200
    assert "metrics-listen" not in [p["code"] for p in running.status()["problems"]]
    # a reload that changes nothing interrupts nobody
    running.ctl("reload", check=True)
    assert running.log.read_text().count(f"are open at {ADDRESS}") == 2


# -- Prometheus -------------------------------------------------------------------------------

def test_prometheus(lab, host, running):
    """It scrapes, and answers queries with what is so; the alert rules load, and one of them fires."""
    prometheus = Prometheus(lab, ADDRESS, rules=[TOP / "contrib/prometheus/ipv6nat.rules.yml"])
    try:
        prometheus.start()
        prometheus.wait('up{job="ipv6nat"}', 1)
        prometheus.wait("ipv6nat_docker_connected", 1)
        labels = ",".join(f'{k}="{v}"' for k, v in PORT.items())
        connections = f"ipv6nat_port_connections_total{{{labels}}}"
        before = int(Metrics(running).get("ipv6nat_port_connections_total", **PORT))
        for _ in range(5):
            tcp_ask(lab.client, host.v6, 8080)
        prometheus.wait(connections, before + 5)
        prometheus.wait('count(ALERTS{alertname="Ipv6natDown"}) or vector(0)', 0)
        running.stop()
        prometheus.wait('count(ALERTS{alertname="Ipv6natDown",alertstate="pending"})', 1)
    finally:
        prometheus.close()


def test_alert_rules(tmp_path):
    """promtool finds them well-formed, and each of them fires when it should and only then."""
    shutil.copytree(TOP / "contrib/prometheus", tmp_path, dirs_exist_ok=True)
    done = promtool("check", "rules", tmp_path / "ipv6nat.rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("test", "rules", tmp_path / "ipv6nat.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    rules = (tmp_path / "ipv6nat.rules.yml").read_text()
    tested = (tmp_path / "ipv6nat.test.yml").read_text()
    for alert in re.findall(r"alert: (\w+)", rules):
        assert f'alertname="{alert}"' in tested, alert
