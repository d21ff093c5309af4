# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine itself, without our daemon.

    client --- router === host1 (a Debian with systemd, in it an engine)

Property: what the other tests take for granted is so: systemd is process 1, its services see the
lab's network, only net sysctls can be written, the engine runs containers, and nothing is left
behind.
"""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lab import tcp_ask, wait_for
from lab.lab import wipe_orphans

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def machine(make_machine):
    return make_machine().boot()


def test_systemd_is_process_1(lab, machine):
    assert machine.run("cat", "/proc/1/comm").stdout == "systemd\n"
    assert lab.host.v6 in machine.run("ip", "-6", "addr", "show", "dev", "eth0").stdout
    assert machine.run("false", check=False).returncode == 1
    assert machine.run("cat", input="over there\n").stdout == "over there\n"


def test_net_sysctls_are_those_of_the_host_in_the_lab(lab, machine):
    machine.run("sh", "-c", "echo 7 >/proc/sys/net/ipv6/conf/eth0/hop_limit")
    assert lab.host.sysctl("net/ipv6/conf/eth0/hop_limit") == "7"
    assert machine.run("test", "-w", "/proc/sys/kernel/panic", check=False).returncode == 1


def test_files_services_and_their_journal(machine):
    machine.write("/usr/local/bin/hello", "#!/bin/sh\necho hello >/run/hello; echo said so; sleep 1000\n", 0o755)
    machine.write("/etc/systemd/system/hello.service", "[Service]\nExecStart=/usr/local/bin/hello\n")
    machine.systemctl("start hello")
    wait_for(lambda: "said so" in machine.journal("hello"))
    assert machine.path("/run/hello").read_text() == "hello\n"
    assert machine.show("hello", "ActiveState", "SubState") == {"ActiveState": "active", "SubState": "running"}
    machine.systemctl("stop hello")
    assert not machine.is_active("hello")


def test_engine_and_power(lab, machine, make_engine):
    engine = make_engine(machine).start()
    engine.network("ula", "fd00:6::/64")
    web = engine.run("web", "--network ula -p 8080:80")
    assert tcp_ask(lab.client, lab.host.v6, 8080) == "web tcp:80 from fd00:6::1"
    assert tcp_ask(machine.host, web.v6(), 80).startswith("web ")
    assert machine.run("docker", "ps", "--format", "{{.Names}}").stdout == "web\n"
    machine.power_off()
    machine.boot()
    assert not engine.running()
    engine.start()
    assert engine.docker("ps -a --format {{.Names}}") == "web"


def test_nothing_stays_of_one_that_was_killed(machine):
    """The test run itself is killed with a machine and containers in it: the next lab clears away."""
    script = textwrap.dedent("""
        from lab import Lab
        from lab.machine import Machine, MachineEngine
        lab = Lab()
        machine = Machine(lab).boot()
        MachineEngine(machine).start().run("web")
        print(lab.dir.name, flush=True)
        input()
    """)
    process = subprocess.Popen([sys.executable, "-P", "-B", "-c", script], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(TESTS),
                                                                       "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    name = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert Path("/tmp", name).exists()
    wipe_orphans()
    assert not Path("/tmp", name).exists() and not list(Path("/run/netns").glob(f"{name}-*"))
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{name}")) + list(Path("/sys/fs/cgroup").glob(name))
    assert name not in Path("/proc/mounts").read_text()
    assert machine.running()
