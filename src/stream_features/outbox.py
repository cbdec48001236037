"""What a write hands to scoring beside the state: rows made of records and their features, within a size."""

from collections.abc import Iterator, Sequence

import numpy as np

from stream_features.events import Event, Label
from stream_features.spec import Spec
from stream_features.state import OUT_VERSION, LabelRow, Out, Row, packed_size
from stream_features.verdict import Delivery

OUT_BUDGET_BYTES = 256 * 1024  # of an item's 400 KB; the rest is for its state
_ROW_FRAME_BYTES = 48


def flushes(spec: Spec, delivery: Delivery) -> Iterator[tuple[int, int]]:
    """Stretches (first, end) of the delivery in which no item's rows outgrow OUT_BUDGET_BYTES, in order."""
    first = 0
    sizes: dict[str, int] = {}
    for n, (record, keys) in enumerate(zip(delivery.records, delivery.keys, strict=True)):
        size = sizes.get(keys[0], 0) + row_bytes(spec, record)
        if size > OUT_BUDGET_BYTES and n > first:
            yield first, n
            first, sizes, size = n, {}, row_bytes(spec, record)
        sizes[keys[0]] = size
    if first < len(delivery.records):
        yield first, len(delivery.records)


def row_bytes(spec: Spec, record: Event | Label) -> int:
    """At most how many bytes a record adds to `out`."""
    own: tuple[object, ...] = (record.id, record.entities)
    if isinstance(record, Event):
        own += (record.trace, record.kept)
    return packed_size(own) + 4 * len(spec.features) + _ROW_FRAME_BYTES


def out_of(spec: Spec, records: Sequence[Event | Label], features: np.ndarray, numbers: Sequence[int]) -> Out:
    """The records of these numbers as rows; `features` is float32[n, F], C-contiguous."""
    width = features.shape[1] * 4
    vectors = memoryview(features).cast("B")
    rows, labels = [], []
    for n in numbers:
        record = records[n]
        if isinstance(record, Label):
            labels.append(_label_row(record))
        else:
            rows.append(_row(record, bytes(vectors[n * width : (n + 1) * width])))
    return Out(OUT_VERSION, spec.sha256, tuple(rows), tuple(labels))


def _row(event: Event, vector: bytes) -> Row:
    return Row(event.id, event.time_ms, event.arrival_ms, event.trace, event.entities, event.kept, vector)


def _label_row(label: Label) -> LabelRow:
    return LabelRow(
        label.id, label.label, label.label_time_ms, label.time_ms, label.entities, label.arrival_ms
    )
