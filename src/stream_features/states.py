"""The states of many entities as arrays: what the kernel folds, and the blob codec reads and writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_features.columns import NULL, Ints
from stream_features.ranges import Whole, spread

NEVER = NULL  # the newest time of an entity that has seen labels only


@dataclass(frozen=True)
class Series:
    """Runs of entries: `counts` consecutive ones belong to each entity, in the order of their times."""

    counts: Ints
    time_ms: Ints
    tracks: tuple[Whole, ...]

    def take(self, order: Ints) -> "Series":
        """The runs of the entities in another order."""
        first, counts = (self.counts.cumsum() - self.counts)[order], self.counts[order]
        at = spread(first, counts)
        return Series(counts, self.time_ms[at], tuple(track[at] for track in self.tracks))


@dataclass(frozen=True)
class States:
    """The states of many entities.

    ``head``: the newest events, one by one; tracks are the layout's columns. ``tiles``: older events by the
    start of their tile; tracks are its measures. ``positives`` and ``positive_tiles`` (track: how many):
    known positive labels by the time of their event. ``memories``: values (track) seen before the head's
    events, in the order in which they were last seen, each by its tile then. ``tails``: none or one entry an
    entity, the last event that has left the head; tracks are, for each decay of the layout, numerator and
    denominator as of that event and as of the newest one, float64 seen as int64.
    """

    newest_ms: Ints
    head: Series
    tiles: Series
    positives: Series
    positive_tiles: Series
    tails: Series
    memories: tuple[Series, ...]

    @property
    def series(self) -> tuple[Series, ...]:
        """All series, in the blob's order."""
        fixed = (self.head, self.tiles, self.positives, self.positive_tiles, self.tails)
        return fixed + self.memories

    def take(self, order: Ints) -> "States":
        """The states of the entities in another order."""
        return states_of(self.newest_ms[order], [series.take(order) for series in self.series])


def states_of(newest_ms: Ints, series: Sequence[Series]) -> States:
    """The states whose series, in the blob's order, are these."""
    head, tiles, positives, positive_tiles, tails, *memories = series
    return States(newest_ms, head, tiles, positives, positive_tiles, tails, tuple(memories))


def joined(parts: Sequence[States]) -> States:
    """The states of all parts, one part after the other."""
    series = [
        Series(
            np.concatenate([one.counts for one in same]),
            np.concatenate([one.time_ms for one in same]),
            tuple(np.concatenate(tracks) for tracks in zip(*(one.tracks for one in same), strict=True)),
        )
        for same in zip(*(part.series for part in parts), strict=True)
    ]
    return states_of(np.concatenate([part.newest_ms for part in parts]), series)


def runs(counts: Ints) -> NDArray[Any]:
    """The entity of each entry: [2, 0, 1] becomes [0, 0, 2]."""
    return np.repeat(np.arange(len(counts)), counts)
