"""CPU time of a peer over a stream that it pulls: over all of it, and over the part behind `warm` events."""

import json
import sys
import time
from collections.abc import Iterable, Iterator


class Stopwatch:
    """Give a peer `watch.over(events)` to read; `report` prints what it took as one line of JSON."""

    def __init__(self, warm: int) -> None:
        self._warm = warm
        self._started = self._warmed = 0.0

    def over[T](self, events: Iterable[T]) -> Iterator[T]:
        """The events; the clock starts with the first, and is read again when `warm` have been taken."""
        self._started = self._warmed = time.process_time()
        for number, event in enumerate(events):
            if number == self._warm:
                self._warmed = time.process_time()
            yield event

    def report(self, version: str) -> None:
        """Version, CPU seconds of all events, and of those behind the warm ones."""
        now = time.process_time()
        found = {"version": version, "all_s": now - self._started, "warm_s": now - self._warmed}
        sys.stdout.write(json.dumps(found) + "\n")
