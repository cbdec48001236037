"""State Evaluate: the new model beside the champion on the same held-out rows; the gate; registered."""

import tarfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from common.errors import InvalidInputError
from scoring import bundle as bundle_format
from scoring.bundle import trained_until
from scoring.model import Model
from scoring.policy import Policy
from stream_features.spec import Spec
from stream_features.values import rfc3339_ms
from streamscore.backtest.differences import Judged, Side, differences
from streamscore.backtest.labelled import DAY_MS, both, quality
from streamscore.backtest.result import Labels
from streamscore.parity.served import running_spec
from streamscore.promotion import examined, gate
from streamscore.promotion.gate import Check
from streamscore.retraining.chance import least_auc
from streamscore.retraining.check_data import opened
from streamscore.retraining.place import Run
from streamscore.training import bundles
from streamscore.training.labelled import Table, read_table


def evaluate(run: Run) -> dict[str, Any]:
    """Open what training left, put it to the gate, and register it, so that it can score in shadow."""
    place, asked = run.place, run.read("request.json")
    version = bundles.register(place.client("s3"), place.bucket, _unpacked(run))
    candidate = examined.candidate(place, version.version)
    checks = examined.without_traffic(place, candidate)
    model, spec, policy = candidate.model, running_spec(place), examined.policy(place)
    table = read_table(run.download(run.key("training/features.parquet"), "features.parquet"), spec)
    champion = asked["champion"]
    labels = held_out(table, spec, model, opened(run, champion), policy)
    checks += judged(labels, version.version, champion, policy)
    failed = [check for check in checks if not check.held]
    told = msgspec.to_builtins(checks)
    return {
        "held": not failed,
        "version": version.version,
        "sha256": version.sha256,
        "checks": told,
        "metrics": model.bundle.metrics,
        "held_out": {"rows": labels.matured, "positives": labels.positives, "days": labels.days},
        "text": in_words(version.version, checks),
    }


def held_out(table: Table, spec: Spec, model: Model, champion: Model | None, policy: Policy) -> Labels:
    """What the labels of the new model's test weeks say of both; none that trained the champion."""
    since_ms, until_ms = (rfc3339_ms(at, "test") for at in (model.bundle.test.since, model.bundle.test.until))
    if champion is not None:
        since_ms = max(since_ms, rfc3339_ms(trained_until(champion.bundle), "trained until"))
    rows = table.only((table.times >= since_ms) & (table.times < until_ms))
    after = _side(rows, spec, model, policy)
    before = after if champion is None else _side(rows, spec, champion, policy)
    weights = np.ones(len(rows.times))
    scored = both([before, after])
    found = Judged(rows.times // DAY_MS, weights, rows.labels, scored)
    return Labels(
        matured=len(rows.times),
        positives=int(rows.labels.sum()),
        young=0,
        open=0,
        blocked=0,
        blocked_open=0,
        control=0,
        weighted=False,
        days=len(np.unique(found.days)),
        before=quality(before, scored, rows.labels, weights),
        after=quality(after, scored, rows.labels, weights),
        differences=differences(found, before, after),
    )


def judged(labels: Labels, version: str, champion: str, policy: Policy) -> list[Check]:
    """What the held-out rows say: that it learned something, and no less than the champion, if any, knows."""
    checks = [_learned(labels)]
    if not champion or not checks[0].held:
        return checks
    if version == champion:
        mend = "the same data gives the same model: wait for new data"
        return [*checks, Check("new", False, f"{version} is what decides already", mend)]
    return [*checks, *gate.performance(labels), _gains(labels, policy.retrain.gain)]


def in_words(version: str, checks: list[Check]) -> str:
    """A line for people: what failed, else what was seen last."""
    failed = [check for check in checks if not check.held]
    told = failed or checks[-1:]
    return f"{version}: " + "; ".join(
        f"{check.name}{'' if check.held else ' failed'}: {check.seen}{'; ' if check.mend else ''}{check.mend}"
        for check in told
    )


def _learned(labels: Labels) -> Check:
    """Whether it ranks better than chance."""
    positives, negatives = labels.positives, labels.matured - labels.positives
    if not positives or not negatives or labels.after.roc_auc is None:
        seen = f"{labels.matured:,} held-out rows, {positives:,} positive"
        return Check("learned", False, seen, "labels of both kinds after the training weeks are needed")
    least = least_auc(positives, negatives)
    seen = f"ROC AUC {labels.after.roc_auc:.4f} on {labels.matured:,} held-out rows, {positives:,} positive"
    held = labels.after.roc_auc > least
    mend = "" if held else f"above {least:.4f} is no chance: are the labels those of these events?"
    return Check("learned", held, seen, mend)


def _gains(labels: Labels, gain: float) -> Check:
    before, after = labels.before.average_precision, labels.after.average_precision
    if before is None or after is None:
        return Check("gain", False, "average precision is not defined", "labels of both kinds are needed")
    held = after - before >= gain
    seen = f"average precision {after:.4f}, the champion has {before:.4f} on the same rows"
    mend = "" if held else f"at least {gain:+g} is asked for ([retrain] gain): the champion stays"
    return Check("gain", held, seen, mend)


def _side(rows: Table, spec: Spec, model: Model, policy: Policy) -> Side:
    """Scores and alerts; none where the spec no longer serves the model's features."""
    places = bundle_format.columns(model.bundle, spec.feature_names, spec.definition_hashes)
    if places is None:
        raise InvalidInputError(f"{model.version} asks for features that the deployed spec does not have")
    scores = model.scores(rows.features[:, places]) if len(rows.times) else np.empty(0)
    limits = policy.limits(model.version, model.bundle.thresholds)
    return Side(scores.astype(np.float64), scores >= limits.review)


def _unpacked(run: Run) -> Path:
    """The bundle that the training job left."""
    archive = run.download(run.key(f"jobs/{run.name}-Train/output/model.tar.gz"), "model.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(run.scratch / "model", filter="data")
    return run.scratch / "model/bundle"
