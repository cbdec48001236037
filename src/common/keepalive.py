"""HTTP/1.1 over connections that are kept, many requests at once, and little else of HTTP.

What urllib3 and http.client do with headers in Python costs more CPU than a call's own work, and so do
threads that pass the interpreter's lock to and fro: here one thread sends, and makes a request while others
are under way. An answer has a Content-Length, or comes in chunks as S3's errors do; one of another form
counts as none. No proxy is used.
"""

import contextlib
import functools
import re
import select
import socket
import ssl
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from common.errors import NoAnswerError
from common.snapshot import after_restore

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 1.0, 4.0

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_MOST_HEAD_BYTES = 65_536
_CHUNK_BYTES = 262_144


class UnreachableError(NoAnswerError):
    """No connection: the request was not sent."""


class TooLateError(NoAnswerError):
    """No answer in time; the request may have been obeyed."""


class BrokenOffError(NoAnswerError):
    """The connection ended before a whole answer came; the request may have been obeyed."""


class Answer(NamedTuple):
    """A status and a whole body."""

    status: int
    body: bytes


class KeepAlive:
    """Connections to the host of `url`, as many as are in use at once; safe to use from several threads."""

    def __init__(
        self,
        url: str,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        ca_file: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.url = url
        self.read_timeout_s = read_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = _tls(ca_file) if parts.scheme == "https" else None
        self._idle: list[socket.socket] = []
        after_restore(self.hang_up)

    def exchange(self, requests: Iterable[bytes], most: int = 1) -> list[Answer | NoAnswerError]:
        """Send all requests, at most `most` under way at once; the answer to each, or an error in its place.

        Errors are UnreachableError, TooLateError, and BrokenOffError, also for an answer that cannot be read.
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

    def hang_up(self) -> None:
        """Close what is idle; the next request makes a new connection."""
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread took it
                self._idle.pop().close()

    def _connect(self) -> socket.socket:
        try:
            plain = socket.create_connection(self._address, self._connect_timeout_s)
            # Without, parts of a request wait 40 ms for each other's acknowledgement (Nagle).
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            host = self._address[0]
            connection = self._tls.wrap_socket(plain, server_hostname=host) if self._tls else plain
        except OSError as error:
            raise UnreachableError(f"{self.url} cannot be reached: {error}") from error
        connection.settimeout(self.read_timeout_s)
        return connection


class _Exchange:
    """Requests under way: by connection, which of them and until when its answer is waited for."""

    def __init__(self, host: KeepAlive, requests: Iterable[bytes], most: int) -> None:
        self._host = host
        self._waiting = enumerate(requests)
        self._most = most
        self._under_way: dict[socket.socket, tuple[int, float]] = {}
        self._outcomes: dict[int, Answer | NoAnswerError] = {}
        self._nobody: NoAnswerError | None = None

    def run(self) -> list[Answer | NoAnswerError]:
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
        except NoAnswerError as error:
            self._outcomes[number] = self._nobody = error
            return
        try:
            connection.sendall(request)
        except OSError as error:
            connection.close()
            self._outcomes[number] = self._broken_off(error)
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
            self._outcomes[number] = self._too_late()

    def _too_late(self) -> TooLateError:
        return TooLateError(f"{self._host.url} did not answer within {self._host.read_timeout_s} s")

    def _broken_off(self, error: Exception) -> BrokenOffError:
        return BrokenOffError(f"{self._host.url} broke off: {error}")

    def _answer(self, connection: socket.socket) -> Answer | NoAnswerError:
        try:
            answer, again = _read(connection)
        except TimeoutError:
            connection.close()
            return self._too_late()
        except (OSError, ValueError) as error:
            connection.close()
            return self._broken_off(error)
        if again:
            self._host.keep(connection)
        else:
            connection.close()
        return answer


def _read(connection: socket.socket) -> tuple[Answer, bool]:
    """The next answer, and whether the connection can be used again. ValueError if there is none to read."""
    reading = _Reading(connection)
    head = reading.until(b"\r\n\r\n") + b"\r\n"
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if not status:
        raise ValueError("no status")
    if length:
        body = reading.next(int(length[1]))
    elif _CHUNKED.search(head):
        body = _chunks(reading)
    else:
        raise ValueError("no length")
    if reading.left:
        raise ValueError("longer than announced")
    return Answer(int(status[1]), body), not _CLOSE.search(head)


def _chunks(reading: "_Reading") -> bytes:
    """A chunked body (RFC 9112, 7.1); what follows its last chunk is passed over."""
    body = b""
    while size := int(reading.until(b"\r\n").partition(b";")[0], 16):
        body += reading.next(size)
        reading.until(b"\r\n")
    while reading.until(b"\r\n"):
        pass
    return body


class _Reading:
    """What a connection says; TimeoutError and OSError are the connection's own, ValueError is its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.left = bytearray()

    def until(self, mark: bytes) -> bytes:
        """What comes before the mark, which is passed over; ValueError if it does not come soon."""
        while (end := self.left.find(mark)) < 0:
            if len(self.left) > _MOST_HEAD_BYTES:
                raise ValueError("no end")
            self._more(_CHUNK_BYTES)
        return self._cut(end, len(mark))

    def next(self, size: int) -> bytes:
        """So many bytes."""
        while (missing := size - len(self.left)) > 0:
            self._more(min(missing, _CHUNK_BYTES))
        return self._cut(size, 0)

    def _more(self, most: int) -> None:
        if not (some := self._connection.recv(most)):
            raise ValueError("broken off")
        self.left += some

    def _cut(self, end: int, passed_over: int) -> bytes:
        found = bytes(self.left[:end])
        del self.left[: end + passed_over]
        return found


@functools.cache
def _tls(ca_file: str | None) -> ssl.SSLContext:
    """One for all hosts: reading the authorities takes 10 ms."""
    return ssl.create_default_context(cafile=ca_file)
