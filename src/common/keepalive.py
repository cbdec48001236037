"""HTTP/1.1 POSTs over connections that are kept, and nothing else of HTTP.

What urllib3 and http.client do with headers in Python costs more CPU than a call's own work. AWS answers with
a Content-Length and without chunks; an answer of any other form counts as none. No proxy is used.
"""

import re
import select
import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import (
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
    """Connections to the host of `url`, as many as are in use at once; safe to use from several threads.

    Raises botocore's own errors: ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, and
    ConnectionClosedError for an answer that breaks off or cannot be read.
    """

    def __init__(
        self, url: str, connect_timeout_s: float, read_timeout_s: float, ca_file: str | None = None
    ) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._url = url
        self._address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._timeouts_s = connect_timeout_s, read_timeout_s
        self._idle: list[socket.socket] = []

    def post(self, head: bytes, body: bytes) -> Answer:
        """Send a request (`head` up to and with the empty line) and wait for its answer."""
        connection = self._connection()
        try:
            connection.sendall(head + body)
            answer, again = _answer(connection)
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (OSError, ValueError) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        if again:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def _connection(self) -> socket.socket:
        """One that is idle and still open, or a new one."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if not select.select([connection], [], [], 0)[0]:
                return connection
            connection.close()  # readable without a request: the other side hung up
        return self._connect()

    def _connect(self) -> socket.socket:
        connect_s, read_s = self._timeouts_s
        try:
            plain = socket.create_connection(self._address, connect_s)
            # Without, head and body of what is sent in parts wait 40 ms for each other (Nagle).
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = (
                self._tls.wrap_socket(plain, server_hostname=self._address[0]) if self._tls else plain
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        connection.settimeout(read_s)
        return connection


def _answer(connection: socket.socket) -> tuple[Answer, bool]:
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
