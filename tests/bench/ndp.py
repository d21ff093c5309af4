#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers to neighbour solicitations: io/ndp beside ndppd 0.2.5 and the kernel for its own address.

    asker: a-kernel ===== v0 kernel     one namespace and one veth pair for each who answers;
           a-ndppd  ===== v0 ndppd      they take turns (A B C A B C ...), the asker on the first
           a-ours   ===== v0 ours       CPU, who answers on the last
           a-bare   ===== v0 bare       a process that does the least
           a-nobody ===== v0 nobody

Property: the same questions, the answers checked (latency) or counted by the interface (flood). CPU per
answer: of a process, its own time, in which it also delivers the answer over the veth pair; of the
kernel, what the asker needs more than if nobody answers, as all of it happens in his system calls.
Against whom everything is judged, the kernel, has a single address; the others have 1,000 targets. Root.
"""

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests")]

from lab.netns import Netns

TARGETS = 1000
FIRST = "2001:db8:1::1:0"
NDPPD = """route-ttl 30000
proxy v0 {
	router yes
	timeout 500
	ttl 30000
	rule 2001:db8:1::/64 { static }
}
"""
CACHE = Path(os.environ.get("IPV6NAT_LAB", "/var/cache/ipv6nat-lab")) / "ndppd"


def find_ndppd():
    """Debian's, unpacked beside the system; None: not to be had here."""
    program = CACHE / "usr/sbin/ndppd"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "ndppd"],
                              cwd=CACHE, check=False, capture_output=True)
        for package in CACHE.glob("ndppd_*.deb") if done.returncode == 0 else ():
            subprocess.run(["dpkg-deb", "-x", package, CACHE], check=True)
    return program if program.exists() else shutil.which("ndppd")


def on_cpu(n):
    cpus = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cpus[n])]


class World:
    """Namespaces and who answers in them."""

    def __init__(self, program, ndppd):
        self.program, self.ndppd = program, ndppd
        self.prefix = f"nb{os.getpid()}"
        self.spaces, self.processes = {}, {}
        self.directory = tempfile.mkdtemp(prefix="ipv6nat-bench-")

    def __enter__(self):
        try:
            self.add("asker")
            for name in self.names():
                self.connect(name)
            self.spaces["kernel"].ip(f"addr add {FIRST}/64 dev v0 nodad")
            self.start("ours", self.program, "serve", "v0", TARGETS)
            self.start("classic", self.program, "serve", "v0", TARGETS, "classic")
            self.start("bare", self.program, "bare", "v0")
            if self.ndppd:
                config = Path(self.directory) / "ndppd.conf"
                config.write_text(NDPPD)
                self.start("ndppd", self.ndppd, "-c", config)
            # probes and announcements are over, the kernel knows that all links are up
            time.sleep(3)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()
            process.wait()
        for name, ns in self.spaces.items():
            ns.close()
            subprocess.run(["ip", "netns", "del", self.prefix + name], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def names(self):
        return ["nobody", "kernel", *(["ndppd"] if self.ndppd else []), "bare", "ours", "classic"]

    def add(self, name):
        subprocess.run(["ip", "netns", "add", self.prefix + name], check=True)
        self.spaces[name] = Netns(f"/run/netns/{self.prefix}{name}")

    def connect(self, name):
        self.add(name)
        asker, ns = self.spaces["asker"], self.spaces[name]
        asker.ip(f"link add a-{name} type veth peer name v0 netns {self.prefix}{name}")
        # whoever asks has no IPv6 of his own, which would cost him time for each answer
        asker.sysctl(f"net/ipv6/conf/a-{name}/disable_ipv6", 1)
        ns.sysctl("net/ipv6/conf/v0/accept_dad", 0)
        ns.sysctl("net/ipv6/conf/all/forwarding", 1)
        ns.ip("link set v0 up")
        asker.ip(f"link set a-{name} up")
        # the kernel and ndppd, which answers through the kernel, look him up
        mac = asker.ip_json(f"link show a-{name}")[0]["address"]
        ns.ip(f"neigh replace fe80::a lladdr {mac} dev v0 nud permanent")

    def start(self, name, *command):
        process = self.spaces[name].popen([*on_cpu(-1), *command], stdout=subprocess.PIPE,
                                          stderr=subprocess.DEVNULL, text=True)
        self.processes[name] = process
        if name != "ndppd":
            line = process.stdout.readline()
            if not line.startswith("ready"):
                raise RuntimeError(f"{name}: {line!r}")
            self.exact = getattr(self, "exact", None) or "exact" in line

    def ask(self, verb, name, *words):
        done = self.spaces["asker"].run(*on_cpu(0), self.program, verb, f"a-{name}", *words, check=False)
        if done.returncode:
            raise RuntimeError(f"{verb} {name}: {done.stderr}")
        return [int(number) for number in done.stdout.split()]

    def cpu_ns(self, name):
        """Of the process; 0 for those who have none."""
        if name not in self.processes:
            return 0
        with open(f"/proc/{self.processes[name].pid}/schedstat") as file:
            return int(file.read().split()[0])

    def memory_kib(self, name):
        with open(f"/proc/{self.processes[name].pid}/status") as file:
            return int(re.search(r"RssAnon:\s*(\d+)", file.read())[1])

    def targets(self, name):
        return 1 if name == "kernel" else TARGETS

    # ------------------------------------------------------------ one measurement

    def latency_us(self, name, n, gap_us):
        times = sorted(self.ask("latency", name, self.targets(name), n, gap_us))
        return statistics.median(times) / 1000, times[int(len(times) * 0.99)] / 1000

    def flood(self, name, n, rate):
        """Answered of those asked, and CPU ns of asker and answerer."""
        before = self.cpu_ns(name)
        sent, answered, wall, cpu = self.ask("flood", name, self.targets(name), n, rate)
        return sent, answered, wall, cpu, self.cpu_ns(name) - before

    def scan(self, name, n, rate):
        before = self.cpu_ns(name)
        self.ask("scan", name, n, rate)
        return (self.cpu_ns(name) - before) / n


def spread(values, digits=1):
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} - {max(values):,.{digits}f})"


def ratio(rounds, one, other):
    """Median of the ratios of what was measured in the same round."""
    return statistics.median(r[one] / r[other] for r in rounds if r.get(one) and r.get(other))


def measure_round(world, quick):
    now, n = {}, 1000 if quick else 3000
    peers = [name for name in world.names() if name not in ("nobody", "classic", "bare")]
    for gap in 0, 1000:
        for name in (*peers, "bare"):
            now["latency", gap, name], now["p99", gap, name] = world.latency_us(name, n, gap)
    nobody = world.flood("nobody", 320000, 0)
    for name in peers:
        sent, answered, wall, asker_ns, own_ns = world.flood(name, 320000, 0)
        if name == "kernel":
            own_ns = max(1, asker_ns - nobody[3] * sent / nobody[0])
        now["rate", name] = 1e9 * answered / own_ns
        now["answered", "max", name] = answered / sent
        now["offered", "max", name] = 1e9 * sent / wall
        for rate in () if quick else (10000, 50000, 100000, 200000):
            sent, answered, *_ = world.flood(name, rate, rate)
            now["answered", rate, name] = answered / sent
    for name in "ours", "classic":
        now["scan", name] = world.scan(name, 200000, 100000)
    return now


def print_rounds(say, world, rounds):
    peers = [name for name in world.names() if name not in ("nobody", "classic", "bare")]
    for gap, what in (0, "one after the other"), (1000, "1 ms apart"):
        say(f"  solicitation -> advertisement, {what}, us")
        for name in (*peers, "bare"):
            say(f"    {name:8} median {spread([r['latency', gap, name] for r in rounds]):28} "
                f"p99 {spread([r['p99', gap, name] for r in rounds])}")
    say("  advertisements per CPU second")
    for name in peers:
        say(f"    {name:8} {spread([r['rate', name] for r in rounds], 0)}")
    say("  answered, of what was offered per second")
    for name in peers:
        rates = [k[1] for k in rounds[0] if k[0] == "answered" and k[2] == name]
        say(f"    {name:8} " + ", ".join(
            f"{statistics.median(r['offered', 'max', name] for r in rounds) if rate == 'max' else rate:,.0f}: "
            f"{100 * statistics.median(r['answered', rate, name] for r in rounds):.0f} %" for rate in rates))
    say("  a scan of 100,000 unknown addresses per second, CPU ns per solicitation")
    for name, what in ("ours", "filter by address (eBPF)" if world.exact else "no bpf(): classic filter"), \
            ("classic", "classic filter"):
        say(f"    {what:28} {spread([r['scan', name] for r in rounds], 0)}")


def summarise(world, rounds, growth):
    """Rows of the table: what, ours, beside, result, goal, met."""
    ours = statistics.median(r["latency", 0, "ours"] for r in rounds)
    kernel = statistics.median(r["latency", 0, "kernel"] for r in rounds)
    rate = statistics.median(r["rate", "ours"] for r in rounds)
    times = ratio(rounds, ("latency", 0, "ours"), ("latency", 0, "kernel"))
    yield ("solicitation -> advertisement, median", f"{ours:.1f} us", f"kernel, own address: {kernel:.1f} us",
           f"{times:.1f} times", "<= 5", times <= 5)
    if world.ndppd:
        times = ratio(rounds, ("latency", 0, "ndppd"), ("latency", 0, "ours"))
        ndppd = statistics.median(r["latency", 0, "ndppd"] for r in rounds)
        yield "", f"{ours:.1f} us", f"ndppd: {ndppd:.1f} us", f"{times:.2f} times as fast", ">= 1.7", times >= 1.7
    bare = statistics.median(r["latency", 0, "bare"] for r in rounds)
    times = ratio(rounds, ("latency", 0, "ours"), ("latency", 0, "bare"))
    yield "", f"{ours:.1f} us", f"one recv() and one send(): {bare:.1f} us", f"{times:.2f} times", "", None
    times = ratio(rounds, ("rate", "ours"), ("rate", "kernel"))
    yield ("advertisements per CPU second", f"{rate:,.0f}",
           f"kernel: {statistics.median(r['rate', 'kernel'] for r in rounds):,.0f}",
           f"{times:.2f} times as many", ">= 1", times >= 1)
    if world.ndppd:
        times = ratio(rounds, ("rate", "ours"), ("rate", "ndppd"))
        yield ("", f"{rate:,.0f}", f"ndppd: {statistics.median(r['rate', 'ndppd'] for r in rounds):,.0f}",
               f"{times:.2f} times as many", ">= 5", times >= 5)
    yield ("memory after 1,000,000 distinct unknown targets", f"+{growth} KiB", "before", "", "no growth",
           growth <= 0)


def measure(program, quick, say):
    """All of it; rows as summarise() has them."""
    ndppd = find_ndppd()
    if not ndppd:
        say("  ndppd is not to be had here, going on without")
    with World(program, ndppd) as world:
        before = {name: world.memory_kib(name) for name in ("ours", "classic")}
        rounds = [measure_round(world, quick) for _ in range(3 if quick else 8)][1:]
        print_rounds(say, world, rounds)
        before = {name: world.memory_kib(name) for name in before}
        for name in before:
            world.scan(name, 1000000, 100000)
        growth = max(world.memory_kib(name) - before[name] for name in before)
        return list(summarise(world, rounds, growth))


def main():
    parser = argparse.ArgumentParser(description="Answers to neighbour solicitations, as ratios.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--programs", default=str(TOP / "build"), help="where make has put them")
    args = parser.parse_args()
    with contextlib.suppress(BrokenPipeError):
        print(f"load {' '.join(f'{n:.2f}' for n in os.getloadavg())}", flush=True)
        rows = measure(os.path.abspath(f"{args.programs}/bench-ndp"), args.quick,
                       lambda text: print(text, flush=True))
        for what, ours, beside, result, goal, met in rows:
            print(f"| {what} | {ours} | {beside} | {result} | {goal} | {'met' if met else 'missed'} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
