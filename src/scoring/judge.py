"""Rows to decisions: one ORT call for the scores, the policy, one ORT call for the reasons of what was
flagged.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from common.errors import ModelRefusedError
from common.telemetry import count, logger
from common.tracing import step
from scoring import bundle as bundles
from scoring import policy as policies
from scoring.comparisons import Moments
from scoring.items import Challenged
from scoring.model import Model, Scores
from scoring.policy import Policy, Verdict
from scoring.reasons import Reason, explain, tell
from scoring.rules import Batch, Rules
from scoring.serving import MODEL_UNAVAILABLE, Serving
from stream_features.spec import Spec

FEATURES_MISSING = "features_missing"
SCORE_MISSING = "score_missing"
"""The model gave no number for this row, as a model can that was not trained with missing values."""
_COMPILED = 32
"""So many policies are kept compiled, for so many specs, before the oldest is dropped."""


class Shadow(NamedTuple):
    """What the challenger makes of a batch: its version, its scores, the verdicts were it the champion."""

    model: str
    scores: Scores
    verdicts: Sequence[Verdict]


class Judged(NamedTuple):
    """What became of a batch, a row each: `scores` is None when the fallback decided, and `absent` says
    why. `challenger` is the model that scored beside the one in use, if one did, and what would have been
    decided by it.
    """

    model: str | None
    policy: str
    absent: str
    scores: Scores | None
    verdicts: Sequence[Verdict]
    reasons: Sequence[Sequence[Reason]]
    challenger: Shadow | None = None

    def each_score(self) -> list[float | None]:
        """The score of each row, None where there is none."""
        if self.scores is None:
            return [None] * len(self.verdicts)
        return [None if math.isnan(score) else score for score in self.scores.tolist()]

    def absence(self, score: float | None) -> str:
        """Why a row of this score has none; "" if it has one."""
        return self.absent or (SCORE_MISSING if score is None else "")

    def shadow(self, row: int) -> Challenged | None:
        """What the challenger makes of a row, or None where it has no score."""
        if self.challenger is None:
            return None
        score = _number(self.challenger.scores, row)
        if score is None:
            return None
        return Challenged(self.challenger.model, score, self.challenger.verdicts[row].decision)


class Judge:
    """Applies the policy in use to what the models in use say; compiles a policy once a spec."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str], Rules] = {}

    def judge(
        self,
        serving: Serving,
        spec: Spec | None,
        batch: Batch,
        draws: Scores | None = None,
        at_ms: Moments | None = None,
    ) -> Judged:
        """Decide every row of a batch of one spec; an unknown spec (None) is one that lacks the model's
        features.

        `draws` [n] in [0, 1) are the rows' chances in a control share; NaN and None: it has no say. `at_ms`,
        for all rows or int64 [n], is when listed values must not have expired; None: now.
        """
        policy, rows = serving.policy, len(batch.features)
        with step("model", rows=rows):
            model, absent, scores = _scored(serving, spec, batch)
        with step("policy"):
            now_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
            fired = self._rules_for(policy, spec).fired(batch, now_ms) if spec else []

            def verdicts_of(model: Model | None, scores: Scores | None) -> list[Verdict]:
                limits = policy.limits(model.version, model.bundle.thresholds) if model else None
                severity = policies.by_score(scores, rows, limits, policy.fallback)
                return policies.apply(policy, severity, fired, draws)

            verdicts = verdicts_of(model, scores)
        with step("reasons"):
            reasons = _reasons(model, spec, batch, verdicts) if model and spec else [()] * rows
        with step("challenger"):
            shadow = _challenge(serving.challenger, spec, batch, verdicts_of)
        version = model.version if model else None
        return Judged(version, policy.version, absent, scores, verdicts, reasons, shadow)

    def _rules_for(self, policy: Policy, spec: Spec) -> Rules:
        key = (policy.version, spec.sha256)
        if key not in self._rules:
            while len(self._rules) >= _COMPILED:
                del self._rules[next(iter(self._rules))]
            self._rules[key] = Rules(policy, spec)
        return self._rules[key]


def _scored(serving: Serving, spec: Spec | None, batch: Batch) -> tuple[Model | None, str, Scores | None]:
    """The model that scored and its scores, or why there are none."""
    model, rows = serving.model, len(batch.features)
    if model is None:
        count("ModelMissing", rows)
        return None, serving.absent, None
    columns = _columns(model, spec)
    if columns is None:
        count("FeaturesMissing", rows)
        return None, FEATURES_MISSING, None
    try:
        scores = model.scores(batch.features[:, columns])
    except ModelRefusedError as error:
        count("ModelRejected")
        count("ModelMissing", rows)
        logger().error("champion did not score", extra={"error": str(error), "version": model.version})
        return None, MODEL_UNAVAILABLE, None
    count("ScoresMissing", int(np.isnan(scores).sum()))
    return model, "", scores


def _challenge(
    model: Model | None,
    spec: Spec | None,
    batch: Batch,
    verdicts_of: Callable[[Model, Scores], Sequence[Verdict]],
) -> Shadow | None:
    """What the challenger makes of these rows, or nothing where it cannot score them: it decides nothing, so
    it disturbs nothing.
    """
    if model is None:
        return None
    try:
        columns = _columns(model, spec)
        if columns is None:
            raise ModelRefusedError("the spec lacks one of its features")
        scores = model.scores(batch.features[:, columns])
        return Shadow(model.version, scores, verdicts_of(model, scores))
    except ModelRefusedError as error:
        count("ChallengerFailed", len(batch.features))
        logger().warning("challenger did not score", extra={"error": str(error), "version": model.version})
        return None


def _number(scores: Scores | None, row: int) -> float | None:
    if scores is None or np.isnan(scores[row]):
        return None
    return float(scores[row])


def _columns(model: Model | None, spec: Spec | None) -> list[int] | None:
    """Where the model's features lie in this spec's vectors, or None."""
    if model is None or spec is None:
        return None
    return bundles.columns(model.bundle, spec.feature_names, spec.definition_hashes)


def _reasons(model: Model, spec: Spec, batch: Batch, verdicts: Sequence[Verdict]) -> list[Sequence[Reason]]:
    """Reasons of the rows that are not approved; none for the others."""
    inputs = batch.features[:, _columns(model, spec)]
    flagged = [row for row, verdict in enumerate(verdicts) if verdict.decision != "approve"]
    names = [feature.name for feature in model.bundle.features]
    explained = explain(model.scores, names, model.medians(), inputs[np.array(flagged, np.intp)])
    features = {feature.name: feature for feature in spec.features}
    reasons: list[Sequence[Reason]] = [()] * len(verdicts)
    for row, found in zip(flagged, explained, strict=True):
        reasons[row] = [tell(reason, features[reason.feature]) for reason in found]
    return reasons
