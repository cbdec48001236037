"""A world in which everything happens that can happen between a shard and the state table.

It delivers streams to the real protocol over a table in memory. At each step a chooser decides: how large the
batch is, which lane moves, in which order writes land, and whether one is throttled, lost in flight, lands
after its writer died, or is done without an answer. Given a chooser that always says 0, nothing goes wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from stream_features.events import Event, Label
from stream_features.protocol import Applied, Read, Save, Saved, apply_delivery
from stream_features.sharing import SHARING, Sharing
from stream_features.state import CUTOVER_KEY, LabelRow, Row, Stored, decode_out, is_split, shard_number
from stream_features.turn import Write
from stream_features.verdict import Delivery
from tests.exactly_once_streams import SPEC, T0_MS, Streams

Choose = Callable[[int], int]


@dataclass
class Table:
    """The state table: conditional writes, and a stream of the rows each carried."""

    items: dict[str, Stored] = field(default_factory=dict)
    rows: list[Row | LabelRow] = field(default_factory=list)

    def get(self, key: str) -> Stored | None:
        return self.items.get(key)

    def save(self, write: Write) -> Saved:
        if self.items.get(write.pk, Stored(0, b"", b"")).v != write.read_v:
            return Saved.CONFLICT
        self._stays_split(write)
        self.items[write.pk] = Stored(write.v, write.w, write.s)
        if write.out is not None:
            out = decode_out(write.out)
            self.rows += [*out.rows, *out.labels]
        return Saved.DONE

    def _stays_split(self, write: Write) -> None:
        """A split item may be touched, and nothing else."""
        old = self.items.get(write.pk)
        if old and is_split(old):
            assert (old.w, old.s) == (write.w, write.s), f"{write.pk} is split, and was written"


@dataclass
class Lane:
    """An invocation under way: what it asked for and what has been answered so far."""

    steps: Any
    records: int
    request: Read | Save
    answers: dict[Any, Any] = field(default_factory=dict)


class World:
    """Streams, a table (in memory unless told), and the invocations between them."""

    def __init__(
        self,
        streams: Streams,
        choose: Choose,
        faults: int = 0,
        parents: dict[str, str] | None = None,
        *,
        give_ups: int = 0,
        table: Any = None,
        sharing: Sharing = SHARING,
    ) -> None:
        self.streams = {shard: list(records) for shard, records in streams.items()}
        self.parents = parents or {}
        self.choose = choose
        self.faults = faults
        self.give_ups = give_ups
        self.table = Table() if table is None else table
        self.sharing = sharing
        self.checkpoint = dict.fromkeys(streams, 0)
        self.failing = dict.fromkeys(streams, False)
        self.lanes: dict[str, Lane] = {}
        self.in_flight: list[Write] = []
        self.given_up: list[tuple[str, list[Event | Label]]] = []
        self.clock_ms = T0_MS
        self.before_cutover = 0

    def run(self) -> "World":
        """Until everything is delivered and every write in flight has landed or failed."""
        for _ in range(20_000):
            moves = list(self._moves())
            if moves:
                moves[self.choose(len(moves))]()
            elif self.given_up:
                self._redrive()
            else:
                return self
        raise AssertionError("the world never came to rest")

    def _moves(self) -> Iterator[Callable[[], object]]:
        for shard in self.lanes:
            yield lambda shard=shard: self._step(shard)
        for shard in self.streams:
            if self._ready(shard):
                yield lambda shard=shard: self._deliver(shard)
        for write in self.in_flight:
            yield lambda write=write: (self.in_flight.remove(write), self.table.save(write))

    def _ready(self, shard: str) -> bool:
        parent = self.parents.get(shard)
        over = parent is None or (
            self.checkpoint[parent] == len(self.streams[parent]) and parent not in self.lanes
        )
        return over and shard not in self.lanes and self.checkpoint[shard] < len(self.streams[shard])

    def _deliver(self, shard: str) -> None:
        at = self.checkpoint[shard]
        if self.failing[shard] and self.give_ups and self.choose(2):
            self.give_ups -= 1
            self.given_up.append((shard, self.streams[shard][at][1]))
            self.checkpoint[shard] += 1
            self.failing[shard] = False
            return
        most = len(self.streams[shard]) - at
        batch = self.streams[shard][at : at + most - self.choose(most)]
        self.clock_ms += 1
        records = [record for _, inside in batch for record in inside]
        orders = [(sequence, n) for sequence, inside in batch for n in range(len(inside))]
        keys = [(f"customer#{r.entities[0]}", f"terminal#{r.entities[1]}") for r in records]
        delivery = Delivery(shard_number(shard), (batch[0][0], 0), records, orders, keys)
        steps = apply_delivery(SPEC, delivery, self.clock_ms, self.sharing)
        self.lanes[shard] = Lane(steps, len(batch), next(steps))

    def _step(self, shard: str) -> None:
        """One item read or one write of a lane; with all its answers it goes on to its next request."""
        lane = self.lanes[shard]
        alive = self._read(lane) if isinstance(lane.request, Read) else self._write(lane)
        if not alive:
            del self.lanes[shard]
            self.failing[shard] = True
            return
        if isinstance(lane.request, Read):
            if len(lane.answers) < len(lane.request.keys):
                return
            answer: Any = {key: stored for key, stored in lane.answers.items() if stored}
            if None in lane.answers:
                answer = None
        else:
            if len(lane.answers) < len(lane.request.writes):
                return
            answer = [lane.answers[write.pk] for write in lane.request.writes]
        try:
            lane.request, lane.answers = lane.steps.send(answer), {}
        except StopIteration as end:
            self._returned(shard, end.value)

    def _read(self, lane: Lane) -> bool:
        fate = self._fate("ok", "crash", "late")
        if fate == "late":
            lane.answers = {None: None, **dict.fromkeys(lane.request.keys)}
        for key in lane.request.keys:
            if key not in lane.answers:
                lane.answers[key] = self.table.get(key)
                break
        return fate != "crash"

    def _write(self, lane: Lane) -> bool:
        left = [write for write in lane.request.writes if write.pk not in lane.answers]
        write = left[self.choose(len(left))]
        fate = self._fate(
            "ok", "throttled", "crash", "crash in flight", "no answer", "answer lost, sent again"
        )
        if fate.startswith("crash"):
            self.in_flight += left if fate == "crash in flight" else []
            return False
        saved = Saved.UNFINISHED if fate == "throttled" else self.table.save(write)
        if fate == "no answer":
            saved = Saved.UNFINISHED
        if fate == "answer lost, sent again":
            saved = self.table.save(write)
        lane.answers[write.pk] = saved
        return True

    def _fate(self, *fates: str) -> str:
        """The first, unless the chooser draws one of its faults."""
        if not self.faults or self.choose(4) != 3:
            return fates[0]
        self.faults -= 1
        return fates[1 + self.choose(len(fates) - 1)]

    def _returned(self, shard: str, applied: Applied) -> None:
        """The event source mapping goes on behind the lowest record that was returned."""
        batch = self.streams[shard][self.checkpoint[shard] :][: self.lanes.pop(shard).records]
        done = len(batch)
        if applied.unfinished is not None:
            of_record = [n for n, (_, inside) in enumerate(batch) for _ in inside]
            done = of_record[applied.unfinished]
        self.failing[shard] = applied.unfinished is not None
        self.before_cutover += applied.before_cutover
        self.checkpoint[shard] += done

    def _redrive(self) -> None:
        """What was given up goes back on the stream under new positions; no more faults from here on."""
        self.faults = self.give_ups = 0
        for shard, records in self.given_up:
            again = [msgspec.structs.replace(record, redrive=True) for record in records]
            self.streams[shard].append((self.streams[shard][-1][0] + 1000, again))
        self.given_up = []


def marked(cutover_ms: int) -> Table:
    """A table with nothing but a cut-over mark."""
    return Table({CUTOVER_KEY: Stored(cutover_ms, b"", b"")})
