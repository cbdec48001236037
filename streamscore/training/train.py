"""From a table of features and labels to a bundle that is proven to score as it was trained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from common.errors import InvalidInputError, ModelRefusedError
from scoring import bundle as bundles
from scoring.bundle import Bundle, Conversion, Thresholds
from scoring.model import Model
from stream_features.spec import Spec
from streamscore.evaluation.metrics import measure
from streamscore.training import bundles as folders
from streamscore.training import contents
from streamscore.training.baselines import baseline
from streamscore.training.classifier import Classifier, fit_classifier
from streamscore.training.convert import graphs
from streamscore.training.estimators import describe, forest
from streamscore.training.labelled import Table, read_table
from streamscore.training.proof import prove
from streamscore.training.split import Split, Windows, split
from streamscore.training.thresholds import Alerts, propose

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
    draft = _draft(describe(classifier, recipe.calibration), spec, (learn, check), parts)
    return Trained(*_proven(fitted, draft, check, recipe.alerts), fitted, len(learn.times), notes)


def _proven(fitted: Any, draft: Bundle, check: Table, alerts: Alerts) -> tuple[Bundle, bytes]:
    """The first graph that opens as it will on Lambda and passes the proof, in its sealed bundle."""
    reference = fitted.predict_proba(check.features)[:, 1]
    refusal = ModelRefusedError("there is no way to write this model as a graph")
    for graph in graphs(fitted, check.features.shape[1]):
        try:
            return sealed(draft, graph, check, reference, alerts), graph
        except ModelRefusedError as error:
            refusal = error
    raise refusal


def sealed(
    draft: Bundle, graph: bytes, check: Table, reference: npt.NDArray[np.float64], alerts: Alerts
) -> Bundle:
    """The bundle with what its graph says of the `check` rows; ModelRefusedError unless `reference` is it."""
    draft = msgspec.structs.replace(draft, model_sha256=bundles.sha256(graph))
    model = Model(draft, graph)
    scores = model.scores(check.features)
    thresholds = propose(scores, alerts)
    proof = prove(reference, model.raw_scores(check.features), thresholds, check.ids)
    complete = {
        "score": baseline("score", scores, (thresholds.review, thresholds.block)),
        "thresholds": thresholds,
        "metrics": measure(scores, check.labels, thresholds),
        "conversion": proof,
    }
    return bundles.seal(msgspec.structs.replace(draft, **complete))


def _draft(estimator: str, spec: Spec, tables: tuple[Table, Table], parts: Split) -> Bundle:
    learn, check = tables
    return Bundle(
        estimator=estimator,
        spec_sha256=spec.sha256,
        model_sha256="",
        features=contents.features(spec, learn.features, check.features),
        score=baseline("score", np.empty(0)),
        thresholds=Thresholds(review=1.0, block=1.0),
        train=contents.period(learn, parts.train_since, parts.train_until),
        test=contents.period(check, parts.test_since, parts.test_until),
        metrics={},
        conversion=Conversion(rows=0, max_difference=0.0, flips=0),
    )


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
