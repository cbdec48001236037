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


TABLE = {"EventSourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/x"}


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
    assert (mapping.starts, mapping.enabled) == ("TRIM_HORIZON", True)


def test_a_mapping_may_start_at_a_moment_or_with_what_comes_next() -> None:
    at = {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1_700_000_000.5}
    assert read_mapping("M", at, DEPLOYED).starts_at_ms == 1_700_000_000_500
    assert read_mapping("M", {"StartingPosition": "LATEST"}, DEPLOYED | TABLE).starts == "LATEST"


@pytest.mark.parametrize(
    ("declared", "deployed", "words"),
    [
        ({"BatchSize": {"Ref": "Size"}}, {}, "M: BatchSize must be a number"),
        ({"ParallelizationFactor": 2}, {}, "ParallelizationFactor must be 1.*one lane a shard"),
        (
            {"ParallelizationFactor": 2, "TumblingWindowInSeconds": 60},
            {},
            "a tumbling window allows no other",
        ),
        ({"ParallelizationFactor": 11}, {}, "from 1 to 10"),
        ({"BatchSize": 0}, {}, "BatchSize must be from 1 to 10000"),
        ({"BatchSize": 10_001}, {}, "BatchSize must be from 1 to 10000"),
        ({"BatchSize": True}, {}, "BatchSize must be a number"),
        ({"MaximumBatchingWindowInSeconds": 301}, {}, "from 0 to 300"),
        ({"MaximumRetryAttempts": -2}, {}, "from -1 to 10000"),
        ({"MaximumRecordAgeInSeconds": 59}, {}, "-1 .* or at least 60"),
        ({"MaximumRecordAgeInSeconds": 604_801}, {}, "from -1 to 604800"),
        ({"TumblingWindowInSeconds": 901}, {}, "from 0 to 900"),
        ({"FunctionResponseTypes": ["ReportFailures"]}, {}, "knows ReportBatchItemFailures"),
        ({"StartingPosition": "NOW"}, {}, "StartingPosition must be one of.*AT_TIMESTAMP"),
        ({"StartingPosition": "AT_TIMESTAMP"}, {}, "needs StartingPositionTimestamp"),
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 9e9}, {}, "in the future"),
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1}, TABLE, "one of.*LATEST"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}] * 6}}, {}, "6 filters; AWS takes 5"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"partitionKey":["a"]}'}]}}, {}, "under `data` only"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"data":["a"]}'}]}}, {}, "under `data` only"),
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
