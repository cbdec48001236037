"""What a demo replays: one EVENTS file, of which the last events are live and the others history."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import InvalidInputError
from streamscore import simulator
from streamscore.event_files import write_events
from streamscore.training.backfill import Backfilled

LABELS_KNOWN_DAYS = 7
EVENTS_A_CUSTOMER_A_DAY = 1.7  # below the simulator's mean of 1.94, so that there are always enough


@dataclass(frozen=True)
class Simulated:
    """How much to simulate for a demo."""

    live: int = 5_000
    history_days: int = 56
    customers: int = 1_000
    seed: int = 0


@dataclass(frozen=True)
class Material:
    """The events, backfilled whole; what comes after ``moment_ms`` is live."""

    path: Path
    whole: Backfilled
    moment_ms: int

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """Which events are live."""
        return self.whole.time_ms > self.moment_ms

    @property
    def history(self) -> int:
        """How many are not."""
        return int((~self.live).sum())


def simulate(size: Simulated, path: Path, today: date) -> None:
    """Write ``history_days`` of transactions and the ``live`` ones after them.

    They end so long before ``today`` that the last label, known a week after its event, is not in the future.
    """
    live_days = 2 + int(size.live / (EVENTS_A_CUSTOMER_A_DAY * size.customers))
    days = size.history_days + live_days
    start = today - timedelta(days=days + LABELS_KNOWN_DAYS)
    scale = simulator.Scale(size.customers, 2 * size.customers, days, start)
    transactions = simulator.simulate(scale, size.seed)
    first_live_ms = simulator.midnight_ms(start) + size.history_days * simulator.DAY_MS
    history = int(np.searchsorted(transactions.time_ms, first_live_ms))
    write_events(simulator.to_frame(transactions).head(history + size.live), path)


def last_of_history_ms(times_ms: npt.NDArray[np.int64], live: int) -> int:
    """The moment after which ``live`` events come (more, if several share its first instant)."""
    if len(times_ms) <= live:
        raise InvalidInputError(
            f"the file holds {len(times_ms)} events; --live {live} leaves no history: use a lower --live"
        )
    return int(times_ms[-live]) - 1
