"""What a function prints, in one file a function, in the order it was printed."""

import os
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path


class FunctionLog:
    """A pipe whose reader appends every line to a file and shows it to `on_line`.

    The function's processes and the platform's START, END and REPORT lines share the pipe: order is kept.
    """

    def __init__(self, path: Path, on_line: Callable[[bytes], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._on_line = on_line
        reading, self.pipe = os.pipe()
        self._reader = threading.Thread(
            target=self._copy, args=(reading,), name=f"log-{path.stem}", daemon=True
        )
        self._reader.start()

    def write(self, line: str) -> None:
        """Add a line of the platform's own."""
        os.write(self.pipe, line.encode() + b"\n")

    def new_stream(self) -> str:
        """A log stream name as Lambda gives each new process one."""
        return f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"

    def close(self) -> None:
        """Write what is left; call when the function's processes are gone."""
        if self._reader.is_alive():
            os.close(self.pipe)
            self._reader.join(timeout=5)

    def _copy(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as lines, self._path.open("ab", buffering=0) as file:
            for line in lines:
                file.write(line)
                self._on_line(line)
