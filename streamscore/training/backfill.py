"""A file's features as they would have been served, and the states that it ends with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from stream_features.columns import Ints, Vectors
from stream_features.spec_model import Spec
from streamscore.training.features_file import write_frames
from streamscore.training.ordering import CHUNK_ROWS, in_time_order
from streamscore.training.replay import Chunk, Replay

Advance = Callable[[int], None]


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


def backfill(  # noqa: PLR0913 - each by its name
    spec: Spec,
    path: Path,
    until_ms: int | None = None,
    *,
    key: bytes | None = None,
    rows: int = CHUNK_ROWS,
    advance: Advance = lambda events: None,
) -> Backfilled:
    """Fold the events of `path`; a label arrives at its event's time + label_known_after, before events then.

    With `until_ms`, only what has arrived until then; `key` is that of hashed entities. The whole result is
    in memory: for a file larger than that there are `write_features` and `final_states`. `advance` is told of
    the events as they are done. InvalidInputError if the file cannot be used.
    """

    def collect(chunks: Iterator[pl.DataFrame]) -> Backfilled:
        replay = Replay(spec, until_ms, key=key)
        done = list(told(replayed(replay, chunks), advance))
        replay.finish()
        events = pl.concat(chunk.rows for chunk in done)
        return Backfilled(
            spec=spec,
            ids=events[spec.event.id],
            time_ms=events[spec.event.time].to_numpy(),
            entities=tuple(events[entity.field] for entity in spec.entities),
            features=np.concatenate([chunk.features for chunk in done]),
            labels=events[spec.event.label] if spec.event.label in events.columns else None,
            names=tuple(values.names() for values in replay.values),
            blobs=replay.blobs,
            repeats=replay.repeats,
        )

    return in_time_order(path, spec, collect, rows)


def write_features(  # noqa: PLR0913 - each by its name
    spec: Spec,
    path: Path,
    output: Path,
    *,
    key: bytes | None = None,
    rows: int = CHUNK_ROWS,
    advance: Advance = lambda events: None,
) -> Replay:
    """Write the FEATURES table of `path` to `output` as it is computed; the replay has counted the events.

    Memory holds about `rows` rows, each entity's state, and 8 bytes an event for its id.
    """

    def write(chunks: Iterator[pl.DataFrame]) -> Replay:
        replay = Replay(spec, key=key)
        done = told(replayed(replay, chunks), advance)
        write_frames((_table(spec, chunk.rows, chunk.features) for chunk in done), output)
        return replay

    return in_time_order(path, spec, write, rows, output.parent)


def replayed(replay: Replay, chunks: Iterator[pl.DataFrame]) -> Iterator[Chunk]:
    """The chunks as `replay` adds them."""
    return (replay.add(chunk) for chunk in chunks)


def told(chunks: Iterator[Chunk], advance: Advance) -> Iterator[Chunk]:
    """The same chunks; `advance` hears of their events, and takes them back if the chunks break off."""
    events = 0
    try:
        for chunk in chunks:
            events += chunk.rows.height
            advance(chunk.rows.height)
            yield chunk
    except BaseException:
        advance(-events)
        raise


def to_frame(result: Backfilled) -> pl.DataFrame:
    """A FEATURES table: id, time (UTC), entities, one float32 column a feature in spec order, the label."""
    spec = result.spec
    columns = {spec.event.id: result.ids, spec.event.time: pl.Series(result.time_ms)}
    columns |= {e.field: values for e, values in zip(spec.entities, result.entities, strict=True)}
    if result.labels is not None:
        columns[spec.event.label or ""] = result.labels
    return _table(spec, pl.DataFrame(columns), result.features)


def _table(spec: Spec, rows: pl.DataFrame, features: Vectors) -> pl.DataFrame:
    names = dict.fromkeys((spec.event.id, spec.event.time, *(entity.field for entity in spec.entities)))
    columns = {name: rows[name] for name in names}
    columns[spec.event.time] = columns[spec.event.time].cast(pl.Datetime("ms", "UTC"))
    columns |= {name: pl.Series(features[:, i]) for i, name in enumerate(spec.feature_names)}
    if spec.event.label in rows.columns:
        columns[spec.event.label] = rows[spec.event.label]
    return pl.DataFrame(columns)
