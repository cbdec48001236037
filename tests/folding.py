"""Folds as a store would, for tests: blobs are kept between batches, and labels are remembered."""

from dataclasses import dataclass, field

import numpy as np

from stream_features.events import Event, Label
from stream_features.kernel import Columns, Group, fold
from stream_features.spec import Spec


@dataclass
class Folding:
    """Folds batch after batch, keeping blobs and remembered labels as a store would."""

    spec: Spec
    blobs: dict[tuple[int, str], bytes] = field(default_factory=dict)
    rings: dict[tuple[int, str], list] = field(default_factory=dict)

    def fold(
        self,
        records: list[Event | Label],
        applies: list[tuple[bool, ...]] | None = None,
        *,
        keep: bool = True,
    ) -> np.ndarray:
        groups, names = [], []
        for j in range(len(self.spec.entities)):
            values = [record.entities[j] for record in records]
            order = sorted(set(values))
            codes = np.array([order.index(value) for value in values], np.int32)
            apply = np.array([applies is None or applies[i][j] for i in range(len(records))], np.bool_)
            deltas = [self.delta(j, r) if applied else 0 for r, applied in zip(records, apply, strict=True)]
            blobs = [self.blobs.get((j, name), b"") for name in order]
            groups.append(Group(codes, blobs, apply, np.array(deltas, np.int8)))
            names.append(order)
        folded = fold(self.spec, Columns.from_records(self.spec, records), groups, keep=keep)
        for j, order in enumerate(names):
            self.blobs.update({(j, name): blob for name, blob in zip(order, folded.blobs[j], strict=True)})
        return folded.features

    def delta(self, j: int, record: Event | Label) -> int:
        if isinstance(record, Event):
            return 0
        ring = self.rings.setdefault((j, record.entities[j]), [])
        known = [entry for entry in ring if entry[0] == record.id_hash]
        if known and record.label_time_ms <= known[0][1]:
            return 0
        ring[:] = [entry for entry in ring if entry not in known]
        ring.append((record.id_hash, record.label_time_ms, record.label))
        del ring[:-64]
        return int(record.label) - int(bool(known and known[0][2]))
