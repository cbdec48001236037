"""How often a lane looks at its stream, and what it tells CloudWatch."""

from pathlib import Path
from typing import Any

import pytest

from streamscore.local import lane as lanes
from streamscore.local.checkpoints import Checkpoints
from streamscore.local.delivery import Rules
from streamscore.local.function_process import Outcome
from streamscore.local.gate import Gate
from streamscore.local.mapping import Mapping
from streamscore.local.pace import PACES
from streamscore.local.streams import Read, ShardId

KINESIS = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/x"


class Stream:
    """Gives what it is told to, then nothing; counts its reads."""

    def __init__(self) -> None:
        self.reads = 0
        self.coming: list[list[tuple[str, int, dict[str, Any]]]] = []

    def shards(self) -> list[ShardId]:
        return []

    def iterator(self, shard_id: str, after: str | None) -> str:
        return "here"

    def read(self, shard_id: str, iterator: str) -> Read:
        self.reads += 1
        return Read(self.coming.pop(0) if self.coming else [], "on", at_tip=not self.coming)

    def close(self) -> None: ...


class Platform:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.told: list[tuple[str, str, dict[str, float]]] = []
        self.failing = False

    def open_stream(self, arn: str) -> Stream:
        return self.stream

    def invoke(self, function_name: str, payload: bytes) -> Outcome:
        return Outcome(b"null", failed=self.failing)

    def store_failure(self, bucket: str, key: str, body: bytes) -> None: ...

    def tell(self, dimension: str, of: str, **metrics: float) -> None:
        self.told.append((dimension, of, metrics))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the lane takes for the monotonic time; set its only element."""
    now = [100.0]
    monkeypatch.setattr(lanes.time, "monotonic", lambda: now[0])  # type: ignore[attr-defined]
    return now


def lane_of(tmp_path: Path, stream: Stream, arn: str, pace: str) -> lanes.Lane:
    mapping = Mapping("M", "u", arn, "arn:aws:lambda:us-east-1:000000000000:function:f", Rules())
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    return lanes.Lane(
        mapping, "s-1", Platform(stream), checkpoints, Gate(), on_shard_end=lambda: None, pace=PACES[pace]
    )


def test_a_lane_at_the_pace_of_aws_looks_once_a_second_until_something_comes(
    tmp_path: Path, clock: list[float]
) -> None:
    stream = Stream()
    lane = lane_of(tmp_path, stream, KINESIS, "aws")
    lane._step(stream)
    clock[0] = 100.75
    assert lane._step(stream) == (False, pytest.approx(0.1))  # IDLE_WITH_BELL_S is sooner than the second
    assert stream.reads == 1
    clock[0] = 101.0
    stream.coming = [[("1", 0, {"a": 1})], [("2", 0, {"a": 2})]]
    for _ in range(2):
        assert lane._step(stream) == (True, 0.0)  # a read
        assert lane._step(stream) == (True, 0.0)  # and its invocation
    assert (stream.reads, lane.stats.records) == (3, 2)


@pytest.mark.parametrize(
    ("pace", "arn", "every_s"),
    [
        ("local", KINESIS, 0.0),
        ("local", TABLE, 0.0),
        ("aws", KINESIS, 1.0),
        ("aws", TABLE, 0.25),
        ("aws-fan-out", KINESIS, 0.07),
        ("aws-fan-out", TABLE, 0.25),
    ],
)
def test_each_pace_is_the_one_that_its_stream_has_on_aws(
    tmp_path: Path, clock: list[float], pace: str, arn: str, every_s: float
) -> None:
    stream = Stream()
    lane = lane_of(tmp_path, stream, arn, pace)
    lane._step(stream)
    clock[0] = 100.0 + max(0.0, every_s - 0.001)
    lane._step(stream)
    assert stream.reads == (1 if every_s else 2)
    clock[0] = 100.0 + every_s + 0.001
    lane._step(stream)
    assert stream.reads == (2 if every_s else 3)


@pytest.mark.parametrize(
    ("bucket", "metric"), [("b", "OnFailureDestinationDeliveredEventCount"), (None, "DroppedEventCount")]
)
def test_a_lane_tells_how_old_its_records_are_and_what_it_gave_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: str | None, metric: str
) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    mapping = Mapping("M", "uuid-1", KINESIS, arn, Rules(max_retries=0), failure_bucket=bucket)
    stream = Stream()
    platform = Platform(stream)
    platform.failing = True
    monkeypatch.setattr(lanes, "_now_ms", lambda: 10_000)
    lane = lanes.Lane(
        mapping, "s-1", platform, Checkpoints(tmp_path / "checkpoints"), Gate(), on_shard_end=lambda: None
    )
    stream.coming = [[("1", 2_000, {"a": 1}), ("2", 7_500, {"a": 2})]]
    for _ in range(3):  # a read, its only invocation, the end of its records
        assert lane._step(stream) == (True, 0.0)
    assert platform.told == [
        ("FunctionName", "f", {"IteratorAge": 2_500}),
        ("EventSourceMappingUUID", "uuid-1", {metric: 2}),
    ]
