import re
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest

from scoring.pointers import Pointer
from streamscore.backtest.again import Known
from streamscore.backtest.backtest import backtest
from streamscore.backtest.result import Coverage
from streamscore.demo.checks import (
    Check,
    Parity,
    backtested,
    decided_exactly_once,
    line_up,
    parity_by_feature,
    promoted,
    refused_by_the_gate,
    shadow_equals_backtest,
    state_equals_backfill,
    swapped_while_events_flowed,
    vectors_equal_backfill,
)
from streamscore.demo.life import Plan

NOTHING_KNOWN = Known(lambda _: None, lambda _: None, lambda _: None)
NAMES = ("amount", "mean_7d")
IDS = ("a", "b", "c")
VECTORS = np.array([[1, np.nan], [2, 0.5], [3, -0.0]], np.float32)


def served() -> dict[str, bytes]:
    return {id_: row.tobytes() for id_, row in zip(IDS, VECTORS, strict=True)}


def compare_vectors(served: dict[str, bytes], ids: tuple[str, ...] = IDS) -> tuple[list[Parity], Check]:
    vectors = line_up(NAMES, ids, VECTORS[: len(ids)], served)
    return parity_by_feature(vectors), vectors_equal_backfill(vectors)


def test_all_sent_and_decided_once_holds() -> None:
    assert decided_exactly_once(IDS, IDS, first_decisions=3, quarantined=0, failed=0).held


@pytest.mark.parametrize(
    ("decided", "first_decisions", "quarantined", "says"),
    [
        (("a", "b"), 2, 0, r"1 events have no decision \(first: c\)"),
        (("a", "b", "c", "z"), 4, 0, r"1 decisions are for events that were not sent \(first: z\)"),
        (("a", "b", "c"), 4, 0, "counted 4 decisions made, the table holds 3"),
        (("a", "b", "c"), 3, 1, "1 records were set aside though every event has a decision"),
    ],
)
def test_a_missing_an_unasked_and_a_second_decision_fail(
    decided: tuple[str, ...], first_decisions: int, quarantined: int, says: str
) -> None:
    check = decided_exactly_once(IDS, decided, first_decisions, quarantined, failed=0)

    assert not check.held
    assert re.search(says, check.detail)


def test_a_quarantined_event_is_accounted_for() -> None:
    assert decided_exactly_once(IDS, ("a", "b"), first_decisions=2, quarantined=1, failed=0).held


def test_equal_states_hold_and_one_other_byte_fails() -> None:
    expected = {"customer#4111": b"\x01\x02", "terminal#7": b"\x03"}

    assert state_equals_backfill(expected, dict(expected)).held
    check = state_equals_backfill(expected, expected | {"customer#4111": b"\x01\x03"})
    assert not check.held
    assert check.detail.startswith("1 of 2 differ, 0 are missing, 0 are not expected (entities: customer")
    assert not state_equals_backfill(expected, {"terminal#7": b"\x03"}).held
    assert not state_equals_backfill(expected, expected | {"terminal#8": b""}).held


def test_an_entitys_value_is_never_shown() -> None:
    assert "4111" not in state_equals_backfill({"customer#4111": b"a"}, {}).detail


def test_equal_vectors_hold_and_nan_equals_nan() -> None:
    parities, check = compare_vectors(served())

    assert check.held
    assert [(parity.compared, parity.different) for parity in parities] == [(3, 0), (3, 0)]


def test_the_first_difference_is_named_with_both_values() -> None:
    other = served() | {"b": np.array([2, 0.75], np.float32).tobytes()}

    parities, check = compare_vectors(other)

    assert not check.held
    assert "mean_7d of event b was served as 0.75, the backfill has 0.5" in check.detail
    assert (parities[0].different, parities[1].different, parities[1].largest_difference) == (0, 1, 0.25)


def test_zero_and_minus_zero_differ() -> None:
    other = served() | {"c": np.array([3, 0.0], np.float32).tobytes()}
    assert not compare_vectors(other)[1].held


def test_a_missing_vector_fails_even_if_the_others_are_equal() -> None:
    few = served()
    del few["b"]

    check = compare_vectors(few)[1]

    assert not check.held
    assert check.detail == "1 of 3 events have no vector"


def test_nothing_to_compare_is_not_parity() -> None:
    assert not compare_vectors({}, ())[1].held


def test_models_swapped_only_if_each_decided_alone_while_it_was_champion() -> None:
    whole = [("a", Counter({"a": 3})), ("b", Counter({"b": 1})), ("a", Counter({"a": 2}))]
    assert swapped_while_events_flowed(whole, 0).held
    mixed = [whole[0], ("b", Counter({"b": 1, "a": 1})), whole[2]]
    assert not swapped_while_events_flowed(mixed, 0).held
    nobody = [whole[0], ("b", Counter[str | None]()), whole[2]]
    assert "b did not decide alone" in swapped_while_events_flowed(nobody, 0).detail
    assert "1 events were decided without a model" in swapped_while_events_flowed(whole, 1).detail


def test_the_gate_refused_only_if_it_was_for_lack_of_labels() -> None:
    assert refused_by_the_gate(["coverage"]).held
    assert not refused_by_the_gate([]).held
    assert not refused_by_the_gate(["features"]).held


FORCED = Pointer("b", "0" * 64, reason="labels come later", forced=("coverage",))
FREE = Pointer("b", "0" * 64, reason="better")


def test_a_promotion_is_as_the_gate_said_and_the_pointer_says_so() -> None:
    assert promoted([], FREE, True, "all held").detail == "by the gate: all held"
    assert promoted(["coverage"], FORCED, False, "none").detail == (
        "by force, coverage failed (labels come later): none"
    )


@pytest.mark.parametrize(
    ("failed", "recorded", "enough"),
    [
        (["coverage"], FREE, False),
        ([], FORCED, False),
        (["coverage"], msgspec.structs.replace(FORCED, reason=""), False),
        (["coverage"], FORCED, True),
        ([], None, True),
    ],
)
def test_a_promotion_that_the_pointer_tells_otherwise_fails(
    failed: list[str], recorded: Pointer | None, enough: bool
) -> None:
    assert not promoted(failed, recorded, enough, "").held


def test_a_backtest_must_have_made_every_decision_again() -> None:
    def tried(**coverage: Any) -> Check:
        return backtested(msgspec.structs.replace(backtest([], NOTHING_KNOWN), coverage=Coverage(**coverage)))

    assert tried(read=3, decided=3).held
    assert not tried(read=3, decided=2, left_out={"why": 1}).held
    assert "1 left out: why" in tried(read=3, decided=2, left_out={"why": 1}).detail
    assert not tried(read=0, decided=0).held
    assert not backtested(None).held


@pytest.mark.parametrize("matured", [None, 3, 600])
def test_every_part_of_the_plan_has_events_and_some_are_left(matured: int | None) -> None:
    *parts, enough = Plan.of(1000, matured)
    assert enough == (matured is not None)
    assert min(parts) >= 1
    assert sum(parts) < 1000
    if matured:
        assert sum(parts[:2]) == matured


def test_shadow_equals_backtest_only_if_something_was_compared_and_nothing_differs() -> None:
    assert shadow_equals_backtest(5, 0).held
    assert not shadow_equals_backtest(5, 1).held
    assert not shadow_equals_backtest(0, 0).held
