"""The fourteen features in plain Python, exact and without a window library: deques, sums, monotonic maxima.

What a careful person would write inside a stream processor's stateful map; it imports nothing of ours.
"""

from collections import deque

HOUR_MS = 3_600_000
WINDOWS_MS = (HOUR_MS, 24 * HOUR_MS, 168 * HOUR_MS)


class Ring:
    """The history of one card: for each window its events, their sum, and candidates for the maximum."""

    __slots__ = ("events", "last_ms", "maxima", "sums", "terminals")

    def __init__(self) -> None:
        self.last_ms: int | None = None
        self.events: list[deque[tuple[int, int]]] = [deque() for _ in WINDOWS_MS]
        self.sums = [0 for _ in WINDOWS_MS]
        self.maxima: list[deque[tuple[int, int]]] = [deque() for _ in WINDOWS_MS]
        self.terminals: dict[int, int] = {}

    def add(self, time_ms: int, cents: int, terminal: int) -> list[float]:
        """The features of an event in the order of fourteen.toml, amounts in units, NaN for no history."""
        since = float("nan") if self.last_ms is None else (time_ms - self.last_ms) / 1000
        self.last_ms = time_ms
        counts, sums, maxima = [], [], []
        for place, window_ms in enumerate(WINDOWS_MS):
            oldest_ms = time_ms - window_ms
            events, total, largest = self.events[place], self.sums[place] + cents, self.maxima[place]
            while events and events[0][0] <= oldest_ms:
                total -= events.popleft()[1]
            events.append((time_ms, cents))
            while largest and largest[0][0] <= oldest_ms:
                largest.popleft()
            while largest and largest[-1][1] <= cents:
                largest.pop()
            largest.append((time_ms, cents))
            self.sums[place] = total
            counts.append(len(events))
            sums.append(total)
            maxima.append(largest[0][1] / 100)
        means = [total / (100 * count) for total, count in zip(sums, counts, strict=True)]
        seen = self._seen(time_ms, terminal)
        return [since, *counts, *[total / 100 for total in sums], *means, *maxima, seen]

    def _seen(self, time_ms: int, terminal: int) -> int:
        """Distinct terminals of the longest window; the dict is in the order of last use."""
        terminals = self.terminals
        terminals.pop(terminal, None)
        terminals[terminal] = time_ms
        oldest_ms = time_ms - WINDOWS_MS[-1]
        while terminals[first := next(iter(terminals))] <= oldest_ms:
            del terminals[first]
        return len(terminals)
