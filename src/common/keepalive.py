"""HTTP/1.1 POSTs over connections that are kept, many at once, and nothing else of HTTP.

What urllib3 and http.client do with headers in Python costs more CPU than a call's own work, and so do
threads that pass the interpreter's lock to and fro: here one thread sends, and makes a request while others
are under way. AWS answers with a Content-Length and no chunks; an answer of another form counts as none.
No proxy is used.
"""

import re
import select
import socket
import ssl
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_MOST_HEAD_BYTES = 65_536
_CHUNK_BYTES = 262_144


class Answer(NamedTuple):
    """A status and a whole body."""

    status: int
    body: bytes


class KeepAlive:
    """Connections to the host of `url`, as many as are in use at once; safe to use from several threads."""

    def __init__(
        self, url: str, connect_timeout_s: float, read_timeout_s: float, ca_file: str | None = None
    ) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.url = url
        self.read_timeout_s = read_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._idle: list[socket.socket] = []

    def exchange(self, requests: Iterable[bytes], most: int = 1) -> list[Answer | BotoCoreError]:
        """Send all requests, at most `most` under way at once; the answer to each, or an error in its place.

        Errors are botocore's own: ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, and
        ConnectionClosedError for an answer that breaks off or cannot be read.
        """
        exchange = _Exchange(self, requests, most)
        try:
            return exchange.run()
        finally:
            exchange.close()

    def connection(self) -> socket.socket:
        """One that is idle and still open, or a new one; raises if there is none to be had."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if not select.select([connection], [], [], 0)[0]:
                return connection
            connection.close()  # readable without a request: the other side hung up
        return self._connect()

    def keep(self, connection: socket.socket) -> None:
        """Take back a connection that owes no answer."""
        self._idle.append(connection)

    def _connect(self) -> socket.socket:
        try:
            plain = socket.create_connection(self._address, self._connect_timeout_s)
            # Without, parts of a request wait 40 ms for each other's acknowledgement (Nagle).
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            host = self._address[0]
            connection = self._tls.wrap_socket(plain, server_hostname=host) if self._tls else plain
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self.url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self.url, error=error) from error
        connection.settimeout(self.read_timeout_s)
        return connection


class _Exchange:
    """Requests under way: by connection, which of them and until when its answer is waited for."""

    def __init__(self, host: KeepAlive, requests: Iterable[bytes], most: int) -> None:
        self._host = host
        self._waiting = enumerate(requests)
        self._most = most
        self._under_way: dict[socket.socket, tuple[int, float]] = {}
        self._outcomes: dict[int, Answer | BotoCoreError] = {}
        self._nobody: BotoCoreError | None = None

    def run(self) -> list[Answer | BotoCoreError]:
        while True:
            while len(self._under_way) < self._most and (request := next(self._waiting, None)):
                self._send(*request)
            if not self._under_way:
                return [self._outcomes[number] for number in range(len(self._outcomes))]
            self._receive()

    def close(self) -> None:
        """Let go of what is still under way: its answers, if they come, must not be taken for others'."""
        for connection in self._under_way:
            connection.close()

    def _send(self, number: int, request: bytes) -> None:
        """Where nobody listens, each further request would only wait as long."""
        if self._nobody:
            self._outcomes[number] = self._nobody
            return
        try:
            connection = self._host.connection()
        except BotoCoreError as error:
            self._outcomes[number] = self._nobody = error
            return
        try:
            connection.sendall(request)
        except OSError as error:
            connection.close()
            self._outcomes[number] = ConnectionClosedError(endpoint_url=self._host.url, error=error)
        else:
            self._under_way[connection] = number, time.monotonic() + self._host.read_timeout_s

    def _receive(self) -> None:
        """Wait for the next answer or time-out, and take all that have come."""
        first_s = min(end_s for _, end_s in self._under_way.values())
        wait_s = max(0.0, first_s - time.monotonic())
        for connection in select.select(list(self._under_way), [], [], wait_s)[0]:
            number, _ = self._under_way.pop(connection)
            self._outcomes[number] = self._answer(connection)
        now_s = time.monotonic()
        for connection in [late for late, (_, end_s) in self._under_way.items() if end_s <= now_s]:
            number, _ = self._under_way.pop(connection)
            connection.close()
            self._outcomes[number] = ReadTimeoutError(endpoint_url=self._host.url)

    def _answer(self, connection: socket.socket) -> Answer | BotoCoreError:
        try:
            answer, again = _read(connection)
        except TimeoutError as error:
            connection.close()
            return ReadTimeoutError(endpoint_url=self._host.url, error=error)
        except (OSError, ValueError) as error:
            connection.close()
            return ConnectionClosedError(endpoint_url=self._host.url, error=error)
        if again:
            self._host.keep(connection)
        else:
            connection.close()
        return answer


def _read(connection: socket.socket) -> tuple[Answer, bool]:
    """The next answer, and whether the connection can be used again. ValueError if there is none to read."""
    read = bytearray()
    while (end := read.find(b"\r\n\r\n")) < 0:
        if not (some := connection.recv(_CHUNK_BYTES)) or len(read) > _MOST_HEAD_BYTES:
            raise ValueError("no head")
        read += some
    head = bytes(read[: end + 2])
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if not status or not length:
        raise ValueError("no status or no length")
    body = read[end + 4 :]
    missing = int(length[1]) - len(body)
    while missing > 0:
        if not (some := connection.recv(min(missing, _CHUNK_BYTES))):
            raise ValueError("broken off")
        body += some
        missing -= len(some)
    if missing:
        raise ValueError("longer than announced")
    return Answer(int(status[1]), bytes(body)), not _CLOSE.search(head)
