"""The documents a stream mapping makes: the event a function gets, and the record of a batch given up."""

import json
from datetime import UTC, datetime
from typing import Any

from streamscore.local.delivery import Deliver, GiveUp
from streamscore.local.mapping import Mapping
from streamscore.moments import rfc3339


def event_bytes(mapping: Mapping, shard_id: str, delivered: Deliver) -> bytes:
    """The invocation's payload; records are already JSON."""
    records = b'"Records":[' + b",".join(record.body for record in delivered.records) + b"]"
    window = delivered.window
    if window is None:
        return b"{" + records + b"}"
    about = {
        "window": {
            "start": _second(window.start_ms),
            "end": _second(window.start_ms + mapping.rules.tumbling_ms),
        },
        "shardId": shard_id,
        "eventSourceARN": mapping.source_arn,
        "isFinalInvokeForWindow": delivered.final,
        "isWindowTerminatedEarly": delivered.early,
    }
    return b"{" + records + b',"state":' + window.state + b"," + json.dumps(about).encode()[1:]


def failure_record(mapping: Mapping, shard_id: str, given_up: GiveUp, request_id: str, now_ms: int) -> bytes:
    """What AWS writes to an S3 destination: the batch's address, why it was given up, and the whole event.

    https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
    """
    first, last = given_up.records[0], given_up.records[-1]
    kind = "DDBStreamBatchInfo" if ":dynamodb:" in mapping.source_arn else "KinesisBatchInfo"
    document: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": mapping.function_arn,
            "condition": given_up.condition,
            "approximateInvokeCount": given_up.invocations,
        },
        **_response(given_up),
        "version": "1.0",
        "timestamp": rfc3339(now_ms),
        kind: {
            "shardId": shard_id,
            "startSequenceNumber": first.sequence,
            "endSequenceNumber": last.sequence,
            "approximateArrivalOfFirstRecord": rfc3339(first.arrival_ms),
            "approximateArrivalOfLastRecord": rfc3339(last.arrival_ms),
            "batchSize": len(given_up.records),
            "streamArn": mapping.source_arn,
        },
        "payload": event_bytes(mapping, shard_id, Deliver(given_up.records, given_up.window)).decode(),
    }
    return json.dumps(document).encode()


def _response(given_up: GiveUp) -> dict[str, Any]:
    """What came of the last invocation: nothing if there was none, no error if the function reported."""
    if not given_up.invocations:
        return {}
    answered = {"statusCode": 200, "executedVersion": "$LATEST"}
    return {"responseContext": answered | ({"functionError": "Unhandled"} if given_up.errored else {})}


def failure_key(mapping: Mapping, shard_id: str, request_id: str, now_ms: int) -> str:
    """Where AWS puts that record in the bucket."""
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"aws/lambda/{mapping.uuid}/{shard_id}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{request_id}"


def _second(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
