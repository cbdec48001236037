"""What a demo replays: one EVENTS file, of which the last events are live and the others history."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from common.errors import InvalidInputError
from stream_features.spec import Spec
from streamscore import simulator
from streamscore.demo.wave import AMOUNT, LABEL
from streamscore.event_files import write_events
from streamscore.training.backfill import Backfilled
from streamscore.training.tables import read_events

LABELS_KNOWN_DAYS = 7
LEFT = 0.15
"""The least share of the live events that must come after labels matured."""
WEEK_MS = 7 * simulator.DAY_MS
EVENTS_A_CUSTOMER_A_DAY = 1.7  # below the simulator's mean of 1.94, so that there are always enough


@dataclass(frozen=True)
class Simulated:
    """How much to simulate for a demo; `coming` are events after the live ones."""

    live: int = 5_000
    history_days: int = 70
    customers: int = 120
    seed: int = 0
    coming: int = 0


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

    def matured_after(self, labels: int) -> int | None:
        """After how many live events so many labels of theirs are known, of both kinds; None if hardly any
        come after.
        """
        known_after_ms = self.whole.spec.event.label_known_after_ms
        if known_after_ms is None or self.whole.labels is None:
            return None
        live_ms = self.whole.time_ms[self.live]
        found = self.whole.labels.filter(pl.Series(self.live)).cast(pl.Boolean)
        known_ms = live_ms[found.is_not_null().to_numpy()] + known_after_ms
        told = found.drop_nulls().to_numpy()
        if len(told) < labels or told.all() or not told.any():
            return None
        last = max(labels - 1, int(told.argmax()), int((~told).argmax()))
        events = int((live_ms <= known_ms[last]).sum())
        return events if events <= (1 - LEFT) * len(live_ms) else None


def simulate(size: Simulated, path: Path, today: date) -> pl.DataFrame:
    """Write ``history_days`` of transactions and the ``live`` ones after them; those that are to come then.

    They end so long before ``today`` that the last label, known a week after its event, is not in the future.
    """
    live_days = 2 + int((size.live + size.coming) / (EVENTS_A_CUSTOMER_A_DAY * size.customers))
    days = size.history_days + live_days
    start = today - timedelta(days=days + LABELS_KNOWN_DAYS)
    scale = simulator.Scale(size.customers, 2 * size.customers, days, start)
    transactions = simulator.simulate(scale, size.seed)
    first_live_ms = simulator.midnight_ms(start) + size.history_days * simulator.DAY_MS
    history = int(np.searchsorted(transactions.time_ms, first_live_ms))
    frame = simulator.to_frame(transactions)
    write_events(frame.head(history + size.live), path)
    return frame.slice(history + size.live, size.coming)


def refuse_max_age(spec: Spec) -> None:
    """A replay is faster than what it replays, so a bound on age would set most of it aside."""
    if spec.event.max_age_ms is not None:
        raise InvalidInputError(
            "the spec's max_age would refuse the demo's events, which are days old; try it without max_age"
        )


def refuse_other_payments(spec: Spec) -> None:
    """The act about drift changes what the simulator makes, so the spec must read it under those names."""
    named = {field.name for field in spec.event.fields}
    if AMOUNT not in named or spec.event.label != LABEL:
        raise InvalidInputError(
            f"--drift changes the simulator's `{AMOUNT}` and `{LABEL}`: the spec must have them, as a field "
            "and as the label"
        )


def out_of_the_future(spec: Spec, whole: Backfilled, now_ms: int) -> int:
    """By how much to shift times so that no record, labels included, lies after ``now_ms``.

    Whole weeks back, so that hours and weekdays stay what they were; 0 if nothing lies in the future.
    """
    last_ms = int(whole.time_ms.max(initial=0)) + (spec.event.label_known_after_ms or 0)
    return -WEEK_MS * max(0, -((now_ms - last_ms) // WEEK_MS))


def write_shifted(spec: Spec, path: Path, shift_ms: int, to: Path) -> None:
    """The same events with their times moved, as Parquet."""
    frames = [frame.with_columns(pl.col(spec.event.time) + shift_ms) for frame in read_events(path, spec)]
    write_events(pl.concat(frames), to)


def write_longer(spec: Spec, path: Path, more: Iterable[pl.DataFrame], to: Path) -> None:
    """The same events and more after them, as Parquet."""
    write_events(pl.concat([*read_events(path, spec), *more]), to)


def last_of_history_ms(times_ms: npt.NDArray[np.int64], live: int) -> int:
    """The moment after which ``live`` events come (more, if several share its first instant)."""
    if len(times_ms) <= live:
        raise InvalidInputError(
            f"the file holds {len(times_ms)} events; --live {live} leaves no history: use a lower --live"
        )
    return int(times_ms[-live]) - 1
