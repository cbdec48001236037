"""Exponentially weighted means on the fast path: as of each new event, and of the last that left a head."""

import numpy as np

from stream_features.columns import Ints
from stream_features.decay import Mean, carried, factors, from_bits
from stream_features.in_order import Merged
from stream_features.ranges import spread
from stream_features.states import runs


class Means:
    """One decay of the layout, for all entities of a batch."""

    def __init__(self, merged: Merged, decay: int) -> None:
        self._merged = merged
        self._half_life_ms = merged.layout.decays[decay].half_life_ms
        self._column = merged.columns[merged.layout.decays[decay].column]
        tracks = merged.states.tails.tracks[4 * decay : 4 * decay + 4]
        self._tails, current = (self._spread(from_bits(*tracks[at : at + 2])) for at in (0, 2))
        groups = merged.arrivals.event_groups
        gaps_ms = merged.gaps_ms(groups, merged.own)
        self.of_events, self.current = self._carried(current, merged.own, groups, gaps_ms)

    def tails(self, raw_from: Ints) -> list[Mean]:
        """Of each entity as of its last raw entry before `raw_from`."""
        raw = self._merged.events
        leaving = raw_from - raw.starts
        groups, places = runs(leaving), spread(raw.starts, leaving)
        gaps_ms = self._merged.gaps_ms(groups, places)
        first = gaps_ms < 0
        gaps_ms[first] = self._merged.raw_ms[places[first]] - self._merged.tail_ms[groups[first]]
        return self._carried(self._tails, places, groups, gaps_ms)[1]

    def _carried(
        self, start: list[Mean], places: Ints, groups: Ints, gaps_ms: Ints
    ) -> tuple[list[Mean], list[Mean]]:
        """The mean after each of the raw entries at `places`, and the last of each entity."""
        left = factors(np.maximum(gaps_ms, 0), self._half_life_ms).tolist()
        last, found = list(start), []
        rows = zip(groups.tolist(), left, self._column[places].tolist(), strict=True)
        for group, share, value in rows:
            (last[group],) = carried(last[group], (share,), (value,))
            found.append(last[group])
        return found, last

    def _spread(self, means: list[Mean]) -> list[Mean]:
        """One an entity, from those of the entities that have one."""
        found = iter(means)
        return [next(found) if count else Mean() for count in self._merged.states.tails.counts.tolist()]
