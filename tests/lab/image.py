# SPDX-License-Identifier: GPL-2.0-or-later
"""The container image bb:1, built of this machine's own programs: no registry is needed.

Statically linked busybox, the lab's echo-server, and curl, ping, ip and socat with their libraries
(busybox' own wget crashes on IPv6 literals, its ping and ip know too little).
"""

import fcntl
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

TAG = "bb:1"
PROGRAMS = ("curl", "ping", "ip", "socat")
HERE = Path(__file__).resolve().parent


def cache_dir():
    return Path(os.environ.get("IPV6NAT_LAB", "/var/cache/ipv6nat-lab"))


def echo_server():
    """Path of the compiled echo-server."""
    return _cached("echo-server", HERE / "echo-server.c", compile_server)


def image_tar():
    """Path of the image as a tar for POST /images/create or docker import."""
    server = echo_server()
    return _cached("bb.tar", Path(__file__), lambda out: write_tar(out, server), server)


def _cached(name, *parts):
    """One file of the cache, whose name tells what it was made of; parts: sources and the maker."""
    make = next(part for part in parts if callable(part))
    digest = hashlib.sha256()
    for part in parts:
        if not callable(part):
            digest.update(part.read_bytes())
    directory = cache_dir() / "image"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{digest.hexdigest()[:12]}-{name}"
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = path.with_suffix(".new")
            make(unfinished)
            unfinished.rename(path)
    return path


def compile_server(out):
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-static", "-o", out, HERE / "echo-server.c"],
                   check=True)


def write_tar(out, server):
    busybox = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p)), None)
    if busybox is None:
        raise RuntimeError("busybox is missing (package busybox-static)")
    with tarfile.open(out, "w") as tar:
        for directory in ("bin", "usr", "usr/bin", "usr/sbin", "sbin", "etc", "tmp", "proc", "sys",
                          "dev", "run"):
            add(tar, directory, type=tarfile.DIRTYPE, mode=0o1777 if directory == "tmp" else 0o755)
        add_file(tar, busybox, "bin/busybox")
        add_file(tar, server, "usr/bin/echo-server")
        for line in ("passwd", "root:x:0:0:root:/:/bin/sh\n"), ("group", "root:x:0:\n"):
            add(tar, "etc/" + line[0], line[1].encode())
        libraries = {}
        for program in PROGRAMS:
            found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
            if found is None:
                raise RuntimeError(f"{program} is missing on this machine")
            add_file(tar, found, f"usr/bin/{program}")
            listing = subprocess.run(["ldd", found], capture_output=True, text=True, check=True)
            for library in re.findall(r"(/\S+) \(0x", listing.stdout):
                libraries[library] = os.path.realpath(library)
        for library, real in sorted(libraries.items()):
            add_file(tar, real, library.lstrip("/"))
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
        # a link of that name in its place would replace the program itself
        for applet in set(applets.stdout.split()) - {"busybox"} - set(PROGRAMS):
            add(tar, f"bin/{applet}", type=tarfile.SYMTYPE, linkname="/bin/busybox")


def add(tar, name, content=b"", mode=0o755, **fields):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(content))


def add_file(tar, source, name):
    add(tar, name, Path(source).read_bytes())
