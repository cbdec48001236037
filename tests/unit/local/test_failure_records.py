"""What lies in the bucket when a batch was given up: AWS's own example, value by value."""

import json
from typing import Any

from streamscore.local.delivery import GiveUp, Record, Rules, Window
from streamscore.local.events import failure_key, failure_record
from streamscore.local.mapping import Mapping

# The example of https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
AT_MS = 1_573_691_886_021
EXAMPLE = {
    "requestContext": {
        "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
        "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:myfunction",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 1,
    },
    "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    "version": "1.0",
    "timestamp": "2019-11-14T00:38:06.021Z",
    "KinesisBatchInfo": {
        "shardId": "shardId-000000000001",
        "startSequenceNumber": "49601189658422359378836298521827638475320189012309704722",
        "endSequenceNumber": "49601189658422359378836298522902373528957594348623495186",
        "approximateArrivalOfFirstRecord": "2019-11-14T00:38:04.835Z",
        "approximateArrivalOfLastRecord": "2019-11-14T00:38:05.580Z",
        "batchSize": 2,
        "streamArn": "arn:aws:kinesis:us-east-2:123456789012:stream/mystream",
    },
    "payload": '{"Records":[{"a":1},{"a":2}]}',
}
INFO: Any = EXAMPLE["KinesisBatchInfo"]
RECORDS = (
    Record(INFO["startSequenceNumber"], 1_573_691_884_835, b'{"a":1}'),
    Record(INFO["endSequenceNumber"], 1_573_691_885_580, b'{"a":2}'),
)
KINESIS = Mapping(
    "M", "uuid-1", INFO["streamArn"], "arn:aws:lambda:us-east-2:123456789012:function:myfunction", Rules()
)


def record(given_up: GiveUp, mapping: Mapping = KINESIS) -> Any:
    request_id = "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5"
    return json.loads(failure_record(mapping, INFO["shardId"], given_up, request_id, AT_MS))


def test_a_batch_whose_retries_are_spent_is_kept_as_in_the_example_of_aws() -> None:
    made = record(GiveUp(RECORDS, "RetryAttemptsExhausted", invocations=1, errored=True))
    assert made == EXAMPLE
    assert list(made) == list(EXAMPLE)


def test_a_report_is_no_function_error_and_what_never_ran_has_no_response() -> None:
    assert record(GiveUp(RECORDS, "RetryAttemptsExhausted", 3))["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
    }
    too_old = record(GiveUp(RECORDS, "RecordAgeExceeded", invocations=0))
    assert "responseContext" not in too_old
    assert too_old["requestContext"]["approximateInvokeCount"] == 0


def test_a_table_streams_batch_is_told_under_its_own_name() -> None:
    table = Mapping("M", "u", "arn:aws:dynamodb:us-east-1:0:table/t/stream/x", KINESIS.function_arn, Rules())
    made = record(GiveUp(RECORDS, "RetryAttemptsExhausted", 1, errored=True), table)
    assert "KinesisBatchInfo" not in made
    assert made["DDBStreamBatchInfo"]["streamArn"] == table.source_arn


def test_the_payload_of_a_windowed_batch_is_the_event_that_failed_with_its_window() -> None:
    windowed = Mapping("M", "u", KINESIS.source_arn, KINESIS.function_arn, Rules(tumbling_ms=60_000))
    window = Window(1_573_691_880_000, b'{"n": 4}')
    event = json.loads(record(GiveUp(RECORDS, "RecordAgeExceeded", 1, window=window), windowed)["payload"])
    assert event["state"] == {"n": 4}
    assert event["window"] == {"start": "2019-11-14T00:38:00Z", "end": "2019-11-14T00:39:00Z"}


def test_the_objects_name_is_built_as_on_aws() -> None:
    key = failure_key(KINESIS, INFO["shardId"], "random", AT_MS)
    assert key == "aws/lambda/uuid-1/shardId-000000000001/2019/11/14/2019-11-14T00.38.06-random"
