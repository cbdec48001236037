from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import TransientError
from streamscore.producer.stream import Pace, Record, put_in_order, requests_of


@dataclass
class FlakyKinesis:
    """A shard that refuses what the script says: one list of refused places for each call, then nothing."""

    refused: list[set[int]]
    landed: list[tuple[str, bytes]] = field(default_factory=list)
    calls: int = 0

    def put_records(self, StreamARN: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        refused = self.refused[self.calls] if self.calls < len(self.refused) else set()
        self.calls += 1
        answers: list[dict[str, str]] = []
        for place, record in enumerate(Records):
            if place in refused:
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException"})
            else:
                self.landed.append((record["PartitionKey"], record["Data"]))
                answers.append({"SequenceNumber": str(len(self.landed))})
        return {"FailedRecordCount": sum("ErrorCode" in one for one in answers), "Records": answers}


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def records(keys: Sequence[str], gap_ms: int = 1_000) -> list[Record]:
    return [Record(place * gap_ms, key, str(place).encode()) for place, key in enumerate(keys)]


def put(kinesis: FlakyKinesis, some: Sequence[Record]) -> int:
    return sum(map(len, put_in_order(kinesis, "arn", requests_of(some, Pace()), sleep=lambda _: None)))


@given(
    keys=st.lists(st.sampled_from("abcd"), max_size=30),
    refused=st.lists(st.sets(st.integers(0, 3)), max_size=9),
)
def test_records_of_one_key_land_once_and_in_order_whatever_fails(
    keys: list[str], refused: list[set[int]]
) -> None:
    kinesis = FlakyKinesis(refused)

    assert put(kinesis, records(keys)) == len(keys)

    assert sorted(int(data) for _, data in kinesis.landed) == list(range(len(keys)))
    for key in set(keys):
        of_key = [int(data) for landed_key, data in kinesis.landed if landed_key == key]
        assert of_key == sorted(of_key)


def test_what_keeps_failing_ends_in_one_clear_error() -> None:
    kinesis = FlakyKinesis([{0}] * 50)

    with pytest.raises(TransientError, match=r"1 records could not be put .* lower --rate"):
        put(kinesis, records(["a", "b"]))
    assert [key for key, _ in kinesis.landed] == ["b"]


def test_a_request_holds_at_most_500_records_and_5_mb() -> None:
    sizes = [len(request) for request in requests_of(records([str(n) for n in range(1_201)]), Pace())]
    assert sizes == [500, 500, 201]

    big = [Record(0, str(n), b"x" * 1_000_000) for n in range(9)]
    assert [len(request) for request in requests_of(big, Pace())] == [4, 4, 1]


def test_a_rate_holds_records_back() -> None:
    clock = Clock()
    sent = [
        (clock.now_s, len(request))
        for request in requests_of(
            records([str(n) for n in range(1_000)]), Pace(rate=100), clock, clock.sleep
        )
    ]

    assert clock.now_s == pytest.approx(10, abs=0.1)
    for seconds in range(1, 10):
        assert sum(count for at, count in sent if at <= seconds) == pytest.approx(seconds * 100, abs=10)


def test_speed_keeps_the_gaps_between_events() -> None:
    clock = Clock()
    some = [
        Record(time_ms, key, b"")
        for key, time_ms in zip("abcd", (5_000, 5_000, 65_000, 185_000), strict=True)
    ]

    sent = [(clock.now_s, len(request)) for request in requests_of(some, Pace(speed=60), clock, clock.sleep)]

    assert sent == [(0, 2), (pytest.approx(1), 1), (pytest.approx(3), 1)]


def test_no_pace_never_sleeps() -> None:
    def forbidden(_: float) -> None:
        raise AssertionError

    assert sum(map(len, requests_of(records(["a", "b", "a"]), Pace(), sleep=forbidden))) == 3
