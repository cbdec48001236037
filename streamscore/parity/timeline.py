"""One entity's events as the file has them and as they arrived, and why a value can differ."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from stream_features import spec_model
from stream_features.columns import Ints
from stream_features.state import item_key
from streamscore.parity.aligned import Flags
from streamscore.parity.served import UNKNOWN, Known, Served
from streamscore.training.backfill import Backfilled

_NONE = np.empty(0, np.int64)
NEVER = -1  # the arrival of an event that was not decided


@dataclass(frozen=True)
class Timeline:
    """The events of one entity in the file's order of time; ``known`` is what the stack's state says.

    ``arrival_ms`` is NEVER for events that the stream did not decide; ``label_differs`` where the file has a
    label known at ``label_known_ms`` that the decision lacks or contradicts. ``strangers_ms`` are times of
    events that the stack has and the file lacks. ``primary`` tells apart values of the partition key.
    """

    rows: Ints
    time_ms: Ints
    arrival_ms: Ints
    primary: Ints
    label_known_ms: Ints
    label_differs: Flags
    strangers_ms: Ints
    horizon_ms: int
    known: Known = UNKNOWN

    @property
    def crossed_shards(self) -> bool:
        """Whether its records came through more than one shard."""
        return self.known.shards > 1

    def stack_bounds(self) -> tuple[int | None, int | None]:
        """First and last event time that the stack knows, from decisions and from stored state."""
        times = self.time_ms[self.arrival_ms != NEVER].tolist()
        times += [ms for ms in (self.known.first_ms, self.known.last_ms) if ms is not None]
        return (min(times), max(times)) if times else (None, None)

    def file_bounds(self) -> tuple[int, int]:
        """First and last event time in the file."""
        return int(self.time_ms[0]), int(self.time_ms[-1])

    def lacks_an_event(self, row: int, reach_ms: int) -> bool:
        """Whether the stack provably lacks an event that this row's value should have counted."""
        before = self._reached(row, reach_ms) & (self.rows < row)
        times = self.time_ms[before & (self.arrival_ms == NEVER)]
        if self.known.last_ms is None or self.known.first_ms is None:
            return len(times) > 0
        inside = times[times > self.known.last_ms - self.horizon_ms]
        in_head = inside >= (self.known.head_ms[0] if len(self.known.head_ms) else np.inf)
        lost = (inside < self.known.first_ms) | (in_head & ~np.isin(inside, self.known.head_ms))
        return bool(lost.any())

    def has_strangers(self, row: int, reach_ms: int) -> bool:
        """Whether the stack counted an event that the file lacks."""
        end_ms = self.time_ms[self._at(row)]
        inside = (self.strangers_ms > end_ms - reach_ms) & (self.strangers_ms <= end_ms)
        return bool(inside.any())

    def is_out_of_order(self, row: int, reach_ms: int) -> bool:
        """Whether an event of weight for this row came on another side of it than its time says.

        Of an entity that crossed shards only events of the same partition key tell: they share a shard.
        """
        at = self._at(row)
        weighty = (self.time_ms > self.time_ms[at] - reach_ms) & (self.arrival_ms != NEVER)
        if self.crossed_shards:
            weighty &= self.primary == self.primary[at]
        first, mine = self.rows < row, self.arrival_ms[at]
        inverted = np.where(first, self.arrival_ms > mine, self.arrival_ms < mine)
        inverted[at] = False
        return bool((inverted & weighty).any())

    def has_another_label(self, row: int, reach_ms: int) -> bool:
        """Whether the stack lacks or contradicts a label known when this row's event happened."""
        known = self.label_known_ms <= self.time_ms[self._at(row)]
        return bool((self.label_differs & known & self._reached(row, reach_ms)).any())

    def _at(self, row: int) -> int:
        return int(np.searchsorted(self.rows, row))

    def _reached(self, row: int, reach_ms: int) -> Flags:
        end_ms = self.time_ms[self._at(row)]
        reached: Flags = (self.time_ms > end_ms - reach_ms) & (self.time_ms <= end_ms)
        return reached


@dataclass(frozen=True)
class Histories:
    """What timelines are made of; one is made when it is asked for."""

    whole: Backfilled
    decided: Mapping[str, Served]

    def timelines(
        self, entity: int, values: Collection[str], known: Mapping[str, Known]
    ) -> Iterator[tuple[str, Timeline]]:
        """(value, timeline) of each of the entity's `values`; ``known`` by state key."""
        name = self.whole.spec.entities[entity].name
        horizon_ms = spec_model.horizon_ms(self.whole.spec, name)
        numbered = pl.DataFrame({"value": self.whole.entities[entity]}).with_row_index("row")
        wanted = numbered.filter(pl.col("value").is_in(list(values)))
        for (value,), frame in wanted.group_by("value", maintain_order=True):
            rows = frame["row"].cast(pl.Int64).to_numpy()
            stored = known.get(item_key(name, str(value)), UNKNOWN)
            yield str(value), self._timeline(entity, str(value), rows, stored, horizon_ms)

    def _timeline(self, entity: int, value: str, rows: Ints, stored: Known, horizon_ms: int) -> Timeline:
        whole = self.whole
        times = whole.time_ms[rows]
        served = [self.decided.get(id_) for id_ in whole.ids.gather(rows).to_list()]
        labels = whole.labels.gather(rows).to_list() if whole.labels is not None else [None] * len(rows)
        strangers = stored.head_ms[~np.isin(stored.head_ms, times)]
        if entity == 0:
            strangers = np.concatenate([strangers, self._strangers.get(value, _NONE)])
        return Timeline(
            rows=rows,
            time_ms=times,
            arrival_ms=np.array([one.arrival_ms if one and one.on_stream else NEVER for one in served]),
            primary=self._primaries[rows],
            label_known_ms=times + (whole.spec.event.label_known_after_ms or 0),
            label_differs=np.array(
                [one is not None and one.label != label for one, label in zip(served, labels, strict=True)]
            ),
            strangers_ms=strangers,
            horizon_ms=horizon_ms,
            known=stored,
        )

    @cached_property
    def _primaries(self) -> Ints:
        """A number for each row's partition key."""
        return self.whole.entities[0].rank("dense").cast(pl.Int64).to_numpy()

    @cached_property
    def _strangers(self) -> dict[str, Ints]:
        """Times of decided events that the file lacks, by primary value."""
        ids = set(self.whole.ids.to_list())
        found: dict[str, list[int]] = {}
        for one in self.decided.values():
            if one.on_stream and one.id not in ids:
                found.setdefault(one.primary, []).append(one.event_ms)
        return {value: np.array(times, np.int64) for value, times in found.items()}
