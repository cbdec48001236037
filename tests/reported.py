"""A report of made-up decisions, windows and meters: two months of labels, a shifted feature, odd names."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from common.metrics import BY_NAME
from monitor import baseline, images
from monitor.cost import cost
from monitor.decided import Decided as Columns
from monitor.decided import Layout, observe
from monitor.labelled import Labelled, observe_labels
from monitor.look import Read, Subject, look
from monitor.tally import Stored, Who
from monitor.tally import Tally as Counted
from monitor.watching import Seen, Watched
from scoring.items import Decision
from scoring.policy import Action, Verdict
from scoring.reasons import Reason
from scoring.watch import Watch
from streamscore.decided.stored import Decided
from streamscore.demo.checks import Check, Parity
from streamscore.evaluation.measured import Evaluation, Level, Measures, Reliability, Series, Value
from streamscore.report import watched
from streamscore.report.content import Count, Drift, Report
from streamscore.report.gather import COUNTS
from streamscore.report.tally import Tally
from tests.monitored import amounts, make_bundle

HOSTILE = '</script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 2">'
START_MS = 1_795_000_000_000  # 2026-11-18
AGREE = ("Events applied", "Decisions made", "Decisions in the table", "Decisions counted")


def decided(at: int, score: float | None = 0.5, **given: object) -> Decided:
    """One decision a quarter of a minute after the one before; its label, if any, a week later."""
    action: Action = "approve" if score is None or score < 0.5 else "review" if score < 0.9 else "block"
    arrival_ms = START_MS + at * 15_000
    reason = Reason("amount", 3.0, 1.0, 0.7, "") if at % 2 else Reason(HOSTILE, 3.0, 1.0, 0.7, HOSTILE)
    made = Decision(
        id=f"e{at}", entity="c1", event_time_ms=arrival_ms, arrival_ms=arrival_ms,
        scored_at_ms=arrival_ms + 100 + at % 50 * 40, score=score,
        verdict=Verdict(action, (HOSTILE,) if at % 7 == 0 else ()),
        reasons=(reason,) if action != "approve" else (),
        absent="" if score is not None else "no_model", model="m1" if score is not None else None, policy="p",
        spec_sha="s", features=b"", kept={}, trace=None, source="stream",
    )  # fmt: skip
    return Decided(made, **given)  # type: ignore[arg-type]


def some_decided(count: int) -> Iterator[Decided]:
    """Scores spread over [0, 1); most of them labelled, over two months."""
    draws = np.random.default_rng(3)
    for at, score in enumerate(draws.beta(0.3, 2.0, count).tolist()):
        label = bool(draws.random() < score)
        month_ms = 20 * 86_400_000 * (at % 2)
        known = {"label": label, "label_time_ms": START_MS + month_ms} if at % 5 else {}
        yield decided(at, None if at % 40 == 39 else score, **known)


def some_drift(count: int = 4) -> Drift:
    """The bundle's one feature, twice as large from the third window on; a challenger beside it."""
    bundle = make_bundle()
    layout = baseline.layout_of(bundle)
    windows = [_window(layout, bundle.version, number) for number in range(count)]
    since, until = "2026-11-18T10:00:00Z", "2026-11-18T20:00:00Z"
    subject = Subject(bundle, layout, Watch())
    read = Read(since, until, windows, matured=windows)
    champion = Seen(look(subject, read), subject, read)
    challenger = Seen(look(subject, read, challenger=True), subject, read)
    return watched.drift(Watched(since, until, Watch(), champion, challenger))


def _window(layout: Layout, version: str, number: int) -> Stored:
    values = amounts(600, number) * (2.0 if number >= 2 else 1.0)
    values[:6] = np.nan
    scores = np.clip(np.nan_to_num(values) / 100, 0, 1)
    actions = ["approve"] * len(scores)
    made = observe(layout, Columns(values[:, None], scores, actions, np.full(len(scores), 300.0)))
    unknown = np.full(len(scores), np.nan)
    labels = {"2026-11-18": observe_labels(Labelled(scores > 0.4, scores, actions, unknown))}
    return Stored(f"2026-11-18T1{number}:00:00Z", Who(version), Counted(made, labels))


def make_report(count: int = 2_000, **other: object) -> Report:
    """Everything a page can show."""
    tally = Tally()
    for one in some_decided(count):
        tally.add(one)
    metered = {
        ("scoring", "DecisionsMade"): float(count),
        ("scoring", "DynamoDbWriteCostUSD"): 0.02,
        ("scoring", "EstimatedCostUSD"): 0.021,
        ("stream_features", "DynamoDbWriteCostUSD"): 0.03,
        ("stream_features", "EstimatedCostUSD"): 0.03,
        ("stream_features", "WastedCostUSD"): 0.001,
        (images.NO_MODEL, "LogsCostUSD"): 0.001,
    }
    parts: dict[str, object] = {
        "stack": "local",
        "since": "2026-11-17T00:00:00Z",
        "until": "2026-11-19T00:00:00Z",
        "made": "2026-11-19T00:00:01Z",
        "model": "m1",
        "traffic": tally.traffic(),
        "drift": some_drift(),
        "months": tally.months(),
        "unlabelled": tally.unlabelled,
        "why": tally.why(),
        "cost": cost(metered),
        "prices": "us-east-1, 2026-11-24",
        "agree": (
            *(Count(name, count, "somewhere") for name in AGREE),
            Count("Records quarantined", 3, "lie in quarantine/ now"),
            Count("Records failed", 0, "lie in failed batches now"),
        ),
        "counts": tuple(Count(name, 1, BY_NAME[name].meaning) for name in COUNTS),
        "checks": (Check("every event decided exactly once", True, "1 < 2"), Check("parity", False, HOSTILE)),
        "parity": (Parity(HOSTILE, 10, 1, float("inf")),),
        "seconds": {"Train a model": 3.2},
        "evaluation": some_evaluation(),
    }
    return Report(**(parts | other))  # type: ignore[arg-type]


def some_evaluation(**other: object) -> Evaluation:
    """As `evaluate --json` writes it: 1,000 rows, 50 of them positive, scored higher."""
    levels = {
        name: Level(
            threshold=threshold, alerts_per_day=Value(4.5, 4.0, 5.0), alert_rate=Value(0.045, 0.04, 0.05),
            precision=Value(precision, 0.3, 0.95), recall=Value(recall, 0.2, 0.8), amount_caught=Value(0.55),
        )
        for name, threshold, precision, recall in (("review", 0.5, 0.6, 0.54), ("block", 0.9, 0.875, 0.28))
    }  # fmt: skip
    edges = [round(0.02 * at, 2) for at in range(51)]
    series = Series(
        recall=[0.0, 0.28, 0.54, 0.9, 1.0],
        precision=[1.0, 0.875, 0.6, 0.2, 0.05],
        calibration=[Reliability(0.004, 0.002, 500), Reliability(0.03, 0.02, 450), Reliability(0.8, 0.8, 50)],
        histogram_edges=edges,
        negatives=[900, 40, *[1] * 10, *[0] * 38],
        positives=[*[0] * 20, *[1] * 10, *[2] * 20],
    )
    found: dict[str, object] = {
        "version": "m1", "estimator": HOSTILE, "protocol": None,
        "since": "2026-10-01T00:00:00Z", "until": "2026-10-11T00:00:00Z",
        "rows": 1_000, "positives": 50, "days": 10, "known": 3, "capacity": 100,
        "measures": Measures(
            roc_auc=Value(0.93, 0.9, 0.96), average_precision=Value(0.61, 0.55, 0.68),
            card_precision=Value(0.4, 0.3, 0.5), card_precision_by_day=[0.4], defrauded_by_day=[5],
            brier=Value(0.0213, 0.02, 0.023), calibration_error=0.0061, levels=levels, series=series,
        ),
    }  # fmt: skip
    return Evaluation(**(found | other))  # type: ignore[arg-type]


def data_of(html: str) -> dict[str, Any]:
    """The report that the page's charts draw."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    report: dict[str, Any] = json.loads(found.group(1))["report"]
    return report


def nothing() -> Report:
    """A stack on which nothing happened."""
    tally = Tally()
    return make_report(
        1, model=None, drift=None, months=(), unlabelled=0, why=(), traffic=tally.traffic(), cost=cost({}),
        agree=tuple(Count(name, 0, "") for name in (*AGREE, "Records quarantined", "Records failed")),
        checks=(), parity=(), seconds={}, evaluation=None,
    )  # fmt: skip
