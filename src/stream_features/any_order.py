"""The plain path, one record at a time: late arrivals, withdrawn labels and rows that only read."""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field

import numpy as np

from stream_features.blob import decode, encode
from stream_features.columns import NULL, Ints
from stream_features.decay import Mean, as_bits, factor, from_bits
from stream_features.decay import carried as _carried
from stream_features.layout import Layout, Measure, Memory
from stream_features.recall import REMEMBERED_VALUES
from stream_features.spec_model import HISTORY_MS
from stream_features.states import NEVER, Series, States
from stream_features.tiles import grain_ms, oldest_kept_ms, rounded_down, tile_of

Values = list[int]
"""What the layout's columns keep of one event."""


@dataclass
class History:
    """The state of one entity as lists; the meaning is that of `states.States`.

    ``tiles`` and ``positive_tiles`` by start; ``memories`` hold (tile, value); ``tail`` and ``current`` hold
    a mean a decay.
    """

    layout: Layout
    newest_ms: int = NEVER
    head_ms: list[int] = field(default_factory=list)
    head: list[Values] = field(default_factory=list)
    tiles: dict[int, Values] = field(default_factory=dict)
    positives: list[int] = field(default_factory=list)
    positive_tiles: dict[int, int] = field(default_factory=dict)
    memories: list[list[tuple[int, int]]] = field(default_factory=list)
    tail_ms: int = 0
    tail: list[Mean] = field(default_factory=list)
    current: list[Mean] = field(default_factory=list)

    @staticmethod
    def from_blob(layout: Layout, blob: bytes) -> "History":
        """The history in `blob`; b"" for none."""
        states = decode(layout, [blob])
        means = [from_bits(*states.tails.tracks[at : at + 2]) for at in range(0, 4 * len(layout.decays), 2)]
        means = [found or [Mean()] for found in means]
        return History(
            layout=layout,
            newest_ms=int(states.newest_ms[0]),
            head_ms=states.head.time_ms.tolist(),
            head=_rows(states.head),
            tiles=dict(zip(states.tiles.time_ms.tolist(), _rows(states.tiles), strict=True)),
            positives=states.positives.time_ms.tolist(),
            positive_tiles={at: row[0] for at, row in _timed(states.positive_tiles)},
            memories=[[(at, row[0]) for at, row in _timed(memory)] for memory in states.memories],
            tail_ms=int(states.tails.time_ms[0]) if len(states.tails.time_ms) else 0,
            tail=[found[0] for found in means[::2]],
            current=[found[0] for found in means[1::2]],
        )

    def to_blob(self) -> bytes:
        """The bytes of this history."""
        layout = self.layout
        tails = []
        if layout.decays and self.newest_ms != NEVER:
            started = any(mean.weight > 0.0 for mean in self.tail)
            pairs = zip(self.tail, self.current, strict=True)
            bits = [int(one[0]) for pair in pairs for mean in pair for one in as_bits([mean])]
            tails = [(self.tail_ms if started else self.newest_ms, bits)]
        tiles = sorted(self.tiles.items())
        positive_tiles = sorted((at, [count]) for at, count in self.positive_tiles.items())
        states = States(
            newest_ms=np.array([self.newest_ms], np.int64),
            head=_series(list(zip(self.head_ms, self.head, strict=True)), len(layout.columns)),
            tiles=_series(tiles, len(layout.measures)),
            positives=_series([(at, []) for at in self.positives], 0),
            positive_tiles=_series(positive_tiles, 1),
            tails=_series(tails, 4 * len(layout.decays)),
            memories=tuple(_series([(at, [v]) for at, v in memory], 1) for memory in self.memories),
        )
        (blob,) = encode(layout, states)
        return blob

    # What happens

    def add_event(self, time_ms: int, values: Values) -> None:
        """Put an event at its place, after those of the same time; one behind the horizon is forgotten."""
        clock_ms = max(self.newest_ms, 0)
        if time_ms < oldest_kept_ms(clock_ms, self.layout.horizon_ms):
            return
        late = time_ms < self.newest_ms
        if not late:
            before_ms = [self.newest_ms] if self.newest_ms != NEVER else []
            self.current = self.carried(self.current, before_ms, time_ms, values)
            self.newest_ms = time_ms
            self._settle()
        if self.tiles and (not self.head_ms or time_ms < self.head_ms[0]):
            self._leave_late(time_ms, values)
        else:
            at = bisect_right(self.head_ms, time_ms)
            self.head_ms.insert(at, time_ms)
            self.head.insert(at, values)
        if len(self.head_ms) > self.layout.exact_events:
            self._leave(self.head_ms.pop(0), self.head.pop(0), tiled=True)
        self._settle()
        if late:
            self.current = self.means(self.newest_ms)

    def _settle(self) -> None:
        """Forget what lies behind the horizon; tiles that have aged become parts of larger ones."""
        clock_ms = max(self.newest_ms, 0)
        oldest_ms = oldest_kept_ms(clock_ms, self.layout.horizon_ms)
        while self.head_ms and self.head_ms[0] < oldest_ms:
            self._leave(self.head_ms.pop(0), self.head.pop(0), tiled=False)
        tiles, self.tiles = self.tiles, {}
        for start_ms, row in sorted(tiles.items()):
            if start_ms >= oldest_ms:
                self._add_to_tile(tile_of(start_ms, clock_ms), row)
        self._settle_positives()
        for number, memory in enumerate(self.layout.memories):
            known = set(self.tokens(memory))
            old = [(tile_of(at, clock_ms), token) for at, token in self.memories[number] if at >= oldest_ms]
            old = [(at, token) for at, token in old if token not in known]
            most = max(REMEMBERED_VALUES - len(known), 0)
            self.memories[number] = old[max(len(old) - most, 0) :]

    def _settle_positives(self) -> None:
        clock_ms = max(self.newest_ms, 0)
        oldest_ms = oldest_kept_ms(clock_ms, self.layout.horizon_ms)
        while len(self.positives) > self.layout.exact_events:
            at = tile_of(self.positives.pop(0), clock_ms)
            self.positive_tiles[at] = self.positive_tiles.get(at, 0) + 1
        del self.positives[: bisect_left(self.positives, oldest_ms)]
        tiles, self.positive_tiles = self.positive_tiles, {}
        for start_ms, count in tiles.items():
            if start_ms >= oldest_ms:
                at = tile_of(start_ms, clock_ms)
                self.positive_tiles[at] = self.positive_tiles.get(at, 0) + count

    def _leave(self, time_ms: int, values: Values, *, tiled: bool) -> None:
        """The oldest event leaves the head."""
        self.tail = self.carried(self.tail, [self.tail_ms], time_ms, values)
        self.tail_ms = time_ms
        if tiled:
            self._into_tile(time_ms, values)

    def _leave_late(self, time_ms: int, values: Values) -> None:
        """An event that is older than the head: the tail takes it in as of its own time."""
        if time_ms >= self.tail_ms or not any(mean.weight > 0.0 for mean in self.tail):
            self._leave(time_ms, values, tiled=True)
            return
        for number, decay in enumerate(self.layout.decays):
            value, mean = values[decay.column], self.tail[number]
            share = factor(self.tail_ms - time_ms, decay.half_life_ms)
            if value != NULL:
                self.tail[number] = Mean(mean.weighted + value * share, mean.weight + share)
        self._into_tile(time_ms, values)

    def _into_tile(self, time_ms: int, values: Values) -> None:
        start_ms = tile_of(time_ms, max(self.newest_ms, 0))
        self._add_to_tile(start_ms, [self.measured(measure, values) for measure in self.layout.measures])
        for number, memory in enumerate(self.layout.memories):
            token = self.token(memory, values)
            others = [entry for entry in self.memories[number] if entry[1] != token]
            known = [at for at, seen in self.memories[number] if seen == token]
            if token != NULL and not (known and known[0] > start_ms):
                insort(others, (start_ms, token), key=lambda entry: entry[0])
                self.memories[number] = others

    def _add_to_tile(self, start_ms: int, row: Values) -> None:
        old = self.tiles.get(start_ms)
        pairs = zip(self.layout.measures, old, row, strict=True) if old else ()
        self.tiles[start_ms] = [_summed(measure, one, two) for measure, one, two in pairs] or list(row)

    def add_label(self, time_ms: int, delta: int) -> None:
        """A positive label of an event of `time_ms` becomes known (1) or is taken back (-1)."""
        clock_ms = max(self.newest_ms, 0)
        if time_ms < oldest_kept_ms(clock_ms, self.layout.horizon_ms):
            return
        tiled = bool(self.positive_tiles) and (not self.positives or time_ms < self.positives[0])
        start_ms = tile_of(time_ms, clock_ms)
        if delta > 0 and tiled:
            self.positive_tiles[start_ms] = self.positive_tiles.get(start_ms, 0) + 1
        elif delta > 0:
            insort(self.positives, time_ms)
        elif delta < 0 and time_ms in self.positives:
            self.positives.remove(time_ms)
        elif delta < 0 and start_ms in self.positive_tiles:
            self.positive_tiles[start_ms] -= 1
            if not self.positive_tiles[start_ms]:
                del self.positive_tiles[start_ms]
        self._settle_positives()

    # What it looks like

    def measured(self, measure: Measure, values: Values) -> int:
        """What one event adds to a measure."""
        value = values[measure.column] if measure.column >= 0 else 1
        counts = value != NULL and (measure.flag < 0 or values[measure.flag] == 1)
        match measure.kind:
            case "count":
                return int(counts)
            case "sum":
                return value if counts else 0
            case "squares":
                return value * value if counts else 0
            case "min" | "max":
                return value if counts else NULL

    def token(self, memory: Memory, values: Values) -> int:
        """The value that a memory takes of an event; NULL for none."""
        held = memory.flag < 0 or values[memory.flag] == 1
        return values[memory.column] if held else NULL

    def tokens(self, memory: Memory) -> list[int]:
        """The values of the head, in order."""
        tokens = [self.token(memory, values) for values in self.head]
        return [token for token in tokens if token != NULL]

    def edge_ms(self, time_ms: int, back_ms: int) -> int:
        """The first instant after `time_ms` - `back_ms`, rounded down if it lies among tiles."""
        edge_ms = time_ms - back_ms + 1
        if self.tiles and (not self.head_ms or self.head_ms[0] >= edge_ms):
            return rounded_down(edge_ms, grain_ms(back_ms))
        return edge_ms

    def label_edge_ms(self, time_ms: int, back_ms: int) -> int:
        """As for events; rounded as well if it lies among the tiles of labels."""
        edge_ms = time_ms - back_ms + 1
        if self.positive_tiles and (not self.positives or self.positives[0] >= edge_ms):
            return rounded_down(edge_ms, grain_ms(back_ms))
        return self.edge_ms(time_ms, back_ms)

    def carried(self, means: list[Mean], before_ms: list[int], time_ms: int, values: Values) -> list[Mean]:
        """The means after one more event; `before_ms` has the time of the one before it, if there is one."""
        found: list[Mean] = []
        for mean, decay in zip(means, self.layout.decays, strict=True):
            gap_ms = max(time_ms - before_ms[0], 0) if before_ms else HISTORY_MS
            share = factor(gap_ms, decay.half_life_ms)
            found += _carried(mean, (share,), (values[decay.column],))
        return found

    def means(self, until_ms: int) -> list[Mean]:
        """From the tail over the events of the head that are not later than `until_ms`."""
        means, before_ms = self.tail, [self.tail_ms]
        for time_ms, values in zip(self.head_ms, self.head, strict=True):
            if time_ms <= until_ms:
                means, before_ms = self.carried(means, before_ms, time_ms, values), [time_ms]
        return means


def _summed(measure: Measure, one: int, two: int) -> int:
    if measure.kind not in {"min", "max"}:
        return one + two
    known = [value for value in (one, two) if value != NULL]
    return (min if measure.kind == "min" else max)(known) if known else NULL


def _rows(series: Series) -> list[Values]:
    if not series.tracks:
        return [[] for _ in range(len(series.time_ms))]
    return [list(row) for row in zip(*(track.tolist() for track in series.tracks), strict=True)]


def _timed(series: Series) -> list[tuple[int, Values]]:
    return list(zip(series.time_ms.tolist(), _rows(series), strict=True))


def _series(rows: list[tuple[int, Values]], tracks: int) -> Series:
    def ints(values: list[int]) -> Ints:
        huge = any(not -(2**63) <= value < 2**63 for value in values)
        return np.array(values, object if huge else np.int64)

    return Series(
        np.array([len(rows)], np.int64),
        ints([at for at, _ in rows]),
        tuple(ints([row[place] for _, row in rows]) for place in range(tracks)),
    )
