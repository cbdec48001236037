"""Compares what was served with what a backfill computes, and finds out why they differ; pure."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from stream_features.columns import Ints
from stream_features.state import item_key
from streamscore.parity.aligned import Aligned, Flags
from streamscore.parity.reach import Source, sources
from streamscore.parity.report import Bounds, Difference, EntityParity, FeatureParity, Reason, Report
from streamscore.parity.served import Known, Served
from streamscore.parity.timeline import Histories, Timeline
from streamscore.training.backfill import Backfilled

Lookup = Callable[[Collection[str]], Mapping[str, Known]]
"""The stored histories of state items, by key."""


def compare(whole: Backfilled, decided: Mapping[str, Served], aligned: Aligned, lookup: Lookup) -> Report:
    """Every compared event and feature. ``lookup`` is asked once, for the entities that differ."""
    findings = _Findings(whole, aligned, _timelines(whole, decided, aligned, lookup))
    features = tuple(findings.feature(place) for place in range(len(whole.spec.features)))
    different = aligned.different
    return Report(
        events=len(whole.ids),
        compared=len(aligned.rows),
        equal=int((~different.any(axis=1)).sum()),
        not_decided=aligned.not_decided,
        by_api=aligned.by_api,
        unreadable=aligned.unreadable,
        held=not any(feature.failed for feature in features),
        entities=tuple(_entity(whole, different, place) for place in range(len(whole.spec.entities))),
        features=features,
    )


def _timelines(
    whole: Backfilled, decided: Mapping[str, Served], aligned: Aligned, lookup: Lookup
) -> list[dict[str, Timeline]]:
    """By entity, the timelines of the values whose features differ."""
    spec, reads = whole.spec, sources(whole.spec)
    differing: list[set[str]] = [set() for _ in spec.entities]
    for place, own in enumerate(reads):
        rows = aligned.rows[aligned.different[:, place]]
        for source in own:
            differing[source.entity] |= set(whole.entities[source.entity].gather(rows).to_list())
    keys = [item_key(e.name, v) for e, some in zip(spec.entities, differing, strict=True) for v in some]
    known, histories = lookup(keys) if keys else {}, Histories(whole, decided)
    return [dict(histories.timelines(entity, some, known)) for entity, some in enumerate(differing)]


def _entity(whole: Backfilled, different: Flags, entity: int) -> EntityParity:
    own = [place for place, some in enumerate(sources(whole.spec)) if {s.entity for s in some} == {entity}]
    equal = int((~different[:, own].any(axis=1)).sum())
    return EntityParity(whole.spec.entities[entity].name, len(different), equal)


@dataclass(frozen=True)
class _Findings:
    whole: Backfilled
    aligned: Aligned
    timelines: list[dict[str, Timeline]]

    def feature(self, place: int) -> FeatureParity:
        """One feature's line of the report."""
        found = np.flatnonzero(self.aligned.different[:, place])
        reasons = [self._reason(int(n), place) for n in found]
        failed = [not self._is_shared(int(n), place) for n in found]
        return FeatureParity(
            feature=self.whole.spec.feature_names[place],
            compared=int(self.aligned.present[:, place].sum()),
            different=len(found),
            failed=sum(failed),
            largest_difference=self._largest(found, place),
            reasons=dict(Counter(reasons).most_common()),
            first=self._difference(int(found[0]), place, reasons[0]) if len(found) else None,
        )

    def _largest(self, found: Ints, place: int) -> float:
        """A NaN on one side only is an infinite difference."""
        served, backfilled = (
            side[found, place].astype(np.float64) for side in (self.aligned.served, self.aligned.backfilled)
        )
        return float(np.nan_to_num(np.abs(served - backfilled), nan=np.inf).max(initial=0.0))

    def _reason(self, n: int, place: int) -> Reason:
        if self.aligned.redefined[n, place]:
            return "spec"
        found = [self._reason_of(n, source) for source in self._sources[place]]
        return next((reason for reason in found if reason != "unexplained"), "unexplained")

    def _reason_of(self, n: int, source: Source) -> Reason:
        row, line = int(self.aligned.rows[n]), self._line(n, source)
        if line.has_strangers(row, source.reach_ms):
            return "not_in_file"
        if line.lacks_an_event(row, source.reach_ms):
            return "state_not_loaded"
        if line.is_out_of_order(row, source.reach_ms):
            return "late"
        if source.labels and line.has_another_label(row, source.reach_ms):
            return "label"
        return "cross_shard" if line.crossed_shards else "unexplained"

    def _is_shared(self, n: int, place: int) -> bool:
        """Whether an entity that crossed shards is part of it; the primary never does by itself."""
        return any(source.entity and self._line(n, source).crossed_shards for source in self._sources[place])

    def _difference(self, n: int, place: int, reason: Reason) -> Difference:
        row = int(self.aligned.rows[n])
        told = Difference(
            event=self.whole.ids[row],
            event_time_ms=int(self.whole.time_ms[row]),
            served=float(self.aligned.served[n, place]),
            backfilled=float(self.aligned.backfilled[n, place]),
            reason=reason,
        )
        if not self._sources[place]:
            return told
        source = self._sources[place][0]
        line = self._line(n, source)
        return msgspec.structs.replace(
            told,
            entity=self.whole.spec.entities[source.entity].name,
            value=self._value(n, source),
            shards=line.known.shards,
            file=Bounds(*line.file_bounds()),
            stack=Bounds(*line.stack_bounds()),
        )

    def _line(self, n: int, source: Source) -> Timeline:
        return self.timelines[source.entity][self._value(n, source)]

    def _value(self, n: int, source: Source) -> str:
        return str(self.whole.entities[source.entity][int(self.aligned.rows[n])])

    @cached_property
    def _sources(self) -> tuple[tuple[Source, ...], ...]:
        return sources(self.whole.spec)
