"""A shop's payments as the monitor counts them: busy days, small nights, other weekends."""

import functools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import numpy as np

from monitor.baseline import layout_of
from monitor.decided import Decided, Layout, observe
from monitor.look import Read, Subject
from monitor.tally import Stored, Tally, Who
from monitor.times import DAY_S, HOUR_S, WEEK_S, WINDOW_S, iso
from scoring import bundle as bundles
from scoring.bundle import Bundle, Feature
from scoring.watch import DriftWatch, Watch
from streamscore.training.baselines import baseline

Columns = dict[str, np.ndarray]
FEATURES = ("amount", "is_night", "is_weekend", "recent", "risk")
CALENDAR = frozenset({"is_night", "is_weekend"})
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
    period = bundles.Period(since="", until="", rows=rows, positives=rows // 100)
    return bundles.seal(
        Bundle(
            estimator="none",
            spec_sha256="",
            model_sha256="0" * 64,
            features=tuple(
                Feature(name=n, definition="", median=None, baseline=baseline(n, whole[n].astype("<f4")))
                for n in FEATURES
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
    decisions = np.where(score >= 0.9, "block", np.where(score >= REVIEW, "review", "approve")).tolist()
    table = np.column_stack([columns[name].astype("<f4") for name in FEATURES]).astype(np.float64)
    rows = Decided(table, score, decisions, np.full(len(score), 300.0))
    return Stored(iso(start_s), Who(bundle.version), Tally(observe(layout, rows), {}))


def days(count: int, seed: int, weekend: float = 1.2) -> list[Stored]:
    """So many days of windows, from a Monday on; a window without payments is not stored."""
    random, bundle = np.random.default_rng(seed), trained()
    starts = range(MONDAY_S, MONDAY_S + count * DAY_S, WINDOW_S)
    made = ((start_s, traffic(start_s, random)) for start_s in starts)
    return [counted(bundle, s, payments(s, n, random, weekend)) for s, n in made if n]


def subject(bundle: Bundle, reference: str = "seasonal") -> Subject:
    """The model as it is looked at, by the thresholds that ship."""
    watch = Watch(drift=DriftWatch(reference=reference))
    return Subject(bundle, Layout.check(layout_of(bundle)), watch, CALENDAR)


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
