"""A bundle around a graph: opened as it will be on Lambda, proven, measured, and sealed."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from scoring import bundle as bundles
from scoring.bundle import Bundle, Conversion, Feature, Period, Thresholds
from scoring.model import Model
from stream_features.spec import Spec
from streamscore.evaluation.metrics import measure
from streamscore.training.baselines import baseline
from streamscore.training.labelled import Table
from streamscore.training.proof import prove
from streamscore.training.thresholds import Alerts, propose


def draft(
    estimator: str, spec: Spec, features: Sequence[Feature], train: Period | None, test: Period
) -> Bundle:
    """What is known before there is a graph."""
    return Bundle(
        estimator=estimator,
        spec_sha256=spec.sha256,
        model_sha256="",
        features=tuple(features),
        score=baseline("score", np.empty(0)),
        thresholds=Thresholds(review=1.0, block=1.0),
        train=train,
        test=test,
        metrics={},
        conversion=Conversion(rows=0, max_difference=0.0, flips=0),
    )


def sealed(
    begun: Bundle, graph: bytes, check: Table, reference: npt.NDArray[np.float64], alerts: Alerts
) -> Bundle:
    """The bundle with what its graph says of the `check` rows; ModelRefusedError unless `reference` is it."""
    begun = msgspec.structs.replace(begun, model_sha256=bundles.sha256(graph))
    model = Model(begun, graph)
    scores = model.scores(check.features)
    thresholds = propose(scores, alerts)
    proof = prove(reference, model.raw_scores(check.features), thresholds, check.ids)
    complete = {
        "score": baseline("score", scores, (thresholds.review, thresholds.block)),
        "thresholds": thresholds,
        "metrics": measure(scores, check.labels, thresholds),
        "conversion": proof,
    }
    return bundles.seal(msgspec.structs.replace(begun, **complete))
