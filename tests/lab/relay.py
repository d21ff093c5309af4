# SPDX-License-Identifier: GPL-2.0-or-later
"""A socket in front of an engine's, that can do what engines and networks do on bad days."""

import contextlib
import os
import re
import select
import socket
import struct
import threading

_REQUEST = re.compile(rb"^([A-Z]+ \S+) HTTP/1\.[01]\r?$", re.MULTILINE)


class SocketRelay:
    """SocketRelay(engine.socket, path) passes bytes through, until fault(mode, match) changes that for
    the requests whose line ("GET /v1.41/events?...") matches:

        pass     as if it were not there
        stall    nothing of the answer arrives, the connection stays; what was held back arrives
                 when the mode changes
        cut      the next piece of the answer ends in its middle, then the connection closes
        reset    the connection breaks at the request, or at the next piece of a running answer
        garbage  an answer that is not HTTP
        badjson  HTTP 200 whose JSON ends in its middle
        500      HTTP 500 with the engine's kind of message
        endless  HTTP 200 whose body never ends and holds no line end

    requests: every request line seen, in order. down() and up(): nobody listens, and again.
    """

    MODES = ("pass", "stall", "cut", "reset", "garbage", "badjson", "500", "endless")

    def __init__(self, upstream, path):
        self.upstream, self.path = str(upstream), str(path)
        self.url = f"unix://{self.path}"
        self.requests = []
        self.endless_bytes = 0
        self._mode, self._match = "pass", re.compile("")
        self._lock = threading.Lock()
        self._live = set()
        self._listener = None
        self.up()

    def fault(self, mode, match=""):
        if mode not in self.MODES:
            raise ValueError(mode)
        with self._lock:
            self._mode, self._match = mode, re.compile(match)

    def seen(self, pattern):
        """The request lines so far that match."""
        return [line for line in list(self.requests) if re.search(pattern, line)]

    def _bind(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        return listener

    def up(self):
        self._listener = self._bind()
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self, hang_up=True):
        """Refuses new connections; hang_up: ends the present ones too."""
        # shutdown wakes the thread in accept(), close alone would not
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if hang_up:
            self.hang_up()

    def hang_up(self):
        """Ends all present connections, as an engine that stops does."""
        with self._lock:
            for sock in self._live:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.down()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _mode_for(self, request):
        with self._lock:
            return self._mode if self._match.search(request) else "pass"

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            with self._lock:
                self._live |= {client, server}
            try:
                server.connect(self.upstream)
                self._pump(client, server)
            finally:
                with self._lock:
                    self._live -= {client, server}

    def _pump(self, client, server):
        request = ""
        while True:
            stalled = self._mode_for(request) == "stall"
            ready = select.select([client] if stalled else [client, server], [], [],
                                  0.05 if stalled else None)[0]
            if client in ready:
                data = client.recv(65536)
                if not data:
                    return
                for line in _REQUEST.findall(data):
                    request = line.decode()
                    self.requests.append(request)
                if not self._answer_instead(self._mode_for(request), client):
                    return
                server.sendall(data)
            if server in ready:
                data = server.recv(65536)
                mode = self._mode_for(request)
                if not data:
                    return
                if mode == "reset":
                    return self._reset(client)
                if mode == "stall":
                    # it came in while select slept: kept here until the mode changes
                    while self._mode_for(request) == "stall":
                        if select.select([client], [], [], 0.05)[0]:
                            return
                client.sendall(data[:(len(data) + 1) // 2] if mode == "cut" else data)
                if mode == "cut":
                    return

    # False: this answered in the engine's place, the connection is over
    def _answer_instead(self, mode, client):
        body = b'{"message":"relay: made to fail"}'
        if mode == "reset":
            self._reset(client)
        elif mode == "garbage":
            client.sendall(bytes(range(256)) * 16)
        elif mode == "badjson":
            client.sendall(_response("200 OK", b'[{"Id":"0123456789abcdef","Names":["/we'))
        elif mode == "500":
            client.sendall(_response("500 Internal Server Error", body))
        elif mode == "403":
            client.sendall(_response("403 Forbidden", b"Request forbidden by administrative rules.\n"))
        elif mode == "endless":
            self._endless(client)
        else:
            return True
        return False

    def _endless(self, client):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       b"Transfer-Encoding: chunked\r\n\r\n")
        client.sendall(b'3\r\n[{"\r\n')
        piece = b"a" * 16384
        while self._mode != "pass":
            client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.endless_bytes += len(piece)

    # A unix socket that is closed with unread data resets its peer; so does this option on others.
    @staticmethod
    def _reset(client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class SocketProxy(SocketRelay):
    """A relay on TCP port of the namespace's 127.0.0.1, as socket proxies are: the requests whose line
    matches one of allowed pass, all others are answered with 403 and kept in refused."""

    def __init__(self, upstream, ns, port, allowed):
        self.ns, self.port = ns, port
        self.refused = []
        self._allowed = [re.compile(pattern) for pattern in allowed]
        super().__init__(upstream, f"127.0.0.1:{port}")
        self.url = f"tcp://{self.path}"

    def _bind(self):
        listener = self.ns.open_socket(socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        return listener

    def _mode_for(self, request):
        if request and not any(pattern.fullmatch(request) for pattern in self._allowed):
            self.refused.append(request)
            return "403"
        return super()._mode_for(request)


def _response(status, body):
    return (f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body
