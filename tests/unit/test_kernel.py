"""The kernel against `tests/oracle.py`, bit for bit, for any history and any split into batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_features.events import Event, Label, label_hash
from stream_features.kernel import Columns, Group, fold
from stream_features.spec import Spec, parse
from tests import oracle
from tests.folding import Folding

HEAD = """
[event]
id = "id"
time = "at"
label = "fraud"
fields = { amount = "decimal(2)?", n = "int", ok = "bool", lat = "float?" }
[entities]
card = "card"
shop = "shop"
"""
FEATURES = """
[[feature]]
name = "amount_now"
op = "value"
of = "amount"
[[feature]]
name = "lat_now"
op = "value"
of = "lat"
default = -1
[[feature]]
name = "weekend"
op = "is_weekend"
[[feature]]
name = "night"
op = "hour_between"
hours = [22, 4]
[[feature]]
name = "hour"
op = "hour"
[[feature]]
name = "weekday"
op = "weekday"
[[feature]]
name = "count_{window}"
entity = "card"
op = "count"
windows = ["1s", "4s"]
[[feature]]
name = "sum_{window}"
entity = "card"
op = "sum"
of = "amount"
windows = ["1s", "4s"]
[[feature]]
name = "mean_{window}"
entity = "card"
op = "mean"
of = "amount"
windows = ["2s", "4s"]
[[feature]]
name = "n_mean"
entity = "card"
op = "mean"
of = "n"
windows = ["3s"]
delay = "1s"
[[feature]]
name = "ok_sum"
entity = "shop"
op = "sum"
of = "ok"
windows = ["3s"]
[[feature]]
name = "shop_count_{window}"
entity = "shop"
op = "count"
windows = ["1s", "3s"]
delay = "2s"
[[feature]]
name = "shop_frauds"
entity = "shop"
op = "label_count"
windows = ["3s"]
[[feature]]
name = "shop_risk_{window}"
entity = "shop"
op = "label_rate"
windows = ["1s", "3s"]
delay = "2s"
default = 0.0
[[feature]]
name = "shop_risk_raw"
entity = "shop"
op = "label_rate"
windows = ["2s"]
"""
SPEC = parse(HEAD + FEATURES)
T0 = 1_700_000_000_000

# Times that lie on window edges and one millisecond to either side; random times would miss them.
times = st.builds(
    lambda second, off: T0 + 1000 * second + off, st.integers(0, 12), st.sampled_from([-1, 0, 0, 0, 1, 500])
)
amounts = st.one_of(
    st.none(), st.integers(-500, 500), st.sampled_from([2**53, -(2**53), 2**31, -(2**31), 2**31 - 1])
)


@st.composite
def events(draw) -> Event:
    amount, lat = draw(amounts), draw(st.one_of(st.none(), st.floats(-90, 90)))
    return Event(
        id="",
        id_hash=0,
        time_ms=draw(times),
        arrival_ms=0,
        trace=None,
        entities=(draw(st.sampled_from("ab")), draw(st.sampled_from("xy"))),
        values=(amount, draw(st.integers(-5, 5)), draw(st.booleans()), lat),
        kept=(),
    )


@st.composite
def labels(draw) -> Label:
    name = draw(st.sampled_from("pqrstuvw"))
    return Label(
        id=name,
        id_hash=label_hash(name),
        time_ms=draw(times),
        arrival_ms=0,
        label=draw(st.booleans()),
        label_time_ms=T0 + draw(st.integers(0, 3)),
        entities=(draw(st.sampled_from("ab")), draw(st.sampled_from("xy"))),
    )


arrival_orders = st.lists(st.one_of(events(), events(), labels()), max_size=40)
histories = st.one_of(
    arrival_orders, arrival_orders.map(lambda records: sorted(records, key=lambda r: r.time_ms))
)


def event(at_ms: int, amount: int | None = 0, card: str = "a", shop: str = "x") -> Event:
    return Event(
        id="",
        id_hash=0,
        time_ms=T0 + at_ms,
        arrival_ms=0,
        trace=None,
        entities=(card, shop),
        values=(amount, 0, False, None),
        kept=(),
    )


def label(name: str, at_ms: int, answer: bool = True, known_ms: int = 0) -> Label:
    return Label(
        id=name,
        id_hash=label_hash(name),
        time_ms=T0 + at_ms,
        arrival_ms=0,
        label=answer,
        label_time_ms=T0 + known_ms,
        entities=("a", "x"),
    )


def column(features: np.ndarray, name: str) -> list[float]:
    return features[:, SPEC.feature_names.index(name)].tolist()


def expected(spec: Spec, records: list[Event | Label], applies=None) -> np.ndarray:
    nan = [np.float32("nan")] * len(spec.features)
    rows = oracle.features(spec, records, applies)
    return np.array([nan if row is None else row for row in rows], np.float32).reshape(-1, len(spec.features))


def same_bits(left: np.ndarray, right: np.ndarray) -> None:
    np.testing.assert_array_equal(left, right)  # NaN equals NaN here
    assert left.dtype == right.dtype == np.float32


@given(records=histories, batch=st.integers(1, 41))
def test_features_equal_the_oracles_in_any_order_and_any_batching(records, batch):
    folding = Folding(SPEC)
    parts = [folding.fold(records[i : i + batch]) for i in range(0, len(records), batch)]
    same_bits(
        np.concatenate([np.empty((0, len(SPEC.features)), np.float32), *parts]), expected(SPEC, records)
    )


@given(records=histories, data=st.data())
def test_state_bytes_do_not_depend_on_batching(records, data):
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=5).map(sorted))
    whole, parts = Folding(SPEC), Folding(SPEC)
    whole.fold(records)
    for start, stop in zip([0, *cuts], [*cuts, len(records)], strict=True):
        parts.fold(records[start:stop])
    assert whole.blobs == parts.blobs


@given(records=histories, data=st.data(), batch=st.integers(1, 41))
def test_rows_that_do_not_apply_only_read(records, data, batch):
    applies = [tuple(data.draw(st.booleans()) for _ in SPEC.entities) for _ in records]
    folding = Folding(SPEC)
    parts = [
        folding.fold(records[i : i + batch], applies[i : i + batch]) for i in range(0, len(records), batch)
    ]
    found = np.concatenate([np.empty((0, len(SPEC.features)), np.float32), *parts])
    same_bits(found, expected(SPEC, records, applies))


def test_a_window_is_open_at_its_start_and_closed_at_its_end():
    features = Folding(SPEC).fold([event(0), event(999), event(1000), event(2000)])
    assert column(features, "count_1s") == [1, 2, 2, 1]  # (t - 1 s, t]


def test_a_delayed_window_ends_at_the_delay_and_includes_that_end():
    features = Folding(SPEC).fold([event(0), event(1999), event(2000), event(2999), event(3000)])
    assert column(features, "shop_count_1s") == [0, 0, 1, 1, 0]  # (t - 3 s, t - 2 s]


def test_of_two_events_at_one_time_the_first_does_not_see_the_second():
    features = Folding(SPEC).fold([event(0, 100), event(0, 300)])
    assert column(features, "sum_1s") == [1.0, 4.0]
    assert column(features, "mean_2s") == [1.0, 2.0]


def test_a_late_event_is_seen_by_later_arrivals_only():
    features = Folding(SPEC).fold([event(0), event(500), event(100), event(600)])
    assert column(features, "count_1s") == [1, 2, 2, 4]


def test_an_event_behind_the_horizon_sees_itself_alone_and_is_forgotten():
    """The horizon is 5 s, and what is forgotten is what lies before the tile in which it begins."""
    folding = Folding(SPEC)
    now, old = 600_000 - T0 % 300_000, 299_999 - T0 % 300_000
    assert column(folding.fold([event(0), event(now), event(old), event(old + 1)]), "count_4s") == [
        1,
        1,
        1,
        1,
    ]
    assert column(folding.fold([event(now + 1)]), "count_4s") == [2]


def test_missing_values_count_as_events_and_not_as_numbers():
    features = Folding(SPEC).fold([event(0, None), event(1, 250)])
    assert column(features, "count_1s") == [1, 2]
    assert column(features, "sum_1s") == [0.0, 2.5]
    assert np.isnan(column(features, "mean_2s")[0])
    assert column(features, "mean_2s")[1] == 2.5


def test_a_default_stands_for_what_is_unknown():
    features = Folding(SPEC).fold([event(0)])
    assert column(features, "lat_now") == [-1.0]
    assert column(features, "shop_risk_1s") == [0.0]


def test_a_label_counts_at_its_events_time_for_events_that_arrive_after_it():
    features = Folding(SPEC).fold([event(0), event(100), label("p", 0), event(200), event(2999), event(3000)])
    assert column(features, "shop_frauds")[:2] == [0, 0]
    assert np.isnan(column(features, "shop_frauds")[2])
    assert column(features, "shop_frauds")[3:] == [1, 1, 0]


def test_a_repeated_label_changes_nothing_and_a_later_correction_replaces():
    folding = Folding(SPEC)
    folding.fold([event(0), label("p", 0, True, known_ms=1)])
    before = dict(folding.blobs)
    folding.fold([label("p", 0, True, known_ms=1), label("p", 0, False, known_ms=0)])
    assert folding.blobs == before
    assert column(folding.fold([event(1)]), "shop_frauds") == [1]
    folding.fold([label("p", 0, False, known_ms=2)])
    assert column(folding.fold([event(2)]), "shop_frauds") == [0]


def test_more_labels_than_are_remembered_count_again():
    folding = Folding(SPEC)
    folding.fold([event(0), *[label(str(i), 0) for i in range(65)]])
    assert column(folding.fold([label("1", 0), event(1)]), "shop_frauds")[1] == 65
    assert column(folding.fold([label("0", 0), event(2)]), "shop_frauds")[1] == 66


def test_sums_beyond_int64_stay_exact():
    features = Folding(SPEC).fold([event(0, 2**53 - i % 2) for i in range(1100)])
    assert column(features, "sum_1s")[-1] == np.float32((1100 * 2**53 - 550) / 100)


def test_what_did_not_change_is_the_same_object():
    folding = Folding(SPEC)
    folding.fold([event(0), label("p", 0)])
    before = dict(folding.blobs)
    folding.fold([event(1)], [(False, False)])
    folding.fold([label("p", 0)])
    assert all(folding.blobs[key] is blob for key, blob in before.items())


def test_without_emit_states_are_the_same_and_features_are_nan():
    records = [event(0), event(5), event(3), label("p", 0)]
    columns = Columns.from_records(SPEC, records)
    apply = np.array([True, False, True, True])
    groups = [Group(np.zeros(4, np.int32), [b""], apply)] * 2
    silent, loud = fold(SPEC, columns, groups, emit=False), fold(SPEC, columns, groups)
    assert silent.blobs == loud.blobs
    assert np.isnan(silent.features).all()


def test_an_empty_batch_gives_nothing():
    groups = [Group(np.zeros(0, np.int32), [], np.zeros(0, np.bool_))] * 2
    folded = fold(SPEC, Columns.from_records(SPEC, []), groups)
    assert folded.features.shape == (0, len(SPEC.features))
    assert folded.blobs == [[], []]


def test_times_too_far_apart_for_one_sort_key_are_folded_all_the_same():
    crowd = [event(0, card=str(i)) for i in range(50)]
    features = Folding(SPEC).fold([*crowd, event(2**58), event(2**58 + 1)])
    assert column(features, "count_1s") == [1] * 51 + [2]


def test_a_new_column_knows_what_older_state_still_has():
    """A state written for another spec keeps its points; columns it lacks are missing values."""
    start, stop = (
        FEATURES.index('[[feature]]\nname = "n_mean"'),
        FEATURES.index('[[feature]]\nname = "ok_sum"'),
    )
    folding = Folding(parse(HEAD + FEATURES[:start] + FEATURES[stop:]))
    folding.fold([event(0, 2**40), event(1, None)])
    folding.spec = SPEC
    features = folding.fold([event(1001, 100), event(2002)])
    assert column(features, "sum_4s")[0] == np.float32((2**40 + 100) / 100)
    assert np.isnan(column(features, "n_mean")[0])
    assert column(features, "n_mean")[1] == 0.0


def test_both_paths_write_the_same_bytes():
    """An event behind the horizon is forgotten, and takes its entity through the plain path."""
    records = [event(0, 1), event(5, 3), event(5, 2), event(4000, 7), event(4000, 6)]
    fast, plain = Folding(SPEC), Folding(SPEC)
    fast.fold(records)
    plain.fold([*records, event(-600_000)])
    assert fast.blobs[0, "a"] == plain.blobs[0, "a"]


@pytest.mark.parametrize(
    "amount", [2**31 - 2, 2**31 - 1, 2**31, 2**32, 1 - 2**31, -(2**31), -(2**31) - 1, 2**53]
)
def test_values_of_any_size_survive_in_the_state(amount):
    folding = Folding(SPEC)
    folding.fold([event(0, amount), event(0, None)])
    assert column(folding.fold([event(1, 0)]), "sum_4s") == [np.float32(amount / 100)]


def test_of_two_labels_of_one_time_the_first_stands():
    folding = Folding(SPEC)
    folding.fold([event(0), label("p", 0, True, known_ms=1), label("p", 0, False, known_ms=1)])
    assert column(folding.fold([event(1)]), "shop_frauds") == [1]
