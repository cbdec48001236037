"""What is to be estimated: a load, the sizes it comes in, and how the stack is set up. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from common.errors import InvalidInputError

FLAT: tuple[float, ...] = (1.0,) * 24
_BATCH = 500
_LEAST_MB, _MOST_MB = 128, 10_240


@dataclass(frozen=True, slots=True)
class Workload:
    """Events a second are the mean over a day; `profile` are 24 factors on it, one an hour, of mean 1.

    Sizes are the demo's, as it ended on 2026-11-24 (docs/benchmarks.md): 496 customers of 1,509 bytes, 1,000
    terminals of 1,133, labels of every event, 1.3 % reviewed or blocked. `batch` is records an invocation of
    every mapping; None lets it follow from the rate. `shards` None are as many as the peak needs.
    `hot_share` is the busiest shared entity's part of all events. `call_ms` is one DynamoDB call.
    """

    events_per_s: float = 100.0
    profile: tuple[float, ...] = FLAT
    event_bytes: int = 200
    label_bytes: int = 150
    labels_share: float = 1.0
    flagged_share: float = 0.013
    entities_per_event: int = 2
    entities: int = 100_000
    shared_entities: int = 20_000
    hot_share: float = 0.002
    state_bytes: int = 1_500
    shared_bytes: int = 1_130
    decision_bytes: int = 450
    retention_days: int = 400
    batch: float | None = None
    shards: int | None = None
    on_demand: bool = False
    fan_out: bool = False
    api_per_s: float = 0.0
    model_mb: float = 1.1
    load_ms: float = 170.0
    init_ms: float = 375.0
    memory_mb: int = 1_769
    concurrency: int = 1_000
    call_ms: float = 6.0

    def __post_init__(self) -> None:
        """Raises InvalidInputError, naming the field."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
                raise InvalidInputError(f"{field.name}: {value} is no number >= 0")
        for name in ("events_per_s", "entities", "shared_entities", "entities_per_event", "call_ms"):
            _need(getattr(self, name) > 0, name, "must be above 0")
        for name in ("flagged_share", "hot_share"):
            _need(getattr(self, name) <= 1, name, "is a share: 0 to 1")
        _need(self.batch is None or 1 <= self.batch <= _BATCH, "batch", f"is 1 to {_BATCH} records")
        _need(self.shards is None or self.shards >= 1, "shards", "must be 1 or more")
        _need(_LEAST_MB <= self.memory_mb <= _MOST_MB, "memory_mb", "is 128 to 10,240")
        _need(self.concurrency >= 1, "concurrency", "must be 1 or more")
        _need(len(self.profile) == 24 and min(self.profile) >= 0, "profile", "is 24 numbers >= 0")  # noqa: PLR2004 - hours

    @property
    def records_per_event(self) -> float:
        """Records on the stream an event: itself, and its label if one comes."""
        return 1.0 + self.labels_share

    @property
    def peak(self) -> float:
        """The busiest hour's events a second."""
        return self.events_per_s * max(self.profile)

    @property
    def hourly(self) -> list[float]:
        """Events a second of each hour of the day."""
        return [self.events_per_s * factor for factor in self.profile]


def profile_of(numbers: Sequence[float]) -> tuple[float, ...]:
    """A day's 24 factors of mean 1: from 24 relative loads, or from one number, the peak over the mean.

    One number p gives (1/2 + cos/2)^k around 14 o'clock, with the k that has that peak: 1 is flat, 2 a
    cosine.

    >>> round(max(profile_of([3.0])), 3), round(min(profile_of([2.0])), 3)
    (3.0, 0.0)
    """
    if len(numbers) == 1:
        return _peaked(numbers[0])
    total = math.fsum(numbers)
    if len(numbers) != len(FLAT) or min(numbers) < 0 or not 0 < total < math.inf:
        raise InvalidInputError("profile: one number, the peak over the mean, or 24 loads >= 0, one an hour")
    return tuple(number * len(FLAT) / total for number in numbers)


def _peaked(peak: float) -> tuple[float, ...]:
    if not 1 <= peak <= 20:  # noqa: PLR2004 - 24 would be one hour of work a day
        raise InvalidInputError(f"profile: a peak of {peak} times the mean is not between 1 and 20")
    waves = [0.5 + 0.5 * math.cos(2 * math.pi * (hour - 14) / 24) for hour in range(24)]
    low, high = 0.0, 2_000.0
    for _ in range(100):
        power = (low + high) / 2
        mean = math.fsum(wave**power for wave in waves) / 24
        low, high = (low, power) if 1 / mean > peak else (power, high)
    shape = [wave**low for wave in waves]
    mean = math.fsum(shape) / 24
    return tuple(one / mean for one in shape)


def _need(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise InvalidInputError(f"{name}: {what}")
