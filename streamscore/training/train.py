"""From a table of features and labels to a bundle that is proven to score as it was trained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import InvalidInputError, ModelRefusedError
from scoring.bundle import Bundle
from stream_features.spec import Spec
from streamscore.training import bundles as folders
from streamscore.training import contents
from streamscore.training.classifier import Classifier, fit_classifier
from streamscore.training.convert import graphs
from streamscore.training.estimators import describe, forest
from streamscore.training.labelled import Table, read_table
from streamscore.training.sealing import draft, sealed
from streamscore.training.split import Windows, split
from streamscore.training.thresholds import Alerts

_LEAST_ROWS = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train: by default the spec's windows, at the end of the table, and a random forest.

    The test window ends at `until_ms`. Positives weigh `positive_weight` (None: both classes weigh the same).
    """

    windows: Windows | None = None
    alerts: Alerts = field(default_factory=Alerts)
    estimator: Any = None
    positive_weight: float | None = 1.0
    calibration: str | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A bundle with its model, what was converted, of how many rows, and what a person should know."""

    bundle: Bundle
    model: bytes
    fitted: Any
    rows: int
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
    parts = split(table.times, recipe.windows or Windows.of(spec), recipe.until_ms)
    learn, check = table.only(parts.train(table.times)), table.only(parts.test(table.times))
    notes = (*parts.notes, *_refuse_unlearnable(learn, check))
    estimator = forest() if recipe.estimator is None else recipe.estimator
    classifier = Classifier(estimator, recipe.positive_weight)
    fitted = fit_classifier(classifier, recipe.calibration, learn.features, learn.labels)
    begun = draft(
        describe(classifier, recipe.calibration),
        spec,
        contents.features(spec, learn.features, check.features),
        contents.period(learn, parts.train_since, parts.train_until),
        contents.period(check, parts.test_since, parts.test_until),
    )
    return Trained(*_proven(fitted, begun, check, recipe.alerts), fitted, len(learn.times), notes)


def _proven(fitted: Any, begun: Bundle, check: Table, alerts: Alerts) -> tuple[Bundle, bytes]:
    """The first graph that opens as it will on Lambda and passes the proof, in its sealed bundle."""
    reference = fitted.predict_proba(check.features)[:, 1]
    refusal = ModelRefusedError("there is no way to write this model as a graph")
    for graph in graphs(fitted, check.features.shape[1]):
        try:
            return sealed(begun, graph, check, reference, alerts), graph
        except ModelRefusedError as error:
            refusal = error
    raise refusal


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
