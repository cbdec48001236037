"""Every op over heads and tiles: the kernel against the oracle, with times drawn at the edges of both."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import InvalidInputError
from stream_features import any_order, looking_back, queries, recall
from stream_features.events import Event, Label, label_hash
from stream_features.kernel import Columns, Group, fold
from stream_features.spec_model import Entity, EventSpec, Feature, Field, Spec
from tests import oracle
from tests.folding import Folding
from tests.profiles import examples

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
T0 = 1_700_006_400_000  # a midnight

FIELDS = (
    Field("amount", "decimal", 2, optional=True, path=("amount",)),
    Field("n", "int", path=("n",)),
    Field("kind", "string", optional=True, path=("kind",)),
)
ECOM = (("kind", "ecom"),)
WINDOWS = (5 * MINUTE, HOUR, 13 * HOUR, 2 * DAY, 13 * DAY)


def made(**keys) -> Feature:
    name = "_".join(str(value) for value in keys.values())
    return Feature(name=name, hash=name, entity=keys.pop("entity", "card"), **keys)


def windowed(op: str, **keys) -> list[Feature]:
    return [made(op=op, window_ms=window, **keys) for window in WINDOWS]


FEATURES = (
    *windowed("count"),
    *windowed("count", where=ECOM),
    *windowed("count", delay_ms=HOUR),
    *windowed("sum", of="amount"),
    *windowed("sum", of="n", where=ECOM),
    *windowed("mean", of="amount", delay_ms=DAY),
    *windowed("mean", of="amount"),
    *windowed("std", of="amount"),
    *windowed("std", of="n"),
    *windowed("min", of="amount"),
    *windowed("max", of="amount", where=ECOM),
    *windowed("max", of="n", delay_ms=2 * HOUR),
    *windowed("distinct", of="kind"),
    *windowed("distinct", of="shop"),
    *windowed("distinct", of="n", where=ECOM),
    *windowed("is_new", of="shop"),
    *windowed("is_new", of="kind"),
    made(op="since_last"),
    made(op="last", of="amount"),
    made(op="same_as_last", of="kind"),
    *windowed("label_count"),
    *windowed("label_rate", delay_ms=HOUR),
    *windowed("label_rate", entity="shop", delay_ms=DAY),
    *windowed("count", entity="shop"),
)


def spec(exact_events: int = 3, features: tuple[Feature, ...] = FEATURES) -> Spec:
    event = EventSpec("id", "time", "fraud", fields=FIELDS, exact_events=exact_events)
    return Spec(event, (Entity("card", "card"), Entity("shop", "shop")), features)


steps = st.tuples(
    st.sampled_from([0, 0, MINUTE, 5 * MINUTE, HOUR, 12 * HOUR, DAY, 12 * DAY]),
    st.integers(0, 3),
    st.sampled_from([-1, 0, 0, 1]),
)
amounts = st.one_of(st.none(), st.integers(-500, 500), st.sampled_from([2**53, -(2**53), 2**31]))


@st.composite
def events(draw, time_ms: int) -> Event:
    card, shop = draw(st.sampled_from("aab")), draw(st.sampled_from("xyz"))
    values = (draw(amounts), draw(st.integers(-3, 3)), draw(st.sampled_from(["ecom", "pos", None])))
    return Event("", 0, time_ms, 0, None, (card, shop), values, ())


@st.composite
def labels(draw, time_ms: int) -> Label:
    name = draw(st.sampled_from("pqrstuvw"))
    owners = (draw(st.sampled_from("aab")), draw(st.sampled_from("xyz")))
    known_ms = T0 + draw(st.integers(0, 3))
    return Label(
        name, label_hash(name), time_ms, 0, draw(st.sampled_from([True, True, False])), known_ms, owners
    )


@st.composite
def histories(draw, size: int = 25):
    """Times wander on by steps that are tiles, each a millisecond off or not; some records are late."""
    now_ms, records = T0, []
    late = draw(st.booleans())
    for _ in range(draw(st.integers(0, size))):
        step, count, off = draw(steps)
        now_ms = max(now_ms + step * count + off, T0)
        back_ms = 0
        if late and draw(st.integers(0, 3)) == 0:
            step, count, off = draw(steps)
            back_ms = step * count + off
        time_ms = max(now_ms - back_ms, 0)
        records.append(draw(labels(time_ms) if draw(st.integers(0, 3)) == 0 else events(time_ms)))
    return records


def expected(of: Spec, records: list[Event | Label]) -> np.ndarray:
    nan = [np.float32("nan")] * len(of.features)
    rows = [nan if row is None else row for row in oracle.features(of, records)]
    return np.array(rows, np.float32).reshape(-1, len(of.features))


def assert_same(found: np.ndarray, wanted: np.ndarray, of: Spec) -> None:
    different = ~((found == wanted) | (np.isnan(found) & np.isnan(wanted)))
    first = [
        f"row {row}: {of.features[at].name}: {found[row, at]} for {wanted[row, at]}"
        for row, at in np.argwhere(different)[:5]
    ]
    assert not first, "\n".join(first)


@given(records=histories(), batch=st.integers(1, 26), exact=st.integers(1, 5))
def test_features_equal_the_oracles_over_heads_and_tiles(records, batch, exact):
    of = spec(exact)
    folding = Folding(of)
    parts = [folding.fold(records[i : i + batch]) for i in range(0, len(records), batch)]
    found = np.concatenate([np.empty((0, len(of.features)), np.float32), *parts])
    assert_same(found, expected(of, records), of)


MEANS = tuple(
    made(op="ewma", of=of, half_life_ms=half_life)
    for of in ("amount", "n")
    for half_life in (MINUTE, HOUR, 90 * DAY)
)


@given(records=histories(), data=st.data(), exact=st.integers(1, 5))
def test_state_bytes_do_not_depend_on_batching(records, data, exact):
    of = spec(exact, FEATURES + MEANS)
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=5).map(sorted))
    whole, parts = Folding(of), Folding(of)
    found = [whole.fold(records)]
    again = [
        parts.fold(records[start:stop]) for start, stop in zip([0, *cuts], [*cuts, len(records)], strict=True)
    ]
    assert_same(np.concatenate(again), found[0], of)
    assert whole.blobs == parts.blobs


@settings(max_examples=examples(25))
@given(records=histories(), exact=st.integers(1, 5))
def test_both_paths_write_the_same_bytes(records, exact):
    """An event long forgotten takes its entity through the plain path, and changes nothing."""
    records = sorted((r for r in records if isinstance(r, Event)), key=lambda r: r.time_ms)
    of = spec(exact, FEATURES + MEANS)
    fast, plain = Folding(of), Folding(of)
    for record in records:
        old = Event("", 0, 0, 0, None, record.entities, (1, 1, "old"), ())
        found, again = fast.fold([record]), plain.fold([record, old] if record.time_ms else [record])
        assert_same(again[:1], found, of)
    assert fast.blobs == plain.blobs


@settings(max_examples=examples(25))
@given(records=histories(), exact=st.integers(1, 5))
def test_features_alone_are_those_of_a_fold_that_keeps_and_change_no_state(records, exact):
    of = spec(exact, FEATURES + MEANS)
    events = [record for record in records if isinstance(record, Event)]
    folding = Folding(of)
    folding.fold(records)
    before = dict(folding.blobs)
    looked = folding.fold(events, keep=False)
    assert folding.blobs == before
    assert_same(looked, folding.fold(events), of)


@given(records=histories(size=15), exact=st.integers(1, 20))
def test_ewma_is_a_mean_with_weights_that_halve(records, exact):
    of = spec(exact, MEANS)
    records = [r for r in records if isinstance(r, Event)]
    found = Folding(of).fold(records)
    seen: dict[str, list[Event]] = {}
    newest: dict[str, int] = {}
    for row, record in enumerate(records):
        card = record.entities[0]
        own = seen.setdefault(card, [])
        if record.time_ms < newest.get(card, 0):
            return  # late events are the next test's
        newest[card] = record.time_ms
        if own and record.time_ms - own[-1].time_ms >= 90 * DAY:
            own.clear()
        own.append(record)
        for at, feature in enumerate(of.features):
            place = ["amount", "n"].index(feature.of)
            pairs = [(record.time_ms - e.time_ms, e.values[place]) for e in own]
            pairs = [(2.0 ** (-age / feature.half_life_ms), x) for age, x in pairs if x is not None]
            total = sum(weight for weight, _ in pairs)
            scale = 10 ** of.fields[feature.of].digits
            if total < 1e-290:
                continue
            wanted = sum(weight * x for weight, x in pairs) / total / scale
            size = max(abs(x) for _, x in pairs) / scale
            assert math.isclose(found[row, at], wanted, rel_tol=1e-6, abs_tol=1e-6 * size)


@given(records=histories(size=15))
def test_a_late_event_inside_the_head_leaves_ewma_as_if_it_had_come_in_time(records):
    of = spec(30, (*MEANS, made(op="count", window_ms=2 * DAY)))
    records = [r for r in records if isinstance(r, Event)]
    late, ordered = Folding(of), Folding(of)
    late.fold(records)
    ordered.fold(sorted(records, key=lambda r: r.time_ms))
    newest = max((r.time_ms for r in records), default=0)
    probes = [Event("", 0, newest + 1, 0, None, (card, "x"), (None, 0, None), ()) for card in "ab"]
    first = min((r.time_ms for r in records), default=0)
    if newest - first < 2 * DAY:  # else what is late may be forgotten
        assert_same(late.fold(probes), ordered.fold(probes), of)


def test_distinct_values_beyond_128_are_not_told_apart():
    of = spec(3, (made(op="distinct", of="n", window_ms=DAY), made(op="is_new", of="n", window_ms=DAY)))
    records = [Event("", 0, T0 + 1000 * n, 0, None, ("a", "x"), (0, n, None), ()) for n in range(140)]
    again = [Event("", 0, T0 + 200_000 + n, 0, None, ("a", "x"), (0, n, None), ()) for n in (139, 12, 11)]
    found = Folding(of).fold(records)
    assert found[-1, 0] == 128
    assert found[:, 1].all()
    folding = Folding(of)
    folding.fold(records)
    assert folding.fold(again)[:, 1].tolist() == [0, 0, 1]  # of 0 to 139 the newest 128 are known
    assert Folding(of).fold([*records, *again])[-3:, 1].tolist() == [0, 0, 1]


def crowded(exact: int, *windows: int) -> Spec:
    return spec(
        exact, tuple(made(op=op, of="n", window_ms=w) for op in ("distinct", "is_new") for w in windows)
    )


def assert_a_crowd_is_the_same_in_any_batching(of: Spec, values: list[int], batch: int) -> None:
    records = [
        Event("", 0, T0 + 60_000 * n, 0, None, ("a", "x"), (0, v, None), ()) for n, v in enumerate(values)
    ]
    whole, parts = Folding(of), Folding(of)
    found = whole.fold(records)
    again = [parts.fold(records[at : at + batch]) for at in range(0, len(values), batch)]
    assert_same(np.concatenate(again), found, of)
    assert whole.blobs == parts.blobs
    assert_same(found, expected(of, records), of)


@settings(max_examples=examples(3, 100))  # each takes the oracle long: the night's many are of smaller crowds
@given(seed=st.integers(0, 2**32), batch=st.integers(1, 400))
def test_crowds_of_values_are_the_same_in_any_batching(seed, batch):
    values = np.random.default_rng(seed).integers(0, 200, 400).tolist()
    assert_a_crowd_is_the_same_in_any_batching(crowded(20, HOUR, DAY), values, batch)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), kinds=st.integers(6, 30), batch=st.integers(1, 40))
def test_crowds_beyond_a_memory_of_few_are_the_same_in_any_batching(monkeypatch, seed, kinds, batch):
    for module in (any_order, looking_back, queries, recall, oracle):
        monkeypatch.setattr(module, "REMEMBERED_VALUES", 8)
    values = np.random.default_rng(seed).integers(0, kinds, 40).tolist()
    assert_a_crowd_is_the_same_in_any_batching(crowded(5, 10 * MINUTE, DAY), values, batch)


@pytest.mark.parametrize("long", [0, 2**17])
def test_values_are_told_apart_alike_in_short_and_long_arrays(monkeypatch, long):
    monkeypatch.setattr(recall, "_LONG", long)
    features = tuple(made(op="distinct", of="n", window_ms=w) for w in (HOUR, DAY))
    of = spec(20, features)
    values = np.random.default_rng(5).integers(0, 60, 300).tolist()
    records = [
        Event("", 0, T0 + 60_000 * n, 0, None, ("ab"[n % 2], "x"), (0, v, None), ())
        for n, v in enumerate(values)
    ]
    lane = Folding(of)
    found = np.concatenate([lane.fold(records[at : at + 70]) for at in range(0, 300, 70)])
    assert_same(found, expected(of, records), of)


def test_state_of_a_very_busy_entity_stays_small():
    of = spec(128, (made(op="mean", of="amount", window_ms=90 * DAY), made(op="count", window_ms=HOUR)))
    random = np.random.default_rng(1)
    times = np.sort(random.integers(0, 100 * DAY, 200_000)) + T0
    columns = Columns(
        times,
        np.ones(len(times), np.bool_),
        {"amount": random.integers(0, 10**6, len(times))},
        np.zeros(len(times), np.bool_),
    )
    groups = [Group(np.zeros(len(times), np.int32), [b""], np.ones(len(times), np.bool_))] * 2
    assert len(fold(of, columns, groups).blobs[0][0]) < 8_000


@pytest.mark.parametrize("exact", [1, 3])
def test_a_window_inside_the_head_is_exact_and_a_longer_one_starts_at_a_tile(exact):
    of = spec(exact, (made(op="count", window_ms=2 * MINUTE), made(op="count", window_ms=13 * HOUR)))
    records = [
        Event("", 0, T0 + MINUTE * n, 0, None, ("a", "x"), (0, 0, None), ())
        for n in (0, 1, 2, 3, 13 * 60 + 2)
    ]
    found = Folding(of).fold(records)
    assert found[:, 1].tolist() == [1, 2, 3, 4, 5 if exact == 1 else 2]


def hourly(count: int) -> list[Event]:
    return [
        Event("", 0, T0 + HOUR * n, 0, None, ("a", "x"), (100 * n, n, "ecom" if n % 2 else "pos"), ())
        for n in range(count)
    ]


def test_a_window_added_on_what_is_kept_is_filled_at_once():
    old = (made(op="sum", of="n", window_ms=13 * DAY), made(op="min", of="amount", window_ms=2 * DAY))
    new = (
        *old,
        *windowed("sum", of="n"),
        *windowed("mean", of="n"),
        *windowed("count"),
        *windowed("min", of="amount"),
    )
    folding, always = Folding(spec(3, old)), Folding(spec(3, new))
    always.fold(hourly(200))
    folding.fold(hourly(200))
    folding.spec = spec(3, new)
    probe = [Event("", 0, T0 + 200 * HOUR, 0, None, ("a", "x"), (None, 7, None), ())]
    found, wanted = folding.fold(probe), always.fold(probe)
    # The least amount was kept for two days only; of sums and counts nothing is missing.
    known = [at for at, f in enumerate(new) if f.op != "min" or f.window_ms <= 2 * DAY]
    assert_same(found[:, known], wanted[:, known], spec(3, tuple(new[at] for at in known)))


def test_a_measure_that_tiles_lack_starts_from_what_the_head_knows():
    folding = Folding(spec(3, (made(op="sum", of="n", window_ms=13 * DAY),)))
    folding.fold(hourly(200))
    folding.spec = spec(
        3, (made(op="max", of="n", window_ms=13 * DAY), made(op="count", window_ms=13 * DAY, where=ECOM))
    )
    found = folding.fold([Event("", 0, T0 + 200 * HOUR, 0, None, ("a", "x"), (0, -9, "ecom"), ())])
    assert found[0].tolist() == [199.0, 1.0]  # `where` was not kept of any event before


def test_a_head_made_shorter_pushes_its_oldest_into_tiles():
    folding, always = Folding(spec(9)), Folding(spec(2))
    folding.fold(hourly(9))
    always.fold(hourly(9))
    folding.spec = spec(2)
    after = [Event("", 0, T0 + 9 * HOUR, 0, None, ("a", "x"), (5, 5, None), ())]
    folding.fold(after)
    always.fold(after)
    assert folding.blobs == always.blobs


def test_a_blob_of_a_later_version_is_refused_with_what_to_do():
    folding = Folding(spec(3))
    folding.fold(hourly(3))
    folding.blobs[0, "a"] = b"\x63" + folding.blobs[0, "a"][1:]
    with pytest.raises(InvalidInputError, match="version 99, this code reads 2; deploy the newer code"):
        folding.fold(hourly(1))


@pytest.mark.parametrize("batch", [1, 7])
def test_what_is_forgotten_does_not_make_label_windows_begin_at_a_tile(batch):
    """The first event has left the head and been forgotten: nothing is tiled, so edges are exact."""
    of = spec(2, (made(op="label_count", window_ms=2 * DAY), made(op="count", window_ms=2 * DAY)))
    now = T0 + 40 * DAY + 30 * MINUTE
    moments = [T0, now - 3 * MINUTE, now - 2 * MINUTE, now - MINUTE]
    records: list[Event | Label] = [Event("", 0, at, 0, None, ("a", "x"), (0, 0, None), ()) for at in moments]
    early = now - 2 * DAY - 15 * MINUTE  # outside of the window, inside of the tile of its edge
    records[2:2] = [Label("p", label_hash("p"), early, 0, True, now, ("a", "x"))]
    records.append(Event("", 0, now, 0, None, ("a", "x"), (0, 0, None), ()))
    folding = Folding(of)
    found = np.concatenate([folding.fold(records[i : i + batch]) for i in range(0, len(records), batch)])
    assert_same(found, expected(of, records), of)
    assert found[3].tolist() == [0.0, 2.0]


@pytest.mark.parametrize("batch", [1, 5])
def test_squares_of_a_tile_may_leave_64_bits(batch):
    of = spec(1, (made(op="std", of="n", window_ms=2 * DAY),))
    numbers = [2**31, 2**31, 5, 6, 7]
    records = [Event("", 0, T0 + n, 0, None, ("a", "x"), (0, v, None), ()) for n, v in enumerate(numbers)]
    folding = Folding(of)
    found = np.concatenate([folding.fold(records[i : i + batch]) for i in range(0, 5, batch)])
    assert_same(found, expected(of, records), of)
