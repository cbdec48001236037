"""From a table of features and labels to a bundle that is proven to score as it was trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from common.errors import InvalidInputError
from scoring import bundle as bundles
from scoring.bundle import Bundle, Feature, Period, Thresholds
from scoring.model import SCORE_DECIMALS, Model
from stream_features.spec import Spec
from streamscore.training import bundles as folders
from streamscore.training.baselines import baseline
from streamscore.training.convert import prove, to_onnx
from streamscore.training.split import Split, Times, Windows, split

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]

THREADS = 2
_LEAST_ROWS = 20
_NEVER = 1.0 + 10.0**-SCORE_DECIMALS
"""A threshold that no score reaches."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """The share of events a team can review, and the share to block outright; thresholds are proposed from
    them.
    """

    review_share: float = 0.01
    block_share: float = 0.002


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train: by default the spec's windows and a random forest."""

    windows: Windows | None = None
    alerts: Alerts = field(default_factory=Alerts)
    estimator: BaseEstimator | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Labelled rows: times in ms, features [n, F] float32 in spec order, labels."""

    times: Times
    features: Floats
    labels: Labels


@dataclass(frozen=True, slots=True)
class Trained:
    """A bundle with its model, and what a person should know about how it came about."""

    bundle: Bundle
    model: bytes
    notes: tuple[str, ...]


def train(
    features_path: Path,
    spec: Spec,
    out: Path,
    recipe: Recipe | None = None,
) -> Trained:
    """Train on a FEATURES file and write the bundle folder `out`; the same input gives the same bundle.

    Raises InvalidInputError if the table is not the spec's or cannot be learned from, and ModelRefusedError
    if the converted model does not score as the trained one. Nothing is written then.
    """
    trained = fit(read_table(features_path, spec), spec, recipe)
    folders.write(trained.bundle, trained.model, out)
    return trained


def fit(
    table: Table,
    spec: Spec,
    recipe: Recipe | None = None,
) -> Trained:
    """As `train`, from a table in memory and without writing."""
    recipe = recipe or Recipe()
    parts = split(table.times, recipe.windows or Windows.of(spec))
    learn, check = _rows(table, parts.train(table.times)), _rows(table, parts.test(table.times))
    notes = (*parts.notes, *_refuse_unlearnable(learn, check))
    unfitted = forest() if recipe.estimator is None else clone(recipe.estimator)
    fitted = unfitted.fit(learn.features, learn.labels)
    graph = to_onnx(fitted, table.features.shape[1])
    return Trained(*_proven(fitted, graph, spec, (learn, check), (parts, recipe.alerts)), notes)


def forest() -> BaseEstimator:
    """The default: scikit-learn's random forest of 100 trees. It splits on exact values and knows missing
    ones.
    """
    return RandomForestClassifier(n_estimators=100, random_state=0, n_jobs=THREADS)


def read_table(path: Path, spec: Spec) -> Table:
    """The labelled rows of a FEATURES file (Parquet), in time order; rows without a label are left out."""
    label = spec.event.label
    if label is None:
        raise InvalidInputError("the spec declares no label ([event] label = …): there is nothing to learn")
    frame = _parquet(path, (spec.event.time, label, *spec.feature_names))
    frame = frame.filter(pl.col(label).is_not_null()).sort(spec.event.time, maintain_order=True)
    matrix = frame.select(pl.col(spec.feature_names).cast(pl.Float32)).to_numpy(order="c")
    endless = np.isinf(matrix).any(axis=0)
    if endless.any():
        raise InvalidInputError(
            f"{path}: {spec.feature_names[int(endless.argmax())]} holds infinite values; bound that feature"
        )
    labels = frame[label].cast(pl.Boolean).to_numpy()
    return Table(_times_ms(frame[spec.event.time]), matrix.astype(np.float32, copy=False), labels)


def propose(scores: npt.NDArray[np.float64], alerts: Alerts) -> Thresholds:
    """Thresholds that at most these shares of the scores reach, each midway between two scores that occur."""
    review, block = (_reached_by(scores, share) for share in (alerts.review_share, alerts.block_share))
    return Thresholds(review=review, block=max(review, block))


def _reached_by(scores: npt.NDArray[np.float64], share: float) -> float:
    values, counts = np.unique(scores, return_counts=True)
    reaching = np.cumsum(counts[::-1])[::-1] / scores.size
    allowed = np.flatnonzero((reaching <= share) & (values > 0))
    if not allowed.size:
        return 1.0 if values[-1] < 1 else _NEVER
    lowest = int(allowed[0])
    score, below = float(values[lowest]), float(values[lowest - 1]) if lowest else 0.0
    between = round((score + below) / 2, SCORE_DECIMALS)
    return between if below < between else score


def _proven(
    fitted: Any, graph: bytes, spec: Spec, tables: tuple[Table, Table], how: tuple[Split, Alerts]
) -> tuple[Bundle, bytes]:
    """The sealed bundle: first a draft, to open the graph the way Lambda will, then what that graph says of
    the test.
    """
    (_, check), (parts, alerts) = tables, how
    draft = _draft(fitted, graph, spec, tables, parts)
    model = Model(draft, graph)
    scores = model.scores(check.features)
    thresholds = propose(scores, alerts)
    fitted.set_params(n_jobs=1) if "n_jobs" in fitted.get_params() else None
    reference = fitted.predict_proba(check.features)[:, 1]
    proof = prove(reference, model.raw_scores(check.features), thresholds)
    complete = {
        "score": baseline("score", scores, (thresholds.review, thresholds.block)),
        "thresholds": thresholds,
        "test": _period(check, parts.test_since, parts.test_until),
        "metrics": measure(scores, check.labels, thresholds),
        "conversion": proof,
    }
    return bundles.seal(msgspec.structs.replace(draft, **complete)), graph


def measure(scores: npt.NDArray[np.float64], labels: Labels, thresholds: Thresholds) -> dict[str, float]:
    """ROC AUC, average precision and Brier score, and rate, precision and recall of alerts at each
    threshold.
    """
    found: dict[str, float] = {"brier": brier_score_loss(labels, scores)}
    if 0 < labels.sum() < labels.size:
        found["roc_auc"] = roc_auc_score(labels, scores)
        found["average_precision"] = average_precision_score(labels, scores)
    for name, threshold in (("review", thresholds.review), ("block", thresholds.block)):
        alerted = scores >= threshold
        found[f"{name}_rate"] = alerted.mean()
        found[f"{name}_precision"] = labels[alerted].mean() if alerted.any() else 0.0
        found[f"{name}_recall"] = alerted[labels].mean() if labels.any() else 0.0
    return {name: round(float(value), 6) for name, value in found.items()}


def _draft(fitted: Any, graph: bytes, spec: Spec, tables: tuple[Table, Table], parts: Split) -> Bundle:
    learn, check = tables
    period = _period(learn, parts.train_since, parts.train_until)
    return Bundle(
        estimator=describe(fitted),
        spec_sha256=spec.sha256,
        model_sha256=bundles.sha256(graph),
        features=_features(spec, learn.features, check.features),
        score=baseline("score", np.empty(0)),
        thresholds=Thresholds(review=1.0, block=1.0),
        train=period,
        test=period,
        metrics={},
        conversion=bundles.Conversion(rows=0, max_difference=0.0, flips=0),
    )


def _features(spec: Spec, learn: Floats, check: Floats) -> tuple[Feature, ...]:
    """Medians of what trained the model; baselines of the test, as the score's is: it is the latest, and its
    windows have filled, where a short history's train rows still count up and would look like drift.
    """
    columns = zip(spec.feature_names, spec.definition_hashes, learn.T, check.T, strict=True)
    return tuple(
        Feature(name=name, definition=definition, median=_median(learned), baseline=baseline(name, checked))
        for name, definition, learned, checked in columns
    )


def _median(column: Floats) -> float | None:
    """The lower median: a value that occurred, so a feature of whole numbers keeps to them."""
    known = column[~np.isnan(column)]
    return float(str(np.quantile(known, 0.5, method="lower"))) if known.size else None


def describe(estimator: Any) -> str:
    """How to make the estimator again: its import path and the parameters that are not its defaults."""
    path = f"{type(estimator).__module__.partition('._')[0]}.{type(estimator).__qualname__}"
    defaults = type(estimator)().get_params()
    changed = {
        k: v for k, v in estimator.get_params(deep=False).items() if k != "n_jobs" and v != defaults.get(k)
    }
    return f"{path}({', '.join(f'{k}={v!r}' for k, v in sorted(changed.items()))})"


def _refuse_unlearnable(learn: Table, check: Table) -> list[str]:
    if learn.labels.size < _LEAST_ROWS or not 0 < learn.labels.sum() < learn.labels.size:
        raise InvalidInputError(
            f"the train window holds {learn.labels.size} labelled rows, {int(learn.labels.sum())} of them "
            f"positive; it needs at least {_LEAST_ROWS}, of both kinds: give more history or a longer --train"
        )
    if not check.labels.size:
        raise InvalidInputError("the test window holds no labelled row; give a longer --test")
    if not 0 < check.labels.sum() < check.labels.size:
        return [
            "the test window holds labels of one kind only: ROC AUC and average precision are not defined"
        ]
    return []


def _rows(table: Table, mask: Labels) -> Table:
    return Table(table.times[mask], table.features[mask], table.labels[mask])


def _period(table: Table, since_ms: int, until_ms: int) -> Period:
    return Period(
        since=_iso(since_ms), until=_iso(until_ms), rows=len(table.times), positives=int(table.labels.sum())
    )


def _iso(time_ms: int) -> str:
    return (
        datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _parquet(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    try:
        present = pl.read_parquet_schema(path)
        missing = [name for name in columns if name not in present]
        if missing:
            raise InvalidInputError(
                f"{path}: no column {', '.join(missing)}; make it with `streamscore backfill` and this spec"
            )
        return pl.read_parquet(path, columns=list(dict.fromkeys(columns)))
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
