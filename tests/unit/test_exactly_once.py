"""Exactly-once effect of the real protocol, verdicts, codec and kernel, under every fault the model knows.

The faults, the hand-made streams and the invariants are those of the model that proved the rules; here they
run over the code and a table in memory. tests/integration/test_exactly_once_store.py takes the real table.
"""

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_features import protocol, verdict
from stream_features.protocol import Applied, Read, Saved, apply_delivery
from stream_features.state import CUTOVER_KEY, Stored
from stream_features.verdict import Delivery
from tests.exactly_once import Table, World, marked
from tests.exactly_once_rules import assert_each_counted_once, assert_no_row_saw_an_event_twice, assert_same
from tests.exactly_once_streams import (
    BY_HAND,
    DAY_MS,
    NAMES,
    SPEC,
    T0_MS,
    cut,
    event,
    label,
    many_shards,
    one_shard,
    stream,
)
from tests.profiles import examples

hard = settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
chance = st.randoms(use_true_random=False)


@pytest.mark.parametrize("streams", BY_HAND.values(), ids=BY_HAND)
@pytest.mark.parametrize("remembered", [2, 64])
@settings(hard, max_examples=examples(40, 2 * len(BY_HAND)))
@given(chance)
def test_whatever_goes_wrong_the_tables_and_the_rows_are_those_of_a_quiet_run(
    monkeypatch, remembered, streams, chance
):
    monkeypatch.setattr(verdict, "REMEMBERED_IDS", remembered)
    monkeypatch.setattr(verdict, "REMEMBERED_LABELS", remembered)
    assert_same(streams, chance, faults=3)


@pytest.mark.parametrize("streams", BY_HAND.values(), ids=BY_HAND)
@settings(hard, max_examples=examples(10, len(BY_HAND)))
@given(chance)
def test_a_batch_whose_items_would_be_too_large_is_applied_in_halves_with_the_same_outcome(
    monkeypatch, streams, chance
):
    """No item is small enough here, so that every batch is taken apart to single records."""
    monkeypatch.setattr(protocol, "MOST_ITEM_BYTES", 0)
    assert_same(streams, chance, faults=3)


def test_a_duplicate_in_one_half_is_noted_by_the_half_that_passes_it(monkeypatch):
    """Its own half writes no primary; delivered again, it would be a replay, new to the terminal."""
    monkeypatch.setattr(protocol, "MOST_ITEM_BYTES", 0)
    records = [event("a", 1, "C1"), event("a", 1, "C1"), event("b", 2, "C1", "U")]
    keys = [(f"customer#{r.entities[0]}", f"terminal#{r.entities[1]}") for r in records]
    delivery = Delivery(1, (1, 0), records, [(n, 0) for n in range(1, 4)], keys)
    table = Table()
    _run(apply_delivery(SPEC, delivery, T0_MS), table)
    before = dict(table.items)
    assert _run(apply_delivery(SPEC, delivery, T0_MS), table).done == []
    assert table.items == before


def test_halves_are_as_large_as_an_item_can_hold(monkeypatch):
    records = [event(chr(ord("a") + n), n, "C1") for n in range(8)]
    delivery = Delivery(1, (1, 0), records, [(n, 0) for n in range(8)], [KEYS] * 8)
    whole, table = Table(), Table()
    _run(apply_delivery(SPEC, delivery, T0_MS), whole)
    monkeypatch.setattr(protocol, "MOST_ITEM_BYTES", 700)
    applied = _run(apply_delivery(SPEC, delivery, T0_MS), table)
    writes = [write for write in applied.done if write.pk == "customer#C1"]
    assert 1 < len(writes) < 8
    assert all(write.size <= 700 for write in writes)
    assert (applied.unfinished, table.rows) == (None, whole.rows)


@hard
@given(one_shard(), chance)
def test_any_stream_of_one_shard_under_any_faults_ends_as_in_a_quiet_run(streams, chance):
    assert_same(streams, chance, faults=6)


@hard
@given(many_shards(corrections=True), chance)
def test_lanes_that_share_terminals_count_every_record_once_and_emit_each_row_once(case, chance):
    streams, parents = case
    assert_each_counted_once(World(streams, chance.randrange, 6, parents).run(), streams)


@hard
@given(many_shards(), chance)
def test_a_record_given_up_and_redriven_is_counted_once_by_every_entity(case, chance):
    streams, parents = case
    assert_each_counted_once(World(streams, chance.randrange, 8, parents, give_ups=1).run(), streams)


@hard
@given(many_shards(), chance)
def test_a_record_sent_to_sibling_shards_too_is_counted_once_and_emitted_once(case, chance):
    streams, parents = case
    first, second = list(streams)[:2]
    again = {second: [*streams[second], (999, streams[first][0][1])]}
    streams = {**streams, **again}
    world = World(streams, chance.randrange, 6, parents).run()
    assert_no_row_saw_an_event_twice(world)
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(), chance, st.integers(0, len(NAMES)), st.sampled_from([0, DAY_MS]))
def test_what_a_cut_over_covers_is_not_applied_not_emitted_and_holds_nothing_up(case, chance, minute, known):
    """The events' times are a minute apart, and so are the labels', a day later."""
    streams, parents = case
    cutover_ms = T0_MS + (ord("a") + minute) * 60_000 + known
    world = World(streams, chance.randrange, 6, parents, table=marked(cutover_ms)).run()
    rest = cut(streams, cutover_ms)
    assert_each_counted_once(world, rest)
    assert world.table.items.keys() - {CUTOVER_KEY} == {
        f"{entity}#{value}"
        for entries in rest.values()
        for _, inside in entries
        for r in inside
        for entity, value in zip(("customer", "terminal"), r.entities, strict=True)
    }


@pytest.mark.parametrize(("after_ms", "passed_over"), [(-1, 0), (0, 1), (1, 1)])
def test_a_cut_over_covers_its_own_millisecond(after_ms, passed_over):
    for record, at_ms in (
        (event("a", 1, "C1"), T0_MS + 60_000),
        (label("a", 1, "C1"), T0_MS + 60_000 + DAY_MS),
    ):
        world = World(stream(record), lambda n: 0, table=marked(at_ms + after_ms)).run()
        assert world.before_cutover == passed_over
        assert len(world.table.rows) == 1 - passed_over


def test_a_mark_moved_between_two_batches_is_seen_by_the_second():
    world = World(stream(*(event(name, n, "C1") for n, name in enumerate("abc", 1))), lambda n: n - 1)
    while not world.table.rows:
        next(iter(world._moves()))()
    world.table.items[CUTOVER_KEY] = Stored(T0_MS + 2 * 60_000, b"", b"")
    world.run()
    assert [row.id for row in world.table.rows] == ["a", "c"]


def test_the_first_unfinished_record_is_told_by_its_place_among_those_passed_over_too():
    records = [event("a", 1, "C1"), event("b", 2, "C1"), event("c", 3, "C1")]
    delivery = Delivery(1, (1, 0), records, [(n, 0) for n in range(3)], [KEYS] * 3)
    steps: Any = apply_delivery(SPEC, delivery, T0_MS)
    next(steps)
    request = steps.send({CUTOVER_KEY: Stored(T0_MS + 60_000, b"", b"")})
    while isinstance(request, Read):
        request = steps.send({})
    with pytest.raises(StopIteration) as end:
        steps.send([Saved.UNFINISHED])
    assert (end.value.value.unfinished, end.value.value.before_cutover) == (1, 1)


def test_shared_items_are_read_before_primaries_so_no_vector_counts_a_siblings_event_twice():
    """B reads; then C, which was sent the same event, applies it whole; then B goes on with what it read."""
    b, c = (
        apply_delivery(SPEC, Delivery(shard, (1, 0), [r], [(1, 0)], [KEYS]), T0_MS + shard)
        for shard, r in ((1, event("a", 1, "C1")), (2, event("a", 1, "C1")))
    )
    table = Table()
    first = next(b)
    assert isinstance(first, Read)
    assert set(first.keys) == {CUTOVER_KEY, "terminal#T"}
    found = {key: table.items[key] for key in first.keys if key in table.items}
    _run(c, table)
    _run(b, table, found)
    assert [row.id for row in table.rows] == ["a"]


def test_shared_items_take_only_what_lies_below_the_lowest_record_whose_primary_is_not_durable():
    """C2's write is throttled once: till it is durable, no terminal holds what came after its first event."""
    (entries,) = BY_HAND["three at two terminals"].values()
    records = [record for _, inside in entries for record in inside]
    keys = [(f"customer#{r.entities[0]}", f"terminal#{r.entities[1]}") for r in records]
    delivery = Delivery(1, (1, 0), records, [(sequence, 0) for sequence, _ in entries], keys)
    quiet, table = Table(), Table()
    _run(apply_delivery(SPEC, delivery, T0_MS), quiet)
    applied = _run(apply_delivery(SPEC, delivery, T0_MS), table, throttled={"customer#C2"})
    assert (applied.unfinished, set(table.items)) == (1, {"customer#C1", "terminal#T"})
    _run(apply_delivery(SPEC, delivery.part(1, 4), T0_MS), table)
    assert sorted(table.rows, key=lambda row: row.id) == sorted(quiet.rows, key=lambda row: row.id)


KEYS = ("customer#C1", "terminal#T")


def _run(steps: Any, table: Table, answer: Any = None, throttled: Collection[str] = ()) -> Applied:
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as end:
            return end.value
        if isinstance(request, Read):
            answer = {key: table.items[key] for key in request.keys if key in table.items}
        else:
            answer = [Saved.UNFINISHED if w.pk in throttled else table.save(w) for w in request.writes]
