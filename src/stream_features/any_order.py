"""The plain path, one record at a time: late arrivals, repeated labels and rows that only read."""

import math
from bisect import bisect_right, insort
from dataclasses import dataclass

import numpy as np

from stream_features.blob import NEVER, REMEMBERED_LABELS, States, decode, encode
from stream_features.columns import NULL
from stream_features.layout import Layout
from stream_features.spec_model import Feature

Label = tuple[int, int, bool]


@dataclass
class History:
    """The state of one entity as lists; the meaning is that of `blob.States`."""

    layout: Layout
    newest_ms: int
    event_ms: list[int]
    columns: list[list[int]]
    positive_ms: list[int]
    labels: list[Label]

    @staticmethod
    def from_blob(layout: Layout, blob: bytes) -> "History":
        """The history in `blob`; b"" for none."""
        states = decode(layout, [blob])
        marks = states.label_marks.tolist()
        return History(
            layout=layout,
            newest_ms=int(states.newest_ms[0]),
            event_ms=states.event_ms.tolist(),
            columns=[column.tolist() for column in states.columns],
            positive_ms=states.positive_ms.tolist(),
            labels=[
                (h, mark >> 1, bool(mark & 1))
                for h, mark in zip(states.label_hashes.tolist(), marks, strict=True)
            ],
        )

    def to_blob(self) -> bytes:
        """The bytes of this history."""

        def ints(values: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
            return np.array(values, np.int64)

        (blob,) = encode(
            self.layout,
            States(
                newest_ms=ints([self.newest_ms]),
                event_counts=ints([len(self.event_ms)]),
                event_ms=ints(self.event_ms),
                columns=tuple(ints(column) for column in self.columns),
                positive_counts=ints([len(self.positive_ms)]),
                positive_ms=ints(self.positive_ms),
                label_counts=ints([len(self.labels)]),
                label_hashes=np.array([entry[0] for entry in self.labels], np.uint64),
                label_marks=ints([2 * entry[1] + entry[2] for entry in self.labels]),
            ),
        )
        return blob

    def add_event(self, time_ms: int, values: list[int]) -> None:
        """Insert the point at its place, after those of the same time; drop what falls behind the horizon."""
        self.newest_ms = max(self.newest_ms, time_ms)
        at = bisect_right(self.event_ms, time_ms)
        self.event_ms.insert(at, time_ms)
        for column, value in zip(self.columns, values, strict=True):
            column.insert(at, value)
        self._drop()

    def _drop(self) -> None:
        if self.newest_ms == NEVER:
            return
        oldest_ms = self.newest_ms - self.layout.horizon_ms
        gone = bisect_right(self.event_ms, oldest_ms)
        del self.event_ms[:gone]
        for column in self.columns:
            del column[:gone]
        del self.positive_ms[: bisect_right(self.positive_ms, oldest_ms)]

    def add_label(self, time_ms: int, label: Label) -> None:
        """Count a label; one already known changes nothing, unless its time is later: then it replaces."""
        known = next((entry for entry in self.labels if entry[0] == label[0]), None)
        if known and label[1] <= known[1]:
            return
        if known:
            self.labels.remove(known)
        self.labels.append(label)
        del self.labels[:-REMEMBERED_LABELS]
        was, now = bool(known and known[2]), label[2]
        if now and not was:
            insort(self.positive_ms, time_ms)
        elif was and not now and time_ms in self.positive_ms:
            self.positive_ms.remove(time_ms)
        self._drop()

    def features(self, time_ms: int, own: list[int] | None) -> list[float]:
        """The layout's features as of `time_ms`; `own` are the values of the event itself, if it counts.

        Call it before `add_event`: all points there have arrived before the event.
        """
        newest_ms = max(self.newest_ms, time_ms) if own is not None else self.newest_ms
        oldest_ms = newest_ms - self.layout.horizon_ms if newest_ms != NEVER else NEVER
        return [self._answer(feature, time_ms, own, oldest_ms) for _, feature in self.layout.features]

    def _answer(self, feature: Feature, time_ms: int, own: list[int] | None, oldest_ms: int) -> float:
        end_ms = time_ms - feature.delay_ms
        start_ms = max(end_ms - feature.window_ms, oldest_ms)
        window = slice(bisect_right(self.event_ms, start_ms), bisect_right(self.event_ms, end_ms))
        counts_itself = own is not None and feature.delay_ms == 0
        size = max(window.stop - window.start, 0) + counts_itself
        match feature.op:
            case "count":
                return float(size)
            case "label_count":
                return float(self._positives(start_ms, end_ms))
            case "label_rate":
                return self._positives(start_ms, end_ms) / size if size else math.nan
        return self._of_values(feature, window, own if counts_itself else None)

    def _of_values(self, feature: Feature, window: slice, own: list[int] | None) -> float:
        place, field = next((i, f) for i, f in enumerate(self.layout.columns) if f.name == feature.of)
        values = self.columns[place][window] + ([own[place]] if own is not None else [])
        values = [value for value in values if value != NULL]
        scale = float(10**field.digits)
        match feature.op:
            case "sum":
                return float(sum(values)) / scale
            case "mean":
                return float(sum(values)) / (len(values) * scale) if values else math.nan
        raise NotImplementedError(feature.op)

    def _positives(self, start_ms: int, end_ms: int) -> int:
        return max(bisect_right(self.positive_ms, end_ms) - bisect_right(self.positive_ms, start_ms), 0)
