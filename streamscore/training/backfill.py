"""A whole file's features and final states, by the kernel that serves: one batch, in the order of arrival."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from common.errors import InvalidInputError
from stream_features.columns import NULL, Columns, Group, Ints, Vectors, text_hash, used_fields
from stream_features.events import label_hashes
from stream_features.kernel import fold
from stream_features.ops import OPS
from stream_features.spec_model import Field, Spec
from streamscore.training.tables import accepted


@dataclass(frozen=True)
class Backfilled:
    """The events of a file by time, their features (float32[n, F]), and each entity's last state.

    ``labels`` is None if the file has none; ``repeats`` events bore the id of an earlier one: left out.
    """

    spec: Spec
    ids: pl.Series
    time_ms: Ints
    entities: tuple[pl.Series, ...]
    features: Vectors
    labels: pl.Series | None
    names: tuple[pl.Series, ...]
    blobs: tuple[list[bytes], ...]
    repeats: int

    def state(self, entity: str, value: str) -> bytes:
        """The last state of an entity; b"" if it never occurred."""
        return self._states[[e.name for e in self.spec.entities].index(entity)].get(value, b"")

    def states(self, entity: str) -> Iterator[tuple[str, bytes]]:
        """All values of an entity with their last states."""
        yield from self._states[[e.name for e in self.spec.entities].index(entity)].items()

    @cached_property
    def _states(self) -> tuple[dict[str, bytes], ...]:
        pairs = zip(self.names, self.blobs, strict=True)
        return tuple(dict(zip(names.to_list(), blobs, strict=True)) for names, blobs in pairs)


def backfill(spec: Spec, path: Path, until_ms: int | None = None) -> Backfilled:
    """Fold the events of `path`; a label arrives at its event's time + label_known_after, before events then.

    With `until_ms`, only what has arrived until then. InvalidInputError if the file cannot be used.
    """
    rows = accepted(path, spec)
    distinct = rows.unique(spec.event.id, keep="first", maintain_order=True)
    if until_ms is not None:
        distinct = distinct.filter(pl.col(spec.event.time) <= until_ms)
    coded = [_coded(distinct[entity.field]) for entity in spec.entities]
    events, labelled, order = _arrivals(spec, distinct, until_ms)
    columns = _columns(spec, distinct, labelled, order)
    groups = [
        Group(
            np.concatenate([codes[labelled], codes])[order], [b""] * len(names), np.ones(len(order), np.bool_)
        )
        for codes, names in coded
    ]
    folded = fold(spec, columns, groups)
    return Backfilled(
        spec=spec,
        ids=distinct[spec.event.id],
        time_ms=events,
        entities=tuple(distinct[entity.field] for entity in spec.entities),
        features=folded.features[columns.is_event] if len(labelled) else folded.features,
        labels=distinct[spec.event.label] if spec.event.label in distinct.columns else None,
        names=tuple(names for _, names in coded),
        blobs=tuple(folded.blobs),
        repeats=rows.height - distinct.height,
    )


def to_frame(result: Backfilled) -> pl.DataFrame:
    """A FEATURES table: id, time (UTC), entities, one float32 column a feature in spec order, the label."""
    spec = result.spec
    columns = [result.ids.alias(spec.event.id)]
    columns.append(pl.Series(spec.event.time, result.time_ms).cast(pl.Datetime("ms", "UTC")))
    columns += [s.alias(e.field) for e, s in zip(spec.entities, result.entities, strict=True)]
    columns += [pl.Series(name, result.features[:, i]) for i, name in enumerate(spec.feature_names)]
    if result.labels is not None:
        columns.append(result.labels.alias(spec.event.label or ""))
    return pl.DataFrame({column.name: column for column in columns})


def _coded(values: pl.Series) -> tuple["np.ndarray[tuple[int], np.dtype[np.int32]]", pl.Series]:
    """A number for each distinct value in order of appearance, and the values by their numbers."""
    names = values.unique(maintain_order=True)
    numbers = pl.DataFrame({"name": names}).with_row_index("code")
    codes = pl.DataFrame({"name": values}).join(numbers, on="name", how="left", maintain_order="left")["code"]
    return codes.cast(pl.Int32).to_numpy(), names


def _arrivals(spec: Spec, rows: pl.DataFrame, until_ms: int | None) -> tuple[Ints, Ints, Ints]:
    """The events' times, the rows that have a label known in time, and the order of [labels, events]."""
    times = rows[spec.event.time].to_numpy()
    if not any(OPS[feature.op].labels for feature in spec.features) or spec.event.label not in rows.columns:
        return times, np.empty(0, np.int64), np.arange(len(times))
    if spec.event.label_known_after_ms is None:
        raise InvalidInputError('the spec has label features: [event] needs label_known_after, such as "7d"')
    labelled = np.flatnonzero(rows[spec.event.label].is_not_null().to_numpy())
    known = times[labelled] + spec.event.label_known_after_ms
    if until_ms is not None:
        labelled, known = labelled[known <= until_ms], known[known <= until_ms]
    return times, labelled, np.argsort(np.concatenate([known, times]), kind="stable")


def _columns(spec: Spec, rows: pl.DataFrame, labelled: Ints, order: Ints) -> Columns:
    """Label records (for the rows `labelled`) and events as one batch, in the order of arrival."""
    count, times = len(labelled), rows[spec.event.time].to_numpy()
    events = np.zeros(rows.height, np.int64)
    answers = rows[spec.event.label or ""].fill_null(False).to_numpy() if count else np.zeros(0, np.bool_)
    hashes = np.zeros(count, np.uint64)
    if count:
        hashes = label_hashes(rows[spec.event.id].gather(labelled).to_list())
    known = times[labelled] + (spec.event.label_known_after_ms or 0)
    fields = {name: _values(spec.fields[name], rows[name]) for name in used_fields(spec)}
    return Columns(
        time_ms=np.concatenate([times[labelled], times])[order],
        is_event=order >= count,
        fields={name: np.concatenate([values[labelled], values])[order] for name, values in fields.items()},
        label=np.concatenate([answers[labelled], events.astype(np.bool_)])[order],
        label_time_ms=np.concatenate([known, events])[order],
        label_hash=np.concatenate([hashes, events.astype(np.uint64)])[order],
    )


def _values(field: Field, column: pl.Series) -> "np.ndarray[tuple[int], np.dtype[np.int64 | np.float64]]":
    """A field's column as the kernel takes it."""
    if field.kind == "float":
        return column.fill_null(float("nan")).to_numpy()
    if field.kind == "string":
        texts = column.unique().drop_nulls().to_list()
        hashes = pl.Series([text_hash(text) for text in texts], dtype=pl.Int64)
        column = column.replace_strict(texts, hashes, default=None, return_dtype=pl.Int64)
    return column.cast(pl.Int64).fill_null(NULL).to_numpy()
