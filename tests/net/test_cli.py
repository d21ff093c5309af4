# SPDX-License-Identifier: GPL-2.0-or-later
"""The two programs as an administrator, a service manager and a script meet them.

    client --- router === host1 (engine, network "ula" with the container web, published), host2

Property: what is promised on the command lines is kept: exit codes, messages with place and cure,
the notifications of a service, and documents that mean what the kernel does.
"""

import concurrent.futures
import json
import os
import pty
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab import Daemon, SocketRelay, Stream, outcome, tcp_ask, wait_for
from nftables import check_script, generation, tables

ULA, WEB = "fd00:6::/64", "fd00:6::2"


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab(hosts=2)
    # to reach what is not published
    lab.router.ip(f"route add {ULA} via {lab.host.v6}")
    return lab


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    engine = make_engine(module_lab)
    engine.network("ula", ULA)
    engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp", serve="tcp:80 udp:80 tcp:90")
    engine.network("empty", "fd00:7::/64", "--label ipv6nat.snat=2001:db8:77::1")
    return engine


@pytest.fixture
def engine(module_engine):
    """The module's engine with its containers, for all tests."""
    return module_engine


def sysctls(host):
    return host.run("sh", "-c", "cd /proc/sys/net/ipv6/conf && grep . */*forwarding */accept_ra").stdout


# -- a service --------------------------------------------------------------------------------

def test_notifications(daemon):
    """READY comes at once and does not wait for Docker; what is done is told; a reload is bracketed."""
    daemon.docker = "unix:///nowhere"
    daemon.start()
    assert daemon.notified[:1] == ["READY=1"]
    assert "STATUS=starting: no answer from Docker yet" in daemon.notified
    assert daemon.status()["state"] == "starting"
    daemon.reload()
    daemon.wait_notified("RELOADING=1")
    wait_for(lambda: daemon.notified[-1] == "READY=1" or daemon.notified.count("READY=1") == 2)
    reloading = daemon.notified.index("RELOADING=1")
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", daemon.notified[reloading + 1])
    assert "STOPPING=1" not in daemon.notified
    daemon.stop()
    assert daemon.notified[-1] == "STOPPING=1"


def test_status_line(running):
    """What systemctl status shows."""
    wait_for(lambda: any(re.match(r"STATUS=\w+: Docker 20\.10\.\S+, 3 networks, 1 containers, "
                                  "2 published ports$", line) for line in running.notified))


def test_watchdog(daemon):
    """Pings when the service manager asks for them, and none else (negative control)."""
    daemon.start().sync()
    assert "WATCHDOG=1" not in daemon.notified
    daemon.stop()
    daemon.env = {"WATCHDOG_USEC": "200000"}
    daemon.start()
    wait_for(lambda: daemon.notified.count("WATCHDOG=1") >= 4)


@pytest.mark.parametrize("signum", [2, 15])
def test_ends_by_signal(running, signum):
    """SIGINT and SIGTERM end it in peace; its socket goes, too."""
    assert running.control.exists()
    running.stop(signum)
    assert not running.control.exists()


def test_log_has_priorities(host, running):
    """Where standard error is no terminal every line begins with its priority, for the journal."""
    running.configure("[Nonsense]\n")
    assert running.ctl("reload").returncode == 1
    lines = running.log.read_text().splitlines()
    assert len(lines) >= 2 and all(re.match(r"<[3-6]>\S", line) for line in lines), lines
    # ... and on one there is none
    here, there = pty.openpty()
    try:
        done = host.popen(running.command("--check-config"), stdin=there, stdout=there, stderr=there)
        done.wait()
        assert b":1: unknown section" in (said := os.read(here, 4096)) and b"<" not in said
    finally:
        os.close(here)
        os.close(there)


def test_log_of_a_services_child(daemon):
    """What a service starts inherits the name of the service's log; it writes where it was told to."""
    daemon.configure("[Nonsense]\n")
    daemon.env = {"JOURNAL_STREAM": "1:2"}
    assert ":1: unknown section" in daemon.run("--once").stderr


def test_nobody_reads_the_log(running):
    """A daemon outlives the program that its log goes to."""
    running.stop()
    process = running.host.popen(running.command(), stderr=subprocess.PIPE)
    try:
        wait_for(lambda: running.ctl("status").returncode < 2)
        process.stderr.close()
        running.ctl("reload", check=True)  # is logged
        running.sync()
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait()


# -- configuration ----------------------------------------------------------------------------

BAD = {
    "[Daemon]\nBackend=iptables\n": ":2: ",
    "\n\n[Nonsense]\nx=1\n": ":3: unknown section",
    "[Firewall]\n\n# a comment\nUnpublish=drop\n": ":4: unknown key",
    "[Firewall]\nUnpublished=perhaps\n": ":2: ",
    "[Network]\nMode=nat\n": ":1: ",
    "Mode=nat\n": ":1: ",
    "[Docker]\nResyncSec=-1\n": ":2: ",
    "[Network x]\nSnat=192.0.2.1\n": ":2: ",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_configuration(daemon, text):
    """FILE:LINE: what, exit code 1, whatever is to be done; nothing is started."""
    daemon.configure(text)
    for args in "--check-config", "--dry-run", "--once", "":
        done = daemon.run(args)
        assert done.returncode == 1
        assert f"{daemon.conf}{BAD[text]}" in done.stderr and len(done.stderr.splitlines()) == 1
        # what editors read has no priority of the log before it
        assert args != "--check-config" or done.stderr.startswith(str(daemon.conf))
    # --cleanup has to work in any case
    assert daemon.run("--cleanup").returncode == 0


def test_backend_that_is_not_there(daemon):
    """--check-config names the line, without priorities of the log; --backend goes before it."""
    daemon.configure("[Daemon]\nBackend=ip6tables\n")
    done = daemon.run("--check-config")
    assert done.returncode == 1 and done.stderr.startswith(f"{daemon.conf}:2: Backend=ip6tables ")
    assert "<" not in done.stderr and "use nftables" in done.stderr
    assert daemon.run("--check-config", "--backend nftables").returncode == 0


def test_good_configuration(host, daemon):
    """--check-config says nothing about a good one, and does nothing else."""
    daemon.configure("[Network ula]\nMode=nat   ; a comment\n")
    before = generation(host)
    done = daemon.run("--check-config")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert generation(host) == before


def test_files(daemon):
    """A missing --config FILE is an error; FILE.d/*.conf are read in the order of their names, later
    ones win, and an error names its own file."""
    daemon.conf.unlink()
    done = daemon.run("--check-config")
    assert done.returncode == 1 and f"{daemon.conf}: No such file" in done.stderr
    daemon.configure("[Network ula]\nMode=routed\n")
    directory = Path(f"{daemon.conf}.d")
    directory.mkdir()
    (directory / "20-b.conf").write_text("[Network ula]\nMode=off\n")
    (directory / "10-a.conf").write_text("[Network ula]\nMode=nat\n")
    (directory / "30-c.conf.bak").write_text("[Nonsense]\n")
    assert daemon.run("--check-config").returncode == 0
    daemon.start().sync()
    assert daemon.find_network("ula")["mode"] == "off"
    (directory / "20-b.conf").unlink()
    daemon.ctl("reload", check=True)
    daemon.wait_status(lambda s: daemon.find_network("ula", s)["mode"] == "nat")
    (directory / "40-d.conf").write_text("[Daemon]\nNonsense=1\n")
    done = daemon.ctl("reload")
    assert done.returncode == 1 and f"{directory}/40-d.conf:2: unknown key" in done.stderr


@pytest.mark.parametrize("how", ["hangup", "ctl"])
def test_reload(lab, host, running, how):
    """A changed configuration takes effect under traffic, and costs none of it."""
    def reload():
        running.reload() if how == "hangup" else running.ctl("reload", check=True)
    assert outcome(tcp_ask, lab.client, WEB, 90, timeout=0.5) == "timeout"
    with Stream(lab.client, host.v6, 8080, interval_ms=2) as stream:
        running.configure("[Firewall]\nUnpublished=accept\n[Network empty]\nMode=off\n")
        reload()
        wait_for(lambda: outcome(tcp_ask, lab.client, WEB, 90) == f"web tcp:90 from {lab.client.v6}")
        assert running.find_network("empty")["mode"] == "off"
        stream.wait_more(20)
        running.configure("")
        reload()
        wait_for(lambda: outcome(tcp_ask, lab.client, WEB, 90, timeout=0.5) == "timeout")
        assert running.find_network("empty")["mode"] == "nat"
        stream.wait_more(20)
    assert stream.result["n_failed"] == 0


def test_reload_of_a_bad_configuration(host, running):
    """The old one stays in force; who asked is told, and so is the log."""
    running.configure("[Network ula]\nMode=off\n")
    running.ctl("reload", check=True)
    running.wait_status(lambda s: running.find_network("ula", s)["mode"] == "off")
    before = generation(host)
    running.configure("[Network ula]\nMode=nut\n")
    done = running.ctl("reload")
    assert done.returncode == 1 and f"{running.conf}:2: " in done.stderr
    running.reload()
    kept = f"Keeping the old configuration: {running.conf}:2: "
    wait_for(lambda: running.log.read_text().count(kept) == 2)
    running.sync()
    assert running.find_network("ula")["mode"] == "off" and generation(host) == before


def test_reload_of_an_address_that_cannot_be_used(host, daemon, monkeypatch):
    """As any other bad configuration, as often as it is asked for."""
    command = daemon.command
    monkeypatch.setattr(daemon, "command", lambda *args: [
        w for w in command(*args) if w not in ("--docker", daemon.docker)])
    good = f"[Docker]\nHost={daemon.docker}\n[Network ula]\nMode=off\n"
    daemon.configure(good)
    daemon.start()
    daemon.sync()
    daemon.configure("[Docker]\nHost=tcp://[::1]:2375/path\n")
    for _ in range(2):
        done = daemon.ctl("reload")
        assert done.returncode == 1 and f"{daemon.conf}:2: Host=tcp://[::1]:2375/path: " in done.stderr
    daemon.sync()
    assert daemon.status()["state"] == "ok" and daemon.find_network("ula")["mode"] == "off"
    daemon.configure(good)
    daemon.ctl("reload", check=True)
    daemon.sync()


# -- one-shot runs ----------------------------------------------------------------------------

def test_dry_run(lab, host, daemon):
    """Prints a script that nft loads and changes nothing; loaded, it is what the daemon wants: it
    recognises it and has nothing to do."""
    before, values = generation(host), sysctls(host)
    done = daemon.run("--dry-run", check=True)
    assert "fd00:6::2" in done.stdout
    check_script(host, done.stdout)
    document = json.loads(daemon.run("--dry-run --json", check=True).stdout)
    assert [n["mode"] for n in document["networks"]] == ["nat"] * 3
    assert generation(host) == before and sysctls(host) == values and tables(host) == [""]
    host.nft(input=done.stdout)
    daemon.start().sync()
    assert daemon.status()["backend"]["commits"] == 0 and generation(host) == before + 1
    # beside a running daemon, too
    assert daemon.run("--dry-run", check=True).stdout == daemon.ctl("plan", check=True).stdout
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"


OUTPUT = ["ipv6natd --dry-run", "ipv6natd --version", "ipv6natd --help", "ipv6natctl status",
          "ipv6natctl plan", "ipv6natctl version", "ipv6natctl help", "ipv6natctl monitor"]


@pytest.mark.parametrize("where", ["/dev/full", "&-"])
def test_output_that_cannot_be_written(host, running, where):
    """Said, and exit code 1: nobody takes half a script, or none, for the whole. Closed standard
    output is no place for what is opened next."""
    running.configure("[Pool x]\nRange=2001:db8:77::/64\n")
    running.ctl("reload", check=True)
    for line in OUTPUT:
        program, *args = line.split()
        command = running.command(*args) if program == "ipv6natd" else \
            [*running.ctl_program, "--control", running.control, *args]
        script = f"exec timeout 20 {shlex.join(map(str, command))} >{where}"
        done = host.run("sh", "-c", script, check=False)
        assert done.returncode == 1 and re.search("annot write", done.stderr), line


def test_once(lab, host, daemon):
    """Does what the daemon would do, and exits; the daemon then has nothing to do."""
    assert daemon.run("--once").returncode == 0
    assert tcp_ask(lab.client, host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    daemon.start().sync()
    assert daemon.status()["backend"]["commits"] == 0


def test_giving_up_without_an_engine(host, daemon):
    """--once and --dry-run do not wait for ever, say so, and leave what is there."""
    daemon.run("--once", check=True)
    before = generation(host)
    daemon.docker = "unix:///nowhere"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in pool.map(daemon.run, ["--once", "--dry-run"]):
            assert done.returncode == 1 and done.stdout == ""
            assert "No answer from the Docker engine" in done.stderr
            assert "--docker or DOCKER_HOST" in done.stderr
    assert generation(host) == before


def test_usage(daemon):
    """Exit code 2 for what cannot be meant; --help and --version need nothing at all."""
    for args in "--nonsense", "nonsense", "--once --dry-run", "--backend pf", "--config":
        done = daemon._run([*daemon.program, *args.split()], False, 20)
        assert done.returncode == 2 and done.stderr and not done.stdout, args
    for args in "--help", "--version":
        done = daemon._run([*daemon.program, args], False, 20)
        assert done.returncode == 0 and done.stdout.split()[0 if "v" in args else 1].startswith("ipv6natd")


# -- two of them ------------------------------------------------------------------------------

def test_one_per_namespace(lab, engine, host, running, make_daemon):
    """The second one is refused with process and cure; in another namespace it is welcome."""
    second = make_daemon()
    done = second.run()
    assert done.returncode == 1
    assert f"PID {running.process.pid}" in done.stderr and "systemctl stop ipv6natd" in done.stderr
    assert running.status()["state"] == "ok"
    elsewhere = Daemon(engine, host=lab.hosts[1])
    elsewhere.start()
    assert elsewhere.status()["version"] == running.status()["version"]
    # but not at the same socket
    third = Daemon(engine, host=lab.hosts[1])
    elsewhere.stop()
    third.control = running.control
    done = third.run()
    assert done.returncode == 1
    assert f"{running.control}: another ipv6natd is running" in done.stderr
    assert running.status()["state"] == "ok"
    third.wipe_rules()


def test_socket_in_the_way(daemon):
    """A dead socket is taken over; anything else at its place is not ours to remove."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(daemon.control))
        dead.listen()
    daemon.start().sync()
    daemon.stop()
    daemon.control.write_text("precious")
    done = daemon.run()
    assert done.returncode == 1 and f"{daemon.control}: is there and no socket" in done.stderr
    assert daemon.control.read_text() == "precious"


def test_without_permission(host, running):
    """The daemon without its capability, ipv6natctl as nobody: said in words, exit code 1."""
    running.stop()
    done = host.run("setpriv", "--bounding-set=-all", "--inh-caps=-all", *running.command(), check=False)
    assert done.returncode == 1 and "CAP_NET_ADMIN" in done.stderr
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        ctl = shutil.copy(running.ctl_program[-1], directory)
        running.control = Path(directory) / "socket"
        running.start()
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ctl]
        done = host.run(*nobody, "--control", running.control, "status", check=False)
        assert done.returncode == 1 and not done.stdout
        assert f"no permission to use {running.control}" in done.stderr and "root" in done.stderr
        running.stop()


# -- ipv6natctl -------------------------------------------------------------------------------

def test_exit_codes(engine, running):
    """0 fine, also with notices; 1 where something is wrong; 2 usage; 3 nobody there."""
    assert [p["severity"] for p in running.status()["problems"]] == ["warning"]
    for args in "status", "--json status":
        assert running.ctl(args).returncode == 1
    for args in "networks", "ports", "plan", "sync", "reload", "version", "help", "--version", "--help":
        done = running.ctl(args)
        assert done.returncode == 0 and done.stderr == "", args
    running.configure("[Pool x]\nRange=2001:db8:77::/64\n")
    running.ctl("reload", check=True)
    running.wait_status(lambda s: not s["problems"])
    assert running.ctl("status").returncode == 0
    running.host.nft("delete table ip6 ipv6nat")
    running.wait_status(lambda s: [p["severity"] for p in s["problems"]] == ["notice"])
    assert running.ctl("status").returncode == 0
    for args in "", "nonsense", "status more", "--json help", "-o MODE status", "-o NONSENSE networks", \
            "--nonsense", "--control= status":
        done = running.ctl(args)
        assert done.returncode == 2 and done.stderr and not done.stdout, args
    running.kill()
    for args in "status", "networks", "ports", "plan", "sync", "reload":
        done = running.ctl(args)
        assert done.returncode == 3 and "systemctl start ipv6natd" in done.stderr
    running.control.unlink()
    assert running.ctl("status").returncode == 3
    assert running.ctl("version").returncode == 0


def test_tables(running):
    """What a person reads names what is there; columns can be chosen, and headings left out."""
    out = running.ctl("status").stdout
    for word in "20.10.", "ula", "web", "8080", "address-refused", "2001:db8:77::1":
        assert word in out, out
    lines = running.ctl("--no-legend -o NETWORK,MODE networks").stdout.splitlines()
    assert sorted(line.split() for line in lines) == [["bridge", "nat"], ["empty", "nat"], ["ula", "nat"]]
    ports = running.ctl("ports").stdout
    assert re.search(r"web.*tcp.*8080.*80", ports) and re.search(r"web.*udp.*8080.*80", ports)
    assert "\033" not in out + ports


@pytest.mark.parametrize("verb", ["status", "networks", "ports", "addresses", "plan", "sync", "reload", "version"])
def test_json(running, verb):
    """--json is one JSON document, and nothing beside it."""
    done = running.ctl("--json", verb)
    json.loads(done.stdout)
    assert done.stderr == ""


DOCUMENT = {
    "version": str, "state": str, "uptime_s": float,
    "docker": {"host": str, "connected": bool, "version": str, "api": str, "events": int,
               "last_sync": str},
    "backend": {"name": str, "commits": int, "repairs": int, "elements": int},
    "uplinks": [{"interface": str, "up": bool, "mac": str, "prefixes": [str], "addresses": [str]}],
    "networks": [{"id": str, "name": str, "bridge": str, "subnets": [str], "mode": str, "reason": str,
                  "uplink": str, "snat": type(None), "prefix": type(None), "containers": [
                      {"id": str, "name": str, "address": str, "public": type(None), "ports": [
                          {"protocol": str, "host_address": str, "host_port": int,
                           "container_port": int, "connections": int}]}]}],
    "ndp": list,
    "problems": [{"code": str, "severity": str, "message": str, "cure": str}],
}


def fits(value, shape):
    """Keys may be added, none may be missing, and the types are as promised."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(key in value and fits(value[key], shape[key])
                                               for key in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    return isinstance(value, shape)


def test_document(lab, host, running):
    """The status document has every key that is promised, and says what is so."""
    tcp_ask(lab.client, host.v6, 8080)
    status = running.status()
    for key, shape in DOCUMENT.items():
        assert fits(status[key], shape), (key, status[key])
    assert status["uplinks"][0]["mac"] == host.mac and status["uplinks"][0]["addresses"] == [host.v6]
    ula = running.find_network("ula", status)
    assert ula["subnets"] == [ULA] and ula["containers"][0]["address"] == WEB
    counted = {p["protocol"]: p["connections"] for p in ula["containers"][0]["ports"]}
    assert counted == {"tcp": 1, "udp": 0}
    assert running.request("GET", "/v1/status")[0] == 200
    assert running.request("GET", "/healthz") == (200, "ok\n")
    assert running.request("GET", "/nonsense")[0] == 404
    assert running.request("GET", "/v1/sync")[0] == 405


# nft writes a prefix in another way than we encode it: it loads the whole address for it.
LINK_LOCAL = {"@nh,64,32 & 0xffc00000 == 0xfe800000": "ip6 saddr fe80::/10",
              "@nh,192,32 & 0xffc00000 == 0xfe800000": "ip6 daddr fe80::/10"}


def test_plan_is_what_the_kernel_holds(lab, host, running):
    """What plan prints, loaded elsewhere, makes the same tables."""
    held = tables(host)
    for ours, nfts in LINK_LOCAL.items():
        held = [part.replace(ours, nfts) for part in held]
    try:
        lab.client.nft(input=running.ctl("plan", check=True).stdout)
        assert tables(lab.client) == held
    finally:
        lab.client.nft("flush ruleset")


def test_sync_returns_after_the_kernel(lab, engine, host, daemon):
    """When sync returns, the kernel has what Docker has; also where no event has told of it."""
    with SocketRelay(engine.socket, lab.dir / "relay") as relay:
        daemon.docker = relay.url
        daemon.start().sync()
        relay.fault("stall", "/events")
        for port in 8090, 8091, 8092:
            container = engine.run("new", f"--network ula -p {port}:80")
            assert f"tcp . {port} " not in host.nft("list map ip6 ipv6nat publish_any")
            daemon.sync()
            assert f"tcp . {port} " in host.nft("list map ip6 ipv6nat publish_any")
            container.remove()
            daemon.sync()
            assert f"tcp . {port} " not in host.nft("list map ip6 ipv6nat publish_any")
        daemon.stop()
