# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon as a container, made and started as the documents say.

    client --- router (bridge lan) === host1 (engine, the image), host2 (for the swarm: the same)

Property: the image made of the build does the main job with two capabilities and nothing else, from
the commands, the compose file and the stack file of contrib/docker as they are; it asks the engine for
what is documented there and nothing more.
"""

import json
import os
import re
import shlex
import subprocess
import tarfile
from pathlib import Path

import pytest

from follow import log_lines, rules
from lab import Daemon, SocketProxy, SocketRelay, Stream, Unavailable, end_daemons, outcome, tcp_ask, wait_for
from lab.daemon import TOP, program
from lab.engine import engine_dirs
from lab.process import words
from nftables import check_script

CONTRIB = TOP / "contrib/docker"
SUBNET = "fd00:6::/64"


# -- what the documents say -------------------------------------------------------------------

def commands(beginning):
    """The commands of the README that begin so, backslashes at line ends resolved."""
    text = (CONTRIB / "README.md").read_text().replace("\\\n", " ")
    found = [line.strip() for line in text.splitlines() if line.startswith(f"    {beginning}")]
    assert found, f"no command \"{beginning}\" in contrib/docker/README.md"
    return found


def documented_requests():
    """Regular expressions of the request lines in the README's table."""
    lines = re.findall(r"^\| `GET (/\S+)` \|", (CONTRIB / "README.md").read_text(), re.MULTILINE)
    assert lines
    return {path: r"GET (/v1\.\d\d)?" + re.escape(path).replace("ID", "[0-9a-f]{64}") + r"(\?\S*)?"
            for path in lines}


def in_lab(text, socket, run):
    """The same with the host's paths replaced by the lab's."""
    text = re.sub(r"/var/run/docker\.sock(?=:/)", str(socket), text)
    text = text.replace("source: /var/run/docker.sock", f'source: "{socket}"')
    text = text.replace("/run:/run/host", f"{Path(socket).parent}:/run/host")
    return text.replace("/run/ipv6nat:/", f"{run}:/").replace("/etc/ipv6nat:/", f"{run}/etc:/")


# -- fixtures ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def image(module_lab):
    """The image of the programs under test, as a file."""
    if "san" in Path(program("IPV6NATD", "build/ipv6natd")[-1]).parts:
        pytest.skip("a program that is built with sanitizers wants more than the image gives it")
    path = module_lab.dir / "image.tar"
    subprocess.run([CONTRIB / "image", "0.0.test", program("IPV6NATD", "build/ipv6natd")[-1],
                    program("IPV6NATCTL", "build/ipv6natctl")[-1], path], check=True)
    return path


@pytest.fixture(scope="module")
def module_lab(make_lab):
    lab = make_lab()
    lab.serve(lab.client)
    return lab


def lacking_capabilities():
    """Names of the capabilities that this machine does not even give to root."""
    bounding = int(re.search(r"^CapBnd:\s+(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)[1], 16)
    header = Path("/usr/include/linux/capability.h").read_text()
    return [name for name, bit in re.findall(r"^#define (CAP_\w+)\s+(\d+)$", header, re.MULTILINE)
            if not bounding >> int(bit) & 1 and int(bit) <= int(Path("/proc/sys/kernel/cap_last_cap").read_text())]


def runtime(lab):
    """A runtime by which --privileged is all that this machine gives: the engine asks for all that there
    is, and runc refuses what it cannot have."""
    wrapper = lab.dir / "runc"
    wrapper.write_text(f"""#!/bin/sh
last=
for word; do
	case $last in
	--bundle) config=$word/config.json ;;
	--process) config=$word ;;
	esac
	last=$word
done
[ -z "$config" ] || sed -i -E 's/"({"|".join(lacking_capabilities())})",?//g; s/,\\]/]/g' "$config"
exec {engine_dirs("20.10")[-1]}/runc "$@"
""")
    wrapper.chmod(0o755)
    return {"runtimes": {"lab": {"path": str(wrapper)}}, "default-runtime": "lab"}


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine, image):
    engine = make_engine(module_lab, config=runtime(module_lab) if lacking_capabilities() else {})
    engine.docker("load --input", image)
    return engine


class DaemonContainer(Daemon):
    """The daemon in a container; ipv6natctl beside it on the host. args: of docker run, as the README
    gives them; socket: the engine's, as seen by the container."""

    def __init__(self, engine, args, socket=None):
        super().__init__(engine)
        self.engine = engine
        (self.dir / "etc").mkdir()
        self.control = self.dir / "control.sock"
        self.socket = socket or engine.socket
        self.arguments = words([in_lab(args, self.socket, self.dir)])
        assert self.arguments[:2] == ["docker", "run"]

    def start(self, wait=True, timeout=30):
        self.engine.docker(*map(shlex.quote, self.arguments[1:]))
        if wait:
            wait_for(lambda: self.ctl("sync").returncode == 0, timeout, "ipv6natd in its container answers")
        return self

    def running(self):
        return "ipv6nat" in self.engine.docker("ps --format {{.Names}}").split()

    def stop(self, signum=None):
        if self.engine.docker("ps -a -q --filter name=^ipv6nat$"):
            self.engine.docker("stop ipv6nat")
            self.log.write_text(self.engine.docker("logs ipv6nat", check=False))
            code = self.engine.docker("inspect --format {{.State.ExitCode}} ipv6nat")
            self.engine.docker("rm ipv6nat")
            assert code == "0", self.log.read_text()

    def exec(self, *args):
        return self.engine.docker("exec ipv6nat", *args)


@pytest.fixture
def make_container(engine):
    """Makes containers of the daemon (not started): make_container("docker run ...")."""
    made = []

    def make(args, **options):
        made.append(DaemonContainer(engine, args, **options))
        return made[-1]

    yield make
    end_daemons(made)


@pytest.fixture
def container(make_container):
    return make_container(RUN)


SOCKET = "-v /var/run/docker.sock:/var/run/docker.sock:ro"
RUN, PRIVILEGED = [next(c for c in commands("docker run -d --name ipv6nat")
                        if ("--privileged" in c) == privileged) for privileged in (False, True)]


def serve_web(engine, name="web", subnet=SUBNET):
    engine.network("ula", subnet)
    return engine.run(name, "--network ula -p 8080:80")


def assert_main_job(lab, web, host=None):
    """Out by NAT and in by a published port, each side knows who the other one is."""
    host = host or lab.host
    into = lambda: outcome(tcp_ask, lab.client, host.v6, 8080)
    wait_for(lambda: into() == f"{web.name} tcp:80 from {lab.client.v6}", 15, "the client is seen")
    assert outcome(tcp_ask, web.ns, lab.client.v6, 80) == f"client tcp:80 from {host.v6}"


# -- the image --------------------------------------------------------------------------------

def instructions():
    """[(instruction, its arguments)] of the Dockerfile's last stage."""
    text = (CONTRIB / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(r"^([A-Z]+) +(.*)$", text[text.rindex("\nFROM "):], re.MULTILINE)


def config_of(image):
    with tarfile.open(image) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]
        return json.load(tar.extractfile(manifest["Config"]))["config"]


def test_dockerfile_sets_the_same(image):
    """Who builds with the Dockerfile gets what "make image" makes."""
    config, said = config_of(image), instructions()
    assert [json.loads(words) for name, words in said if name == "ENTRYPOINT"] == [config["Entrypoint"]]
    check = config["Healthcheck"]
    seconds = {key: value // 10**9 for key, value in check.items() if key != "Test"}
    assert [words for name, words in said if name == "HEALTHCHECK"] == [
        f"--interval={seconds['Interval']}s --timeout={seconds['Timeout']}s "
        f"--start-period={seconds['StartPeriod']}s CMD {json.dumps(check['Test'][1:])}"]
    labels = dict(shlex.split(words)[0].split("=", 1) for name, words in said if name == "LABEL")
    fixed = {key: value for key, value in config["Labels"].items() if not key.endswith(".created")}
    assert labels == fixed | {"org.opencontainers.image.version": "$VERSION"}


def test_dockerfile_has_the_libraries(image):
    """Its packages are those of the libraries that the programs name, and no others."""
    needed = set()
    for name in ("IPV6NATD", "build/ipv6natd"), ("IPV6NATCTL", "build/ipv6natctl"):
        dump = subprocess.run(["objdump", "-p", program(*name)[-1]], capture_output=True, text=True, check=True)
        needed |= set(re.findall(r"NEEDED +(\S+)", dump.stdout))
    found = subprocess.run(["dpkg-query", "-S", *(f"*/{name}" for name in needed)],
                           capture_output=True, text=True).stdout
    packages = {name for name in re.findall(r"^([^:\s]+):", found, re.MULTILINE)
                if not name.startswith("libc6")} 
    run = next(words for name, words in instructions() if name == "RUN")
    installed = set(re.search(r"--no-install-recommends (.*?) &&", run)[1].split())
    assert installed == packages | {"ca-certificates"}


def test_make_image(lab, engine):
    """make image, as it is typed: into the engine that the docker command speaks to."""
    if program("IPV6NATD", "build/ipv6natd") != [str(TOP / "build/ipv6natd")]:
        pytest.skip("make image takes what make has built, which is not what is tested here")
    version = re.search(r"^VERSION := (.*)$", (TOP / "Makefile").read_text(), re.MULTILINE)[1]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    subprocess.run(["make", "image"], cwd=TOP, check=True, capture_output=True,
                   env={**environment, "DOCKER_HOST": engine.url, "DOCKER_CONFIG": str(engine.dir),
                        "PATH": f"{engine.bin[-1]}:{environment['PATH']}"})
    made = engine.api("GET", "/images/ipv6nat/json")
    assert f"ipv6nat:{version}" in made["RepoTags"]
    assert made["Config"]["Labels"]["org.opencontainers.image.version"] == version
    assert engine.docker("run --rm --network none ipv6nat --version") == f"ipv6natd {version}"


def test_readmes_agree():
    """The command in the first README is the one that is tested here."""
    first = re.sub(r"\\\n +", "", (TOP / "README.md").read_text())
    assert re.sub(" +", " ", RUN) in re.sub(" +", " ", first)


# -- docker run -------------------------------------------------------------------------------

@pytest.mark.engine_any
@pytest.mark.parametrize("how", [RUN, PRIVILEGED], ids=["capabilities", "privileged"])
def test_main_job(lab, engine, make_container, how):
    """It also knows that it is none of the containers it works for; and the socket is the engine's
    group's, as it is where Docker is installed."""
    os.chown(engine.socket, 0, 4242)
    os.chmod(engine.socket, 0o660)
    container = make_container(how.replace("-d ", "-d --health-interval 1s ")).start()
    assert_main_job(lab, serve_web(engine))
    engine.network("direct", "2001:db8:1:0:d0::/80")
    shop = engine.run("shop", "--network direct -p 80:80")
    wait_for(lambda: outcome(tcp_ask, lab.client, shop.v6(), 80) == f"shop tcp:80 from {lab.client.v6}", 15,
             "the neighbour is answered for")
    status = container.status()
    assert (status["state"], status["problems"]) == ("ok", [])
    assert {c["name"] for n in status["networks"] for c in n["containers"]} == {"web", "shop"}
    assert json.loads(container.exec("ipv6natctl --json status"))["networks"] == status["networks"]
    health = lambda: engine.api("GET", "/containers/ipv6nat/json")["State"]["Health"]
    wait_for(lambda: health()["Status"] == "healthy", 15)
    # being asked for its health is no event to it
    events, checked = container.status()["docker"]["events"], health()["Log"][-1]
    wait_for(lambda: health()["Log"][-1] != checked, 15)
    assert container.status()["docker"]["events"] == events
    # nothing was written into the image, and there was nothing to complain about
    assert [line for line in engine.docker("diff ipv6nat").splitlines()
            if not re.search(r"^[AC] /(run|etc|var)", line)] == []
    container.stop()
    assert log_lines(container) and not log_lines(container, "^<[0-4]>")


def test_restart_keeps_connections(lab, engine, container):
    """Restart, and removal and another one in its place, which is an upgrade."""
    container.start()
    serve_web(engine)
    wait_for(lambda: outcome(tcp_ask, lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}")
    before = rules(lab.host)
    with Stream(lab.client, lab.host.v6, 8080) as stream:
        engine.docker("restart ipv6nat")
        container.sync()
        stream.wait_more()
        engine.docker("rm --force ipv6nat")
        stream.wait_more()
        container.start()
        stream.wait_more()
    assert stream.result["n_failed"] == 0 and rules(lab.host) == before
    assert list(stream.result["answers"]) == [f"web tcp:80 from {lab.client.v6}"]


@pytest.mark.engine_any
def test_engine_restarts(lab, engine, container):
    """As after a reboot: the engine starts the daemon along with the others."""
    container.start()
    engine.network("ula", SUBNET)
    web = engine.run("web", "--network ula -p 8080:80 --restart always")
    engine.restart()
    assert_main_job(lab, web)
    wait_for(lambda: container.status()["state"] == "ok")


def test_engine_restarts_under_it(lab, engine, make_container):
    """With live-restore it keeps running, and finds the engine's new socket."""
    instead, = re.findall(r"^`(-v /run:.*)`$", (CONTRIB / "README.md").read_text(), re.MULTILINE)
    engine.config["live-restore"] = True
    engine.restart()
    try:
        container = make_container(RUN.replace(SOCKET, instead)).start()
        engine.restart()
        assert_main_job(lab, serve_web(engine))
        container.wait_status(lambda s: s["state"] == "ok" and s["docker"]["connected"])
        assert engine.docker("inspect --format {{.RestartCount}} ipv6nat") == "0"
        container.stop()
    finally:
        engine.clean()
        engine.config["live-restore"] = False
        engine.restart()


def test_dry_run(lab, engine):
    """What it would do is a script for nft, and nothing is done."""
    serve_web(engine)
    command, = [c for c in commands("docker run --rm") if c.endswith("--dry-run")]
    script = engine.docker(in_lab(command, engine.socket, lab.dir).removeprefix("docker "))
    assert "publish_any" in script and not rules(lab.host)
    check_script(lab.host, script)


def test_removal(lab, engine, container):
    """The documented command takes all of it away; beside a running daemon it refuses, and says in
    words that fit where it is."""
    container.start()
    serve_web(engine)
    cleanup = next(c for c in commands("docker run --rm") if c.endswith("--cleanup")).removeprefix("docker ")
    refused = engine.docker(cleanup, check=False)
    assert "another ipv6natd" in refused and "docker stop" in refused and "PID 0" not in refused
    assert rules(lab.host)
    container.stop()
    assert rules(lab.host)
    engine.docker(cleanup)
    assert not rules(lab.host)


def test_sysctls_are_read_only(lab, engine, make_container):
    """Without --privileged the daemon says what to do instead of doing it, and does all the rest."""
    web = serve_web(engine)
    forwarding = "net/ipv6/conf/all/forwarding"
    lab.host.sysctl(forwarding, 0)
    container = make_container(RUN).start()
    problems = container.status()["problems"]
    assert {p["code"] for p in problems} == {"sysctl-readonly"}
    assert all("Read-only file system" in p["message"] for p in problems)
    lines = [re.search(r'put "(\S+) = (\d)" into /etc/sysctl.d/', p["cure"]).groups() for p in problems]
    assert outcome(tcp_ask, lab.client, lab.host.v6, 8080) != f"web tcp:80 from {lab.client.v6}"
    # the daemon is well: a swarm would end a task that is not
    assert container.exec("ipv6natctl --no-legend networks")
    for name, value in lines:
        lab.host.sysctl(name, value)
    assert_main_job(lab, web)
    container.wait_status(lambda s: not s["problems"])
    container.stop()

    for name, _ in lines:
        lab.host.sysctl(name, 0)
    container = make_container(PRIVILEGED).start()
    assert_main_job(lab, web)
    assert container.status()["problems"] == []


# -- what it asks the engine for --------------------------------------------------------------

def live_through_a_day(engine):
    """Everything that makes the daemon ask."""
    web = serve_web(engine)
    engine.network("second", "fd00:7::/64")
    engine.docker("network connect second web")
    engine.docker("network disconnect second web")
    engine.docker("network rm second")
    engine.docker("rename web other")
    web.restart()
    engine.docker("pause other")
    engine.docker("unpause other")
    engine.docker("rename other web")
    return web


def test_requests(lab, engine, make_container):
    """All that it asks for is in the table, and all that is in the table is asked for."""
    patterns = documented_requests()
    with SocketRelay(engine.socket, lab.dir / "relay.sock") as relay:
        container = make_container(RUN, socket=relay.path).start()
        live_through_a_day(engine)
        relay.hang_up()
        container.wait_status(lambda s: s["docker"]["connected"] and s["state"] == "ok")
        container.sync()
        container.stop()
        assert [r for r in relay.requests if not any(re.fullmatch(p, r) for p in patterns.values())] == []
        assert [path for path, p in patterns.items() if not any(re.fullmatch(p, r) for r in relay.requests)] == []


def test_socket_proxy(lab, engine, make_container):
    """With nothing but the documented requests let through, and without the socket."""
    with SocketProxy(engine.socket, lab.host, 2375, documented_requests().values()) as proxy:
        container = make_container(RUN.replace(SOCKET, f"-e DOCKER_HOST={proxy.url}")).start()
        web = live_through_a_day(engine)
        assert_main_job(lab, web)
        assert container.status()["state"] == "ok" and container.status()["docker"]["host"] == proxy.url
        container.stop()
        assert proxy.refused == [] and proxy.seen("/events")


# -- compose and swarm ------------------------------------------------------------------------

class Compose:
    def __init__(self, engine):
        self.engine = engine
        try:
            self.program = f"{engine_dirs('compose')[0]}/docker-compose"
        except Unavailable as reason:
            pytest.skip(str(reason))

    def __call__(self, file, *args):
        return subprocess.run([self.program, "--project-name", "ipv6nat", "--file", file, *words(args)],
                              env={"DOCKER_HOST": self.engine.url, "HOME": str(self.engine.dir)},
                              capture_output=True, text=True, check=True).stdout


def test_compose(lab, engine, make_container):
    compose = Compose(engine)
    container = make_container(RUN)
    file = container.dir / "compose.yaml"
    file.write_text(in_lab((CONTRIB / "compose.yaml").read_text(), engine.socket, container.dir))
    compose(file, "up -d")
    assert_main_job(lab, serve_web(engine))
    status = container.status()
    assert (status["state"], status["problems"]) == ("ok", [])
    container.stop()
    compose(file, "down")


def test_compose_with_socket_proxy(engine):
    """The file is a valid one, and its proxy lets through the sections of the API in the table."""
    compose = Compose(engine)
    services = json.loads(compose(CONTRIB / "compose-socket-proxy.yaml", "config --format json"))["services"]
    proxy, daemon = services["docker-socket-proxy"], services["ipv6nat"]
    sections = {path.split("/")[1].strip("_").upper() for path in documented_requests()}
    assert {key for key, value in proxy["environment"].items() if value == "1"} == sections
    port, = proxy["ports"]
    assert daemon["environment"]["DOCKER_HOST"] == f"tcp://{port['host_ip']}:{port['published']}"
    like = json.loads(compose(CONTRIB / "compose.yaml", "config --format json"))["services"]["ipv6nat"]
    for service in daemon, like:
        service["volumes"] = [v for v in service["volumes"] if v["target"] != "/var/run/docker.sock"]
    del daemon["environment"], daemon["depends_on"]
    assert daemon == like


@pytest.fixture
def swarm(lab, engine, make_engine, image):
    """Two engines, each on a host of its own, as one swarm."""
    other = make_engine(lab, lab.hosts[1] if len(lab.hosts) > 1 else lab.add_host())
    other.docker("load --input", image)
    engine.docker("swarm init --advertise-addr", engine.host.v4)
    token = engine.docker("swarm join-token --quiet worker")
    other.docker("swarm join --token", token, "--advertise-addr", other.host.v4, f"{engine.host.v4}:2377")
    yield engine, other
    other.docker("swarm leave --force", check=False)
    other.close()
    engine.docker("swarm leave --force")


def test_stack_on_two_nodes(lab, swarm, make_daemon):
    """The stack brings the daemon to both nodes, where both do the main job, and takes it away."""
    manager, ours = swarm[0], "--filter label=com.docker.stack.namespace=ipv6nat"
    # the nodes of the lab share one file system: each finds its engine's socket by its node's ID
    for engine in swarm:
        (lab.dir / f"{engine.api('GET', '/info')['Swarm']['NodeID']}.sock").symlink_to(engine.socket)
    text = in_lab((CONTRIB / "stack.yaml").read_text(), lab.dir / "{{.Node.ID}}.sock", lab.dir)
    # by its ID the image is not looked for in a registry, which is out of reach here
    image = manager.api("GET", "/images/ipv6nat:0.0.test/json")["Id"]
    (lab.dir / "stack.yaml").write_text(text.replace("image: ipv6nat", f"image: {image}"))
    manager.docker("stack deploy --resolve-image never -c", lab.dir / "stack.yaml", "ipv6nat")
    for number, engine in enumerate(swarm):
        web = serve_web(engine, f"web{number}", f"fd00:6:{number}::/64")
        assert_main_job(lab, web, engine.host)
        task, = engine.docker("ps -q", ours).split()
        status = json.loads(engine.docker("exec", task, "ipv6natctl --json status"))
        assert (status["state"], status["problems"]) == ("ok", [])
        assert [c["name"] for n in status["networks"] for c in n["containers"]] == [web.name]
    manager.docker("stack rm ipv6nat")
    wait_for(lambda: not any(engine.docker("ps -a -q", ours) for engine in swarm), 60, "the tasks are gone")
    for engine in swarm:
        assert rules(engine.host)
        make_daemon(on=engine).wipe_rules()
