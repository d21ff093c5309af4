# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian root file systems that commands run in without booting, and our packages built in one.

Both are layers above a root file system of the cache and go with the lab.
"""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

from .machine import mount_layer, root_template

TOP = Path(__file__).resolve().parents[2]
NEXT_CHANGELOG = """ipv6nat ({version}) unstable; urgency=medium

  * The next version.

 -- ipv6nat maintainers <maintainers@ipv6nat.invalid>  Sun, 22 Nov 2026 08:00:00 +0000

"""

_serial = itertools.count()


class Root:
    """A Debian with these packages, and no more than what minbase has beside them."""

    def __init__(self, lab, suite, packages):
        self.lab = lab
        self.directory = mount_layer(root_template(suite, packages), lab.dir / f"root{next(_serial)}")
        shutil.copyfile("/etc/resolv.conf", self.path("/etc/resolv.conf"))

    def path(self, inside):
        return self.directory / str(inside).lstrip("/")

    def run(self, *command, check=True, ns=None, env=None, cwd="/", timeout=1200):
        """Runs a command as root in it, in a network namespace of the lab or in one of its own; ns
        "outside": where the archive is. The result has stdout, with stderr in it, as text."""
        script = """mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --rbind /sys "$1/sys"
                    ip link set lo up; directory=$2; root=$1; shift 2
                    exec chroot "$root" sh -euc 'cd "$1"; shift; exec "$@"' sh "$directory" "$@\""""
        enter = ["unshare", "--mount", *([] if ns else ["--net"])]
        popen = ns.popen if ns and ns != "outside" else subprocess.Popen
        process = popen([*enter, "sh", "-euc", script, "sh", str(self.directory), cwd, *map(str, command)],
                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
                             "DEBIAN_FRONTEND": "noninteractive", **(env or {})})
        try:
            out, _ = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if check and process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{out[-8000:]}")
        return subprocess.CompletedProcess(command, process.returncode, out)


class Packages:
    """Of this tree, for one release of Debian. deb: as it is; next_deb: the same with a higher version,
    and a comment more in its configuration file. With tests=True the unit tests are run, too."""

    def __init__(self, lab, suite, tests):
        wanted = subprocess.run([TOP / "contrib/install-deps", "--list", "package"],
                                check=True, capture_output=True, text=True).stdout.strip().split(",")
        self.root = Root(lab, suite, (*wanted, "iproute2", "nftables", "lintian"))
        self.env = {"WERROR": "1", "DEB_BUILD_OPTIONS": "" if tests else "nocheck"}
        self._copy_tree()
        self.log = self.root.run("make", "deb", cwd="/src", env=self.env).stdout
        self.version = (TOP / "Makefile").read_text().split("VERSION := ")[1].split()[0]
        self.tree = f"/src/build/deb/ipv6nat-{self.version}"
        self.deb = self._find(self.version)
        self.next_deb = self._build_next(f"{self.version}+next")

    def _copy_tree(self):
        self.root.path("/src").mkdir()
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                cwd=TOP, check=True, capture_output=True).stdout
        files = subprocess.Popen(["tar", "-c", "--null", "--ignore-failed-read", "-T", "-"], cwd=TOP,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        unpack = subprocess.Popen(["tar", "-x", "--no-same-owner", "-C", self.root.path("/src")], stdin=files.stdout)
        files.stdin.write(listed)
        files.stdin.close()
        assert unpack.wait() == 0 and files.wait() == 0

    def _find(self, version):
        found = list(self.root.path("/src/build/deb").glob(f"ipv6nat_{version}_*.deb"))
        assert len(found) == 1, f"{found}\n{self.log[-4000:]}"
        return found[0]

    # In the tree of the first, whose objects are used again: the version that they have compiled in is
    # not the package's.
    def _build_next(self, version):
        changelog = self.root.path(self.tree) / "debian/changelog"
        changelog.write_text(NEXT_CHANGELOG.format(version=version) + changelog.read_text())
        with open(self.root.path(self.tree) / "contrib/ipv6nat.conf", "a") as config:
            config.write("# of the next version\n")
        self.root.run("dpkg-buildpackage", "-us", "-uc", "-b", "-nc", cwd=self.tree,
                      env={**self.env, "DEB_BUILD_OPTIONS": "nocheck"})
        return self._find(version)

    def build_for(self, architecture):
        """The package for another architecture, with cross compiler, and qemu-user to try it."""
        control = (TOP / "contrib/debian/control").read_text()
        libraries = set(re.findall(r"lib[a-z0-9-]+-dev(?=,)", control))
        apt = "apt-get", "-q", "-y", "--no-install-recommends"
        self.root.run("dpkg", "--add-architecture", architecture)
        self.root.run(*apt, "update", ns="outside")
        self.root.run(*apt, "install", f"crossbuild-essential-{architecture}", "qemu-user",
                      *(f"{library}:{architecture}" for library in libraries), ns="outside")
        self.root.run("dpkg-buildpackage", "-us", "-uc", "-B", f"-a{architecture}", "-Pcross,nocheck",
                      cwd=self.tree, env={**self.env, "DEB_BUILD_OPTIONS": "nocheck"})
        return next(self.root.path("/src/build/deb").glob(f"ipv6nat_*_{architecture}.deb"))

    def lintian(self):
        """What lintian says: [(level, package, tag, where)], and nothing about what is overridden."""
        done = self.root.run("lintian", "--display-info", "--display-experimental", "--pedantic",
                             "--allow-root", "--fail-on", "none",
                             f"/src/build/deb/ipv6nat_{self.version}_{self.architecture}.changes")
        said = [line for line in done.stdout.splitlines() if line and not line.startswith("N:")]
        return [(level, *rest.split(": ", 1)) for level, rest in (line.split(": ", 1) for line in said)]

    @property
    def architecture(self):
        return self.deb.stem.rsplit("_", 1)[1]
