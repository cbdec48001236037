"""Settings of a mapping, from the template."""

from typing import Any

import pytest

from common.errors import InvalidInputError
from streamscore.local.delivery import Rules
from streamscore.local.mapping import read_mapping
from streamscore.local.poller import ready_shards
from streamscore.local.streams import ShardId

DEPLOYED = {
    "UUID": "u",
    "EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
    "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
    "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::bucket"}},
}


def test_every_setting_is_read() -> None:
    declared = {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 500,
        "MaximumBatchingWindowInSeconds": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 0,
        "MaximumRecordAgeInSeconds": 60,
        "TumblingWindowInSeconds": 300,
        "FilterCriteria": {"Filters": [{"Pattern": '{"data":{"a":[1]}}'}]},
    }
    mapping = read_mapping("M", declared, DEPLOYED)
    assert mapping.rules == Rules(500, 1000, True, True, 0, 60_000, 300_000)
    assert mapping.patterns == ('{"data":{"a":[1]}}',)
    assert (mapping.function_name, mapping.failure_bucket) == ("f", "bucket")


def test_what_is_not_set_has_lambdas_default() -> None:
    mapping = read_mapping("M", {}, {**DEPLOYED, "DestinationConfig": {}})
    assert mapping.rules == Rules(batch_size=100, max_retries=None, max_age_ms=None)
    assert mapping.failure_bucket is None


@pytest.mark.parametrize(
    ("declared", "deployed", "words"),
    [
        ({"BatchSize": {"Ref": "Size"}}, {}, "M: BatchSize must be a number"),
        ({"ParallelizationFactor": 2}, {}, "ParallelizationFactor must be 1"),
        ({"StartingPosition": "LATEST"}, {}, "TRIM_HORIZON only"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, {}, "not JSON"),
        ({}, {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:x"}}}, "S3 only"),
    ],
)
def test_a_setting_that_cannot_be_followed_is_refused(
    declared: dict[str, Any], deployed: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        read_mapping("M", declared, {**DEPLOYED, **deployed})


def test_a_child_shard_waits_for_its_parents() -> None:
    listed = [ShardId("a"), ShardId("b"), ShardId("ab", ("a", "b")), ShardId("c", ("expired",))]
    assert ready_shards(listed, set(), set()) == ["a", "b", "c"]
    assert ready_shards(listed, {"a", "b", "c"}, {"a"}) == []
    assert ready_shards(listed, {"a", "b", "c"}, {"a", "b"}) == ["ab"]
