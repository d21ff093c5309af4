# SPDX-License-Identifier: GPL-2.0-or-later
"""ipv6natctl as an operator meets it: on a screen, from another host, for hours.

    client --- router === host1 (engine with three containers, daemon, sshd)

Property: a screen is enough for a small host and readable for a big one; another host's daemon is
as near as one's own; what happens is shown as it happens; a shell knows what can be typed.
"""

import contextlib
import json
import re
import signal
import socketserver
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from lab import Daemon, Ssh, Terminal, engine_dirs, wait_for
from lab.daemon import TOP

COMPLETION = TOP / "contrib/completion"
ESCAPE = re.compile(r"\033\[[0-9;]*m")


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    engine = make_engine(module_lab)
    engine.network("ula", "fd00:6::/64")
    engine.network("direct", "2001:db8:1:0:d0::/80")
    engine.run("web", "--network ula -p 8080:80 -p 8080:80/udp -p 8443:443")
    engine.run("database", "--network ula")
    engine.run("shop", "--network direct -p 80:80")
    return engine


@pytest.fixture
def engine(module_engine):
    """The module's engine with its containers, for all tests."""
    return module_engine


@pytest.fixture
def daemon(daemon):
    """Its socket has the name by which another host looks for it."""
    daemon.control = daemon.dir / "control.sock"
    return daemon


def on_screen(daemon, *args, **options):
    """(exit code, what a terminal shows) of ipv6natctl."""
    command = [*daemon.ctl_program, "--control", daemon.control, *args]
    with Terminal(command, daemon.host, **options) as terminal:
        return terminal.wait(), terminal.text


def lines_of(text, columns=80):
    lines = ESCAPE.sub("", text).rstrip("\n").split("\n")
    assert max(map(len, lines)) <= columns, text
    return lines


# -- a screen ---------------------------------------------------------------------------------

def test_status_of_a_small_host(running):
    """One engine, three networks, three containers: all on a screen of 80 by 24, with its prompt."""
    code, text = on_screen(running, "status")
    lines = lines_of(text)
    assert code == 0 and len(lines) < 24, text
    assert lines[0].startswith("ok: Docker 20.10.")
    for word in "ula", "direct", "web", "database", "shop", "8080->80/tcp", "8443->443/tcp":
        assert re.search(rf"\b{word}\b", text), text


def test_colours(running):
    """On a terminal, unless somebody does not want them."""
    assert "\033[" in on_screen(running, "status")[1]
    assert "\033" not in on_screen(running, "--no-color", "status")[1]
    assert "\033" not in on_screen(running, "status", env={"NO_COLOR": "1"})[1]
    assert "\033" not in on_screen(running, "status", env={"TERM": "dumb"})[1]
    assert "\033" not in running.ctl("status").stdout


def big_document(n_networks, n_containers):
    """A status document; what it has is the contract, so it need not come from an engine."""
    def container(network, n):
        return {"id": f"{network:02x}{n:02x}" * 16, "name": f"project{network}_service_{n}",
                "address": f"fd00:{network:x}::{n:x}", "public": None, "answered": None,
                "ports": [{"protocol": "tcp", "host_address": "::", "host_port": 8000 + n,
                           "container_port": 80, "connections": n, "state": "active"}]}

    def problem(code, severity, n):
        return {"code": code, "severity": severity,
                "message": f"container project{n}: " + "something with many words " * 6,
                "cure": "do what the manual says " * 4}

    return {
        "version": "9", "state": "degraded", "uptime_s": 5.0,
        "docker": {"host": "unix:///var/run/docker.sock", "connected": True, "version": "20.10.24",
                   "api": "1.41", "events": 1, "last_sync": None},
        "backend": {"name": "nftables", "commits": 3, "repairs": 0, "elements": 1200},
        "uplinks": [{"interface": "eth0", "up": True, "mac": None, "prefixes": ["2001:db8:1::/64"],
                     "addresses": []}],
        "networks": [{"id": f"{n:064x}", "name": f"project{n}-of-the-department_default", "bridge": f"br-{n:012x}",
                      "subnets": [f"fd00:{n:x}::/64"], "mode": ["nat", "nat", "proxy"][n % 3],
                      "reason": "the reason why it is so, in words", "uplink": "eth0", "snat": None,
                      "prefix": None,
                      "containers": [container(n, i) for i in range(n_containers // n_networks)]}
                     for n in range(n_networks)],
        "ndp": [{"interface": "eth0", "targets": 66, "solicitations": 1000, "advertisements": 990,
                 "dropped": {"checksum": 1, "rate": 9}, "lost": 4, "rules": []}],
        "problems": [problem("label-invalid", "notice", 0)] +
                    [problem("port-conflict", "warning", n) for n in range(30)] +
                    [problem("forward-drop", "error", 99)],
    }


@contextlib.contextmanager
def answering(daemon, document):
    """Answers at the daemon's socket with this document."""
    body = json.dumps(document).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with socketserver.ThreadingUnixStreamServer(str(daemon.control), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            daemon.control.unlink()


def test_status_of_a_big_host(daemon):
    """200 containers in 40 networks, with 32 problems: a screen's worth, what is wrong first and the
    worst of it before all else, the rest counted; in a file all of it."""
    with answering(daemon, big_document(40, 200)):
        code, text = on_screen(daemon, "status", rows=40)
        lines = lines_of(text)
        assert code == 1 and len(lines) < 40, text
        starts = [line.split()[0] for line in lines if line[:1] not in ("", " ")]
        assert starts[:6] == ["degraded:", "error", "warning", "warning", "warning", "notice"], text
        assert "27 more of this kind" in text and text.count("cure: ") == 3
        counted = [line.split() for line in lines if line.startswith(("nat ", "proxy "))]
        assert counted == [["nat", "27", "135", "135"], ["proxy", "13", "65", "65"]]
        assert "200 containers with 200 published ports" in text
        whole = daemon.ctl("status").stdout
        assert len(re.findall(r"^project\d+_service_\d ", whole, re.M)) == 200
        assert len(re.findall("^warning", whole, re.M)) == 30
        code, text = on_screen(daemon, "networks")
        assert code == 0 and text.count("    the reason why it is so, in words") == 40
        lines_of(text)
        # tables are for who wants to see all, as wide as the screen
        code, text = on_screen(daemon, "networks", columns=100)
        assert code == 0 and len(re.findall(r"^project\d+.*the reason", text, re.M)) == 40
        lines_of(text, 100)


STRANGE = ["netz-\u00fc", "e\u0301", "\u65e5\u672c", "\U0001f600", "a\u200bb", "a\ufffeb", "\U0010fffd", "a b",
           "a\tb\nc", "\x1b[31m", "\u009b31m", "\u202ea", "\\x1b", "%s", "x" * 300]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_strange_names(daemon, locale):
    """Docker takes nearly anything for the name of a network. In every character set it is shown
    in an end, and no terminal obeys it; documents have it as it is."""
    document = big_document(len(STRANGE), len(STRANGE))
    for network, name in zip(document["networks"], STRANGE):
        network["name"] = network["reason"] = network["containers"][0]["name"] = name
    daemon.env = {"LC_ALL": locale}
    with answering(daemon, document):
        for verb in "status", "networks", "ports":
            out = daemon.ctl(verb, timeout=10).stdout
            assert ("netz-\u00fc" in out) == (locale != "C") and ("netz-\\xc3\\xbc" in out) == (locale == "C")
            assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f\u202e]", out), out
            code, text = on_screen(daemon, verb, env={"LC_ALL": locale}, rows=100)
            assert code == (verb == "status") and "netz-" in text
            assert not re.search("[\0-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202e]|\x1b[^[]", text), text
            assert set(ESCAPE.findall(text)) <= {"\x1b[0m", "\x1b[1;31m", "\x1b[1;33m"}
        for verb in "networks", "ports":
            done = daemon.ctl("--json", verb, timeout=10)
            names = [line[verb[:-1] if verb == "networks" else "container"] for line in json.loads(done.stdout)[verb]]
            assert names == STRANGE


def test_table_document(running):
    """Tables as documents say what the status document says."""
    status = running.status()
    networks = json.loads(running.ctl("networks --json").stdout)["networks"]
    assert [(n["network"], n["subnets"], n["id"], n["containers"]) for n in networks] == \
        [(n["name"], n["subnets"], n["id"], len(n["containers"])) for n in status["networks"]]
    wanted = sorted((c["name"], c["address"], p["protocol"], p["host_port"] or None, p["container_port"])
                    for n in status["networks"] for c in n["containers"] for p in c["ports"])
    ports = json.loads(running.ctl("ports --json").stdout)["ports"]
    assert sorted((p["container"], p["address"], p["protocol"], p["host_port"], p["container_port"])
                  for p in ports) == wanted and len(wanted) >= 4
    chosen = json.loads(running.ctl("ports --json -o +id").stdout)["ports"]
    assert list(chosen[0])[-2:] == ["connections", "id"] and "host_port" not in chosen[0]
    assert running.ctl("networks").stdout.split("\n")[0].split() == \
        ["NETWORK", "MODE", "SUBNETS", "UPLINK", "CONTAINERS", "REASON"]


# -- another host -----------------------------------------------------------------------------

@pytest.fixture
def ssh(lab, running):
    made = Ssh(lab, lab.host, "web1", {"ipv6natctl": running.ctl_program}, running.dir)
    yield made
    made.close()


def remote(lab, ssh, daemon, *args, **options):
    return lab.client.run(*ssh.command(*daemon.ctl_program, *args), check=False, **options)


def test_host(lab, ssh, running):
    """The same answers and exit codes as on that host itself, at the usual socket there."""
    for args in ["networks"], ["--json", "ports"], ["addresses", "-o", "+id"], ["plan"], ["sync"]:
        there, here = remote(lab, ssh, running, "--host", "root@web1", *args), running.ctl(*args, check=True)
        assert (there.returncode, there.stdout, there.stderr) == (0, here.stdout, ""), args
    assert json.loads(remote(lab, ssh, running, "--json", "status", "--host=web1").stdout)["state"] == "ok"
    running.configure("[Nonsense]\n")
    done = remote(lab, ssh, running, "--host", "web1", "reload")
    assert done.returncode == 1 and f"{running.conf}:1: unknown section" in done.stderr
    # what is typed gets there as it was typed
    path = "/run/x y'z$HOME;`id`"
    done = remote(lab, ssh, running, "--host", "web1", "--control", path, "status")
    assert done.returncode == 3 and f"no daemon behind {path}: " in done.stderr
    # nothing is eaten from the list of hosts
    loop = 'while read -r host; do "$@" --host "$host" -o NETWORK --no-legend networks; done'
    done = lab.client.run(*ssh.command("sh", "-c", loop, "sh", *running.ctl_program), input="web1\nweb1\n")
    assert sorted(done.stdout.split()) == ["bridge", "bridge", "direct", "direct", "ula", "ula"]
    running.stop()
    done = remote(lab, ssh, running, "--host", "web1", "status")
    assert done.returncode == 3 and "systemctl start ipv6natd" in done.stderr


def test_host_on_a_terminal(lab, ssh, running):
    """A terminal here is one there: its width, its colours."""
    command = ssh.command(*running.ctl_program, "--host", "web1", "status")
    with Terminal(command, lab.client, columns=60) as terminal:
        assert terminal.wait() == 0
        assert "\033[" in terminal.text and "ok:" in terminal.text and "closed" not in terminal.text
        assert lines_of(terminal.text, 60)[0].endswith("commits,")
    command.append("--no-color")
    with Terminal(command, lab.client) as terminal:
        assert terminal.wait() == 0 and "\033" not in terminal.text


def test_host_that_is_not_there(lab, ssh, running):
    """No connection, no program: exit code 1, and why. A host is never an option of ssh."""
    (ssh.bin / "ipv6natctl").unlink()
    done = remote(lab, ssh, running, "--host", "web1", "status")
    assert done.returncode == 1 and "web1 has no ipv6natctl" in done.stderr
    (ssh.dir / ".ssh/known_hosts").unlink()
    done = remote(lab, ssh, running, "--host", "web1", "status")
    assert done.returncode == 1 and "Host key verification failed" in done.stderr
    assert "no connection to web1 through ssh" in done.stderr
    ssh.close()
    done = remote(lab, ssh, running, "--host", "web1", "status")
    assert done.returncode == 1 and "Connection refused" in done.stderr and not done.stdout
    touched = ssh.dir / "touched"
    for host in f"-oProxyCommand=touch {touched}", f"root@-oProxyCommand=touch {touched}":
        assert remote(lab, ssh, running, f"--host={host}", "status").returncode == 2
    assert not touched.exists()


# -- as it happens ----------------------------------------------------------------------------

class Monitor:
    """ipv6natctl monitor, and what it has said so far."""

    def __init__(self, daemon, *args):
        self.lines = []
        self.process = daemon.host.popen(
            [*daemon.ctl_program, "--control", daemon.control, *args, "monitor"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")),
                         daemon=True).start()

    def wait_line(self, pattern):
        return wait_for(lambda: next((line for line in self.lines if re.search(pattern, line)), None),
                        what=pattern)

    def end(self, signum=None):
        """(exit code, standard error)"""
        if signum:
            self.process.send_signal(signum)
        code = self.process.wait(30)
        return code, self.process.stderr.read()


@pytest.fixture
def monitor(running):
    made = []

    def start(*args):
        made.append(Monitor(running, *args))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_monitor(engine, running, monitor):
    """What changes is told in words, or as the daemon's lines; interrupted, it ends in peace."""
    people, programs = monitor(), monitor("--json")
    people.wait_line("following")
    programs.wait_line('"hello"')
    engine.run("new", "--network ula -p 8090:80").remove()
    people.wait_line(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d container new in network ula")
    people.wait_line(r"8090/tcp.*leads to container new")
    programs.wait_line('"removed".*"new"')
    events = [json.loads(line) for line in programs.lines if line.strip()]
    assert {e["kind"] for e in events} >= {"hello", "container", "port"}
    for one in people, programs:
        code, error = one.end(signal.SIGINT)
        assert code in (0, -signal.SIGINT) and error == ""


def test_monitor_ends_with_the_daemon(running, monitor):
    """It says so, and exits with 3; without a daemon at once."""
    one, two = monitor(), monitor()
    one.wait_line("following")
    two.wait_line("following")
    running.stop()
    for code, error in one.end(), two.end():
        assert code == 3 and "the daemon has gone away" in error
    code, error = monitor().end()
    assert code == 3 and "systemctl start ipv6natd" in error


def test_monitor_without_a_reader(running):
    """Ends quietly when nobody reads it any more, also when nothing happens; whatever is made of
    SIGPIPE."""
    pipe = '"$@" monitor | head -n 1'
    for script in pipe, f"trap '' PIPE; {pipe}":
        done = running.host.run("sh", "-c", script, "sh", *running.ctl_program, "--control", running.control)
        assert "following" in done.stdout and done.stderr == ""


# -- a shell ----------------------------------------------------------------------------------

def bash():
    return ["bash", "--norc", "-i"], f"""
        bind 'set enable-bracketed-paste off'; bind 'set show-all-if-ambiguous on'
        bind 'set completion-query-items 0'; . {COMPLETION}/ipv6natctl.bash"""


def zsh():
    directory = Path(engine_dirs("zsh")[0])
    modules = next(directory.glob("tree/usr/lib/*/zsh/*"))
    return [directory / "zsh", "-f"], f"""
        module_path=({modules}); zmodload zsh/zle; setopt zle
        fpath=({COMPLETION} {directory}/tree/usr/share/zsh/functions/**/*(/))
        autoload -Uz compinit; compinit -u -D"""


@pytest.mark.parametrize("shell", [bash, zsh])
def test_completion(shell):
    """What both shells make of some key strokes and a tab."""
    command, prepare = shell()
    typed = {
        "ipv6natctl netw": "networks", "ipv6natctl --no-c": "--no-color",
        "ipv6natctl ports -o conn": "CONNECTIONS", "ipv6natctl networks -o +BRIDGE,sn": "SNAT",
        "ipv6natctl addresses --output=ki": "KIND", "ipv6natctl import-ndppd /etc/pass": "/etc/passwd",
        "ipv6natd --backend nf": "nftables", "ipv6natd --dr": "--dry-run",
        "ipv6natctl ": "import-ndppd", "ipv6natctl --h": "--host",
    }
    with Terminal(command, env={"PS1": "% "}) as terminal:
        terminal.type("; ".join(line.strip() for line in prepare.strip().split("\n")) + "; echo rea''dy\n")
        wait_for(lambda: "ready\n" in terminal.text, what="the shell is ready")
        for keys, wanted in typed.items():
            start = len(terminal.text)
            terminal.type(keys + "\t")
            wait_for(lambda: wanted in terminal.text[start:], what=f"{keys}: {wanted}")
            terminal.type("\x15")
