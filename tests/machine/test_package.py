# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package, on each release that it is for, built there from this tree.

    client --- router === host1, host2, host3 (Debian with systemd, in it an engine)

Property: lintian has nothing to say; what is installed is what the tree has; it starts where services
may be started, and is not in the way where not; an upgrade costs no connection and no changed
configuration; removing it takes its rules away, purging it everything else.
"""

import tarfile
from pathlib import Path

import pytest

from lab import Stream, tcp_ask, wait_for
from lab.package import TOP, Packages, Root

SUITES = {"bookworm": "lib/systemd/system", "trixie": "usr/lib/systemd/system"}  # where units belong
# What may be said, each with its reason.
EXPLAINED = {
    "bookworm": {
        # The sandbox, the watchdog and the order of start are in the unit: there is no second way.
        "package-supports-alternative-init-but-no-init.d-script"},
    "trixie": {
        # Ours is Debian 12's.
        "out-of-date-standards-version"},
}
CONFIG = "/etc/ipv6nat/ipv6nat.conf"
APT = "apt-get", "-q", "-y", "-o", "APT::Sandbox::User=root"
KEEP_CONFIG = "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"


@pytest.fixture(scope="module", params=SUITES)
def suite(request):
    return request.param


@pytest.fixture(scope="module")
def packages(lab, suite, or_skip):
    """The unit tests of Debian 12 are those of "make check"."""
    return or_skip(Packages, lab, suite, tests=suite != "bookworm")


@pytest.fixture(scope="module")
def installed(lab, suite, packages, or_skip):
    """A minimal system that apt has installed the package in, and no service may be started in."""
    root = or_skip(Root, lab, suite, ("apt", "nftables", "init-system-helpers"))
    offer(root.directory, packages)
    root.run(*APT, "update", ns="outside")
    root.run(*APT, "install", "--download-only", "/new/ipv6nat.deb", ns="outside")
    root.run(*APT, "install", "/new/ipv6nat.deb", ns=lab.host)
    return root


def offer(root, packages):
    """Puts both packages where apt in there finds them."""
    (root / "new").mkdir(exist_ok=True)
    for name, deb in ("ipv6nat", packages.deb), ("ipv6nat-next", packages.next_deb):
        (root / f"new/{name}.deb").write_bytes(deb.read_bytes())


def contents(deb, root):
    """{path: TarInfo} of a package."""
    tar = root.path("/tmp/contents.tar")
    root.run("sh", "-c", f"dpkg-deb --fsys-tarfile /{deb.relative_to(root.directory)} >/tmp/contents.tar")
    with tarfile.open(tar) as archive:
        return {member.name.removeprefix("./"): member for member in archive if member.name != "."}


# -- the files --------------------------------------------------------------------------------

def test_lintian(suite, packages):
    said = packages.lintian()
    assert {line[2].split()[0] for line in said} <= EXPLAINED[suite], said


def test_everything_is_in_it(suite, packages):
    found = contents(packages.deb, packages.root)
    units = SUITES[suite]
    expected = {"etc/ipv6nat/ipv6nat.conf", "usr/sbin/ipv6natd", "usr/bin/ipv6natctl",
                "usr/share/doc/ipv6nat/copyright", "usr/share/doc/ipv6nat/changelog.gz",
                "usr/share/doc/ipv6nat/README.md.gz", "etc/ipv6nat/ipv6nat.conf.d"}
    expected |= {f"{units}/{path.name}" for path in (TOP / "systemd").glob("*.service")}
    expected |= {f"usr/lib/{kind}.d/ipv6nat.conf" for kind in ("sysusers", "tmpfiles")
                 if (TOP / f"systemd/ipv6nat.{kind}.conf").exists()}
    expected |= {f"usr/share/man/man{path.suffix[1:]}/{path.name}.gz" for path in (TOP / "man").iterdir()}
    if (TOP / "contrib/completion").exists():
        expected |= {"usr/share/bash-completion/completions/ipv6natctl",
                     "usr/share/zsh/vendor-completions/_ipv6natctl"}
    expected |= {f"usr/share/doc/ipv6nat/examples/{kind}/{path.name}" for kind in ("grafana", "prometheus")
                 for path in (TOP / "contrib" / kind).iterdir()}
    assert expected <= set(found), expected - set(found)
    assert len(expected & {f"{units}/ipv6natd.service", "usr/share/man/man8/ipv6natd.8.gz"}) == 2
    for name, member in found.items():
        program = name in ("usr/sbin/ipv6natd", "usr/bin/ipv6natctl")
        assert (member.uname, member.gname) == ("root", "root"), name
        assert member.issym() or oct(member.mode) == oct(0o755 if member.isdir() or program else 0o644), name


def test_unit_tests_need_no_root(suite, packages):
    """Debian's own builders have none: what needs it is skipped, and the rest passes."""
    if suite == "bookworm":
        pytest.skip("built without tests: those of Debian 12 are those of make check")
    packages.root.run("chown", "-R", "nobody", packages.tree)
    packages.root.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                      "make", "check-unit", "check-corpus", cwd=packages.tree)


def test_built_for_arm64(request, suite, packages):
    """On amd64; what comes out runs in an emulator. Debian 13's libpsl-dev cannot be there twice."""
    if not request.config.getoption("--cross") or suite != "bookworm":
        pytest.skip("only with --cross, and on Debian 12")
    found = contents(packages.build_for("arm64"), packages.root)
    assert "usr/sbin/ipv6natd" in found
    for program in "sbin/ipv6natd", "bin/ipv6natctl":
        built = f"{packages.tree}/debian/ipv6nat/usr/{program}"
        assert packages.root.path(built).read_bytes()[18:20] == b"\xb7\0"  # EM_AARCH64
        told = packages.root.run("qemu-aarch64", "-L", "/", built, "--version").stdout
        assert told == f"{Path(program).name} {packages.version}\n"


# -- in a minimal system, without booting -----------------------------------------------------

def test_installed_where_no_service_may_start(suite, installed):
    """apt found what it depends on; the programs run, the daemon does not."""
    assert "ipv6nat" in installed.path("/etc/group").read_text()
    assert installed.path("/etc/systemd/system/multi-user.target.wants/ipv6natd.service").is_symlink()
    assert installed.run("ipv6natd", "--check-config").stdout == ""
    assert installed.run("ipv6natctl", "version").stdout.startswith("ipv6natctl ")
    assert not installed.path("/run/ipv6nat/control.sock").exists()


def test_configuration_survives(lab, installed, packages):
    """One that was changed stays as it is; one that was not follows the package."""
    config = installed.path(CONFIG)
    original = config.read_text()
    assert original == (TOP / "contrib/ipv6nat.conf").read_text()
    installed.run(*APT, "install", "/new/ipv6nat-next.deb", ns=lab.host)
    assert config.read_text() == original + "# of the next version\n"
    config.write_text(original + "[Daemon]\nLogLevel=debug\n")
    installed.run(*APT, *KEEP_CONFIG, "install", "--allow-downgrades", "/new/ipv6nat.deb", ns=lab.host)
    installed.run(*APT, *KEEP_CONFIG, "install", "/new/ipv6nat-next.deb", ns=lab.host)
    assert config.read_text() == original + "[Daemon]\nLogLevel=debug\n"
    installed.run(*APT, "remove", "ipv6nat", ns=lab.host)
    assert config.read_text().endswith("LogLevel=debug\n")
    assert not installed.path("/usr/sbin/ipv6natd").exists()


def test_removed_in_a_chroot(lab, installed):
    """The kernel's rules are another system's: they stay."""
    lab.host.nft("add table ip6 ipv6nat")
    installed.run(*APT, *KEEP_CONFIG, "install", "/new/ipv6nat.deb", ns=lab.host)
    installed.run(*APT, "purge", "ipv6nat", ns=lab.host)
    assert "table ip6 ipv6nat" in lab.host.nft("list tables")
    lab.host.nft("delete table ip6 ipv6nat")
    assert not installed.path("/etc/ipv6nat").exists()
    assert "ipv6nat" not in installed.path("/etc/group").read_text()


# -- in a system that runs ---------------------------------------------------------------------

def listing(root):
    """Every path that a package may have left something at; dpkg's and apt's own books do not count."""
    books = ("var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "run", "tmp", "proc", "sys", "dev", "new",
             "var/tmp")
    return {str(path.relative_to(root)) for top in ("etc", "usr", "var", "lib")
            for path in (root / top).resolve().rglob("*")
            if not str(path.relative_to(root)).startswith(books) and not path.name.endswith("-")}


@pytest.fixture(scope="module")
def machine(lab, suite, packages, make_machine):
    """On a host of its own: one without what another release's has left there."""
    machine = make_machine(lab.add_host(), suite=suite)
    offer(machine.root, packages)
    yield machine.boot()
    machine.close()


def install(machine, name):
    return machine.run(*APT, *KEEP_CONFIG, "install", f"/new/{name}.deb", timeout=120,
                       env={"DEBIAN_FRONTEND": "noninteractive"})


def our_tables(host):
    return [line for line in host.nft("list tables").splitlines() if "ipv6nat" in line]


def test_life_of_the_package(lab, machine, make_engine):
    """Installed before there is a Docker, upgraded under a connection, removed, purged."""
    before, host = listing(machine.root), machine.host
    machine.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    install(machine, "ipv6nat")
    assert not machine.is_active("ipv6natd")
    assert machine.systemctl("is-enabled ipv6natd") == "enabled"
    # the kernel refuses to remove anything: the package can go all the same
    purged = machine.run("setpriv", "--bounding-set=-net_admin", *APT, "purge", "ipv6nat")
    assert "nft delete table ip6 ipv6nat" in purged.stdout + purged.stderr
    (machine.root / "usr/sbin/policy-rc.d").unlink()
    assert listing(machine.root) == before

    install(machine, "ipv6nat")
    assert machine.is_active("ipv6natd") and machine.systemctl("is-enabled ipv6natd") == "enabled"
    assert machine.systemctl("is-system-running") == "running"
    engine = make_engine(machine).start()
    engine.network("ula", "fd00:6::/64")
    engine.run("web", "--network ula -p 8080:80")
    machine.run("ipv6natctl", "sync")
    to = lab.client, host.v6, 8080
    assert tcp_ask(*to) == f"web tcp:80 from {lab.client.v6}"

    first, listed = machine.show("ipv6natd", "MainPID"), host.nft("-s list table ip6 ipv6nat")
    with Stream(*to, interval_ms=2) as stream:
        stream.wait_more(20)
        install(machine, "ipv6nat-next")
        wait_for(lambda: machine.is_active("ipv6natd"))
        machine.run("ipv6natctl", "sync")
        stream.wait_more(20)
    assert stream.result["n_failed"] == 0
    assert machine.show("ipv6natd", "MainPID") != first
    assert host.nft("-s list table ip6 ipv6nat") == listed
    assert '"commits":0' in machine.run("ipv6natctl", "--json", "status", check=False).stdout.replace(" ", "")

    assert our_tables(host)
    machine.run(*APT, "remove", "ipv6nat")
    assert not our_tables(host)
    assert not machine.is_active("ipv6natd") and not machine.path("/run/ipv6nat/control.sock").exists()
    assert tcp_ask(*to) == "web tcp:80 from fd00:6::1"  # docker-proxy, as before us
    assert (machine.root / CONFIG.lstrip("/")).exists()

    machine.run(*APT, "purge", "ipv6nat")
    assert not [path for path in listing(machine.root) if "ipv6nat" in path]
    assert not machine.path("/run/ipv6nat").exists()
    assert machine.run("getent", "group", "ipv6nat", check=False).returncode == 2
