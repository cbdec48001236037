"""FEATURES files (made by `backfill`) as tables of labelled rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from common.errors import InvalidInputError
from stream_features.spec import Spec
from streamscore.training.split import Times

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Table:
    """Labelled rows: times in ms, features [n, F] float32 in spec order, labels; ids to name them by, and
    the `columns` that were asked for besides.
    """

    times: Times
    features: Floats
    labels: Labels
    ids: pl.Series | None = None
    columns: Mapping[str, pl.Series] = field(default_factory=dict)

    def only(self, mask: Labels) -> "Table":
        """The rows where `mask` holds."""
        ids = None if self.ids is None else self.ids.filter(pl.Series(mask))
        columns = {name: column.filter(pl.Series(mask)) for name, column in self.columns.items()}
        return Table(self.times[mask], self.features[mask], self.labels[mask], ids, columns)


def read_table(path: Path, spec: Spec, columns: Sequence[str] = ()) -> Table:
    """The labelled rows of a FEATURES file (Parquet), in time order; rows without a label are left out.
    `columns` are some that the file has besides.
    """
    label = spec.event.label
    if label is None:
        raise InvalidInputError("the spec declares no label ([event] label = …): there is nothing to learn")
    frame = _parquet(path, (spec.event.id, spec.event.time, label, *spec.feature_names), columns)
    frame = frame.filter(pl.col(label).is_not_null()).sort(spec.event.time, maintain_order=True)
    matrix = frame.select(pl.col(spec.feature_names).cast(pl.Float32)).to_numpy(order="c")
    endless = np.isinf(matrix).any(axis=0)
    if endless.any():
        raise InvalidInputError(
            f"{path}: {spec.feature_names[int(endless.argmax())]} holds infinite values; bound that feature"
        )
    return Table(
        _times_ms(frame[spec.event.time]),
        matrix.astype(np.float32, copy=False),
        frame[label].cast(pl.Boolean).to_numpy(),
        frame[spec.event.id],
        {name: frame[name] for name in columns},
    )


def _parquet(path: Path, own: Sequence[str], besides: Sequence[str]) -> pl.DataFrame:
    try:
        present = pl.read_parquet_schema(path)
        if missing := [name for name in own if name not in present]:
            raise InvalidInputError(
                f"{path}: no column {', '.join(missing)}; `streamscore backfill` with this spec makes its own"
            )
        if missing := [name for name in besides if name not in present]:
            raise InvalidInputError(f"{path}: no column {', '.join(missing)}; it has {', '.join(present)}")
        return pl.read_parquet(path, columns=list(dict.fromkeys((*own, *besides))))
    except FileNotFoundError as error:
        raise InvalidInputError(f"{path}: no such file; make it with `streamscore backfill`") from error
    except pl.exceptions.ComputeError as error:
        raise InvalidInputError(f"{path}: not a Parquet file ({error})") from error


def _times_ms(column: pl.Series) -> Times:
    """Epoch ms, from a column of datetimes or of integers that are epoch ms already."""
    if isinstance(column.dtype, pl.Datetime):
        column = column.dt.epoch("ms")
    if not column.dtype.is_integer():
        raise InvalidInputError(
            f"the time column {column.name} is {column.dtype}, must be a datetime or epoch ms"
        )
    return column.cast(pl.Int64).to_numpy()
