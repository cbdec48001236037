"""Rows to decisions: one ORT call for the scores, the policy, one ORT call for the reasons of what was
flagged.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.telemetry import count
from common.tracing import step
from scoring import bundle as bundles
from scoring import policy as policies
from scoring.model import Floats, Model, Scores
from scoring.policy import Policy, Verdict
from scoring.reasons import Reason, explain
from scoring.rules import Batch, Rules
from scoring.serving import Serving
from stream_features.spec import Spec

FEATURES_MISSING = "features_missing"


class Judged(NamedTuple):
    """What became of a batch, a row each: `scores` is None when the fallback decided, and `absent` says
    why.
    """

    model: str | None
    policy: str
    absent: str
    scores: Scores | None
    verdicts: Sequence[Verdict]
    reasons: Sequence[Sequence[Reason]]

    def score(self, row: int) -> float | None:
        """The score of a row, or None without a model."""
        return None if self.scores is None else float(self.scores[row])


class Judge:
    """Applies a policy to what the model in use says; compiles the policy once a spec."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._rules: dict[str, Rules] = {}

    def judge(self, serving: Serving, spec: Spec | None, batch: Batch) -> Judged:
        """Decide every row of a batch of one spec; an unknown spec (None) is one that lacks the model's
        features.
        """
        columns = _columns(serving.model, spec)
        model = serving.model if columns is not None else None
        absent = serving.absent if serving.model is None else "" if model else FEATURES_MISSING
        rows = len(batch.features)
        count("FeaturesMissing" if absent == FEATURES_MISSING else "ModelMissing", rows if absent else 0)
        inputs = batch.features[:, columns] if model and columns is not None else batch.features
        with step("model", rows=rows):
            scores = model.scores(inputs) if model else None
        with step("policy"):
            limits = self._policy.limits(model.version, model.bundle.thresholds) if model else None
            severity = policies.by_score(scores, rows, limits, self._policy.fallback)
            verdicts = policies.apply(severity, self._rules_for(spec).fired(batch) if spec else [])
        with step("reasons"):
            reasons = _reasons(model, inputs, verdicts) if model else [[]] * rows
        version = model.version if model else None
        return Judged(version, self._policy.version, absent, scores, verdicts, reasons)

    def _rules_for(self, spec: Spec) -> Rules:
        if spec.sha256 not in self._rules:
            self._rules[spec.sha256] = Rules(self._policy, spec)
        return self._rules[spec.sha256]


def _columns(model: Model | None, spec: Spec | None) -> list[int] | None:
    """Where the model's features lie in this spec's vectors, or None."""
    if model is None or spec is None:
        return None
    return bundles.columns(model.bundle, spec.feature_names, spec.definition_hashes)


def _reasons(model: Model, inputs: Floats, verdicts: Sequence[Verdict]) -> list[Sequence[Reason]]:
    """Reasons of the rows that are not approved; none for the others."""
    flagged = [row for row, verdict in enumerate(verdicts) if verdict.decision != "approve"]
    names = [feature.name for feature in model.bundle.features]
    explained = explain(model.scores, names, model.medians(), inputs[np.array(flagged, np.intp)])
    reasons: list[Sequence[Reason]] = [()] * len(verdicts)
    for row, found in zip(flagged, explained, strict=True):
        reasons[row] = found
    return reasons
