"""What all lanes of a poller look at: whether to poll, flush or end; and the bell that wakes them."""

import threading

_ALL = ""


class Gate:
    """`told`: somebody rings when records come on a stream (bell.py), so lanes need not look themselves."""

    def __init__(self, told: bool = False) -> None:
        self.polling = False
        self.flushing = False
        self.stopping = False
        self.told = told
        self._rings: dict[str, int] = {}
        self._bell = threading.Condition()

    def ring(self, stream: str = _ALL) -> None:
        """Wake the lanes of a stream (see `stream_name`), or every lane."""
        with self._bell:
            self._rings[stream] = self._rings.get(stream, 0) + 1
            self._bell.notify_all()

    def worked(self) -> None:
        """A function ran and may have written to another stream; without a bell only looking can tell."""
        if not self.told:
            self.ring()

    def rings(self, stream: str) -> int:
        """How often it has rung for a stream; take this before you look at what the bell announces."""
        return self._rings.get(stream, 0) + self._rings.get(_ALL, 0)

    def wait(self, stream: str, heard: int, timeout_s: float) -> None:
        """Sleep until it has rung more than `heard` times for the stream, or until the time is over."""
        with self._bell:
            self._bell.wait_for(lambda: self.rings(stream) > heard, timeout_s)
