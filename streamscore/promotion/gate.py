"""What a bundle must show before it may decide. Pure: what was found goes in, what holds comes out.

Every check says what it looked at, and for a failure how to mend it. Where there is no champion, nothing is
asked that only traffic could tell: the first promotion needs a bundle that holds together.
"""

from typing import NamedTuple

import msgspec

from scoring import bundle as bundles
from scoring.bundle import Bundle
from scoring.policy import Gate
from stream_features.spec_model import Spec
from streamscore.backtest.result import Labels
from streamscore.training.proof import MAX_DIFFERENCE


class Check(msgspec.Struct, frozen=True):
    """One thing the gate asks for: whether it held, what was seen, and if not what to do about it."""

    name: str
    held: bool
    seen: str
    mend: str = ""


def conversion(bundle: Bundle) -> Check:
    """The proof that the graph scores as what was trained."""
    proof = bundle.conversion
    seen = f"{proof.rows:,} rows, largest difference {proof.max_difference:.1e}, {proof.flips} flips"
    held = proof.rows > 0 and proof.flips == 0 and 0 <= proof.max_difference <= MAX_DIFFERENCE
    mend = f"at least one row, no flip, at most {MAX_DIFFERENCE:.0e}: make it with `train` or `pack`"
    return _check("conversion", held, seen, mend)


def features(bundle: Bundle, spec: Spec) -> Check:
    """Whether the spec that functions serve has what the model asks for."""
    wrong = bundles.unserved(bundle, spec.feature_names, spec.definition_hashes)
    if not wrong:
        return _check("features", True, f"all {len(bundle.features)} served by spec {spec.sha256[:16]}")
    seen = f"the deployed spec {spec.sha256[:16]} does not define in the same way: {', '.join(wrong)}"
    mend = "every decision would be the fallback: train on this spec's features, or deploy the bundle's first"
    return _check("features", False, seen, mend)


class Load(NamedTuple):
    """What a model is for a function: the size of its graph, CPU time to open it and to score one row."""

    model_bytes: int
    load_ms: float
    row_ms: float


def budget(load: Load, asked: Gate) -> Check:
    """Whether it is small and quick enough to run on the stream."""
    held = (
        load.model_bytes <= asked.model_mb * 1e6
        and load.load_ms <= asked.load_ms
        and load.row_ms <= asked.row_ms
    )
    seen = (
        f"{load.model_bytes / 1e6:.3f} MB, {load.load_ms:.1f} ms CPU to open it and {load.row_ms:.3f} ms "
        "a row here"
    )
    most = f"at most {asked.model_mb:g} MB, {asked.load_ms:g} ms and {asked.row_ms:g} ms"
    mend = f"{most}: fewer or smaller trees, or another [gate] in policy.toml"
    return _check("budget", held, seen, mend)


def coverage(labels: Labels, asked: Gate, champion: str) -> Check:
    """Whether champion and candidate can be compared at all."""
    matured = labels.matured
    held = matured >= asked.matured_labels and 0 < labels.positives < labels.matured
    seen = (
        f"{matured:,} matured labels ({labels.positives:,} positive) on decisions of {champion} made after "
        f"both models' training; {labels.young:,} are too young, {labels.open:,} decisions have none"
    )
    mend = (
        f"at least {asked.matured_labels:,}, of both kinds: let it run in shadow (`streamscore challenger "
        "VERSION`) until labels mature, or set [gate] matured_labels in policy.toml"
    )
    return _check("coverage", held, seen, mend)


def performance(labels: Labels) -> list[Check]:
    """Whether it ranks no worse than the champion, beyond what chance explains."""
    return [
        _no_worse(name, labels, words)
        for name, words in (("average_precision", "average precision"), ("roc_auc", "ROC AUC"))
    ]


def _no_worse(name: str, labels: Labels, words: str) -> Check:
    before, after = getattr(labels.before, name), getattr(labels.after, name)
    if before is None or after is None:
        return _check(words, False, "not defined on these labels", "labels of both kinds are needed")
    interval = labels.differences.get(name)
    seen = f"{after:.4f}, the champion has {before:.4f}"
    mend = "it ranks worse than what decides now: keep the champion, or train another"
    if interval is None or interval.low is None or interval.high is None:
        return _check(words, after >= before, f"{seen} (too few days for an interval)", mend)
    seen += f" (difference {after - before:+.4f}, 95 % from {interval.low:+.4f} to {interval.high:+.4f})"
    return _check(words, interval.high >= 0, seen, mend)


def _check(name: str, held: bool, seen: str, mend: str = "") -> Check:
    return Check(name, held, seen, "" if held else mend)
