"""A raw file read once, a stretch of rows at a time: right rows into a cleaned file, wrong ones set aside."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from stream_features.entity_ids import EntityIds
from stream_features.spec import Spec
from streamscore.retraining.quality import Counts
from streamscore.training.features_file import write_frames
from streamscore.training.hashed import kept_ids
from streamscore.training.known import Ids
from streamscore.training.tables import decimal_columns, read_tables

ROWS = 200_000
_DAY_MS = 86_400_000


class Cleaned(NamedTuple):
    """What was counted, and why rows were refused, by how many."""

    counts: Counts
    reasons: dict[str, int]
    first_ms: int | None
    last_ms: int | None


class _Tally:
    """Counts over stretches of rows."""

    def __init__(self, spec: Spec, now_ms: int) -> None:
        self.spec, self._now_ms = spec, now_ms
        self.delay_ms = spec.event.label_known_after_ms or 0
        self.rows = self.refused = self.repeats = self.labelled = self.positives = 0
        self.due = self.due_labelled = 0
        self.missing: Counter[str] = Counter()
        self.days: set[int] = set()
        self.first_ms: int | None = None
        self.last_ms: int | None = None

    def add(self, rows: pl.DataFrame) -> None:
        time, label = pl.col(self.spec.event.time), self.spec.event.label
        for field in self.spec.event.fields:
            absent = rows[field.name].null_count() if field.name in rows.columns else rows.height
            self.missing[field.name] += absent
        if rows.height:
            first, last = rows.select(time.min().alias("a"), time.max().alias("b")).row(0)
            self.first_ms = first if self.first_ms is None else min(first, self.first_ms)
            self.last_ms = last if self.last_ms is None else max(last, self.last_ms)
            self.days |= set((rows[self.spec.event.time] // _DAY_MS).unique().to_list())
        due = rows.filter(time + self.delay_ms <= self._now_ms)
        self.due += due.height
        if label in rows.columns:
            self.labelled += rows.height - rows[label].null_count()
            self.positives += int(rows[label].sum())
            self.due_labelled += due.height - due[label].null_count()

    def counts(self) -> Counts:
        fields = max(1, len(self.spec.event.fields))
        kept = self.rows - self.refused - self.repeats
        span = 0 if self.first_ms is None else (self.last_ms or 0) // _DAY_MS - self.first_ms // _DAY_MS + 1
        return Counts(
            rows=self.rows,
            refused=self.refused,
            repeats=self.repeats,
            missing=self.missing.total() / fields / kept if kept else 1.0,
            due=self.due,
            due_labelled=self.due_labelled,
            labelled=self.labelled,
            positives=self.positives,
            matured=self.due_labelled,  # a label is final once it is due
            days=len(self.days),
            span_days=span,
        )


def clean(  # noqa: PLR0913, PLR0917 - as they are told of
    source: Path, spec: Spec, to: Path, set_aside: Path, now_ms: int, key: bytes | None = None
) -> Cleaned:
    """Write the right rows of `source` to `to` (Parquet) and a line of JSON for each other to `set_aside`.

    A row whose id came before is neither: the first one stands, as on the stream. InvalidInputError if the
    file is not one of events, or not the spec's. `key` is that of hashed entities. Memory holds ROWS rows
    and 8 bytes an event.
    """
    tally, ids, reasons = _Tally(spec, now_ms), Ids(), Counter[str]()
    kept = EntityIds(spec, key)
    with set_aside.open("w", encoding="utf-8") as aside:

        def cleaned() -> Iterator[pl.DataFrame]:
            for table in read_tables(source, spec, ROWS):
                for one in table.refusals:
                    reasons[one.reason] += 1
                    line = {"line": one.line, "reason": one.reason, "message": one.message}
                    aside.write(json.dumps(line) + "\n")
                fresh = ids.new(table.rows[spec.event.id])
                tally.rows += table.rows.height + len(table.refusals)
                tally.refused += len(table.refusals)
                tally.repeats += len(fresh) - int(fresh.sum())
                rows = table.rows.filter(fresh)
                tally.add(rows)
                yield decimal_columns(kept_ids(spec, kept, rows), spec)

        write_frames(cleaned(), to)
    return Cleaned(tally.counts(), dict(reasons.most_common()), tally.first_ms, tally.last_ms)
