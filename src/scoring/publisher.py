"""Decisions reach the bus whenever it can be reached, and a bus that cannot holds nothing up.

What it does not take within PATIENCE_MS goes into a queue, and for CLOSED_S all goes there at once. The next
invocation after that asks the bus again, and once it answers empties the queue. Both are at least once.
"""

from collections.abc import Callable, Sequence

from common.aws import RESERVE_MS, RemainingMs
from common.errors import TransientError
from common.telemetry import count, logger
from scoring.bus import Bus, is_told
from scoring.items import Item
from scoring.unpublished import Unpublished

PATIENCE_MS = 2_000
CLOSED_S = (45.0, 60.0)
"""For so long a bus that took nothing is not asked, and an empty queue not read, by this process."""
CATCH_UP_MS = 5_000
"""So long, at most, an invocation spends on the queue: what comes by the stream is newer."""

Read = Callable[[Sequence[str], RemainingMs], dict[str, Item]]
"""Decisions by id, as `Decisions.get` gives them."""


class Publisher:
    """The bus of a stack and the queue beside it. A clock and a random number are given."""

    def __init__(
        self, bus: Bus, queue: Unpublished, clock_s: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        self._bus, self._queue, self._clock_s, self._jitter = bus, queue, clock_s, jitter
        self._closed_until_s = float("-inf")
        self._look_at_s = clock_s() + self._a_while_s()

    def publish(self, items: Sequence[Item], remaining_ms: RemainingMs) -> set[str]:
        """Publish reviews and blocks, or keep them for later; the ids where neither was possible."""
        told = [item for item in items if is_told(item)]
        refused = {item["pk"]["S"] for item in told}
        if told and self._clock_s() >= self._closed_until_s:
            refused = self._bus.publish(told, self._within(PATIENCE_MS, remaining_ms))
            if len(refused) == len(told):
                self._closed_until_s = self._clock_s() + self._a_while_s()
        lost = self._queue.keep(sorted(refused), remaining_ms) if refused else set()
        count("DecisionsPublished", len(told) - len(refused))
        count("DecisionsDeferred", len(refused) - len(lost))
        return lost

    def catch_up(self, read: Read, remaining_ms: RemainingMs) -> None:
        """If it is time to, publish what waits in the queue, as `read` finds it in the table now."""
        now_s = self._clock_s()
        if now_s < self._look_at_s or now_s < self._closed_until_s:
            return
        within = self._within(CATCH_UP_MS, remaining_ms)
        while within() > RESERVE_MS:
            if not self._next(read, within):
                self._look_at_s = self._clock_s() + self._a_while_s()
                return

    def _next(self, read: Read, remaining_ms: RemainingMs) -> bool:
        """Publish what a few messages stand for; False if there were none, or the bus took none of one."""
        messages = self._queue.read()
        for waiting in messages:
            try:
                items = [item for item in read(waiting.ids, remaining_ms).values() if "decision" in item]
            except TransientError as error:
                logger().warning("decisions not read, they wait on", extra={"error": str(error)})
                return False
            told, refused = sum(map(is_told, items)), len(self._bus.publish(items, remaining_ms))
            count("DecisionsPublished", told - refused)
            if not refused:
                self._queue.take_out(waiting)
            elif refused == told:
                return False
        return bool(messages)

    def _within(self, most_ms: float, remaining_ms: RemainingMs) -> RemainingMs:
        """The invocation's time, or as if it ended after `most_ms`."""
        end_s = self._clock_s() + most_ms / 1000
        return lambda: min(remaining_ms(), RESERVE_MS + (end_s - self._clock_s()) * 1000)

    def _a_while_s(self) -> float:
        shortest, longest = CLOSED_S
        return shortest + (longest - shortest) * self._jitter()
