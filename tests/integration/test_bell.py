"""The emulator tells of what comes on its streams, and lanes that are told so need not look."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from streamscore.local import emulator as emulators
from streamscore.local.bell import Bell, stream_name
from streamscore.local.gate import Gate
from tests.conftest import client_of, poll_until
from tests.integration.test_emulator import insert, table_with_stream


@pytest.fixture(scope="module")
def ringing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[emulators.Emulator, list[str]]]:
    """An emulator with a bell, and the names it has rung."""
    bell, names = Bell(), list[str]()
    bell.on_ring = names.append
    emulator = emulators.start(tmp_path_factory.mktemp("ringing"), bell=bell.address)
    yield emulator, names
    emulator.stop()
    bell.close()


def test_every_way_to_write_to_a_stream_rings(ringing: tuple[emulators.Emulator, list[str]]) -> None:
    emulator, names = ringing
    kinesis, dynamodb = (client_of(emulator.endpoint, name) for name in ("kinesis", "dynamodb"))
    table, stream = table_with_stream(emulator.endpoint), f"events-{uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    about = lambda: kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]  # noqa: E731
    poll_until(lambda: about()["StreamStatus"] == "ACTIVE", "the stream is active")
    one = {"Data": b"x", "PartitionKey": "a"}
    ways: dict[str, Callable[[], Any]] = {
        table: lambda: dynamodb.put_item(TableName=table, Item={"pk": {"S": "plain"}}),
        f"{table} ": lambda: insert(emulator.endpoint, table, "ab", size=3),
        stream: lambda: kinesis.put_record(StreamName=stream, **one),
        f"{stream} ": lambda: kinesis.put_records(StreamARN=about()["StreamARN"], Records=[one]),
    }
    for name, write in ways.items():
        names.clear()
        write()
        wanted = name.strip()
        poll_until(lambda wanted=wanted: wanted in names, f"it has rung for {wanted}")


def test_a_bell_at_a_path_takes_the_place_of_one_that_was_killed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(str(tmp_path / "bell"))  # the file stays
    bell, heard = Bell(tmp_path / "bell"), list[str]()
    bell.on_ring = heard.append
    emulator = emulators.start(tmp_path, bell=bell.address)
    kinesis = client_of(emulator.endpoint, "kinesis")
    kinesis.create_stream(StreamName="events", ShardCount=1)
    kinesis.put_records(StreamName="events", Records=[{"Data": b"x", "PartitionKey": "a"}])
    poll_until(lambda: "events" in heard, "it has rung")
    emulator.stop()
    bell.close()


def test_a_ring_wakes_the_lanes_of_its_stream_and_no_others() -> None:
    gate = Gate(told=True)
    before = {name: gate.rings(name) for name in ("state", "events")}
    gate.ring("state")
    gate.worked()  # a function ran: what it wrote has rung by itself
    assert gate.rings("state") > before["state"]
    assert gate.rings("events") == before["events"]
    gate.ring()
    assert gate.rings("events") > before["events"]


def test_without_a_bell_every_lane_looks_after_a_function_has_run() -> None:
    gate = Gate()
    before = gate.rings("events")
    gate.worked()
    assert gate.rings("events") > before


def test_the_name_of_a_stream_is_that_of_its_table_or_its_own() -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/state/stream/2026-11-24T00:00:00.000"
    assert stream_name(arn) == "state"
    assert stream_name("arn:aws:kinesis:us-east-1:000000000000:stream/events") == "events"


def test_a_bell_that_is_closed_leaves_no_thread() -> None:
    bell = Bell()
    thread = bell._thread
    bell.close()
    assert not thread.is_alive()
