#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers: what ipv6natd costs, beside what it replaces, measured in one run on one machine.

    client --- router === host: Docker Engine, ipv6natd, containers on fd00:6::/64

The engine runs without docker-proxy, so that nobody answers in place of a mapping that is missing.
What is compared takes turns (A B C A B C ...), the first round warms up where it says so, and what
counts are the ratios: medians (min - max), n = number of values. Every timing also checks the result:
the kernel's rules are read back, every answer tells whom it came from. Exit code 1 when a check
fails; a goal that is missed is only said. Root; --quick takes two minutes, the rest ten.
"""

import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/bench")]

import datapath
import ndp
from lab import Daemon, Engine, Lab, Unavailable, outcome, peer_of, tcp_ask, wait_for

SUBNET = "fd00:6::/64"
PORTS_EACH = 5                      # of the containers that are just there
FIRST_OTHER, FIRST_EXPLICIT = 20000, 10000     # host ports; the engine chooses above 32768


def spread(values, digits=1):
    """Median and range, as they are printed."""
    return (f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} - "
            f"{max(values):,.{digits}f})")


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p / 100))]


def ratio_of(rounds, what, base):
    """Median of the ratios of values measured in the same round."""
    pairs = [(r[what], r[base]) for r in rounds if what in r and base in r]
    return statistics.median(a / b for a, b in pairs)


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((done.stdout or done.stderr).strip().splitlines() or ["?"])[0]


class Report:
    """What was measured, as it comes, and as one table at the end."""

    def __init__(self):
        self.rows, self.wrong = [], []

    def say(self, text=""):
        print(text, flush=True)

    def title(self, text):
        load = " ".join(f"{n:.1f}" for n in os.getloadavg()[:2])
        self.say(f"\n{text}  [load {load}]")

    def row(self, what, ours, beside, result, goal, met):
        self.rows.append((what, ours, beside, result, goal, {True: "met", False: "missed", None: ""}[met]))

    def check(self, right, text):
        if not right:
            self.wrong.append(text)
            self.say(f"  WRONG: {text}")

    def table(self):
        self.title("Summary")
        head = ("what", "ipv6natd", "beside it", "result", "goal", "")
        for row in (head, ("---",) * len(head), *self.rows):
            self.say("| " + " | ".join(row) + " |")


def print_machine(report):
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    memory = int(open("/proc/meminfo").readline().split()[1]) >> 20
    report.say(f"machine: {cpu}, {os.cpu_count()} CPUs, {memory} GiB, Linux {os.uname().release}, "
               f"load {' '.join(f'{n:.2f}' for n in os.getloadavg())}")
    report.say(f"programs: {first_line('nft', '--version')}; {first_line('ip6tables', '--version')}; "
               f"{first_line(datapath.PROGRAMS['daemon'], '--version')}")


# ------------------------------------------------------------ 1 synchronisation

def run_rules(verb, n, count=None):
    """Numbers that bench-rules prints, in a fresh namespace; count: rules that must be there then."""
    script = f"{datapath.PROGRAMS['rules']} {verb} {n}"
    if count is not None:
        script += " && ip6tables-save | grep -c -- --dport"
    lines = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    if count is not None and int(lines[1]) != count:
        raise SystemExit(f"{verb} {n}: {lines[1]} rules, not {count}")
    # the kernel takes the namespace down behind our back
    time.sleep(0.05 + n / 20000)
    return [float(number) / 1000 for number in lines[0].split()]


def measure_sync(report, quick):
    """The kernel part: the difference, its encoding, one transaction, the kernel's acknowledgement."""
    sizes, n_rounds, n_exec = (1, 100, 1000, 10000), 3 if quick else 9, 1 if quick else 5
    report.title(f"1. Full synchronisation, kernel part, ms, {n_rounds} rounds after a warm-up "
                 f"(one ip6tables process per rule at 1,000 ports: {n_exec})")
    rounds = []
    for i in range(n_rounds + 1):
        now = {}
        for n in sizes:
            plan, difference, commit = run_rules("sync", n)
            now["plan", n], now["ours", n] = plan, difference + commit
            now["restore", n] = run_rules("restore", n, 3 * n)[0]
            if n <= 100 or (n == 1000 and 0 < i <= n_exec):
                now["exec", n] = run_rules("exec", n, 3 * n)[0]
                now["exec-dnat", n] = run_rules("exec-dnat", n, n)[0]
        if i:
            rounds.append(now)
    report.say("  ours: read back and compared; ip6tables: DNAT, accept and hairpin rule of each port, as "
               "docker-ipv6nat makes them; DNAT: only that one")
    for n in sizes:
        report.say(f"  {n:6,} ports")
        for what, name in (("ours", "one transaction"), ("plan", "(making the plan)"),
                           ("restore", "ip6tables-restore --noflush"), ("exec", "a process per rule"),
                           ("exec-dnat", "a process per DNAT rule")):
            values = [r[what, n] for r in rounds if (what, n) in r]
            text = spread(values, 2) + f"   {ratio_of(rounds, (what, n), ('ours', n)):,.1f} times ours" \
                if values else "not run: minutes"
            report.say(f"    {name:28} {text}")
    times = ratio_of(rounds, ("exec", 1000), ("ours", 1000))
    ours = statistics.median(r["ours", 1000] for r in rounds)
    report.row("full synchronisation, kernel part, 1,000 ports", f"{ours:.1f} ms",
               f"one ip6tables process per rule, 3 per port: "
               f"{statistics.median(r['exec', 1000] for r in rounds[:n_exec]) / 1000:.1f} s",
               f"{times:,.0f} times faster", ">= 1,000", times >= 1000)
    times = ratio_of(rounds, ("exec-dnat", 1000), ("ours", 1000))
    report.row("", "", "only the DNAT rule of each port: "
               f"{statistics.median(r['exec-dnat', 1000] for r in rounds[:n_exec]) / 1000:.1f} s",
               f"{times:,.0f} times faster", "", None)
    times = ratio_of(rounds, ("restore", 10000), ("ours", 10000))
    report.row("the same, 10,000 ports", f"{statistics.median(r['ours', 10000] for r in rounds):.0f} ms",
               f"ip6tables-restore: {statistics.median(r['restore', 10000] for r in rounds):,.0f} ms",
               f"{times:,.0f} times faster", "", None)
    return statistics.median(r["exec", 100] / 300 for r in rounds)


# ------------------------------------------------------------ what happens when

class Watch:
    """Commits to nf_tables on the host, with the time at which the kernel told of them."""

    def __init__(self, lab):
        self.path = lab.dir / "watch"
        with open(self.path, "wb") as out:
            self.process = lab.host.popen([datapath.PROGRAMS["watch"]], stdout=out)
        wait_for(lambda: self.path.read_text().startswith("ready\n"), what="bench-watch is ready")
        lab.parts.append(self)

    def close(self):
        self.process.terminate()
        self.process.wait()

    def commits(self, since=0):
        """(time in ns, process, added, deleted, {port: added or not}) after that time."""
        for line in self.path.read_text().splitlines()[1:]:
            words = line.split()
            if not line or words[0] == "lost":
                raise SystemExit(f"bench-watch: {line}")
            if int(words[0]) > since:
                yield int(words[0]), words[1], int(words[2]), int(words[3]), [int(w) for w in words[4:]]


class Events:
    """The engine's own words, with its own time stamps."""

    def __init__(self, engine):
        self.path = engine.dir / "events"
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(["curl", "-sN", "--unix-socket", engine.socket,
                                             "http://d/events"], stdout=out)
        engine.lab.parts.append(self)

    def close(self):
        self.process.terminate()
        self.process.wait()

    def times(self, action, key="id"):
        """{container ID: timeNano} of the last such event."""
        found = {}
        for line in self.path.read_text().splitlines():
            event = json.loads(line)
            if event["Action"] == action:
                actor = event["Actor"]
                found[actor["ID"] if key == "id" else actor["Attributes"][key]] = event["timeNano"]
        return found


# ------------------------------------------------------------ 2, 3 container starts

def start_one(lab, engine, i):
    """One docker run; what came of the first question to its published port."""
    port = FIRST_EXPLICIT + i
    container = engine.run(f"s{i}", f"--network ula -p {port}:80 -p 81", serve="tcp:80")
    returned, asked = time.monotonic(), time.time_ns()
    answer = first = outcome(tcp_ask, lab.client, lab.host.v6, port, timeout=1)
    while " from " not in answer and time.monotonic() < returned + 5:
        answer = outcome(tcp_ask, lab.client, lab.host.v6, port, timeout=1)
    seconds = time.monotonic() - returned
    chosen = container.host_port("81/tcp")
    container.remove()
    right = first.startswith(f"s{i} ") and peer_of(first) == lab.client.v6
    return {"id": container.id, "port": port, "chosen": chosen, "first": first, "right": right,
            "ms": seconds * 1000, "asked": asked}


def mapping_times(watch, since):
    """({port: times it was added}, {port: times it was deleted})"""
    added, deleted = {}, {}
    for when, process, _, _, ports in watch.commits(since):
        if process == "ipv6natd":
            for port in ports:
                (added if port > 0 else deleted).setdefault(abs(port), []).append(when)
    return added, deleted


def delays(report, starts, events, watch, since):
    """ms: mapping after connect and before start (explicit port), after start (chosen port)."""
    added, deleted = mapping_times(watch, since)
    started, connected = events.times("start"), events.times("connect", "container")
    after_connect, before_start, after_start = [], [], []
    for s in starts:
        start, connect = started[s["id"]], connected[s["id"]]
        explicit = [t for t in added.get(s["port"], []) if t > connect]
        chosen = [t for t in added.get(s["chosen"], []) if t > connect]
        if len(explicit) != 1 or len(chosen) != 1 or min(deleted.get(s["port"], [0])) < start:
            report.check(False, f"container s{s['port'] - FIRST_EXPLICIT}: port {s['port']} was made "
                         f"{len(explicit)} times, port {s['chosen']} {len(chosen)} times")
            continue
        s["stood"] = explicit[0] < s["asked"]
        after_connect.append((explicit[0] - connect) / 1e6)
        before_start.append((start - explicit[0]) / 1e6)
        after_start.append((chosen[0] - start) / 1e6)
    return after_connect, before_start, after_start


def measure_starts(report, lab, engine, events, watch, n, n_others):
    report.title(f"2, 3. {n} container starts, {n_others} other containers running, ms")
    since = time.time_ns()
    starts = [start_one(lab, engine, i) for i in range(n)]
    time.sleep(0.3)
    after_connect, before_start, after_start = delays(report, starts, events, watch, since)

    def line(name, values):
        report.say(f"  {name:58} {spread(values, 2)}, p99 {percentile(values, 99):.2f}")
    line("explicit port: mapping stands before the start event by", before_start)
    line("explicit port: connect event -> rule in the kernel", after_connect)
    line("port chosen by the engine: start event -> rule", after_start)
    line("docker run returned -> first answer", [s["ms"] for s in starts])
    # where the mapping stood, a refusal is the container's own: its process did not listen yet
    early = [s for s in starts if s["first"] == "refused" and s.get("stood")]
    failed = [s["first"] for s in starts if not s["right"] and s not in early]
    late = sum(not s.get("stood") for s in starts)
    report.say(f"  first questions that failed: {len(failed)} of {n} {' '.join(sorted(set(failed)))}; asked before "
               f"the mapping stood: {late}"
               f"{f'; {len(early)} refused by containers not listening yet' if early else ''}")
    median, p99 = statistics.median(after_start), percentile(after_start, 99)
    report.row(f"`start` event -> rule in the kernel, {n_others} other containers",
               f"median {median:.2f} ms, p99 {p99:.2f} ms", "engine-chosen port",
               f"{n} starts", "<= 2 ms, p99 <= 10 ms", median <= 2 and p99 <= 10)
    n_before = sum(ms > 0 for ms in before_start)
    report.row("explicit host port: mapping stands before `start`",
               f"{statistics.median(before_start):.0f} ms earlier", f"{n_others} other containers",
               f"{n_before} of {n} starts", "all", n_before == n)
    report.row("first answer of a published port after `docker run -d` returns",
               f"{statistics.median(s['ms'] for s in starts):.2f} ms", f"{n_others} other containers",
               f"{len(failed)} failures in {n} starts", "0", not failed)


def start_others(engine, n):
    def run(i):
        port = FIRST_OTHER + PORTS_EACH * i
        engine.run(f"other{i}", "--network ula", f"-p {port}-{port + PORTS_EACH - 1}:80-{79 + PORTS_EACH}",
                   serve="tcp:80")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(n)))


# ------------------------------------------------------------ 5, 6, 7 the daemon itself

def n_mappings(lab):
    listed = lab.host.nft_json("list map ip6 ipv6nat publish_any")
    return len(next(x["map"] for x in listed if "map" in x).get("elem", []))


def measure_startup(report, lab, daemon, watch, n_others, n_rounds, exec_ms):
    n_ports = n_others * PORTS_EACH
    report.title(f"6. Start-up with {n_others} containers and {n_ports:,} ports, ms, "
                 f"{n_rounds} rounds after a warm-up")
    values = []
    for i in range(n_rounds + 1):
        daemon.stop()
        daemon.wipe_rules()
        began = time.time_ns()
        daemon.start(wait=False)

        def complete():
            return [c[0] for c in watch.commits(began) if c[1] == "ipv6natd" and c[2]]
        wait_for(complete, what="the table is made")
        daemon.sync()
        report.check(len(complete()) == 1 and n_mappings(lab) == n_ports,
                     f"{len(complete())} commits and {n_mappings(lab)} mappings after a start")
        if i:
            values.append((complete()[0] - began) / 1e6)
        daemon.stop()
        again = time.time_ns()
        daemon.start()
        daemon.sync()
        changes = [c for c in watch.commits(again) if c[1] == "ipv6natd"]
        report.check(not changes, f"{len(changes)} commits after a start that found everything in place")
    report.say(f"  {'exec -> all mappings in the kernel':58} {spread(values)}")
    median = statistics.median(values)
    report.row(f"whole start-up, {n_others} containers", f"{median:.0f} ms",
               f"one ip6tables process: {exec_ms:.2f} ms; docker-ipv6nat runs 1,044 of them",
               f"as long as {median / exec_ms:.0f} ip6tables processes", "<= 200 ms", median <= 200)


def status_field(pid, name):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def switches(pid):
    return sum(status_field(f"{pid}/task/{task.name}", "voluntary_ctxt_switches")
               for task in Path(f"/proc/{pid}/task").iterdir())


def measure_idle(report, daemon, n_others, seconds):
    report.title(f"7. At rest, {n_others} containers, {seconds} s")
    pid = daemon.process.pid
    before = switches(pid)
    time.sleep(seconds)
    wakeups = switches(pid) - before
    anon, high = status_field(pid, "RssAnon"), status_field(pid, "VmHWM")
    report.say(f"  wake-ups: {wakeups}; RssAnon {anon:,} kB, VmHWM {high:,} kB")
    report.row("wake-ups when nothing happens", f"{wakeups} in {seconds} s", "", "", "0", wakeups == 0)
    report.row(f"private memory (RssAnon), {n_others} containers", f"{anon:,} kB",
               "docker-ipv6nat, measured elsewhere: VmHWM 13,416 kB", "", "<= 1/3", None)


def measure_repair(report, lab, watch, n_others, n_rounds):
    """Last: the flush takes Docker's own IPv4 rules away as well."""
    n_ports = n_others * PORTS_EACH
    report.title(f"5. Repair after nft flush ruleset, {n_ports:,} ports, ms, {n_rounds} rounds")
    values = []
    for i in range(n_rounds):
        # five in ten seconds are repaired at once, more are backed off
        time.sleep(0.3 if n_rounds <= 5 else 2.2)
        since = time.time_ns()
        lab.host.nft("flush ruleset")

        def repaired():
            commits = list(watch.commits(since))
            flushed = [c[0] for c in commits if c[1] == "nft"]
            ours = [c[0] for c in commits if c[1] == "ipv6natd" and c[2] == n_ports]
            return flushed and ours and (ours[0] - flushed[0]) / 1e6
        values.append(wait_for(repaired, what="the table is repaired"))
        report.check(n_mappings(lab) == n_ports, "mappings are missing after a repair")
        answer = outcome(tcp_ask, lab.client, lab.host.v6, FIRST_OTHER + PORTS_EACH * (i % n_others))
        report.check(answer.startswith(f"other{i % n_others} ") and peer_of(answer) == lab.client.v6,
                     f"after a repair: {answer}")
    report.say(f"  {'commit of nft -> commit of ipv6natd':58} {spread(values)}")
    median = statistics.median(values)
    report.row(f"repair after `nft flush ruleset`, {n_ports:,} ports", f"{median:.1f} ms",
               "Docker, docker-ipv6nat: never", f"max {max(values):.1f} ms", "<= 10 ms", median <= 10)


def measure_host(report, quick, exec_ms):
    n_starts, n_others = (12, 40) if quick else (200, 200)
    with Lab() as lab:
        engine = Engine(lab, version="20.10", userland_proxy=False)
        daemon = Daemon(engine)
        engine.start()
        engine.network("ula", SUBNET)
        daemon.start()
        watch, events = Watch(lab), Events(engine)
        version = engine.api("GET", "/version")["Version"]
        report.say(f"\nDocker Engine {version}, userland-proxy off, in a network namespace")
        # the first one of all finds cold caches and no neighbours
        start_one(lab, engine, 9999)
        measure_starts(report, lab, engine, events, watch, n_starts, 0)
        began = time.monotonic()
        start_others(engine, n_others)
        wait_for(lambda: n_mappings(lab) == n_others * PORTS_EACH, 30, "all mappings stand")
        report.say(f"\n{n_others} containers more, {PORTS_EACH} ports each: "
                   f"{time.monotonic() - began:.0f} s, of the engine")
        time.sleep(2 if quick else 15)
        measure_starts(report, lab, engine, events, watch, n_starts, n_others)
        last_start = time.monotonic()
        measure_startup(report, lab, daemon, watch, n_others, 5 if quick else 11, exec_ms)
        # a bridge tells of a new port once more when its forward delay (15 s) has passed
        time.sleep(max(2, last_start + 20 - time.monotonic()))
        measure_idle(report, daemon, n_others, 10 if quick else 60)
        measure_repair(report, lab, watch, n_others, 4 if quick else 10)
        report.check(engine.running() and daemon.running(), "the engine or the daemon has ended")
        daemon.stop()


# ------------------------------------------------------------ 4 the way of a packet

def measure_datapath(report, quick):
    cases = [datapath.parse_case(c) for c in
             ("ct", "ipt-min", "ipt-min@1000", "ipt-docker", "ours@1", "ours@1000", "ours@10000", "control@10000")]
    long_lists = [datapath.parse_case(c) for c in ("ipt-ipv6nat@5000", "ours@5000", "ct")]
    lab = datapath.Lab()
    try:
        lab.up()
        report.title("4. CPU of a new connection: sender, router and receiver")
        report.say("  ct: nothing but conntrack; ipt-min: one DNAT rule per port and no filter; ipt-docker: what "
                   "Docker makes for one port;\n  ipt-ipv6nat: the three rules per port of docker-ipv6nat; "
                   "control: ours again, its distance to ours is the noise")
        report.check(datapath.check(lab, "ours"), "the functional matrix before")
        udp = datapath.measure_all(lab, cases, "udp-in", 3 if quick else 21, 3000 if quick else 6000)
        datapath.report("udp-in", udp, 3000 if quick else 6000)
        if not quick:
            for mode, rounds, flows in ("tcp-in", 9, 2500), ("udp-out", 9, 6000):
                few = [c for c in cases if c[0] not in ("ipt-min",)]
                datapath.report(mode, datapath.measure_all(lab, few, mode, rounds, flows), flows)
        tcp = datapath.measure_all(lab, long_lists, "tcp-in", 1 if quick else 5, 1500)
        datapath.report("tcp-in", tcp, 1500)
        report.check(datapath.check(lab, "ours"), "the functional matrix after")
    finally:
        lab.down()
    report_datapath(report, udp, tcp)


def report_datapath(report, udp, tcp):
    n = len(udp["ours", 1])
    noise = datapath.ratio(udp, ("control", 10000), ("ours", 10000))
    for what, case, base, beside, goal in (
            ("CPU per new connection, 10,000 ports", ("ours", 10000), ("ours", 1), "1 port", 1.05),
            ("", ("ours", 10000), ("ipt-min", 1), "one bare ip6tables DNAT rule", 1.05),
            ("", ("ours", 10000), ("ipt-docker", 1), "Docker's own rules for one port", None),
            ("", ("ours", 1000), ("ipt-min", 1000), "1,000 ip6tables DNAT rules", None)):
        ratio = datapath.ratio(udp, case, base)
        report.row(what, f"{statistics.median(udp[case]) / 1000:.2f} us",
                   f"{beside}: {statistics.median(udp[base]) / 1000:.2f} us",
                   f"{ratio:.3f} (noise {abs(noise - 1):.3f}, n = {n})",
                   f"<= {goal}" if goal else "", ratio <= goal if goal else None)
    ratio = datapath.ratio(tcp, ("ipt-ipv6nat", 5000), ("ours", 5000))
    report.row("TCP connections per CPU second, 5,000 ports",
               f"{1e9 / statistics.median(tcp['ours', 5000]):,.0f}",
               f"docker-ipv6nat's rules: {1e9 / statistics.median(tcp['ipt-ipv6nat', 5000]):,.0f}",
               f"{ratio:.1f} times as many", ">= 25", ratio >= 25)


# ------------------------------------------------------------ 8 neighbour solicitations

def measure_ndp(report, directory, quick):
    report.title("8. Answers to neighbour solicitations")
    for row in ndp.measure(f"{directory}/bench-ndp", quick, report.say):
        report.row(*row)


# ------------------------------------------------------------ all of it

def main():
    parser = argparse.ArgumentParser(description="The numbers of ipv6natd, as ratios.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, two minutes")
    parser.add_argument("--programs", default=str(TOP / "build"), help="where make has put them")
    parser.add_argument("--only", default="sync,host,datapath,ndp", help="parts, default: %(default)s")
    args = parser.parse_args()
    directory = os.path.abspath(args.programs)
    datapath.use_programs(directory)
    datapath.PROGRAMS["watch"] = f"{directory}/bench-watch"
    datapath.PROGRAMS["daemon"] = os.environ.setdefault("IPV6NATD", f"{directory}/ipv6natd")
    report = Report()
    began = time.monotonic()
    print_machine(report)
    try:
        exec_ms = measure_sync(report, args.quick) if "sync" in args.only else 2.0
        if "datapath" in args.only:
            measure_datapath(report, args.quick)
        if "ndp" in args.only:
            measure_ndp(report, directory, args.quick)
        if "host" in args.only:
            measure_host(report, args.quick, exec_ms)
    except (Unavailable, RuntimeError, AssertionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    report.table()
    report.say(f"\n{(time.monotonic() - began) / 60:.1f} minutes, load at the end "
               f"{' '.join(f'{n:.2f}' for n in os.getloadavg())}; {len(report.wrong)} wrong results")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
