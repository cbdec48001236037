"""Rows to decisions: one ORT call for the scores, the policy, one ORT call for the reasons of what was
flagged.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.errors import ModelRefusedError
from common.telemetry import count, logger
from scoring import bundle as bundles
from scoring import policy as policies
from scoring.model import Floats, Model, Scores
from scoring.policy import Policy, Verdict
from scoring.reasons import Reason, explain, tell
from scoring.rules import Batch, Rules
from scoring.serving import Serving
from stream_features.spec import Spec

FEATURES_MISSING = "features_missing"
SCORE_MISSING = "score_missing"
"""The model gave no number for this row, as a model can that was not trained with missing values."""
_COMPILED = 32


class Judged(NamedTuple):
    """What became of a batch, a row each: `scores` is None when the fallback decided, and `absent` says
    why. `challenger` is the version of the model that scored beside the one in use, if one did.
    """

    model: str | None
    policy: str
    absent: str
    scores: Scores | None
    verdicts: Sequence[Verdict]
    reasons: Sequence[Sequence[Reason]]
    challenger: str | None = None
    challenger_scores: Scores | None = None

    def score(self, row: int) -> float | None:
        """The score of a row, or None where the fallback decided."""
        return _number(self.scores, row)

    def absence(self, row: int) -> str:
        """Why a row has no score; "" if it has one."""
        return self.absent or ("" if self.score(row) is not None else SCORE_MISSING)

    def challenger_score(self, row: int) -> float | None:
        """The challenger's score of a row, or None if there is none."""
        return _number(self.challenger_scores, row)


class Judge:
    """Applies the policy in use to what the models in use say; compiles a policy once a spec."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str], Rules] = {}

    def judge(self, serving: Serving, spec: Spec | None, batch: Batch, draws: Scores | None = None) -> Judged:
        """Decide every row of a batch of one spec; an unknown spec (None) is one that lacks the model's
        features. `draws` [n] in [0, 1) are the rows' chances in a control share; None: it has no say.
        """
        model, policy = serving.model, serving.policy
        columns = _columns(model, spec)
        model = model if columns is not None else None
        absent = serving.absent if serving.model is None else "" if model else FEATURES_MISSING
        rows = len(batch.features)
        count("FeaturesMissing" if absent == FEATURES_MISSING else "ModelMissing", rows if absent else 0)
        inputs = batch.features[:, columns] if model and columns is not None else batch.features
        scores = model.scores(inputs) if model else None
        count("ScoresMissing", 0 if scores is None else int(np.isnan(scores).sum()))
        limits = policy.limits(model.version, model.bundle.thresholds) if model else None
        severity = policies.by_score(scores, rows, limits, policy.fallback)
        verdicts = policies.apply(severity, self._rules_for(policy, spec).fired(batch) if spec else [])
        reasons = _reasons(model, spec, inputs, verdicts) if model and spec else [[]] * rows
        version = model.version if model else None
        challenger, its_scores = _challenge(serving.challenger, spec, batch)
        return Judged(version, policy.version, absent, scores, verdicts, reasons, challenger, its_scores)

    def _rules_for(self, policy: Policy, spec: Spec) -> Rules:
        key = (policy.version, spec.sha256)
        if key not in self._rules:
            while len(self._rules) >= _COMPILED:
                del self._rules[next(iter(self._rules))]
            self._rules[key] = Rules(policy, spec)
        return self._rules[key]


def _number(scores: Scores | None, row: int) -> float | None:
    score = np.nan if scores is None else float(scores[row])
    return None if np.isnan(score) else score


def _challenge(model: Model | None, spec: Spec | None, batch: Batch) -> tuple[str | None, Scores | None]:
    """The challenger's version and scores, or nothing where it cannot score these rows: it decides nothing,
    so it disturbs nothing.
    """
    columns = _columns(model, spec)
    if model is None:
        return None, None
    try:
        if columns is None:
            raise ModelRefusedError("the spec lacks one of its features")
        return model.version, model.scores(batch.features[:, columns])
    except ModelRefusedError as error:
        count("ChallengerFailed", len(batch.features))
        logger().warning("challenger did not score", extra={"error": str(error), "version": model.version})
        return None, None


def _columns(model: Model | None, spec: Spec | None) -> list[int] | None:
    """Where the model's features lie in this spec's vectors, or None."""
    if model is None or spec is None:
        return None
    return bundles.columns(model.bundle, spec.feature_names, spec.definition_hashes)


def _reasons(model: Model, spec: Spec, inputs: Floats, verdicts: Sequence[Verdict]) -> list[Sequence[Reason]]:
    """Reasons of the rows that are not approved; none for the others."""
    flagged = [row for row, verdict in enumerate(verdicts) if verdict.decision != "approve"]
    names = [feature.name for feature in model.bundle.features]
    explained = explain(model.scores, names, model.medians(), inputs[np.array(flagged, np.intp)])
    features = {feature.name: feature for feature in spec.features}
    reasons: list[Sequence[Reason]] = [()] * len(verdicts)
    for row, found in zip(flagged, explained, strict=True):
        reasons[row] = [tell(reason, features[reason.feature]) for reason in found]
    return reasons
