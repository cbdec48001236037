"""The fold: a batch of records and the states before it give each event's features and the states after it.

Pure, and the same for any split of a history into batches: features and state bytes depend only on the
records and the order in which they arrive. One batch of 500 and a whole history are the same call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stream_features import derived, event_ops, looking_back, queries, settled
from stream_features.any_order import History
from stream_features.blob import decode, encode
from stream_features.columns import Bools, Columns, Folded, Group, Ints, Vectors, tokens, whole
from stream_features.in_order import Arrivals, Merged, late_groups
from stream_features.layout import Column, Layout, layouts
from stream_features.means import Means
from stream_features.ops import OPS
from stream_features.recall import Recall
from stream_features.spec_model import Spec
from stream_features.states import States

__all__ = ["Columns", "Folded", "Group", "fold"]


def fold(
    spec: Spec, columns: Columns, groups: Sequence[Group], *, emit: bool = True, keep: bool = True
) -> Folded:
    """Fold the rows of `columns`, in order, into the states of `groups` (one an entity, in spec order).

    A window is (t - W, t] and includes its event; with a delay it is (t - delay - W, t - delay]. The order is
    (event time, then arrival): an event sees what arrived before it and is not later. An entity's newest
    `exact_events` events are kept one by one, older ones in tiles (see `tiles`), and a window's edge that
    falls among tiles is rounded down to one. A positive label counts at its event's time, for events that
    arrive after it. With `emit` False only states are computed, and all features are NaN; with `keep` False
    only features, and the states are those given.
    """
    features = np.full((len(columns), len(spec.features)), np.nan, np.float32)
    blobs = [
        _EntityFold(spec, layout, columns, group, features if emit else None, keep).blobs()
        for layout, group in zip(layouts(spec), groups, strict=True)
    ]
    if emit:
        _fill_event_features(spec, columns, features)
        _fill_defaults(spec, columns, features)
        derived.fill(spec, columns.is_event, features)
    return Folded(features, blobs)


def _fill_event_features(spec: Spec, columns: Columns, features: Vectors) -> None:
    rows = np.flatnonzero(columns.is_event)
    for place, feature in enumerate(spec.features):
        if feature.entity is None and OPS[feature.op].scope == "event":
            features[rows, place] = event_ops.answer(spec, feature, columns, rows)


def _fill_defaults(spec: Spec, columns: Columns, features: Vectors) -> None:
    for place, feature in enumerate(spec.features):
        if feature.default is not None:
            missing = columns.is_event & np.isnan(features[:, place])
            features[missing, place] = feature.default


@dataclass
class _EntityFold:
    """The fold of one entity's rows; fills its columns of `features`, unless that is None. Without `keep` the
    states after it are those before.
    """

    spec: Spec
    layout: Layout
    columns: Columns
    group: Group
    features: Vectors | None
    keep: bool

    def blobs(self) -> list[bytes]:
        """The states after the batch."""
        before = self.group.blobs
        if not self.layout.uses or not len(self.columns):
            return list(before)
        states = decode(self.layout, before)
        arrivals = self._arrivals(self.group.apply)
        late = self._late(states, arrivals)
        if late.any():
            arrivals = self._arrivals(self.group.apply & ~late[self.group.codes])
            states = decode(
                self.layout, [b"" if out else blob for blob, out in zip(before, late, strict=True)]
            )
        blobs = self._in_order(states, arrivals)
        for code in np.flatnonzero(late).tolist():
            blobs[code] = self._one_by_one(code)
        return blobs

    def _late(self, states: States, arrivals: Arrivals) -> Bools:
        """Entities to be folded one record at a time, those with rows that only read among them."""
        late = late_groups(states, arrivals, len(self.columns))
        if self.features is not None:
            late[self.group.codes[self.columns.is_event & ~self.group.apply]] = True
        return late

    def _arrivals(self, chosen: Bools) -> Arrivals:
        """What the chosen rows add, sorted by (entity, arrival)."""
        columns, codes = self.columns, self.group.codes
        events = self._by_entity(columns.is_event & chosen)
        positives = self._by_entity(chosen & (self._deltas > 0))
        return Arrivals(
            event_rows=events,
            event_groups=codes[events].astype(np.int64),
            event_ms=columns.time_ms[events],
            columns=tuple(column[events] for column in self._kept),
            positive_rows=positives,
            positive_groups=codes[positives].astype(np.int64),
            positive_ms=columns.time_ms[positives],
            withdrawn_groups=codes[chosen & (self._deltas < 0)].astype(np.int64),
        )

    @cached_property
    def _deltas(self) -> NDArray[np.int8]:
        """What each row changes in the number of known positives."""
        if not self.layout.has_labels:
            return np.zeros(len(self.columns), np.int8)
        if self.group.deltas is not None:
            return self.group.deltas
        return (self.columns.label & self.group.apply).astype(np.int8)

    @cached_property
    def _kept(self) -> list[Ints]:
        """The layout's columns for every row."""
        return [_column(self.spec, column, self.columns) for column in self.layout.columns]

    def _by_entity(self, chosen: Bools) -> Ints:
        rows = np.flatnonzero(chosen)
        return rows[np.argsort(self.group.codes[rows], kind="stable")]

    def _in_order(self, states: States, arrivals: Arrivals) -> list[bytes]:
        merged = Merged(self.layout, states, arrivals)
        recalls = [Recall(merged, memory) for memory in self.layout.memories]
        means = [Means(merged, decay) for decay in range(len(self.layout.decays))]
        if self.features is not None:
            self.features[np.ix_(arrivals.event_rows, self._places)] = queries.features(
                merged, recalls, means
            )
        if not self.keep:
            return list(self.group.blobs)
        changed = np.zeros(len(self.group.blobs), np.bool_)
        changed[arrivals.event_groups] = changed[arrivals.positive_groups] = True
        after = encode(self.layout, settled.after(merged, recalls, means))
        for code in np.flatnonzero(~changed).tolist():
            after[code] = self.group.blobs[code]
        return after

    @property
    def _places(self) -> list[int]:
        return [use.place for use in self.layout.uses]

    def _one_by_one(self, code: int) -> bytes:
        before, columns = self.group.blobs[code], self.columns
        history = History.from_blob(self.layout, before)
        rows = np.flatnonzero(self.group.codes == code).tolist()
        for row in rows:
            applies = bool(self.group.apply[row])
            if columns.is_event[row]:
                self._one_event(history, row, applies)
            elif applies and self._deltas[row]:
                history.add_label(int(columns.time_ms[row]), int(self._deltas[row]))
        blob = history.to_blob() if self.keep and self._changes(rows) else before
        return before if blob == before else blob

    def _changes(self, rows: list[int]) -> bool:
        applied = self.group.apply[rows]
        return bool((applied & (self.columns.is_event[rows] | (self._deltas[rows] != 0))).any())

    def _one_event(self, history: History, row: int, applies: bool) -> None:
        time_ms = int(self.columns.time_ms[row])
        values = [int(column[row]) for column in self._kept]
        own = values if applies else None
        if self.features is not None:
            self.features[row, self._places] = looking_back.features(history, time_ms, own)
        if applies:
            history.add_event(time_ms, values)


def _column(spec: Spec, column: Column, columns: Columns) -> Ints:
    """A kept column for every row of the batch."""
    match column.kind:
        case "number":
            return columns.fields[column.source].astype(np.int64)
        case "token":
            return tokens(columns.fields[column.source].astype(np.int64))
        case "flag":
            held = np.ones(len(columns), np.bool_)
            for name, value in column.where:
                held &= columns.fields[name] == whole(value)
            return held.astype(np.int64)
