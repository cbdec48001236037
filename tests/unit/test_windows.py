"""Lambda's tumbling-window protocol, played by a small Lambda that may retry, cut and end windows early."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from monitor import baseline, windows
from monitor.bins import Bins
from monitor.decided import BARE, Layout, variables
from monitor.images import news
from monitor.labelled import LABELS, by_score
from monitor.sketch import total
from monitor.tally import Tally, Who, merged, nothing
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
