# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine is reached over TCP, in the clear and with TLS.

    client --- router === host (engine listens on TCP ports 2375, or 2376 with TLS)

Property: DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH mean what they mean to the docker
command; who is not to be trusted is not talked to, and the reason is given in words that help.
"""

import re

import pytest

from follow import answer, connected, disconnected, is_mapped, log_lines, rules
from lab import Daemon, end_daemons, wait_for

pytestmark = pytest.mark.engine_any

ULA = "fd00:6::/64"
ADDRESS = "2001:db8:1::11"
CLEAR, TLS = f"tcp://[{ADDRESS}]:2375", f"tcp://[{ADDRESS}]:2376"


class Certificates:
    """A certificate authority below a directory, and what it has signed: each a directory as
    DOCKER_CERT_PATH names it."""

    def __init__(self, host, directory):
        self.host, self.dir = host, directory
        directory.mkdir()
        self._openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 "
                      f"-subj /CN={directory.name} -keyout {directory}/ca-key.pem "
                      f"-out {directory}/ca.pem")

    def _openssl(self, words):
        self.host.run("openssl", *words.split())

    def sign(self, name, extension):
        made = self.dir / name
        made.mkdir()
        (made / "ca.pem").write_bytes((self.dir / "ca.pem").read_bytes())
        (made / "extension").write_text(extension)
        self._openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                      f"-subj /CN={name} -keyout {made}/key.pem -out {made}/request")
        self._openssl(f"x509 -req -in {made}/request -CA {self.dir}/ca.pem -CAkey {self.dir}/ca-key.pem "
                      f"-days 30 -extfile {made}/extension -out {made}/cert.pem")
        return made


@pytest.fixture(scope="module")
def certificates(module_lab):
    ours = Certificates(module_lab.host, module_lab.dir / "ca")
    ours.server = ours.sign("server", f"subjectAltName=IP:{ADDRESS}\nextendedKeyUsage=serverAuth\n")
    ours.client = ours.sign("client", "extendedKeyUsage=clientAuth\n")
    others = Certificates(module_lab.host, module_lab.dir / "other-ca")
    # known to the engine, but trusts another authority; and the other way round
    ours.distrustful = ours.sign("distrustful", "extendedKeyUsage=clientAuth\n")
    (ours.distrustful / "ca.pem").write_bytes((others.dir / "ca.pem").read_bytes())
    ours.unknown = others.sign("unknown", "extendedKeyUsage=clientAuth\n")
    (ours.unknown / "ca.pem").write_bytes((ours.dir / "ca.pem").read_bytes())
    return ours


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine, certificates):
    engine = make_engine(module_lab)
    engine.stop()
    server = certificates.server
    engine.config.update({"hosts": [engine.url, "tcp://[::]:2376"], "tls": True, "tlsverify": True,
                          "tlscacert": f"{server}/ca.pem", "tlscert": f"{server}/cert.pem",
                          "tlskey": f"{server}/key.pem"})
    return engine.start()


class ByEnvironment(Daemon):
    """Told where the engine is by the environment or the configuration, not by --docker."""

    def command(self, *args):
        words = super().command(*args)
        at = words.index("--docker")
        return words[:at] + words[at + 2:]


@pytest.fixture
def make(engine):
    """make(certificate directory, verify=True): a daemon, started."""
    made = []

    def make(url=TLS, certs=None, verify=True, config=""):
        env = {"DOCKER_HOST": url} if url else {}
        if certs:
            env["DOCKER_CERT_PATH"] = str(certs)
        if verify:
            env["DOCKER_TLS_VERIFY"] = "1"
        made.append(ByEnvironment(engine, env=env, config=config))
        return made[-1].start()

    yield make
    end_daemons(made)


def web(engine):
    engine.network("ula", ULA)
    return engine.run("web", "--network ula -p 8080:80")


def assert_follows(lab, engine, daemon):
    status = daemon.wait_status(lambda s: s["state"] == "ok" and connected(s))
    web(engine)
    wait_for(lambda: is_mapped(lab.host, 8080))
    assert answer(lab.client, lab.host.v6, 8080) == f"web tcp:80 from {lab.client.v6}"
    return status


def wait_tried_again(daemon):
    def failures():
        return int(re.search(r"^ipv6nat_docker_errors_total (\d+)$", daemon.request("GET", "/metrics")[1],
                             re.MULTILINE)[1])
    wait_for(lambda: failures() >= 4)


def problem_of(daemon):
    status = daemon.wait_status(disconnected)
    assert status["state"] == "starting" and rules(daemon.host) == ""
    # once, however often it is tried
    wait_tried_again(daemon)
    assert len(log_lines(daemon, "<[0-4]>")) == 1
    return next(p for p in status["problems"] if p["code"] == "docker-disconnected")


def test_tls(lab, engine, make, certificates):
    daemon = make(certs=certificates.client)
    assert assert_follows(lab, engine, daemon)["docker"]["host"] == TLS


def test_configuration(lab, engine, make, certificates):
    daemon = make(None, verify=False, config="[Docker]\n"
                  f"Host={TLS.replace('tcp:', 'https:')}\nCertPath={certificates.client}\n")
    assert_follows(lab, engine, daemon)


# The engine ends and returns; the connection's end is seen as on a unix socket.
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_engine_restarts(lab, engine, make, certificates, end):
    daemon = make(certs=certificates.client)
    assert_follows(lab, engine, daemon)
    getattr(engine, end)()
    daemon.wait_status(disconnected)
    engine.start()
    daemon.wait_status(lambda s: s["state"] == "ok" and connected(s))
    assert len(log_lines(daemon, "keeping all rules")) == len(log_lines(daemon, " is back: ")) == 1


def test_engine_of_another_authority(engine, make, certificates):
    problem = problem_of(make(certs=certificates.distrustful))
    assert "certificate" in problem["message"] and "DOCKER_CERT_PATH" in problem["cure"]


# The certificate is right, but it is for another name.
def test_engine_of_another_name(engine, make, certificates):
    problem = problem_of(make("tcp://[::1]:2376", certificates.client))
    assert "certificate" in problem["message"] and "::1" in problem["message"]


# The engine does not know us. It says so after the handshake, as an alert, which is lost when the
# connection ends before we have sent our question.
@pytest.mark.parametrize("who", ["unknown", "nobody"])
def test_client_is_refused(engine, make, certificates, who):
    nobody = certificates.dir / "nobody"
    nobody.mkdir(exist_ok=True)
    (nobody / "ca.pem").write_bytes((certificates.dir / "ca.pem").read_bytes())
    daemon = make(certs=certificates.unknown if who == "unknown" else nobody)
    problem = daemon.wait_status(disconnected)["problems"][0]
    assert re.search("alert|reset by peer", problem["message"]) and "cert.pem" in problem["cure"]
    wait_tried_again(daemon)
    assert len(log_lines(daemon, "<[0-4]>")) <= 2


def test_certificates_are_missing(lab, engine, make):
    problem = problem_of(make(certs=lab.dir / "no-such-directory"))
    assert "ca.pem" in problem["message"] + problem["cure"]


# In the clear to a port that speaks TLS, and the other way round.
def test_without_tls(engine, make):
    assert "HTTPS" in problem_of(make(verify=False))["message"]


def test_in_the_clear(lab, engine, make, certificates):
    engine.stop()
    tls = {key: engine.config[key] for key in engine.config if key.startswith("tls") or key == "hosts"}
    for key in tls:
        del engine.config[key]
    # newer engines want to be told that this is meant
    engine.config.update({"hosts": [engine.url, CLEAR], "tls": False})
    engine.start()
    try:
        daemon = make(CLEAR, verify=False)
        assert_follows(lab, engine, daemon)
        daemon.stop()
        daemon.wipe_rules()
        problem = problem_of(make(CLEAR, certs=certificates.client))
        assert "SSL" in problem["message"] or "TLS" in problem["message"]
    finally:
        engine.stop()
        engine.config.update(tls)
        engine.start()


def test_nobody_listens(engine, make):
    problem = problem_of(make(f"tcp://[{ADDRESS}]:2399", verify=False))
    assert "refused" in problem["message"].lower()
