"""Exactly-once effect where a terminal is split among sub-items: the schedules of test_exactly_once again.

Three sub-items, and a terminal is split as soon as one, two or three shards are live in it, in the midst of
whatever else goes wrong. What all its items hold together has to be what one item would hold.
"""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_features.any_order import History
from stream_features.layout import layouts
from stream_features.sharing import Sharing
from tests.exactly_once import World, marked
from tests.exactly_once_rules import (
    assert_each_counted_once,
    assert_no_row_saw_an_event_twice,
    counted,
    emitted,
    expected,
    split_of,
    united,
)
from tests.exactly_once_streams import (
    BY_HAND,
    PARENTS,
    SPEC,
    T0_MS,
    Streams,
    correction,
    cut,
    event,
    label,
    many_shards,
    one_shard,
    stream,
)
from tests.profiles import examples

hard = settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
chance = st.randoms(use_true_random=False)
limits = st.sampled_from([Sharing(0, 3), Sharing(1, 3), Sharing(2, 3)])
AT_ONCE = Sharing(0, 3)


def split_world(
    streams: Streams, chance: Any, faults: int, parents: Any, sharing: Sharing, **more: Any
) -> World:
    world = World(streams, chance.randrange, faults, parents, sharing=sharing, **more).run()
    united(world)
    return world


@pytest.mark.parametrize("streams", BY_HAND.values(), ids=BY_HAND)
@settings(hard, max_examples=examples(40, len(BY_HAND)))
@given(chance)
def test_whatever_goes_wrong_rows_and_states_are_those_of_one_item_a_terminal(streams, chance):
    quiet = World(streams, lambda n: 0, parents=PARENTS).run()
    world = split_world(streams, chance, 3, PARENTS, AT_ONCE)
    assert split_of(world)
    assert (emitted(world), united(world)) == (emitted(quiet), united(quiet))


@hard
@given(one_shard(), chance)
def test_any_stream_of_one_shard_under_any_faults_ends_as_with_one_item_a_terminal(streams, chance):
    quiet = World(streams, lambda n: 0).run()
    world = split_world(streams, chance, 6, {}, AT_ONCE)
    assert emitted(world) == emitted(quiet)
    assert held(world) == held(quiet)


def held(world: World) -> dict[str, Any]:
    """Of each terminal its events and positives; of one instant in no order, for sub-items have none."""
    layout = layouts(SPEC)[1]
    found = {key: History.from_blob(layout, blob) for key, blob in united(world).items()}
    return {
        key: (sorted(zip(one.head_ms, one.head, strict=True)), one.positives, one.tiles, one.positive_tiles)
        for key, one in found.items()
    }


@hard
@given(many_shards(corrections=True, most=5), chance, limits)
def test_lanes_that_share_split_terminals_count_every_record_once(case, chance, sharing):
    streams, parents = case
    world = split_world(streams, chance, 6, parents, sharing)
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(most=5), chance, limits)
def test_a_record_given_up_and_redriven_is_counted_once_by_split_terminals(case, chance, sharing):
    streams, parents = case
    world = split_world(streams, chance, 8, parents, sharing, give_ups=1)
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(most=4), chance, limits)
def test_a_record_sent_to_sibling_shards_too_is_counted_once_by_split_terminals(case, chance, sharing):
    streams, parents = case
    first, second = list(streams)[:2]
    streams = {**streams, second: [*streams[second], (999, streams[first][0][1])]}
    world = split_world(streams, chance, 6, parents, sharing)
    assert_no_row_saw_an_event_twice(world)
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(most=4), chance, limits, st.integers(0, 10))
def test_a_cut_over_covers_what_split_terminals_would_take(case, chance, sharing, minute):
    streams, parents = case
    cutover_ms = T0_MS + (ord("a") + minute) * 60_000
    world = split_world(streams, chance, 6, parents, sharing, table=marked(cutover_ms))
    assert_each_counted_once(world, cut(streams, cutover_ms))


@hard
@given(st.lists(st.sampled_from([label, correction]), min_size=1, max_size=4), chance, limits)
def test_labels_and_corrections_of_an_event_come_out_right_through_any_shards(makers, chance, sharing):
    """Of one event through three shards at once, a child among them, whichever lane is first."""
    told = [make("a", 1, "C1") for make in makers]
    streams = {
        **stream(event("a", 1, "C1"), told[0]),
        **stream(event("b", 2, "C2"), *told[1:3], shard="B"),
        **stream(event("c", 3, "C1"), *told[3:], shard="C", first=9),
    }
    world = split_world(streams, chance, 4, {"C": "A"}, sharing)
    for entity, value in ((0, "C1"), (1, "T")):
        name = ("customer", "terminal")[entity]
        assert counted(world, name, value) == expected(streams, entity, value)


@hard
@given(chance, st.integers(0, 4))
def test_a_label_known_before_the_split_is_corrected_after_it_and_back(chance, others):
    """The main item holds the positive; sub-items learn of it, and do not forget that they have."""
    noise = [label(name, 1, "C1") for name in "defg"[:others]]
    first = label("a", 1, "C1")
    later = msgspec.structs.replace(first, label_time_ms=first.label_time_ms + 5)
    records = [event("a", 1, "C1"), first, correction("a", 1, "C1"), *noise, later]
    streams = stream(*records)
    world = split_world(streams, chance, 3, {}, AT_ONCE)
    quiet = World(streams, lambda n: 0).run()
    assert (emitted(world), united(world)) == (emitted(quiet), united(quiet))


def test_the_moment_of_the_split_is_met_by_these_schedules():
    """Not a rule but a check of these tests: they do reach main items, sub-items and both."""
    seen: Counter[str] = Counter()

    @settings(max_examples=60, database=None, derandomize=True)
    @given(many_shards(corrections=True, most=5), chance)
    def look(case: Any, chance: Any) -> None:
        streams, parents = case
        world = split_world(streams, chance, 6, parents, Sharing(2, 3))
        seen["split"] += bool(split_of(world))
        seen["sub-items"] += any("/" in pk for pk in world.table.items)
        seen["whole"] += not split_of(world)

    look()
    assert all(seen[kind] > 5 for kind in ("split", "sub-items", "whole")), seen
