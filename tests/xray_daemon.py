"""Stands in for the X-Ray daemon: takes datagrams on a loopback port and checks each against the schema."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = json.loads((Path(__file__).parent / "xray_subsegment.schema.json").read_text(encoding="utf-8"))
HEADER = b'{"format":"json","version":1}\n'
MAX_DATAGRAM_BYTES = 65_535


@dataclass(frozen=True)
class Daemon:
    """Where it listens, and what has come so far."""

    address: str
    _socket: socket.socket

    def skip(self) -> None:
        """Forget what has come so far."""
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(MAX_DATAGRAM_BYTES)

    def received(self) -> list[dict[str, Any]]:
        """Every document since the last call, in the order of arrival; each is a valid subsegment."""
        documents = []
        while True:
            try:
                datagram = self._socket.recv(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return documents
            assert datagram.startswith(HEADER)
            document = json.loads(datagram.removeprefix(HEADER))
            jsonschema.validate(document, SCHEMA)
            documents.append(document)


@contextmanager
def listening() -> Iterator[Daemon]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
        taker.bind(("127.0.0.1", 0))
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        taker.setblocking(False)
        yield Daemon(f"127.0.0.1:{taker.getsockname()[1]}", taker)
