"""The quality score of a file of events: what each part says, and that one bad part is enough."""

import msgspec
import pytest

from streamscore.retraining.quality import Counts, Part, quality, unreadable, with_part

GOOD = Counts(
    rows=10_000,
    refused=0,
    repeats=0,
    missing=0.0,
    due=10_000,
    due_labelled=10_000,
    labelled=10_000,
    positives=100,
    matured=10_000,
    days=30,
    span_days=30,
)


def score(**changes: float) -> float:
    return quality(msgspec.structs.replace(GOOD, **changes), 0.01).score


def test_a_file_without_fault_has_the_full_score() -> None:
    assert score() == 1.0


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"refused": 3_000}, "valid"),
        ({"repeats": 3_000}, "unique"),
        ({"missing": 0.3}, "complete"),
        ({"due_labelled": 3_000}, "labelled"),
        ({"positives": 1_000}, "label share"),
        ({"positives": 0}, "label share"),
        ({"positives": 10_000}, "label share"),
        ({"matured": 7_000}, "mature"),
        ({"days": 20}, "continuous"),
    ],
)
def test_one_bad_part_takes_it_below_the_threshold_and_is_the_worst(
    changes: dict[str, float], part: str
) -> None:
    found = quality(msgspec.structs.replace(GOOD, **changes), 0.01)
    assert found.score < 0.8
    assert min(found.parts, key=lambda name: found.parts[name].value) == part


def test_half_of_the_labels_that_are_due_are_enough_and_twice_the_positives_are_no_fault() -> None:
    assert score(due_labelled=5_000) == 1.0
    assert score(positives=200) == score(positives=50) == 1.0
    assert score(positives=1_600) == 0.0


def test_without_a_champion_any_share_of_both_kinds_will_do() -> None:
    assert quality(msgspec.structs.replace(GOOD, positives=4_000), None).score == 1.0


def test_a_file_without_rows_and_one_that_cannot_be_read_score_nothing() -> None:
    empty = Counts(
        rows=0, refused=0, repeats=0, missing=1.0, due=0, due_labelled=0, labelled=0, positives=0, matured=0,
        days=0, span_days=0,
    )  # fmt: skip
    assert quality(empty, 0.01).score == 0.0
    assert unreadable("no column amount").score == 0.0


def test_a_part_that_is_added_counts() -> None:
    assert with_part(quality(GOOD, 0.01), "labels fit", Part(0.5, "")).score == 0.5
