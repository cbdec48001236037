"""The state of an entity that lies in several items, each with events of its own: their union, as one blob.

Events come in the order of their times; of several at one instant those of the earlier item first, and
within an item as it has them. The newest `exact_events` of all are kept one by one, but none that is older
than the first one of an item that has tiles: what lay beside it there is no longer known one by one. The
others go to tiles. A value was last seen when the item says that saw it last (within one tile: the later
item). Means are added up as of the last event that is in no head. What one item has forgotten stays so.

If events reached every item in order, this is the state of one item that got all of them in the order above,
byte for byte, save for the order of values last seen within one tile and the last bits of means.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from stream_features import settled
from stream_features.blob import decode, encode
from stream_features.columns import NULL, Bools, Ints
from stream_features.decay import Mean, as_bits, factors, from_bits
from stream_features.in_order import Arrivals, Merged
from stream_features.layout import Layout, layouts
from stream_features.means import Means
from stream_features.portable_math import exp2_minus
from stream_features.ranges import Whole
from stream_features.recall import Recall
from stream_features.spec_model import Spec
from stream_features.states import NEVER, Series, States, runs
from stream_features.tiles import oldest_kept_ms, tile_of, tiles_of


class Pieces(NamedTuple):
    """One entity's blobs, and the event times of positive labels to be taken back from their union."""

    blobs: Sequence[bytes]
    withdrawn_ms: Sequence[int] = ()


def merge(spec: Spec, entity: str, blobs: Sequence[bytes], withdrawn_ms: Sequence[int] = ()) -> bytes:
    """The one state that the blobs of an entity (by its name in the spec) make together; b"" of none."""
    names = [one.name for one in spec.entities]
    [blob] = merged(layouts(spec)[names.index(entity)], [Pieces(blobs, withdrawn_ms)])
    return blob


def merged(layout: Layout, entities: Sequence[Pieces]) -> list[bytes]:
    """`merge`, for many entities of one layout at once."""
    if not layout.uses or not entities:
        return [b""] * len(entities)
    both = _without_arrivals(layout, _Union(layout, entities).states())
    recalls = [Recall(both, memory) for memory in layout.memories]
    means = [Means(both, decay) for decay in range(len(layout.decays))]
    for one in means:
        one.current = one.tails(both.events.ends)
    blobs = encode(layout, settled.after(both, recalls, means))
    return [blob if any(one.blobs) else b"" for blob, one in zip(blobs, entities, strict=True)]


def _without_arrivals(layout: Layout, states: States) -> Merged:
    none = np.zeros(0, np.int64)
    kept = tuple(none for _ in layout.columns)
    return Merged(layout, states, Arrivals(none, none, none, kept, none, none, none, none))


class _Union:
    """What the items of each entity hold, as one state; its tiles and remembered values still repeat."""

    def __init__(self, layout: Layout, entities: Sequence[Pieces]) -> None:
        self._layout, self._entities = layout, entities
        self._items = decode(layout, [blob for one in entities for blob in one.blobs])
        self._owners = np.repeat(np.arange(len(entities)), [len(one.blobs) for one in entities])
        self._newest_ms = np.full(len(entities), NEVER)
        np.maximum.at(self._newest_ms, self._owners, self._items.newest_ms)
        self._clock_ms = np.maximum(self._newest_ms, 0)

    def states(self) -> States:
        """The unions, one an entity."""
        items, layout = self._items, self._layout
        events = self._together(items.head)
        stay = self._stay(events, items.head, items.tiles)
        alone = _without_arrivals(layout, self._bare(events))
        measured = replace(events, tracks=tuple(alone.measured(one) for one in layout.measures))
        positives, positive_tiles = self._labels()
        return States(
            self._newest_ms,
            _chosen(events, stay),
            _joined(self._together(items.tiles), _chosen(measured, ~stay)),
            positives,
            positive_tiles,
            self._tails(_chosen(events, ~stay)),
            tuple(self._memory(alone, number, stay) for number in range(len(layout.memories))),
        )

    def _together(self, series: Series) -> Series:
        """Its entries by entity and time."""
        owners = self._owners[runs(series.counts)]
        return _by_time(owners, series.time_ms, series.tracks, len(self._entities))

    def _stay(self, together: Series, heads: Series, tiles: Series) -> Bools:
        """Which of the entries of all heads remain among those kept one by one."""
        from_ms = oldest_kept_ms(self._clock_ms, self._layout.horizon_ms)
        cut = (heads.counts > 0) & (tiles.counts > 0)
        first_ms = heads.time_ms[(np.cumsum(heads.counts) - heads.counts)[cut]]
        np.maximum.at(from_ms, self._owners[cut], first_ms)
        owners = runs(together.counts)
        from_end = np.cumsum(together.counts)[owners] - np.arange(len(owners))
        stay: Bools = (from_end <= self._layout.exact_events) & (together.time_ms >= from_ms[owners])
        return stay

    def _bare(self, events: Series) -> States:
        """Nothing but events."""
        none = np.zeros(0, np.int64)
        no_counts = np.zeros(len(self._entities), np.int64)

        def empty(like: Series) -> Series:
            return Series(no_counts, none, (none,) * len(like.tracks))

        _, *rest = self._items.series
        tiles, positives, positive_tiles, tails, *memories = map(empty, rest)
        return States(self._newest_ms, events, tiles, positives, positive_tiles, tails, tuple(memories))

    def _memory(self, alone: Merged, number: int, stay: Bools) -> Series:
        """The values that items remember, and those of events that leave the heads."""
        memory = self._layout.memories[number]
        values = Series(alone.events.counts, alone.raw_ms, (alone.columns[memory.column],))
        leave = ~stay & alone.known(memory.column, memory.flag)
        return _joined(self._together(self._items.memories[number]), _chosen(values, leave))

    # Labels

    def _labels(self) -> tuple[Series, Series]:
        """Positive labels one by one, and in tiles, less those taken back."""
        items = self._items
        positives, in_tiles = self._less_withdrawn(self._together(items.positives))
        stay = self._stay(positives, items.positives, items.positive_tiles)
        ones = replace(positives, tracks=(np.ones(len(stay), np.int64),))
        tiles = _joined(self._together(items.positive_tiles), _chosen(ones, ~stay))
        return _chosen(positives, stay), self._less_tiled(tiles, in_tiles)

    def _less_withdrawn(self, positives: Series) -> tuple[Series, list[tuple[int, int]]]:
        """The positives that stand, and (entity, time) of the withdrawn ones that are not among them."""
        withdrawn = [(n, at) for n, one in enumerate(self._entities) for at in one.withdrawn_ms]
        if not withdrawn:
            return positives, []
        places: dict[tuple[int, int], list[int]] = {}
        entries = zip(runs(positives.counts).tolist(), positives.time_ms.tolist(), strict=True)
        for place, entry in enumerate(entries):
            places.setdefault(entry, []).append(place)
        stands, rest = np.ones(len(positives.time_ms), np.bool_), []
        for entry in withdrawn:
            if found := places.get(entry):
                stands[found.pop()] = False
            else:
                rest.append(entry)
        return _chosen(positives, stands), rest

    def _less_tiled(self, tiles: Series, withdrawn: Sequence[tuple[int, int]]) -> Series:
        """Tiles of positives, less the withdrawn ones that lie in them; what lies in none was forgotten."""
        if not withdrawn:
            return tiles
        owners, counts = runs(tiles.counts), tiles.tracks[0].copy()
        start_ms = tiles_of(tiles.time_ms, self._clock_ms[owners])
        for owner, at in withdrawn:
            own = (owners == owner) & (start_ms == tile_of(at, int(self._clock_ms[owner]))) & (counts > 0)
            counts[np.flatnonzero(own)[:1]] -= 1
        return _chosen(replace(tiles, tracks=(counts,)), counts > 0)

    # Means

    def _tails(self, left: Series) -> Series:
        """Means as of the last event that is in no head; those as of the newest event are put in later."""
        has, decays = self._newest_ms != NEVER, self._layout.decays
        if not decays:
            return Series(has.astype(np.int64) * 0, np.zeros(0, np.int64), ())
        parts = self._parts(left)
        last_ms = [
            own[-1].time_ms if own else newest for own, newest in zip(parts, self._newest_ms, strict=True)
        ]
        tracks: list[Ints] = []
        for number, decay in enumerate(decays):
            means = [_summed(own, number, decay.half_life_ms) for own in parts]
            tracks += [bits[has] for bits in (*as_bits(means), *as_bits([Mean()] * len(parts)))]
        return Series(has.astype(np.int64), np.array(last_ms, np.int64)[has], tuple(tracks))

    def _parts(self, left: Series) -> list[list["_Part"]]:
        """Of each entity, in the order of time, what its items summed up and the events that now leave."""
        tails, decays = self._items.tails, self._layout.decays
        parts: list[list[_Part]] = [[] for _ in self._entities]
        sums = zip(
            *(from_bits(*tails.tracks[at : at + 2]) for at in range(0, 4 * len(decays), 4)), strict=True
        )
        owners = self._owners[runs(tails.counts)].tolist()
        for owner, time_ms, means in zip(owners, tails.time_ms.tolist(), sums, strict=True):
            if any(mean.weight > 0.0 for mean in means):
                parts[owner].append(_Part(time_ms, False, means))
        values = zip(*(left.tracks[decay.column].tolist() for decay in decays), strict=True)
        for owner, time_ms, row in zip(
            runs(left.counts).tolist(), left.time_ms.tolist(), values, strict=True
        ):
            means = tuple(Mean() if value == NULL else Mean(value, 1.0) for value in row)
            parts[owner].append(_Part(time_ms, True, means))
        return [sorted(own, key=lambda part: part.time_ms) for own in parts]


class _Part(NamedTuple):
    """What an event, or all that an item's head has lost, adds to each mean as of a time."""

    time_ms: int
    is_event: bool
    means: tuple[Mean, ...]


def _summed(parts: Sequence[_Part], decay: int, half_life_ms: int) -> Mean:
    """All parts as of the last one; a gap of HISTORY_MS before an event starts anew.

    Before an item's sum it does not: events of that sum may lie within the gap.
    """
    gaps_ms = np.diff([part.time_ms for part in parts], prepend=parts[0].time_ms if parts else 0)
    is_event = np.array([part.is_event for part in parts], np.bool_)
    left = np.where(is_event, factors(gaps_ms, half_life_ms), exp2_minus(gaps_ms / half_life_ms))
    weighted, weight = parts[0].means[decay] if parts else Mean()
    for share, part in zip(left.tolist()[1:], parts[1:], strict=True):
        weighted, weight = weighted * share, weight * share
        if (more := part.means[decay]).weight > 0.0:  # or -0.0 would become 0.0
            weighted, weight = weighted + more.weighted, weight + more.weight
    return Mean(weighted, weight)


def _by_time(owners: Ints, time_ms: Ints, tracks: Sequence[Whole], entities: int) -> Series:
    """Entries in the order (entity, time), those of one instant as they come."""
    order = np.lexsort((time_ms, owners))
    counts = np.bincount(owners, minlength=entities).astype(np.int64)
    return Series(counts, time_ms[order], tuple(track[order] for track in tracks))


def _joined(one: Series, two: Series) -> Series:
    """The entries of both, by entity and time."""
    if not len(two.time_ms):
        return one
    pairs = zip(one.tracks, two.tracks, strict=True)
    return _by_time(
        np.concatenate([runs(one.counts), runs(two.counts)]),
        np.concatenate([one.time_ms, two.time_ms]),
        [np.concatenate(pair) for pair in pairs],
        len(one.counts),
    )


def _chosen(series: Series, chosen: Bools) -> Series:
    """Some of its entries."""
    counts = np.bincount(runs(series.counts)[chosen], minlength=len(series.counts)).astype(np.int64)
    return Series(counts, series.time_ms[chosen], tuple(track[chosen] for track in series.tracks))
