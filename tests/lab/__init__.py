# SPDX-License-Identifier: GPL-2.0-or-later
"""A network laboratory on one machine: hosts as network namespaces, real Docker Engines, our daemon.

    client --- router (bridge "lan") === host1 [, host2 ...]

Root only, Debian's python3, standard library (scapy for reading captures). Lab, Engine and Daemon
are in files of their names; netns.py asks from inside a namespace, probe.py has continuous probers,
captures and router advertisements, relay.py an engine's socket that misbehaves, ndppd.py what we are compared with,
ssh.py a host to log in to, terminal.py a screen.
"""

import os
import re

from .daemon import Daemon, end_daemons
from .engine import ApiError, Container, Engine, engine_dirs
from .lab import Lab, Unavailable, why_not_here
from .ndppd import Ndppd
from .netns import (AskError, Closed, Netns, Refused, Reset, Timeout, Unreachable, outcome, peer_of,
                    read_line, tcp_ask, udp_ask, wait_for)
from .probe import Capture, Prober, Stream, UdpPinger, send_ra
from .process import unix_request
from .prometheus import Prometheus, promtool
from .relay import SocketProxy, SocketRelay
from .ssh import Ssh
from .terminal import Terminal

# Who runs the tests may have told other programs what to do; ours are told here, and what programs
# say is read here.
for _name in list(os.environ):
    if re.match("DOCKER_|JOURNAL_STREAM$|WATCHDOG_|LANG|LC_", _name):
        del os.environ[_name]
os.environ.update(LC_ALL="C.UTF-8", no_proxy="localhost,127.0.0.1,::1")
