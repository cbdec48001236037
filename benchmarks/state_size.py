"""Bytes of a state item and write units of a write, by the length of the raw head.

    python benchmarks/state_size.py [--size 1000000] [--handbook FILE.csv.xz] [--heads 32 64 96 128 256]

Whole streams pass through the code that serves: `Part.fold`, watermarks, remembered ids and labels,
`encode_item`. Measured is each item as its last write left it, attribute names included, and one row in `out`
if its entity is the primary one. Units are weighted by the entity's events within the horizon: what is
written most counts most.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import batched
from pathlib import Path

import numpy as np
import polars as pl
from side_by_side import machine, table
from streams import DAY_MS, FOURTEEN, Stream, card_id, cards, handbook_like, hot, terminal_id

from stream_features.columns import Columns, Group
from stream_features.events import Event, Label, event_hash, label_hash
from stream_features.kernel import fold
from stream_features.spec import Spec, parse
from stream_features.state import (
    OUT_VERSION,
    Out,
    Row,
    Stored,
    decode_item,
    encode_item,
    encode_out,
    item_key,
)
from stream_features.turn import Part
from stream_features.verdict import Delivery

type Records = Iterator[Event | Label]

SHIPPED = Path(__file__).parents[1] / "src" / "features.toml"
SHARD = 6
DELIVERY_ROWS = 20_000
KNOWN_AFTER_MS = 7 * DAY_MS
FRAMES = {"pk": 0, "v": 8, "w": 0, "s": 0, "ttl": 6}
"""Attribute names of an item, and the bytes of the values that are numbers (DynamoDB: digits / 2, plus 1)."""
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def shipped(days: int, exact_events: int) -> Spec:
    """The card-fraud features that ship, with windows up to `days`."""
    windows = '["1d", "7d", "30d"]' if days == 30 else '["1d", "7d"]'
    return _spec(SHIPPED.read_text().replace('["1d", "7d", "30d"]', windows), exact_events)


def fourteen(days: int, exact_events: int) -> Spec:
    """The speed benches' features, their longest window `days`."""
    return _spec(FOURTEEN.read_text().replace('"7d"', f'"{days}d"'), exact_events)


def _spec(text: str, exact_events: int) -> Spec:
    return parse(text.replace("[event]", f"[event]\nexact_events = {exact_events}", 1))


def handbook(path: Path) -> Stream:
    """The Handbook's transactions."""
    import lzma  # noqa: PLC0415 - only this input needs it

    with lzma.open(path) as opened:
        rows = pl.read_csv(opened.read())
    cents = (rows["TX_AMOUNT"] * 100).round().cast(pl.Int64)
    time_ms = rows["TX_DATETIME"].str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ms").cast(pl.Int64)
    made = [rows["CUSTOMER_ID"], rows["TERMINAL_ID"], time_ms, cents]
    order = np.argsort(time_ms.to_numpy(), kind="stable")
    return Stream(*(column.to_numpy()[order] for column in made))


def records(spec: Spec, stream: Stream, *, labelled: bool) -> Records:
    """The events in order of time; with `labelled`, a label for each (one in 120 true) seven days later."""
    columns = (stream.card, stream.terminal, stream.time_ms, stream.cents)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    answered = 0
    for number, row in enumerate(rows):
        while labelled and rows[answered][2] + KNOWN_AFTER_MS <= row[2]:
            yield _label(spec, answered, rows[answered])
            answered += 1
        yield _event(spec, number, row)


def _ids(spec: Spec, row: Sequence[int]) -> tuple[str, ...]:
    return (card_id(row[0]), terminal_id(row[1]))[: len(spec.entities)]


def _event(spec: Spec, number: int, row: Sequence[int]) -> Event:
    name, trace = f"tx-{number:09d}", TRACE if spec.event.trace else None
    values = tuple(row[3] if field.is_number else terminal_id(row[1]) for field in spec.event.fields)
    kept = values[:1] if spec.event.keep else ()
    return Event(name, event_hash(name), row[2], row[2], trace, _ids(spec, row), values, kept)


def _label(spec: Spec, number: int, row: Sequence[int]) -> Label:
    name, known_ms = f"tx-{number:09d}", row[2] + KNOWN_AFTER_MS
    return Label(name, label_hash(name), row[2], known_ms, number % 120 == 0, known_ms, _ids(spec, row))


class History:
    """A stream that has passed through the serving code: the items, and its records as one batch."""

    def __init__(self, spec: Spec, stream: Stream, *, labelled: bool) -> None:
        self.spec, self.items, self.last = spec, dict[str, Stored](), dict[str, Event]()
        self._parts: list[Columns] = []
        self._codes = [dict[str, int]() for _ in spec.entities]
        self._numbers: list[list[int]] = [[] for _ in spec.entities]
        sequence = 49_590_338_271_490_256_608_559_692_538
        for some in batched(records(spec, stream, labelled=labelled), DELIVERY_ROWS, strict=False):
            self._deliver(some, sequence)
            sequence += 2**40
        self.columns = _joined(self._parts)
        self.codes = [np.array(numbers, np.int32) for numbers in self._numbers]

    @property
    def keys(self) -> list[list[str]]:
        """The items' keys, an entity after the other, by their codes."""
        return [list(codes) for codes in self._codes]

    def _deliver(self, some: Sequence[Event | Label], sequence: int) -> None:
        names = [entity.name for entity in self.spec.entities]
        keys = [[item_key(*pair) for pair in zip(names, one.entities, strict=True)] for one in some]
        orders = [(sequence + number, 0) for number in range(len(some))]
        part = Part(self.spec, Delivery(SHARD, orders[0], some, orders, keys), some[-1].arrival_ms)
        turn = part.fold(self.items)
        for write in [*turn.primary_writes(), *turn.shared_writes()]:
            self.items[write.pk] = Stored(write.v, write.w, write.s)
        self._parts.append(part.columns)
        for own, one in zip(keys, some, strict=True):
            for codes, numbers, key in zip(self._codes, self._numbers, own, strict=True):
                numbers.append(codes.setdefault(key, len(codes)))
            if isinstance(one, Event):
                self.last[own[0]] = one


def _joined(parts: Sequence[Columns]) -> Columns:
    return Columns(
        time_ms=np.concatenate([part.time_ms for part in parts]),
        is_event=np.concatenate([part.is_event for part in parts]),
        fields={name: np.concatenate([part.fields[name] for part in parts]) for name in parts[0].fields},
        label=np.concatenate([part.label for part in parts]),
    )


def measured(name: str, history: History, spec: Spec, days: int) -> Iterator[list[object]]:
    """A row of the table an entity: the items under `spec`, a head or horizon other than the history's."""
    columns = history.columns
    applied = np.ones(len(columns), np.bool_)
    groups = [Group(c, [b""] * len(k), applied) for c, k in zip(history.codes, history.keys, strict=True)]
    folded = fold(spec, columns, groups, emit=False)
    recent = columns.is_event & (columns.time_ms > columns.time_ms.max() - days * DAY_MS)
    for place, entity in enumerate(spec.entities):
        keys = history.keys[place]
        events = np.bincount(history.codes[place][recent], minlength=len(keys))
        sizes = np.array([item_bytes(history, *pair) for pair in zip(keys, folded.blobs[place], strict=True)])
        sizes, events = sizes[events > 0], events[events > 0]
        blob = int(np.median([len(blob) for blob in folded.blobs[place]]))
        spread = [int(value) for value in np.percentile(sizes, [50, 99, 100])]
        units = float(np.average(np.ceil(sizes / 1024), weights=events))
        yield [f"{name}, {entity.name}", f"{days} d", spec.event.exact_events, blob, *spread, units]


def item_bytes(history: History, key: str, blob: bytes) -> int:
    """What DynamoDB counts of an item: attribute names and values."""
    stored = history.items[key]
    item = decode_item(stored, SHARD)
    item.blob = blob
    w, s = encode_item(item, SHARD, stored.v)
    size = sum(len(name) + value for name, value in FRAMES.items()) + len(key.encode()) + len(w) + len(s)
    if key not in history.last:
        return size
    event = history.last[key]
    vector = bytes(4 * len(history.spec.features))
    row = Row(event.id, event.time_ms, event.arrival_ms, event.trace, event.entities, event.kept, vector)
    return size + len("out") + len(encode_out(Out(OUT_VERSION, history.spec.sha256, (row,), ())))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--size", type=int, default=1_000_000, help="events of the stream with hot keys")
    arguments.add_argument("--handbook", type=Path, help="the Handbook's file; without it a simulated one")
    arguments.add_argument("--heads", type=int, nargs="+", default=[32, 64, 96, 128, 256])
    arguments.add_argument("--days", type=int, nargs="+", default=[7, 30])
    arguments.add_argument("--labelled", action="store_true", help="a label for every event, true and false")
    given = arguments.parse_args()
    book = handbook(given.handbook) if given.handbook else handbook_like()
    streams = [("Zipf", fourteen, cards(given.size)), ("hot keys", fourteen, hot(given.size))]
    rows = []
    for name, spec, stream in [*streams, ("Handbook", shipped, book)]:
        history = History(spec(given.days[0], given.heads[0]), stream, labelled=given.labelled)
        for days in given.days:
            for head in given.heads:
                rows += measured(name, history, spec(days, head), days)
    print(machine() + "\n")
    head = [
        "stream, entity",
        "horizon",
        "head",
        "blob p50",
        "item p50 bytes",
        "p99",
        "max",
        "write units, by events",
    ]
    print(table(head, rows))


if __name__ == "__main__":
    main()
