import gzip
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from streamscore.demo.contents import given_up, set_aside
from streamscore.producer.stream import Pace, Record, put


class Quiet:
    """A step that nobody watches."""

    def expect(self, total: int) -> None: ...
    def advance(self, amount: int) -> None: ...
    def note(self, text: str) -> None: ...


@pytest.fixture
def stream(client: Callable[[str], Any], wait_until: Callable[..., None]) -> str:
    name = f"events-{uuid.uuid4().hex[:8]}"
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)

    def describe() -> dict[str, Any]:
        return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]  # type: ignore[no-any-return]

    wait_until(lambda: describe()["StreamStatus"] == "ACTIVE", "the stream is active")
    return str(describe()["StreamARN"])


def test_records_lie_on_a_real_stream_in_the_order_they_were_put(
    client: Callable[[str], Any], stream: str
) -> None:
    kinesis = client("kinesis")
    some = [
        Record(n, f"card-{n % 7}", b"%d" % n) if n % 3 else Record(n, "card-l", b"%d" % n, is_label=True)
        for n in range(1_200)
    ]

    sent = put(kinesis, stream, some, Pace(), Quiet())

    shard = kinesis.list_shards(StreamARN=stream)["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamARN=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    landed: list[bytes] = []
    while len(landed) < 1_200:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
        landed += [record["Data"] for record in answer["Records"]]
        iterator = answer["NextShardIterator"]
        assert answer["Records"]
    assert (sent.events, sent.labels) == (800, 400)
    assert landed == [record.data for record in some]


def test_what_was_set_aside_is_counted_by_the_line(client: Callable[[str], Any]) -> None:
    bucket, s3 = f"data-{uuid.uuid4().hex[:8]}", client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="quarantine/2026/11/24/a.jsonl.gz", Body=gzip.compress(b"{}\n{}\n"))
    s3.put_object(Bucket=bucket, Key="quarantine/2026/11/25/b.jsonl", Body=b"{}\n")
    s3.put_object(Bucket=bucket, Key="models/m/bundle.json", Body=b"{}\n")
    failure = json.dumps({"version": "1.0", "KinesisBatchInfo": {"batchSize": 4}, "payload": "{}"})
    s3.put_object(Bucket=bucket, Key="aws/lambda/m/shard/2026/11/24/at-1", Body=failure.encode())

    class Bare:
        outputs = {"DataBucketName": bucket}

        def client(self, service: str) -> Any:
            return client(service)

    assert set_aside(Bare(), "quarantine/") == 3
    assert given_up(Bare()) == 4
