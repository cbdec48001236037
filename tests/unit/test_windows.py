"""Lambda's tumbling-window protocol, played by a small Lambda that may retry, cut and end windows early."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import baseline, windows
from monitor.bins import Bins
from monitor.decided import BARE, Layout, variables
from monitor.images import news
from monitor.labelled import LABELS, by_score
from monitor.sketch import Sketch, total
from monitor.tally import Tally, Who, merged, nothing
from scoring.bundle import Thresholds
from tests.decision_images import MODEL, batch, change, decision

LAYOUT = Layout((Bins("amount", (0.0, 10.0, 100.0)),), Bins("score", (0.0, 0.5, 1.0)))
MODELS = {MODEL: baseline.Model(LAYOUT, {"spec-1": [0]}), "none": baseline.Model()}
LAYOUTS = {version: model.layout for version, model in MODELS.items()}


def step(event: dict[str, Any]) -> tuple[dict[str, Any], list[windows.Item]]:
    window = windows.read(event)
    seen = baseline.observed(news(event["Records"]), MODELS)
    state, items = windows.close(window, merged(windows.unpack(window, LAYOUTS), seen))
    return json.loads(json.dumps(state)), items  # Lambda carries it as JSON


def play(batches: Sequence[Sequence[dict[str, Any]]], early_after: int = -1) -> dict[tuple[str, str], Any]:
    """Run one window to its end; an item written twice replaces the first, as in the table."""
    table: dict[tuple[str, str], Any] = {}
    state: dict[str, Any] = {}
    for number, records in enumerate(batches):
        early = number == early_after
        state, items = step(batch(records, state, final=early, early=early))
        table |= {(item.who.model, item.key): item.tally for item in items}
    _, items = step(batch([], state, final=True))
    return table | {(item.who.model, item.key): item.tally for item in items}


writes = st.lists(
    st.builds(
        lambda score, amount, label: change(decision(score=score, features=[amount], label=label)),
        st.floats(0, 1),
        st.floats(-10, 200),
        st.none() | st.booleans(),
    ),
    max_size=12,
)


@given(writes, st.lists(st.integers(0, 12), max_size=3), st.integers(-1, 3))
def test_any_batching_and_any_early_end_add_up_to_the_same_window(
    records: list[dict[str, Any]], cuts: list[int], early_after: int
) -> None:
    edges = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    batches = [records[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    whole, cut = play([records]), play(batches, early_after)
    assert same(sum(cut.values(), nothing(LAYOUT)), sum(whole.values(), nothing(LAYOUT)))


def same(one: Tally, other: Tally) -> bool:
    return one.decided == other.decided and one.labels == other.labels


def test_every_reply_carries_a_state_even_for_nothing() -> None:
    assert step(batch([])) == ({}, [])
    assert step(batch([], final=True)) == ({}, [])


def test_the_last_event_of_a_window_may_still_bring_records() -> None:
    state, _ = step(batch([change(decision("a"))]))
    _, (item,) = step(batch([change(decision("b"))], state, final=True))
    assert item.tally.decisions == 2


def test_items_are_keyed_by_model_window_shard_and_first_sequence() -> None:
    records = [change(decision("a"), sequence=7), change(decision("b", model=None), sequence=8)]
    _, items = step(batch(records, final=True))
    assert [(item.who.model, item.key) for item in items] == [
        ("m1", "2026-11-24T16:00:00Z#shardId-1#000000000000000000007"),
        ("none", "2026-11-24T16:00:00Z#shardId-1#000000000000000000007"),
    ]


def test_a_window_ended_early_is_not_overwritten_by_its_rest() -> None:
    table = play([[change(decision("a"))], [change(decision("b"))]], early_after=0)
    assert [tally.decisions for tally in table.values()] == [1, 1]


def test_repeating_the_last_event_writes_the_same_items() -> None:
    state, _ = step(batch([change(decision("a", label=True))]))
    _, first = step(batch([], state, final=True))
    _, again = step(batch([], state, final=True))
    assert first == again


def test_an_event_without_a_window_is_a_closed_window_of_its_own() -> None:
    event = {"Records": [change(decision("a"), sequence=5)]}
    state, (item,) = step(event)
    assert state == {}
    assert item.key == "2026-09-21T14:15:00Z#unwindowed#000000000000000000005"


def test_a_state_near_lambdas_bound_is_written_out_and_begun_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(windows, "MAX_STATE_BYTES", 50)
    state, (item,) = step(batch([change(decision("a"))]))
    assert state == {}
    assert item.tally.decisions == 1
    state, (item,) = step(batch([change(decision("b"))], state))
    assert item.tally.decisions == 1


def test_a_state_counted_on_other_bins_is_left_out_rather_than_blocking_the_shard() -> None:
    state, _ = step(batch([change(decision("a"))]))
    window = windows.read(batch([], state))
    assert windows.unpack(window, {MODEL: BARE}) == {}


def test_features_are_taken_from_where_the_spec_has_them() -> None:
    models = {MODEL: baseline.Model(LAYOUT, {"spec-1": [2]})}
    found = news([change(decision(features=[999.0, 999.0, 55.0]))])
    _, (_, counts, _) = variables(baseline.observed(found, models)[Who(MODEL)].decided)
    assert counts.tolist() == [0, 0, 1, 0, 0]


def test_rows_whose_spec_lacks_the_models_features_count_as_missing() -> None:
    for places in ({}, {"spec-1": None}):
        models = {MODEL: baseline.Model(LAYOUT, places)}
        found = baseline.observed(news([change(decision(features=[5.0]))]), models)
        _, (_, counts, _) = variables(found[Who(MODEL)].decided)
        assert counts.tolist() == [0, 0, 0, 0, 1]


def test_a_corrected_label_leaves_only_the_correction_counted() -> None:
    state, _ = step(batch([change(decision("a", label=False))]))
    corrected = change(decision("a", label=True), decision("a", label=False))
    _, (item,) = step(batch([corrected], state, final=True))
    negatives, positives = by_score(total(LABELS, item.tally.labels.values()))
    assert (negatives.sum(), positives.sum(), item.tally.decisions, item.tally.labelled) == (0, 1, 1, 1)


def challenged(
    event_id: str, score: float, challenger: str = "m2", label: bool | None = None
) -> dict[str, Any]:
    beside = {"model": {"S": challenger}, "score": {"N": str(score)}}
    return change(decision(event_id, features=[5.0], label=label) | {"challenger": {"M": beside}})


def test_a_challengers_rows_are_apart_and_decided_by_its_own_thresholds() -> None:
    models = MODELS | {"m2": baseline.Model(LAYOUT, {"spec-1": [0]}, Thresholds(review=0.6, block=0.9))}
    records = [challenged("a", 0.55), challenged("b", 0.6), challenged("c", 0.95)]
    found = baseline.observed(news(records), models)
    assert found.keys() == {Who(MODEL), Who("m2", challenger=True)}
    assert found[Who(MODEL)].decided.part("decisions").tolist() == [3, 0, 0]
    assert found[Who("m2", challenger=True)].decided.part("decisions").tolist() == [1, 1, 1]


def test_a_version_that_is_promoted_within_a_window_has_both_its_rows() -> None:
    models = MODELS | {"m2": baseline.Model(LAYOUT, {"spec-1": [0]})}
    records = [challenged("a", 0.5, label=True), change(decision("b", model="m2", features=[5.0]))]
    window = windows.read(batch(records, final=True))
    _, items = windows.close(window, baseline.observed(news(records), models))
    of_m2 = {item.key.removeprefix(items[0].key): item.tally for item in items if item.who.model == "m2"}
    assert {end: (tally.decisions, tally.labelled) for end, tally in of_m2.items()} == {
        "": (1, 0),
        "#challenger": (1, 1),
    }


def test_labels_are_kept_by_the_day_of_their_decision() -> None:
    monday, tuesday = 1_795_478_400_000, 1_795_564_800_000  # 2026-11-24, 2026-11-25
    records = [
        change(decision("a", label=True, scored_at_ms=monday), decision("a", scored_at_ms=monday)),
        change(decision("b", label=False, scored_at_ms=tuesday), decision("b", scored_at_ms=tuesday)),
    ]
    _, (item,) = step(batch(records, final=True))
    assert {day: by_score(sketch)[1].sum() for day, sketch in item.tally.labels.items()} == {
        "2026-11-24": 1,
        "2026-11-25": 0,
    }
    assert item.tally.decisions == 0


@pytest.mark.parametrize(("models", "written"), [(3, 0), (12, 12)])
def test_the_state_stays_within_lambdas_megabyte_whatever_is_counted(models: int, written: int) -> None:
    edges = tuple(np.linspace(0.0, 1.0, 200).tolist())
    layout = Layout(tuple(Bins(f"f{n}", edges) for n in range(230)), Bins("score", edges)).check()
    random = np.random.default_rng(1)
    full = {
        Who(f"m{n}"): Tally(Sketch(layout, random.integers(0, 1 << 16, layout.cells)), {})
        for n in range(models)
    }
    state, items = windows.close(windows.read(batch([change(decision())])), full)
    assert len(json.dumps(state)) < 1_000_000
    assert len(items) == written
    assert len(json.dumps(windows.pack("1", full))) > 1_000_000 or not written
