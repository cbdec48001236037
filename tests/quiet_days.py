"""A shop's payments as the monitor counts them: busy days, small nights, other weekends."""

import functools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from monitor.baseline import layout_of
from monitor.decided import Decided, Layout, observe
from monitor.look import Read, Subject, calendar_of
from monitor.tally import Stored, Tally, Who
from monitor.times import DAY_S, HOUR_S, WEEK_S, WINDOW_S, iso
from scoring import bundle as bundles
from scoring.bundle import Bundle, Feature
from scoring.watch import DriftWatch, Watch
from stream_features import spec
from streamscore.training.baselines import baseline
from tests.decision_images import decision

Columns = dict[str, np.ndarray]
SPEC = spec.parse(
    """
[event]
id = "id"
time = "time"
label = "is_fraud"
fields = { amount = "decimal(2)" }
[entities]
customer = "customer_id"
[[feature]]
name = "amount"
op = "value"
of = "amount"
[[feature]]
name = "is_night"
op = "hour_between"
hours = [0, 6]
[[feature]]
name = "is_weekend"
op = "is_weekend"
[[feature]]
name = "recent"
entity = "customer"
op = "count"
windows = ["1d"]
[[feature]]
name = "risk"
entity = "customer"
op = "label_rate"
windows = ["30d"]
"""
)
FEATURES = SPEC.feature_names
MONDAY_S = int(datetime(2026, 9, 7, tzinfo=UTC).timestamp())
REVIEW = 0.6
BUSIEST = 90
"""Payments in a window at noon."""


def payments(
    start_s: int, count: int, random: np.random.Generator, weekend: float = 1.2, frauds: float = 0.01
) -> Columns:
    """Feature columns and scores of payments in the window that starts then; `weekend` scales amounts."""
    hour, is_weekend = start_s % DAY_S // HOUR_S, (start_s // DAY_S + 3) % 7 >= 5
    fraud = random.random(count) < frauds
    amount = random.lognormal(3.0 + 0.1 * (hour >= 18), 0.8, count) * (weekend if is_weekend else 1.0)
    recent = random.poisson(2.0 if 8 <= hour < 22 else 1.2, count).astype(float)
    risk = np.where(random.random(count) < 0.9, 0.0, random.beta(1, 12, count)) + 0.2 * fraud
    risk[random.random(count) < 0.04] = np.nan
    logit = -4.0 + 0.5 * np.log(amount / 20) + 8.0 * np.nan_to_num(risk) + 4.5 * fraud
    return {
        "amount": amount,
        "is_night": np.full(count, float(hour <= 6)),
        "is_weekend": np.full(count, float(is_weekend)),
        "recent": recent,
        "risk": risk,
        "score": 1 / (1 + np.exp(-logit - random.normal(0, 0.7, count))),
    }


def traffic(start_s: int, random: np.random.Generator) -> int:
    """How many payments come in a window: a twentieth at night, less on weekends."""
    hour = start_s % DAY_S / HOUR_S
    daily = 0.05 + 0.95 * max(0.0, np.sin(np.pi * (hour - 6) / 17)) ** 1.5 if 6 <= hour < 23 else 0.05
    weekly = 0.7 if (start_s // DAY_S + 3) % 7 >= 5 else 1.0
    return int(random.poisson(BUSIEST * daily * weekly))


@functools.cache
def trained() -> Bundle:
    """A bundle whose baselines are of a week before the first."""
    random = np.random.default_rng(0)
    starts = range(MONDAY_S - WEEK_S, MONDAY_S, WINDOW_S)
    parts = [payments(s, traffic(s, random), random) for s in starts]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in (*FEATURES, "score")}
    rows = len(whole["score"])
    since, until = iso(MONDAY_S - WEEK_S), iso(MONDAY_S)
    period = bundles.Period(since=since, until=until, rows=rows, positives=rows // 100)
    return bundles.seal(
        Bundle(
            estimator="none",
            spec_sha256=SPEC.sha256,
            model_sha256="0" * 64,
            features=tuple(
                Feature(name=n, definition=of, median=None, baseline=baseline(n, whole[n].astype("<f4")))
                for n, of in zip(FEATURES, SPEC.definition_hashes, strict=True)
            ),
            score=baseline("score", whole["score"], (REVIEW, 0.9)),
            thresholds=bundles.Thresholds(review=REVIEW, block=0.9),
            train=period,
            test=period,
            metrics={"roc_auc": 0.9},
            conversion=bundles.Conversion(rows=0, max_difference=0.0, flips=0),
        )
    )


def counted(bundle: Bundle, start_s: int, columns: Mapping[str, np.ndarray]) -> Stored:
    """The window as the monitor stores it."""
    layout, score = layout_of(bundle), columns["score"]
    rows = Decided(_vectors(columns).astype(np.float64), score, _decisions(score), np.full(len(score), 300.0))
    return Stored(iso(start_s), Who(bundle.version), Tally(observe(layout, rows), {}))


def scaled(columns: Columns) -> Columns:
    """Amounts in another currency."""
    return columns | {"amount": columns["amount"] * 1.5}


def gone(columns: Columns) -> Columns:
    """One feature is there no longer."""
    return columns | {"recent": np.full_like(columns["recent"], np.nan)}


SHIFTS: Mapping[str, tuple[Callable[[Columns], Columns], float]] = {
    "prior doubled": (lambda columns: columns, 2.0),
    "gone": (gone, 1.0),
    "scaled": (scaled, 1.0),
}
"""What may happen to payments, and how many times as many of them are frauds then."""


def images(columns: Mapping[str, np.ndarray], scored_at_s: float) -> list[dict[str, Any]]:
    """The payments' decisions as the table's stream shows them."""
    rows = zip(_vectors(columns), columns["score"].tolist(), _decisions(columns["score"]), strict=True)
    return [
        decision(
            f"{scored_at_s:.0f}-{number}",
            score=score,
            features=vector,
            model=trained().version,
            decision=made,
            scored_at_ms=round(scored_at_s * 1000),
        )
        | {"spec": {"S": SPEC.sha256}}
        for number, (vector, score, made) in enumerate(rows)
    ]


def _vectors(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.column_stack([columns[name].astype("<f4") for name in FEATURES])


def _decisions(score: np.ndarray) -> list[str]:
    return np.where(score >= 0.9, "block", np.where(score >= REVIEW, "review", "approve")).tolist()


def days(count: int, seed: int, weekend: float = 1.2) -> list[Stored]:
    """So many days of windows, from a Monday on; a window without payments is not stored."""
    random, bundle = np.random.default_rng(seed), trained()
    starts = range(MONDAY_S, MONDAY_S + count * DAY_S, WINDOW_S)
    made = ((start_s, traffic(start_s, random)) for start_s in starts)
    return [counted(bundle, s, payments(s, n, random, weekend)) for s, n in made if n]


def subject(bundle: Bundle, reference: str = "seasonal") -> Subject:
    """The model as it is looked at, by the thresholds that ship."""
    watch = Watch(drift=DriftWatch(reference=reference))
    return Subject(bundle, Layout.check(layout_of(bundle)), watch, calendar_of(bundle, SPEC))


def reads(windows: list[Stored], from_s: int, until_s: int, step_s: int = WINDOW_S) -> Iterator[Read]:
    """What each run of the schedule reads: the hour of windows before it, and that of a week before."""
    by_start = {window.start: window for window in windows}

    def between(since_s: int, end_s: int) -> list[Stored]:
        starts = map(iso, range(since_s, end_s, WINDOW_S))
        return [by_start[start] for start in starts if start in by_start]

    for end_s in range(from_s, until_s + 1, step_s):
        since_s = end_s - HOUR_S
        yield Read(
            iso(since_s),
            iso(end_s),
            between(since_s, end_s),
            between(since_s - WEEK_S, end_s - WEEK_S),
        )
