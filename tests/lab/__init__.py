# SPDX-License-Identifier: GPL-2.0-or-later
"""A network laboratory on one machine: hosts as network namespaces, real Docker Engines, our daemon.

    client --- router (bridge "lan") === host1 [, host2 ...]

Root only, Debian's python3, standard library (scapy for reading captures). See lab.py for the
parts: Lab, Engine, Daemon; netns.py for asking from inside a namespace; probe.py for continuous
probers, captures and router advertisements; relay.py for an engine's socket that misbehaves.
"""

from .lab import Container, Daemon, Engine, ApiError, Lab, Unavailable, why_not_here
from .netns import (AskError, Closed, Netns, Refused, Reset, Timeout, Unreachable, outcome, peer_of,
                    read_line, tcp_ask, udp_ask, wait_for)
from .probe import Capture, Prober, Stream, UdpPinger, send_ra
from .relay import SocketRelay
