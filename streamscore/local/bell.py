"""The emulator tells of every record it puts on a stream, so that nobody has to ask it all the time.

A datagram names a table or a Kinesis stream. None is waited for or sent again: a lane that hears nothing
looks by itself, only later.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

_MOST_BYTES = 512
_END = b"\0"


class Bell:
    """Listens on 127.0.0.1 and passes on the names it hears, each once of those that come together.

    With a `path` it listens there, in the place of one that was killed.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.on_ring: Callable[[str], None] = lambda _name: None
        if path:
            path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(str(path) if path else ("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, name="bell", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """host:port, or the path, for the emulator."""
        name = self._socket.getsockname()
        return name if isinstance(name, str) else f"{name[0]}:{name[1]}"

    def close(self) -> None:
        """Hear no more."""
        with contextlib.suppress(OSError), socket.socket(self._socket.family, socket.SOCK_DGRAM) as last:
            last.sendto(_END, self._socket.getsockname())
        self._thread.join(timeout=1.0)
        self._socket.close()

    def _listen(self) -> None:
        while True:
            names = {self._socket.recv(_MOST_BYTES)}
            with contextlib.suppress(BlockingIOError):
                while True:
                    names.add(self._socket.recv(_MOST_BYTES, socket.MSG_DONTWAIT))
            if _END in names:
                return
            for name in names:
                self.on_ring(name.decode(errors="replace"))


def stream_name(arn: str) -> str:
    """The table or Kinesis stream that a stream's ARN is of.

    >>> stream_name("arn:aws:dynamodb:us-east-1:000000000000:table/state/stream/2026-11-24T00:00:00.000")
    'state'
    >>> stream_name("arn:aws:kinesis:us-east-1:000000000000:stream/events")
    'events'
    """
    return arn.split("/")[1]
