"""A model trained elsewhere as a bundle, proven against its own predictions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from common.errors import InvalidInputError, ModelRefusedError
from scoring.bundle import Bundle
from stream_features.spec import Spec
from streamscore.training import bundles as folders
from streamscore.training import contents
from streamscore.training.adopted import adopted
from streamscore.training.labelled import Table, read_table
from streamscore.training.sealing import draft, sealed
from streamscore.training.thresholds import Alerts

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """The column of the model's own predictions, the features it takes in its order (none: all of the spec),
    and which of its outputs is P(positive), if it has more.
    """

    column: str
    inputs: tuple[str, ...] = ()
    output: str | None = None
    alerts: Alerts = field(default_factory=Alerts)
    estimator: str | None = None


def pack(model: Path, features: Path, spec: Spec, out: Path, reference: Reference) -> Bundle:
    """Write the bundle folder `out`: medians, baselines and metrics of the labelled rows of `features`.

    Raises InvalidInputError for files that are not what they should be, ModelRefusedError for a model that
    cannot be served or does not score as `reference` says. Nothing is written then.
    """
    places = _places(spec, reference.inputs)
    try:
        data = model.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{model}: cannot be read: {error.strerror}") from error
    table, scores = _proof_rows(features, spec, reference.column)
    rows = Table(table.times, np.ascontiguousarray(table.features[:, places]), table.labels, table.ids)
    begun = draft(
        reference.estimator or model.name,
        spec,
        contents.features(spec, rows.features, rows.features, places),
        None,
        contents.period(rows, int(rows.times[0]), int(rows.times[-1]) + 1),
    )
    try:
        graph = adopted(data, len(places), reference.output)
        bundle = sealed(begun, graph, rows, scores, reference.alerts)
    except ModelRefusedError as error:
        raise ModelRefusedError(f"{model}: {error}") from error
    folders.write(bundle, graph, out)
    return bundle


def _places(spec: Spec, inputs: Sequence[str]) -> list[int]:
    unknown = [name for name in inputs if name not in spec.feature_names]
    if unknown:
        raise InvalidInputError(f"--inputs: {', '.join(unknown)}: no such feature in the spec")
    if len(set(inputs)) < len(inputs):
        raise InvalidInputError("--inputs: names a feature twice")
    return [spec.feature_names.index(name) for name in inputs or spec.feature_names]


def _proof_rows(path: Path, spec: Spec, column: str) -> tuple[Table, Doubles]:
    """The labelled rows that have a reference score, and those scores."""
    table = read_table(path, spec, (column,))
    scores = table.columns[column]
    if not scores.dtype.is_numeric():
        raise InvalidInputError(f"{path}: column {column} is {scores.dtype}, not numbers")
    known = scores.cast(pl.Float64).fill_null(float("nan")).is_not_nan().to_numpy()
    if not known.any():
        raise InvalidInputError(
            f"{path}: no labelled row has a score in column {column} to prove the model on"
        )
    chosen = table.only(known)
    found = chosen.columns[column].cast(pl.Float64).to_numpy()
    if not (found.min() >= 0 and found.max() <= 1):
        raise InvalidInputError(
            f"{path}: column {column} goes from {found.min():g} to {found.max():g}; "
            "reference scores must be probabilities, from 0 to 1"
        )
    return chosen, found
