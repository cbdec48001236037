"""Exactly-once effect over the real table: the schedules of tests/exactly_once.py against DynamoDB.

StateTable reads and writes by the wire client, and rows come out of the table's own stream, so conditions,
attributes and the outbox are what DynamoDB makes of them. Batches are cut anew, records come twice, shards
split, writers die between any two writes or meet each other's.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from stream_features import verdict
from stream_features.protocol import Saved
from stream_features.sharing import Sharing
from stream_features.state import CUTOVER_KEY, LabelRow, Row, Stored, decode_out
from stream_features.store import StateTable
from stream_features.turn import Write
from streamscore.local.emulator import CREDENTIALS, Emulator
from tests.exactly_once import World
from tests.exactly_once_rules import (
    assert_each_counted_once,
    assert_no_row_saw_an_event_twice,
    assert_same,
    united,
)
from tests.exactly_once_streams import BY_HAND, T0_MS, cut, many_shards, one_shard
from tests.integration.test_emulator import table_with_stream
from tests.profiles import examples

# The simulated table has ten thousand examples of each property; here, over HTTP, they share as many.
PROPERTIES = 8
hard = settings(
    max_examples=examples(15, PROPERTIES),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
chance = st.randoms(use_true_random=False)


class Tables:
    """One DynamoDB table that serves as many: each has keys of its own, and its rows from the one stream."""

    def __init__(self, endpoint: str, client: Callable[[str], Any]) -> None:
        self.name = table_with_stream(endpoint)
        self.state = StateTable(DynamoDB(Wire()), self.name, lambda: 60_000)
        self._numbers = count()
        self._streams = client("dynamodbstreams")
        arn = client("dynamodb").describe_table(TableName=self.name)["Table"]["LatestStreamArn"]
        shard = self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        self._at = self._streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def new(self) -> "StoredTable":
        return StoredTable(self, f"{next(self._numbers)}/")

    def images(self) -> Iterator[dict[str, Any]]:
        """Every item written since the last call, in order."""
        while (page := self._streams.get_records(ShardIterator=self._at))["Records"]:
            self._at = page["NextShardIterator"]
            yield from (record["dynamodb"]["NewImage"] for record in page["Records"])


class StoredTable:
    """A table of the world's that lies in DynamoDB."""

    def __init__(self, tables: Tables, prefix: str) -> None:
        self._tables = tables
        self._prefix = prefix
        self._keys: set[str] = set()
        self._rows: list[Row | LabelRow] = []

    def get(self, key: str) -> Stored | None:
        return self._read([key]).get(key)

    def save(self, write: Write) -> Saved:
        self._keys.add(write.pk)
        [saved] = self._tables.state.save([write._replace(pk=self._prefix + write.pk)])
        return saved

    @property
    def items(self) -> dict[str, Stored]:
        return self._read(sorted(self._keys))

    @property
    def rows(self) -> list[Row | LabelRow]:
        for image in self._tables.images():
            if "out" in image and image["pk"]["S"].startswith(self._prefix):
                out = decode_out(image["out"]["B"])
                self._rows += [*out.rows, *out.labels]
        return self._rows

    def _read(self, keys: list[str]) -> dict[str, Stored]:
        found = self._tables.state.read([self._prefix + key for key in keys])
        assert found is not None
        return {pk.removeprefix(self._prefix): stored for pk, stored in found.items()}


@pytest.fixture(scope="module")
def tables(emulator: Emulator, client: Callable[[str], Any]) -> Iterator[Tables]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": emulator.endpoint}.items():
            patch.setenv(name, value)
        yield Tables(emulator.endpoint, client)


@pytest.mark.parametrize("streams", BY_HAND.values(), ids=BY_HAND)
@settings(hard, max_examples=examples(2, PROPERTIES * len(BY_HAND)))
@given(chance)
def test_whatever_goes_wrong_the_table_and_the_rows_are_those_of_a_quiet_run(
    monkeypatch, tables, streams, chance
):
    monkeypatch.setattr(verdict, "REMEMBERED_IDS", 2)
    monkeypatch.setattr(verdict, "REMEMBERED_LABELS", 2)
    assert_same(streams, chance, faults=3, table=tables.new())


@hard
@given(one_shard(), chance)
def test_any_stream_of_one_shard_under_any_faults_ends_as_in_a_quiet_run(tables, streams, chance):
    assert_same(streams, chance, faults=6, table=tables.new())


@hard
@given(many_shards(corrections=True), chance)
def test_lanes_that_share_terminals_count_every_record_once_and_emit_each_row_once(tables, case, chance):
    streams, parents = case
    world = World(streams, chance.randrange, 6, parents, table=tables.new()).run()
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(), chance)
def test_a_record_given_up_and_redriven_is_counted_once_by_every_entity(tables, case, chance):
    streams, parents = case
    world = World(streams, chance.randrange, 8, parents, give_ups=1, table=tables.new()).run()
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(corrections=True, most=5), chance, st.sampled_from([Sharing(1, 3), Sharing(2, 3)]))
def test_terminals_split_in_the_midst_of_it_hold_every_record_once(tables, case, chance, sharing):
    streams, parents = case
    world = World(streams, chance.randrange, 6, parents, table=tables.new(), sharing=sharing).run()
    united(world)
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(most=5), chance)
def test_a_record_redriven_is_counted_once_by_a_split_terminal(tables, case, chance):
    streams, parents = case
    sharing = Sharing(1, 3)
    world = World(
        streams, chance.randrange, 8, parents, give_ups=1, table=tables.new(), sharing=sharing
    ).run()
    united(world)
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(), chance)
def test_a_record_sent_to_sibling_shards_too_is_counted_once_and_emitted_once(tables, case, chance):
    streams, parents = case
    first, second = list(streams)[:2]
    streams = {**streams, second: [*streams[second], (999, streams[first][0][1])]}
    world = World(streams, chance.randrange, 6, parents, table=tables.new()).run()
    assert_no_row_saw_an_event_twice(world)
    assert_each_counted_once(world, streams)


@hard
@given(many_shards(), chance, st.integers(0, 10))
def test_what_a_cut_over_covers_is_not_applied_and_not_emitted(tables, case, chance, minute):
    streams, parents = case
    cutover_ms = T0_MS + (ord("a") + minute) * 60_000
    table = tables.new()
    table.save(Write(CUTOVER_KEY, 0, cutover_ms, b"", b"", 0))
    world = World(streams, chance.randrange, 6, parents, table=table).run()
    assert_each_counted_once(world, cut(streams, cutover_ms))
