# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped service under a real systemd, in its whole sandbox.

    client --- router === host1 (a Debian with systemd; make install; Docker as docker.service,
                                 networks "ula" with web, published, and "direct" with shop)

Property: it starts, says when it is ready, does the main job with two capabilities, is watched,
reloaded and restarted without a lost connection, and goes as it is told to; it comes before
docker.service and never starts or stops it; one command takes everything away, whatever state the
daemon and Docker are in.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from lab import Prober, Stream, UdpPinger, outcome, send_ra, tcp_ask, udp_ask, wait_for

TOP = Path(__file__).resolve().parents[2]
DROP_IN = "/run/systemd/system/ipv6natd.service.d/test.conf"
SOCKET = "/run/ipv6nat/control.sock"
CONF = "net/ipv6/conf"
CAPABILITIES = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
SHOP = "2001:db8:1:0:d0::2"


def install(machine):
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "SAN")}
    subprocess.run(["make", "-C", TOP, "install", f"DESTDIR={machine.root}", "PREFIX=/usr"],
                   check=True, stdout=subprocess.DEVNULL, env=env)


@pytest.fixture(scope="module")
def machine(make_machine):
    machine = make_machine()
    install(machine)
    return machine.boot()


@pytest.fixture(scope="module")
def engine(lab, machine, make_engine):
    """An engine that leaves forwarding to others."""
    engine = make_engine(machine, config={"ip-forward": False}).start()
    lab.serve(lab.client)
    engine.network("ula", "fd00:6::/64")
    engine.network("direct", "2001:db8:1:0:d0::/80")
    engine.web = engine.run("web", "--restart always --network ula -p 8080:80 -p 8080:80/udp")
    engine.shop = engine.run("shop", "--restart always --network direct -p 80:80")
    return engine


class Service:
    """ipv6natd.service, and the world as it should be when it has done its work."""

    def __init__(self, lab, machine, engine):
        self.lab, self.machine, self.engine = lab, machine, engine
        self.systemctl = machine.systemctl

    def configure(self, text):
        self.machine.write("/etc/ipv6nat/ipv6nat.conf", text)

    def drop_in(self, text):
        path = self.machine.path(DROP_IN)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.systemctl("daemon-reload")

    def start(self):
        self.systemctl("start ipv6natd")
        self.ctl("sync")
        return self

    def ctl(self, *words, check=True):
        return self.machine.run("ipv6natctl", *words, check=check)

    def status(self):
        return json.loads(self.ctl("--json", "status", check=False).stdout)

    def show(self, name, unit="ipv6natd"):
        return self.machine.show(unit, name)[name]

    def log(self, *filters):
        """What it and systemd have said about this run of it."""
        invocation = self.show("InvocationID")
        return self.machine.run("journalctl", "--no-pager", "--output=cat", *filters,
                                f"_SYSTEMD_INVOCATION_ID={invocation}", "+",
                                f"INVOCATION_ID={invocation}").stdout

    def published(self):
        return outcome(tcp_ask, self.lab.client, self.lab.host.v6, 8080)

    def answers(self):
        lab, web, shop = self.lab, self.engine.web, self.engine.shop
        return {"published, TCP": self.published(),
                "published, UDP": outcome(udp_ask, lab.client, lab.host.v6, 8080),
                "solicited for": outcome(tcp_ask, lab.client, SHOP, 80),
                "outbound, translated": outcome(tcp_ask, web.ns, lab.client.v6, 80),
                "outbound, as it is": outcome(tcp_ask, shop.ns, lab.client.v6, 80)}

    def assert_main_job(self):
        client, host = self.lab.client.v6, self.lab.host.v6
        assert self.answers() == {
            "published, TCP": f"web tcp:80 from {client}", "published, UDP": f"web udp:80 from {client}",
            "solicited for": f"shop tcp:80 from {client}",
            "outbound, translated": f"client tcp:80 from {host}",
            "outbound, as it is": f"client tcp:80 from {SHOP}"}

    def tables(self):
        return [line for line in self.lab.host.nft("list tables").splitlines() if "ipv6nat" in line]

    def forget(self):
        """The world before it was first started."""
        self.systemctl("stop ipv6natd", check=False)
        self.systemctl("reset-failed ipv6natd ipv6natd-off", check=False)
        self.configure("")
        self.drop_in("")
        for table in "ip6 ipv6nat", "bridge ipv6nat":
            self.lab.host.nft("delete table", table, check=False)
        for interface in self.lab.host.ip_json("link show"):
            self.lab.host.sysctl(f"{CONF}/{interface['ifname']}/force_forwarding", 0)
        self.lab.host.sysctl(f"{CONF}/all/forwarding", 0)
        self.start_engine()

    def start_engine(self):
        """The engine, and with it the containers, whose processes are others then."""
        if not self.engine.running():
            self.engine.start()
            self.forget_containers()

    def forget_containers(self):
        for container in self.engine.web, self.engine.shop:
            container.forget()


@pytest.fixture
def service(lab, machine, engine):
    """Stopped, never started so far; nothing forwards."""
    service = Service(lab, machine, engine)
    service.forget()
    yield service
    service.forget()


# -- it starts, and works in its sandbox -----------------------------------------------------------

def test_main_job(lab, service):
    """Nothing of it works before; all of it afterwards, the sysctls included, without a warning."""
    # docker-proxy alone answers, and hides the client
    assert service.answers() == {
        "published, TCP": "web tcp:80 from fd00:6::1", "published, UDP": "web udp:80 from fd00:6::1",
        **dict.fromkeys(("solicited for", "outbound, translated", "outbound, as it is"), "timeout")}
    service.start()
    assert service.machine.is_active("ipv6natd")
    service.assert_main_job()
    assert service.status()["state"] == "ok" and service.status()["problems"] == []
    wait_for(lambda: service.show("StatusText").startswith("ok: Docker 20.10."))
    assert "3 networks, 2 containers, 3 published ports" in service.show("StatusText")
    assert lab.host.sysctl(f"{CONF}/eth0/force_forwarding") == "1"
    assert service.log("--priority=warning") == ""
    assert service.show("NRestarts") == "0" and service.show("Nice") == "-10"


def test_default_route_from_advertisements(lab, service):
    """Where there is no force_forwarding, as before Linux 6.17: accept_ra=2 and forwarding are written from
    the sandbox, and the route learnt from a router stays."""
    host = lab.host
    hidden = "\n".join(f"InaccessiblePaths=-/proc/sys/{CONF}/{interface}/force_forwarding" for interface in
                       ["all", "default", *(i["ifname"] for i in host.ip_json("link show"))])
    service.drop_in(f"[Service]\n{hidden}\n")
    host.ip("-6 route del default")
    try:
        host.sysctl(f"{CONF}/eth0/accept_ra", 1)
        send_ra(lab.router, "lan", prefix=None)
        wait_for(lambda: "proto ra" in host.ip("-6 route show default"))
        service.start()
        assert host.sysctl(f"{CONF}/eth0/accept_ra") == "2"
        assert host.sysctl(f"{CONF}/all/forwarding") == "1"
        assert "proto ra" in host.ip("-6 route show default")
        service.assert_main_job()
    finally:
        host.ip("-6 route flush default")
        host.sysctl(f"{CONF}/eth0/accept_ra", 0)
        host.ip("-6 route add default via", lab.router.v6)


def test_sandbox(service):
    """Two capabilities; of the file system the net sysctls and its own directory can be written, even
    by one who has all capabilities in there."""
    service.start()
    pid = service.show("MainPID")
    process = dict(line.split(":\t", 1) for line in
                   service.machine.path(f"/proc/{pid}/status").read_text().splitlines())
    for kind in "CapPrm", "CapEff", "CapBnd":
        assert int(process[kind], 16) == CAPABILITIES, kind
    assert process["NoNewPrivs"] == "1" and process["Seccomp"] == "2"
    assert process["Uid"].split() == ["0"] * 4

    def can_write(path):
        """Opening to append writes nothing."""
        return service.machine.run("nsenter", "--target", pid, "--mount", "sh", "-c", f": >>{path}",
                                   check=False).returncode == 0
    for path in f"/proc/sys/{CONF}/all/forwarding", "/run/ipv6nat/x", "/tmp/x":
        assert can_write(path), path
    service.machine.path("/run/ipv6nat/x").unlink()
    for path in ("/proc/sys/kernel/domainname", "/proc/sys/vm/swappiness", "/proc/sys/fs/file-max",
                 "/proc/irq/default_smp_affinity", "/etc/x", "/usr/x", "/var/lib/x", "/run/x", "/root/x"):
        assert not can_write(path), path


def test_filter_without_bpf(lab, service):
    """No CAP_BPF: the classic filter does, and only a log that is asked for everything says so."""
    refused = "no filter by address, going on without: Operation not permitted"
    service.start().assert_main_job()
    assert refused not in service.log()
    service.configure("[Daemon]\nLogLevel=debug\n")
    service.systemctl("restart ipv6natd")
    service.ctl("sync")
    assert refused in service.log()
    service.assert_main_job()


@pytest.mark.parametrize("where", ["[::1]", "127.0.0.1", "[2001:db8:1::11]"])
def test_engine_behind_tcp(service, where):
    """DOCKER_HOST=tcp:// passes the sandbox, whatever address the engine has."""
    service.machine.write("/etc/systemd/system/relay.socket", f"[Socket]\nListenStream={where}:2375\n")
    service.machine.write("/etc/systemd/system/relay.service",
                          "[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd /run/docker.sock\n")
    service.drop_in(f"[Service]\nEnvironment=DOCKER_HOST=tcp://{where}:2375\n")
    service.systemctl("restart relay.socket")
    try:
        service.start().assert_main_job()
        assert service.status()["docker"]["host"] == f"tcp://{where}:2375"
    finally:
        service.systemctl("stop relay.socket relay.service")


# -- the control socket ----------------------------------------------------------------------------

def owner(machine, path):
    return machine.run("stat", "--format=%a %U:%G", path).stdout.strip()


def test_socket_is_for_the_group(service):
    """Members read, only root changes something, others do neither."""
    machine = service.start().machine
    assert owner(machine, SOCKET) == "660 root:ipv6nat"
    for user, groups in ("member", ["--groups", "ipv6nat"]), ("stranger", []):
        machine.run("useradd", "--no-create-home", *groups, user)

    def as_user(user, command):
        return machine.run("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "ipv6natctl",
                           command, check=False)
    assert as_user("member", "status").returncode == 0
    refused = as_user("member", "sync")
    assert refused.returncode == 1 and "only root may change something" in refused.stderr
    for command in "status", "sync":
        refused = as_user("stranger", command)
        assert refused.returncode == 1 and "ermission" in refused.stderr


def test_without_the_group(service):
    """sysusers never ran: it starts all the same, and its socket is for root alone."""
    machine = service.machine
    machine.run("groupdel", "ipv6nat")
    machine.run("rm", "-r", "/run/ipv6nat")
    try:
        service.start().assert_main_job()
        assert owner(machine, SOCKET) == "600 root:root"
        assert "ipv6nat" not in machine.run("getent", "group").stdout
    finally:
        machine.run("systemd-sysusers")
    service.systemctl("restart ipv6natd")
    assert owner(machine, SOCKET) == "660 root:ipv6nat"


# -- it is looked after ----------------------------------------------------------------------------

def traffic(lab):
    to = lab.client, lab.host.v6, 8080
    return [Stream(*to, interval_ms=5), Prober(*to, interval_ms=5), UdpPinger(*to, interval_ms=5)]


def assert_unharmed(probers):
    for prober in probers:
        prober.wait_more(20)
        result = prober.stop()
        assert result["n_failed"] == 0 and not result["failed"]


@pytest.mark.parametrize("signal", ["STOP", "KILL"])
def test_comes_back(lab, service, signal):
    """Hung (the watchdog ends it) or crashed: systemd starts it again, and no connection notices."""
    service.drop_in("[Service]\nWatchdogSec=1\n")
    service.start()
    pid, probers = service.show("MainPID"), traffic(lab)
    service.systemctl(f"kill --kill-who=main --signal={signal} ipv6natd")
    wait_for(lambda: service.show("NRestarts") == "1" and service.machine.is_active("ipv6natd"), 60)
    assert service.show("MainPID") != pid
    assert ("Watchdog timeout" in service.machine.journal("ipv6natd")) or signal == "KILL"
    service.ctl("sync")
    assert service.status()["backend"]["commits"] == 0
    assert_unharmed(probers)
    # it follows the engine again
    extra = service.engine.run("extra", "--network ula -p 8081:80")
    wait_for(lambda: outcome(tcp_ask, lab.client, lab.host.v6, 8081) == f"extra tcp:80 from {lab.client.v6}")
    extra.remove()


def test_restart_and_upgrade(lab, service):
    """Also onto other files, as an upgrade does: not one connection or datagram is lost."""
    service.start()
    probers = traffic(lab)
    for upgrade in False, True, False:
        if upgrade:
            install(service.machine)
            service.systemctl("daemon-reload")
        service.systemctl("restart ipv6natd")
        service.ctl("sync")
        assert service.status()["backend"]["commits"] == 0
    assert_unharmed(probers)
    service.assert_main_job()


def test_reload(service):
    """The new configuration is in force when the command returns; a bad one fails it, says where it is
    bad, and changes nothing."""
    def mode():
        return next(n["mode"] for n in service.status()["networks"] if n["name"] == "ula")
    service.start()
    pid = service.show("MainPID")
    assert mode() == "nat"
    service.configure("[Network ula]\nMode=off\n")
    service.systemctl("reload ipv6natd")
    service.ctl("sync")
    assert mode() == "off"
    service.configure("[Network ula]\nMode=nat\nMood=good\n")
    with pytest.raises(RuntimeError):
        service.systemctl("reload ipv6natd")
    assert "/etc/ipv6nat/ipv6nat.conf:3: " in service.log()
    assert mode() == "off" and service.machine.is_active("ipv6natd") and service.show("MainPID") == pid


@pytest.mark.parametrize("on_stop", ["keep", "remove"])
def test_stop(service, on_stop):
    """OnStop=keep: everything but the answers to solicitations goes on; remove: no rule stays."""
    service.configure(f"[Daemon]\nOnStop={on_stop}\n")
    service.start()
    service.systemctl("stop ipv6natd")
    assert service.show("Result") == "success" and service.show("ActiveState") == "inactive"
    assert service.tables() == (["table ip6 ipv6nat"] if on_stop == "keep" else [])
    expected = f"web tcp:80 from {service.lab.client.v6 if on_stop == 'keep' else 'fd00:6::1'}"
    assert service.published() == expected
    assert not list(service.machine.path("/run/ipv6nat").iterdir())


# -- it and Docker ---------------------------------------------------------------------------------

def test_no_ties_to_docker(service):
    """In the manager's own words: before docker.service, and nothing else in either direction."""
    properties = service.machine.run("systemctl", "show", "ipv6natd", "--no-pager").stdout.splitlines()
    ties = [line.split("=")[0] for line in properties
            if "docker" in line and not line.startswith(("Description=", "StatusText="))]
    assert ties == ["Before"]
    invocation = service.show("InvocationID", "docker")
    service.start()
    of_docker = service.machine.run("systemctl", "show", "docker", "--no-pager").stdout.splitlines()
    assert [line.split("=")[0] for line in of_docker if "ipv6natd" in line] == ["After"]
    service.systemctl("restart ipv6natd")
    service.systemctl("stop ipv6natd")
    assert service.show("InvocationID", "docker") == invocation and service.engine.running()


def test_without_docker(service):
    """No engine, nobody starts it, no group "docker": it runs and waits."""
    service.engine.stop()
    assert service.machine.run("getent", "group", "docker", check=False).returncode == 2
    service.systemctl("start ipv6natd")
    assert service.machine.is_active("ipv6natd")
    assert service.status()["state"] == "starting"
    assert service.machine.show("docker", "ActiveState", "Job") == {"ActiveState": "inactive", "Job": ""}
    service.start_engine()
    wait_for(lambda: service.status()["state"] == "ok")
    service.assert_main_job()
    service.engine.stop()
    wait_for(lambda: service.status()["state"] == "degraded")
    assert service.machine.is_active("ipv6natd") and service.tables()


@pytest.fixture
def activated(service):
    """docker.socket listens for the engine, as Docker's own packages and Debian's have it."""
    machine, engine = service.machine, service.engine
    engine.stop()
    hosts, engine.config["hosts"] = engine.config["hosts"], [engine.url, "fd://"]
    engine.configure()
    machine.write("/etc/systemd/system/docker.socket",
                  "[Socket]\nListenStream=/run/docker.sock\nSocketMode=0660\n")
    machine.write("/etc/systemd/system/docker.service.d/socket.conf", "[Unit]\nRequires=docker.socket\n")
    service.systemctl("daemon-reload")
    yield service
    service.systemctl("stop docker.socket docker")
    machine.run("rm", "/etc/systemd/system/docker.socket", "/etc/systemd/system/docker.service.d/socket.conf")
    service.systemctl("daemon-reload")
    engine.config["hosts"] = hosts
    engine.configure()


def test_engine_is_not_activated(activated):
    """Whoever connects to docker.socket starts the engine; the daemon does not, neither one that was not
    started yet nor one that was stopped. It notices at once when somebody else does."""
    service = activated

    def assert_left_alone():
        assert service.ctl("sync", check=False).returncode == 1
        assert "docker.service is not running" in str(service.status()["problems"])
        assert service.show("ActiveState", "docker") == "inactive"
        assert service.show("SubState", "docker.socket") == "listening"
    service.systemctl("start docker.socket ipv6natd")
    assert_left_alone()
    assert service.status()["state"] == "starting"
    for _ in range(2):
        service.systemctl("start docker")
        service.forget_containers()
        wait_for(lambda: service.status()["state"] == "ok")
        service.ctl("sync")
        wait_for(lambda: "timeout" not in service.answers().values())
        service.assert_main_job()
        invocation = service.show("InvocationID", "docker")
        service.systemctl("stop docker")
        assert_left_alone()
        assert service.show("InvocationID", "docker") == invocation
    assert service.tables()


def test_boot(lab, service):
    """Enabled, it is there before the engine starts; containers with a restart policy are served."""
    machine = service.machine
    service.systemctl("enable ipv6natd docker")
    machine.power_off()
    for table in service.tables():
        lab.host.nft("delete", table)
    machine.boot()
    for unit in "ipv6natd", "docker":
        assert machine.is_active(unit)
    ready = int(service.show("ActiveEnterTimestampMonotonic"))
    assert 0 < ready <= int(service.show("InactiveExitTimestampMonotonic", "docker"))
    service.forget_containers()
    service.ctl("sync")
    wait_for(lambda: "timeout" not in service.answers().values())
    service.assert_main_job()
    service.systemctl("disable ipv6natd docker")


# -- emergency off ---------------------------------------------------------------------------------

BEFORE = {
    "running": [],
    "stopped": ["stop ipv6natd"],
    "hung": ["kill --kill-who=main --signal=STOP ipv6natd"],
    "crashed, to be started again": ["kill --kill-who=main --signal=KILL ipv6natd"],
    "without Docker": ["stop docker containerd"],
    "stopped, without Docker": ["stop docker containerd", "stop ipv6natd"],
}


@pytest.mark.parametrize("state", BEFORE)
def test_emergency_off(lab, service, state):
    """One command: no daemon, no rule, no file; what is left is what Docker does alone, and forwarding,
    which something else may rely on by now. Afterwards it can be started as ever."""
    listed = lab.host.nft("-s list tables")
    # a stop that takes its time, and no start before we look
    service.drop_in("[Service]\nExecStop=sleep 1\nRestartSec=5\n")
    # a configuration that cannot be read is no obstacle
    service.start()
    service.configure("nonsense\n")
    for command in BEFORE[state]:
        service.systemctl(command)
    assert service.tables()
    service.systemctl("start ipv6natd-off")
    assert lab.host.nft("-s list tables") == listed
    assert service.show("ActiveState") in ("inactive", "failed")
    assert not list(service.machine.path("/run/ipv6nat").iterdir())
    assert lab.host.sysctl(f"{CONF}/eth0/force_forwarding") == "1"
    if service.engine.running():
        assert service.published() == "web tcp:80 from fd00:6::1"
    service.systemctl("start ipv6natd-off")
    assert "There was nothing of ours to remove" in service.machine.journal("ipv6natd-off")
    service.configure("")
    service.start_engine()
    service.start()
    wait_for(lambda: "timeout" not in service.answers().values())
    service.assert_main_job()


def test_last_resort(lab, service):
    """Without any program of ours: the two tables are all there is."""
    listed = lab.host.nft("-s list tables")
    service.start()
    service.systemctl("kill --signal=KILL ipv6natd")
    service.systemctl("stop ipv6natd")
    service.machine.run("sh", "-c", "nft delete table ip6 ipv6nat; nft delete table bridge ipv6nat",
                        check=False)
    assert lab.host.nft("-s list tables") == listed
    assert service.published() == "web tcp:80 from fd00:6::1"
