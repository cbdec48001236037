"""What a function prints, in one file a function: whole lines, those of a process in the order it printed."""

import os
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

_CUT = b"\0\n"


class FunctionLog:
    """The file of all processes of a function; `on_line` is shown every line. `close` ends the file."""

    def __init__(self, path: Path, on_line: Callable[[bytes], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._on_line = path.open("ab", buffering=0), on_line
        self._streams: list[LogStream] = []
        self._lock = threading.Lock()

    def stream(self) -> "LogStream":
        """The log of a process that is about to start."""
        with self._lock:
            self._streams = [stream for stream in self._streams if stream.is_open]
            self._streams.append(LogStream(self._add))
            return self._streams[-1]

    def close(self) -> None:
        """Write what is left; call when the function's processes are gone."""
        with self._lock:
            streams, self._streams = self._streams, []
        for stream in streams:
            stream.close()
        with self._lock:
            self._file.close()

    def _add(self, line: bytes) -> None:
        with self._lock:
            if not self._file.closed:
                self._file.write(line)
        self._on_line(line)


class LogStream:
    """The pipe of one process, which the platform's START, END and REPORT lines share: order is kept.

    Two processes with one pipe would print into each other's lines.
    """

    def __init__(self, add: Callable[[bytes], None]) -> None:
        self.name = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"
        reading, self.pipe = os.pipe()
        self._add, self._using = add, threading.Lock()
        self._open = True
        self._reader = threading.Thread(target=self._copy, args=(reading,), name="function-log", daemon=True)
        self._reader.start()

    @property
    def is_open(self) -> bool:
        """Whether lines may still come."""
        return self._reader.is_alive()

    def write(self, line: str) -> None:
        """Add a line of the platform's own; one that comes after `close` is lost."""
        self._put(line.encode() + b"\n")

    def cut(self) -> None:
        """End the line that a process which is gone may have left open."""
        self._put(_CUT)

    def close(self) -> None:
        """Pass on what is left; call when the process is gone."""
        with self._using:
            if self._open:
                self._open = False
                os.close(self.pipe)
        self._reader.join(timeout=5)

    def _put(self, data: bytes) -> None:
        with self._using:
            if self._open:
                os.write(self.pipe, data)

    def _copy(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                if line != _CUT:
                    self._add(line.removesuffix(_CUT).removesuffix(b"\n") + b"\n")
