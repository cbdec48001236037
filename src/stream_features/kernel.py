"""The fold: a batch of records and the states before it give each event's features and the states after it.

Pure, and the same for any split of a history into batches: features and state bytes depend only on the
records and the order in which they arrive. One batch of 500 and a whole history are the same call.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream_features import event_ops
from stream_features.any_order import History
from stream_features.blob import States, decode, encode
from stream_features.columns import Bools, Columns, Folded, Group, Ints, Vectors
from stream_features.in_order import Arrivals, Merged, late_groups
from stream_features.layout import Layout, layouts
from stream_features.spec_model import Spec

__all__ = ["Columns", "Folded", "Group", "fold"]


def fold(spec: Spec, columns: Columns, groups: Sequence[Group], *, emit: bool = True) -> Folded:
    """Fold the rows of `columns`, in order, into the states of `groups` (one an entity, in spec order).

    A window is (t - W, t] and includes its event; with a delay it is (t - delay - W, t - delay]. The order is
    (event time, then arrival): an event sees what arrived before it and is not later. Points at or before the
    newest time less the horizon are forgotten. A positive label counts at its event's time, for events that
    arrive after it. With `emit` False only states are computed, and all features are NaN.
    """
    features = np.full((len(columns), len(spec.features)), np.nan, np.float32)
    blobs = [
        _EntityFold(layout, columns, group, features if emit else None).blobs()
        for layout, group in zip(layouts(spec), groups, strict=True)
    ]
    if emit:
        _fill_event_features(spec, columns, features)
        _fill_defaults(spec, columns, features)
    return Folded(features, blobs)


def _fill_event_features(spec: Spec, columns: Columns, features: Vectors) -> None:
    rows = np.flatnonzero(columns.is_event)
    for place, feature in enumerate(spec.features):
        if feature.entity is None:
            features[rows, place] = event_ops.answer(spec, feature, columns, rows)


def _fill_defaults(spec: Spec, columns: Columns, features: Vectors) -> None:
    for place, feature in enumerate(spec.features):
        if feature.default is not None:
            missing = columns.is_event & np.isnan(features[:, place])
            features[missing, place] = feature.default


@dataclass(frozen=True)
class _EntityFold:
    """The fold of one entity's rows; fills its columns of `features`, unless that is None."""

    layout: Layout
    columns: Columns
    group: Group
    features: Vectors | None

    def blobs(self) -> list[bytes]:
        """The states after the batch."""
        before = self.group.blobs
        if not self.layout.features or not len(self.columns):
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
        labels = self._by_entity(~columns.is_event & chosen & self.layout.has_labels)
        positives = labels[columns.label[labels]]
        return Arrivals(
            event_rows=events,
            event_groups=codes[events].astype(np.int64),
            event_ms=columns.time_ms[events],
            columns=tuple(
                columns.fields[field.name][events].astype(np.int64) for field in self.layout.columns
            ),
            label_groups=codes[labels].astype(np.int64),
            label_hashes=columns.label_hash[labels],
            label_marks=2 * columns.label_time_ms[labels] + columns.label[labels],
            positive_rows=positives,
            positive_groups=codes[positives].astype(np.int64),
            positive_ms=columns.time_ms[positives],
        )

    def _by_entity(self, chosen: Bools) -> Ints:
        rows = np.flatnonzero(chosen)
        return rows[np.argsort(self.group.codes[rows], kind="stable")]

    @property
    def _places(self) -> list[int]:
        return [place for place, _ in self.layout.features]

    def _in_order(self, states: States, arrivals: Arrivals) -> list[bytes]:
        merged = Merged(self.layout, states, arrivals)
        if self.features is not None:
            self.features[np.ix_(arrivals.event_rows, self._places)] = merged.features()
        changed = np.zeros(len(self.group.blobs), np.bool_)
        changed[arrivals.event_groups] = changed[arrivals.label_groups] = True
        after = zip(encode(self.layout, merged.after()), self.group.blobs, changed, strict=True)
        return [new if touched else old for new, old, touched in after]

    def _one_by_one(self, code: int) -> bytes:
        before, columns = self.group.blobs[code], self.columns
        history = History.from_blob(self.layout, before)
        rows = np.flatnonzero(self.group.codes == code).tolist()
        for row in rows:
            applies = bool(self.group.apply[row])
            if columns.is_event[row]:
                self._one_event(history, row, applies)
            elif applies and self.layout.has_labels:
                label = (columns.label_hash[row], columns.label_time_ms[row], columns.label[row])
                history.add_label(int(columns.time_ms[row]), (int(label[0]), int(label[1]), bool(label[2])))
        blob = history.to_blob() if self.group.apply[rows].any() else before
        return before if blob == before else blob

    def _one_event(self, history: History, row: int, applies: bool) -> None:
        time_ms = int(self.columns.time_ms[row])
        values = [int(self.columns.fields[field.name][row]) for field in self.layout.columns]
        if self.features is not None:
            self.features[row, self._places] = history.features(time_ms, values if applies else None)
        if applies:
            history.add_event(time_ms, values)
