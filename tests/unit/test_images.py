"""Which writes to the decisions table are news."""

import math

from monitor import images
from tests.decision_images import change, decision


def counts(found: images.News) -> tuple[int, int, int]:
    return len(found.decided), len(found.labelled), len(found.unlabelled)


def test_a_decision_counts_when_it_is_made() -> None:
    (seen,) = images.news([change(decision(score=0.25, features=[1.0, 2.0], decision="review"))]).decided
    assert (seen.score, seen.decision, seen.model, seen.latency_ms) == (0.25, "review", "m1", 300)
    assert seen.features == b"\x00\x00\x80\x3f\x00\x00\x00\x40"


def test_a_later_write_to_a_decision_is_no_second_decision() -> None:
    made = decision()
    assert counts(images.news([change(made | {"second_path_score": {"N": "0.4"}}, made)])) == (0, 0, 0)


def test_an_expiry_is_no_news() -> None:
    assert counts(images.news([change(None, decision(label=True))])) == (0, 0, 0)


def test_a_label_counts_when_the_decision_is_there() -> None:
    found = images.news([change(decision(label=True), decision())])
    assert counts(found) == (0, 1, 0)
    assert found.labelled[0].label is True


def test_a_label_that_comes_first_counts_with_the_decision_not_with_its_stub() -> None:
    stub = decision(scored=False, label=False)
    assert counts(images.news([change(stub)])) == (0, 0, 0)
    assert counts(images.news([change(decision(label=False), stub)])) == (1, 1, 0)


def test_a_corrected_label_takes_the_old_one_back() -> None:
    found = images.news([change(decision(label=True), decision(label=False))])
    assert counts(found) == (0, 1, 1)
    assert (found.labelled[0].label, found.unlabelled[0].label) == (True, False)


def test_the_same_label_again_changes_nothing() -> None:
    labelled = decision(label=True)
    assert counts(images.news([change(labelled | {"label_time": {"N": "9"}}, labelled)])) == (0, 0, 0)


def test_a_decision_without_a_model_has_no_score_and_the_version_none() -> None:
    (seen,) = images.news([change(decision(model=None, score=None))]).decided
    assert seen.model == images.NO_MODEL
    assert math.isnan(seen.score)


def test_a_challengers_score_is_news_of_its_own_beside_the_champions() -> None:
    beside = {"challenger": {"M": {"model": {"S": "m2"}, "score": {"N": "0.7"}}}}
    champion, challenger = images.news([change(decision(features=[1.0], label=True) | beside)]).labelled
    assert (champion.model, champion.challenger, champion.score) == ("m1", False, 0.5)
    assert (challenger.model, challenger.challenger, challenger.score) == ("m2", True, 0.7)
    assert (challenger.features, challenger.label, challenger.decision) == (champion.features, True, "")
    assert math.isnan(challenger.latency_ms)


def test_the_amount_is_the_kept_field_that_is_named() -> None:
    kept = {"kept": {"M": {"amount": {"N": "310.50"}, "category": {"S": "ecom"}}}}
    made = change(decision() | kept)
    assert images.news([made], "amount").decided[0].amount == 310.5
    for nothing in (None, "category", "fee"):
        assert math.isnan(images.news([made], nothing).decided[0].amount)


def test_the_day_is_that_of_the_decision_in_utc() -> None:
    last_ms = 1_795_564_799_999  # 2026-11-24T23:59:59.999Z
    days = [images.news([change(decision(scored_at_ms=last_ms + n))]).decided[0].day for n in (0, 1)]
    assert days == ["2026-11-24", "2026-11-25"]
