"""Exactly-once effect of the real protocol, verdicts, codec and kernel, under every fault the model knows.

The faults, the hand-made streams and the invariants are those of the model that proved the rules; here they
run over the code. To try harder: EXACTLY_ONCE_EXAMPLES=10000.
"""

import contextlib
import os
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_features import verdict
from stream_features.events import Event, Label
from stream_features.protocol import Read, Saved, apply_delivery
from stream_features.state import CUTOVER_KEY, LabelRow, Row, Stored, decode_item, shard_number
from stream_features.verdict import Delivery
from tests.exactly_once import (
    DAY_MS,
    SPEC,
    T0_MS,
    Streams,
    Table,
    World,
    assert_no_row_saw_an_event_twice,
    counted,
    event,
    expected,
    label,
)

hard = settings(
    max_examples=int(os.environ.get("EXACTLY_ONCE_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
chance = st.randoms(use_true_random=False)


def stream(*entries: Event | Label | list[Event | Label], shard: str = "A", first: int = 1) -> Streams:
    """One shard; an entry that is a list is a KPL aggregate."""
    return {shard: [(first + n, e if isinstance(e, list) else [e]) for n, e in enumerate(entries)]}


E, L = event, label
BY_HAND: dict[str, Streams] = {
    "two customers at one terminal": stream(E("a", 1, "C1"), E("b", 2, "C2")),
    "one customer twice": stream(E("a", 1, "C1"), E("b", 2, "C1")),
    "a duplicate in the batch": stream(E("a", 1, "C1"), E("a", 1, "C1"), E("b", 2, "C1")),
    "a duplicate, then its id forgotten": stream(
        E("a", 1, "C1"), E("a", 1, "C1"), E("b", 2, "C1", "U"), E("c", 3, "C1", "U")
    ),
    "a duplicate of a late event": stream(E("b", 5, "C1"), E("c", 6, "C1"), E("a", 1, "C1"), E("a", 1, "C1")),
    "aggregates": stream([E("a", 1, "C1"), E("b", 2, "C2")], [E("a", 1, "C1"), E("c", 3, "C1")]),
    "a label twice": stream(
        E("a", 1, "C1"), L("a", 1, "C1"), E("b", 2, "C1"), E("c", 3, "C1"), L("a", 1, "C1")
    ),
    "a label first": stream(L("a", 1, "C1"), E("a", 1, "C1"), L("a", 1, "C1")),
    "three at two terminals": stream(
        E("a", 1, "C1"), E("b", 2, "C2", "U"), E("c", 3, "C1", "U"), E("d", 4, "C2")
    ),
    "a duplicate beyond a reshard": {
        **stream(E("a", 1, "C1")),
        **stream(E("a", 1, "C1"), E("b", 2, "C1"), shard="B", first=5),
    },
}
PARENTS = {"B": "A"}


def tables(world: World) -> dict[str, tuple[bytes, bytes, bytes]]:
    """What items know, without versions and positions: those depend on how often a write was needed."""
    stored = {pk: stored for pk, stored in world.table.items.items() if pk != CUTOVER_KEY}
    items = {pk: decode_item(item, shard_number("A")) for pk, item in stored.items()}
    return {pk: (item.blob, item.ids, item.labels) for pk, item in items.items()}


def emitted(world: World) -> list[Row | LabelRow]:
    return sorted(world.table.rows, key=lambda row: (row.id, isinstance(row, LabelRow)))


def assert_same(streams: Streams, chance: Random, faults: int) -> None:
    quiet = World(streams, lambda n: 0, parents=PARENTS).run()
    troubled = World(streams, chance.randrange, faults, parents=PARENTS).run()
    assert emitted(troubled) == emitted(quiet)
    assert tables(troubled) == tables(quiet)


@pytest.mark.parametrize("streams", BY_HAND.values(), ids=BY_HAND)
@pytest.mark.parametrize("remembered", [2, 64])
@hard
@given(chance)
def test_whatever_goes_wrong_the_tables_and_the_rows_are_those_of_a_quiet_run(
    monkeypatch, remembered, streams, chance
):
    monkeypatch.setattr(verdict, "REMEMBERED_IDS", remembered)
    monkeypatch.setattr(verdict, "REMEMBERED_LABELS", remembered)
    assert_same(streams, chance, faults=3)


NAMES = "abcdefghij"


@st.composite
def one_shard(draw: st.DrawFn) -> Streams:
    """Up to ten records: some repeated, late, labels, or in aggregates; each event has one customer."""
    homes = {name: (f"C{draw(st.integers(1, 3))}", draw(st.sampled_from("TU"))) for name in NAMES}
    minutes = {name: draw(st.integers(0, 9)) for name in NAMES}
    kinds = st.tuples(st.sampled_from(NAMES), st.sampled_from([event, event, event, label]))
    picked = draw(st.lists(kinds, min_size=1, max_size=10))
    return stream(*_aggregates(draw, [make(name, minutes[name], *homes[name]) for name, make in picked]))


def _aggregates(draw: st.DrawFn, records: Sequence[Event | Label]) -> list[list[Event | Label]]:
    entries: list[list[Event | Label]] = []
    for record in records:
        if entries and draw(st.integers(0, 3)) == 3:
            entries[-1].append(record)
        else:
            entries.append([record])
    return entries


@hard
@given(one_shard(), chance)
def test_any_stream_of_one_shard_under_any_faults_ends_as_in_a_quiet_run(streams, chance):
    assert_same(streams, chance, faults=6)


@st.composite
def many_shards(draw: st.DrawFn) -> tuple[Streams, dict[str, str]]:
    """Up to three shards, the third a child of the first; customers keep to their shard, terminals do not."""
    names = list(draw(st.permutations(NAMES)))
    streams: Streams = {}
    for number, shard in enumerate("ABC"[: draw(st.integers(2, 3))]):
        records: list[Event | Label] = []
        for _ in range(draw(st.integers(1, 3))):
            name = names.pop()
            home = (f"{'A' if shard == 'C' else shard}{draw(st.integers(1, 2))}", draw(st.sampled_from("TU")))
            records += [make(name, ord(name), *home) for make in draw(st.sampled_from(_SHAPES))]
        streams |= stream(*_aggregates(draw, records), shard=shard, first=100 * number + 1)
    return streams, {"C": "A"}


_SHAPES = [(event,), (event, event), (event, label), (label, event, label)]


def assert_each_counted_once(world: World, streams: Streams) -> None:
    everything = [r for records in streams.values() for _, inside in records for r in inside]
    for entity, name in enumerate(("customer", "terminal")):
        for value in {r.entities[entity] for r in everything}:
            assert counted(world, name, value) == expected(streams, entity, value), value
    rows = [(row.id, isinstance(row, LabelRow)) for row in world.table.rows]
    assert sorted(rows) == sorted({(r.id, isinstance(r, Label)) for r in everything})


@hard
@given(many_shards(), chance)
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


def cut(streams: Streams, cutover_ms: int) -> Streams:
    """The streams without what is not later than the cut-over; positions stay."""

    def later(record: Event | Label) -> bool:
        return (record.time_ms if isinstance(record, Event) else record.label_time_ms) > cutover_ms

    return {
        shard: [(sequence, [r for r in inside if later(r)]) for sequence, inside in entries]
        for shard, entries in streams.items()
    }


@hard
@given(many_shards(), chance, st.integers(0, len(NAMES)), st.sampled_from([0, DAY_MS]))
def test_what_a_cut_over_covers_is_not_applied_not_emitted_and_holds_nothing_up(case, chance, minute, known):
    """The events' times are a minute apart, and so are the labels', a day later."""
    streams, parents = case
    cutover_ms = T0_MS + (ord("a") + minute) * 60_000 + known
    world = World(streams, chance.randrange, 6, parents, cutover_ms=cutover_ms).run()
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
    for record, at_ms in ((E("a", 1, "C1"), T0_MS + 60_000), (L("a", 1, "C1"), T0_MS + 60_000 + DAY_MS)):
        world = World(stream(record), lambda n: 0, cutover_ms=at_ms + after_ms).run()
        assert world.before_cutover == passed_over
        assert len(world.table.rows) == 1 - passed_over


def test_a_mark_moved_between_two_batches_is_seen_by_the_second():
    world = World(stream(E("a", 1, "C1"), E("b", 2, "C1"), E("c", 3, "C1")), lambda n: n - 1)
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


KEYS = ("customer#C1", "terminal#T")


def _run(steps: Any, table: Table, answer: Any = None) -> None:
    with contextlib.suppress(StopIteration):
        while True:
            request = steps.send(answer)
            if isinstance(request, Read):
                answer = {key: table.items[key] for key in request.keys if key in table.items}
            else:
                answer = [table.save(write) for write in request.writes]
