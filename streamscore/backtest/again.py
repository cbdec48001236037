"""Recorded decisions decided again, by the code that decides on the stream. Pure but for what `Known` reads.

What is not replaced stays as it was for each decision: its own model, its own policy. So a backtest with
neither gives back what was recorded, and one with a policy alone shows what that policy alone would change.
"""

import contextlib
import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np

from common.telemetry import metrics
from scoring import bundle as bundles
from scoring import policy as policies
from scoring.judge import FEATURES_MISSING, Judge, Judged
from scoring.model import Model
from scoring.policy import Policy, Verdict
from scoring.reasons import Reason
from scoring.rows import batch
from scoring.serving import MODEL_UNAVAILABLE, Serving
from stream_features.spec_model import Spec
from streamscore.backtest.rows import row_of
from streamscore.decided.stored import Decided

ROWS = 2_000
"""So many decisions are in memory at once; of one spec, model and policy they are scored in one call."""


@dataclass(frozen=True)
class Known:
    """What decisions name and may be asked for again: specs by sha256, models and policies by version; None
    where it cannot be had any more.
    """

    spec: Callable[[str], Spec | None]
    model: Callable[[str], Model | None]
    policy: Callable[[str], Policy | None]


class Again(NamedTuple):
    """A recorded decision, and what it would have been. `score` is None where there is none; `own` is whether
    the model is the one that had scored it.
    """

    before: Decided
    spec: Spec
    score: float | None
    verdict: Verdict
    reasons: Sequence[Reason]
    own: bool


class _Parts(NamedTuple):
    """What a decision is made with; decisions with equal parts are one batch."""

    spec: str
    model: str | None
    absent: str
    policy: str


@dataclass
class Redecider:
    """Decides again with `model` and `policy`, each of them the decision's own if None. `left_out` counts the
    decisions that cannot be, by why.
    """

    known: Known
    model: Model | None = None
    policy: Policy | None = None
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._judge = Judge()
        self._spec, self._policy = cache(self.known.spec), cache(self.known.policy)
        self._model = cache(self.known.model)

    def again(self, decisions: Iterable[Decided]) -> Iterator[Again]:
        """Each decision that can be made again, in no order."""
        for some in itertools.batched(decisions, ROWS, strict=False):
            self.read += len(some)
            groups: dict[_Parts, list[Decided]] = {}
            for one in some:
                groups.setdefault(self._parts(one), []).append(one)
            for parts, group in groups.items():
                yield from self._decide(parts, group)

    def _parts(self, one: Decided) -> _Parts:
        decision = one.decision
        policy = self.policy.version if self.policy else decision.policy
        if self.model is not None:
            return _Parts(decision.spec_sha, self.model.version, "", policy)
        return _Parts(decision.spec_sha, decision.model, "" if decision.model else decision.absent, policy)

    def _decide(self, parts: _Parts, group: Sequence[Decided]) -> Iterator[Again]:
        spec = self._spec(parts.spec)
        policy = self.policy or self._policy(parts.policy)
        model = self.model or (self._model(parts.model) if parts.model else None)
        if spec is None:
            return self._leave(group, f"spec {parts.spec[:16]} is not published")
        if policy is None:
            return self._leave(group, f"policy {parts.policy} is not published")
        if parts.model and model is None:
            return self._leave(group, f"model {parts.model} is not registered")
        if model is not None and (lacking := missing_features(model, spec)):
            return self._leave(group, f"features missing: {', '.join(lacking)}")
        whole = [one for one in group if self._is_whole(one, spec)]
        if not whole:
            return
        judged = self._judged(Serving(model, parts.absent, None, policy), spec, whole)
        if model is not None and judged.absent in {MODEL_UNAVAILABLE, FEATURES_MISSING}:
            return self._leave(whole, f"model {model.version} does not score")
        scores = judged.each_score()
        for n, one in enumerate(whole):
            own = one.decision.model is not None and one.decision.model == judged.model
            yield Again(one, spec, scores[n], judged.verdicts[n], judged.reasons[n], own)

    def _judged(self, serving: Serving, spec: Spec, group: Sequence[Decided]) -> Judged:
        """The judge counts and logs for a function; of a backtest nothing may be reported as if it had
        happened.
        """
        draws = policies.draws(serving.policy, [one.id for one in group])
        at_ms = np.array([one.decision.scored_at_ms for one in group], np.int64)
        rows = batch(spec, [row_of(spec, one.decision) for one in group])
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                return self._judge.judge(serving, spec, rows, draws, at_ms)
            finally:
                metrics().clear_metrics()

    def _is_whole(self, one: Decided, spec: Spec) -> bool:
        """Whether everything the decision was made from is still there; if not, it is left out."""
        if len(one.decision.features) != 4 * len(spec.features):
            self.left_out["the vector is not one of its spec"] += 1
            return False
        if "kept" in one.cut:
            self.left_out["kept fields were cut: too large to store whole"] += 1
            return False
        return True

    def _leave(self, group: Sequence[Decided], why: str) -> None:
        self.left_out[why] += len(group)


def missing_features(model: Model, spec: Spec) -> list[str]:
    """The features the model asks for that this spec does not have, or defines otherwise."""
    if bundles.columns(model.bundle, spec.feature_names, spec.definition_hashes) is not None:
        return []
    there = set(zip(spec.feature_names, spec.definition_hashes, strict=True))
    return [f.name for f in model.bundle.features if (f.name, f.definition) not in there]
