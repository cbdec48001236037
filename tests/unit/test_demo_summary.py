import math

import msgspec
import pytest

from streamscore.demo.checks import Check, Parity
from streamscore.demo.summary import (
    Cost,
    Decided,
    Drift,
    Summary,
    latency_of,
    performance_of,
)


def decided(id_: str, score: float | None, label: bool | None) -> Decided:
    return Decided(id_, "approve", score, label, 100.0, "m1", b"")


def whole_summary(*checks: Check) -> Summary:
    return Summary(
        checks=checks,
        events={"history": 100, "live": 10},
        decisions={"approve": 9, "block": 1},
        latency=latency_of([10, 60, 7_000_000]),
        performance=performance_of([decided("a", 0.9, True), decided("b", 0.1, False)]),
        drift=(Drift("score", 0.031), Drift("<amount>", math.nan)),
        cost=Cost(0.001, 12.5, {"scoring": 0.001}),
        parity=(Parity("amount", 10, 1, math.inf),),
        model="m1",
        seconds={"train": 3.2},
    )


def test_it_held_only_if_there_are_checks_and_every_one_held() -> None:
    yes, no = Check("a", True, ""), Check("b", False, "")

    assert whole_summary(yes, yes).held
    assert not whole_summary(yes, no).held
    assert not whole_summary().held


def test_latency_counts_every_decision_once() -> None:
    latency = latency_of([10, 20, 30, 400, 1e9])

    assert latency is not None
    assert latency.p50_ms == 30
    assert sum(count for _, count in latency.histogram) == 5
    assert latency.histogram[0] == (50, 3)
    assert latency_of([]) is None


def test_performance_uses_decisions_that_have_both_score_and_label() -> None:
    some = [
        decided("a", 0.9, True),
        decided("b", 0.8, False),
        decided("c", 0.1, False),
        decided("d", None, True),
        decided("e", 0.5, None),
    ]

    performance = performance_of(some)

    assert (performance.labelled, performance.positives) == (3, 1)
    assert performance.roc_auc == performance.average_precision == 1.0


@pytest.mark.parametrize("labels", [(), (True,), (False, False)])
def test_one_class_alone_has_no_auc(labels: tuple[bool, ...]) -> None:
    performance = performance_of([decided(str(n), 0.5, label) for n, label in enumerate(labels)])
    assert performance.roc_auc is None
    assert performance.average_precision is None


def test_the_summary_becomes_json_and_comes_back() -> None:
    summary = whole_summary(Check("a", True, "b"))
    data = msgspec.json.decode(msgspec.json.encode(summary))
    assert data["checks"] == [{"name": "a", "held": True, "detail": "b"}]
    assert data["performance"]["roc_auc"] == 1.0
