"""One sample event for each function and trigger, made by the code that makes and reads them in earnest.

`scripts/make_events.py` writes them to `events/`; tests feed them to the handlers, and so does
`sam local invoke FUNCTION -e events/NAME.json`. The same code gives the same bytes, always.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from stream_features.events import decoder
from stream_features.intake import take
from stream_features.protocol import Saved, apply_delivery
from stream_features.spec import Spec
from stream_features.state import Stored
from stream_features.store import run
from stream_features.turn import Write

Json = dict[str, Any]

ACCOUNT, REGION = "123456789012", "eu-west-1"
STARTED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
_FIRST_SEQUENCE = 49_671_234_567_890_123_456_789_012_345_678_901_234_567_890_123_456_780_000
_SHARD = "shardId-000000000000"
_STREAM_ARN = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/streamscore-sample-events"


def sample_events(spec: Spec) -> dict[str, Json]:
    """The sample events by file name, for the spec that ships."""
    plain = kinesis_event([_json(record) for record in _records()])
    state = state_stream_event(spec, plain)
    return {
        "features-plain.json": plain,
        "features-kpl.json": kinesis_event([kpl_aggregate([_json(record) for record in _records()])]),
        "features-poison.json": kinesis_event(_poisoned()),
        "scoring-state-stream.json": state,
        "monitor-schedule.json": {"source": "schedule", "scheduled_time": _iso(STARTED + timedelta(hours=1))},
        **api_events(),
    }


def _records() -> list[Json]:
    """Five purchases of two customers at two terminals, and the news that the first was fraud."""
    bought = [("1001", "17", "5", 24.9), ("1002", "23", "5", 8.15), ("1003", "17", "8", 310.0)]
    bought += [("1004", "17", "5", 42.0), ("1005", "23", "8", 99.99)]
    events: list[Json] = [
        {
            "transaction_id": identity,
            "event_time": _iso(STARTED + timedelta(seconds=place)),
            "customer_id": customer,
            "terminal_id": terminal,
            "amount": amount,
        }
        for place, (identity, customer, terminal, amount) in enumerate(bought)
    ]
    label = {"type": "label", "is_fraud": True, "label_time": _iso(STARTED + timedelta(seconds=30))}
    asked = {key: events[0][key] for key in ("transaction_id", "event_time", "customer_id", "terminal_id")}
    return [*events, {**asked, **label}]


def _poisoned() -> list[bytes]:
    """Good records, and between them what quarantine is for."""
    good = _records()
    return [
        _json(good[0]),
        b'{"transaction_id": "1006", "event_time"',
        _json({**good[1], "amount": 8.155}),
        _json({key: value for key, value in good[2].items() if key != "customer_id"}),
        _json({**good[3], "event_time": "2099-01-01T00:00:00Z"}),
        _json({**good[3], "amount": "forty-two"}),
        _json(good[4]),
    ]


def kinesis_event(datas: Sequence[bytes]) -> Json:
    """A batch of one shard as Lambda delivers it; record n arrived n × 10 ms after the first."""
    return {"Records": [_kinesis_record(place, data) for place, data in enumerate(datas)]}


def _kinesis_record(place: int, data: bytes) -> Json:
    sequence = str(_FIRST_SEQUENCE + place)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "17",
            "sequenceNumber": sequence,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": (
                STARTED + timedelta(minutes=1, milliseconds=10 * place)
            ).timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{_SHARD}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/streamscore-sample",
        "awsRegion": REGION,
        "eventSourceARN": _STREAM_ARN,
    }


def kpl_aggregate(datas: Iterable[bytes]) -> bytes:
    """The producer library's aggregate of records under one partition key (its `aggregation-format.md`)."""
    body = _field(1, b"17")
    for data in datas:
        body += _field(3, b"\x08\x00" + _field(3, data))  # partition key by index, then the data
    return b"\xf3\x89\x9a\xc2" + body + hashlib.md5(body, usedforsecurity=False).digest()


def _field(number: int, value: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    high = b""
    while value > 0x7F:
        high += bytes([value & 0x7F | 0x80])
        value >>= 7
    return high + bytes([value])


class _EmptyTable:
    """A state table that holds nothing and takes everything."""

    def __init__(self) -> None:
        self.writes: list[Write] = []

    def read(self, keys: Sequence[str], attempt: int) -> Mapping[str, Stored]:
        """No item exists."""
        return {}

    def save(self, writes: Sequence[Write]) -> list[Saved]:
        """Every write succeeds."""
        self.writes += writes
        return [Saved.DONE] * len(writes)


def state_stream_event(spec: Spec, batch: Json) -> Json:
    """What the state table's stream tells the scorer after a batch of new entities was applied."""
    table, now = _EmptyTable(), STARTED + timedelta(minutes=1)
    run(apply_delivery(spec, take(batch, spec, decoder(spec)).delivery, int(now.timestamp() * 1000)), table)
    images = [_image(write) for write in table.writes if write.out is not None]
    return {"Records": [stream_record("state", place, image) for place, image in enumerate(images)]}


def _image(write: Write) -> Json:
    binaries = {"w": write.w, "s": write.s, "out": write.out or b""}
    numbers = {"v": write.v, "ttl": write.ttl_s}
    return {
        "pk": {"S": write.pk},
        **{name: {"N": str(value)} for name, value in numbers.items()},
        **{name: {"B": base64.b64encode(value).decode()} for name, value in binaries.items()},
    }


def stream_record(table: str, place: int, new: Json, old: Json | None = None) -> Json:
    """One change of an item as a DynamoDB stream tells it."""
    change: Json = {
        "ApproximateCreationDateTime": int((STARTED + timedelta(minutes=1)).timestamp()),
        "Keys": {"pk": new["pk"]},
        "NewImage": new,
        "SequenceNumber": str(400_000_000_000_000_000_001 + place),
        "SizeBytes": len(json.dumps(new)),
        "StreamViewType": "NEW_IMAGE" if table == "state" else "NEW_AND_OLD_IMAGES",
    }
    if old is not None:
        change["OldImage"] = old
    return {
        "eventID": hashlib.blake2b(f"{table} {place}".encode(), digest_size=16).hexdigest(),
        "eventName": "INSERT" if old is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/streamscore-sample-{table}"
        f"/stream/{STARTED:%Y-%m-%dT%H:%M:%S}.000",
    }


def api_events() -> dict[str, Json]:
    """Requests of the HTTP API, payload format 2.0."""
    first, second = _records()[:2]
    return {
        "api-predict.json": http_event("POST", "/predict", {"event": first}),
        "api-batch-predict.json": http_event("POST", "/batch-predict", {"events": [first, second]}),
        "api-decision.json": http_event("GET", "/decisions/{id}", parameters={"id": "1001"}),
        "api-health.json": http_event("GET", "/health"),
    }


def http_event(
    method: str, route: str, body: Json | None = None, parameters: Mapping[str, str] | None = None
) -> Json:
    """One request as API Gateway hands it to the function."""
    path = route
    for name, value in (parameters or {}).items():
        path = path.replace("{" + name + "}", value)
    request: Json = {
        "version": "2.0",
        "routeKey": f"{method} {route}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "sample.execute-api.eu-west-1.amazonaws.com"},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "sample",
            "domainName": "sample.execute-api.eu-west-1.amazonaws.com",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "sample",
            },
            "requestId": "sample-request",
            "routeKey": f"{method} {route}",
            "stage": "$default",
            "time": f"{STARTED:%d/%b/%Y:%H:%M:%S} +0000",
            "timeEpoch": int(STARTED.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        request["body"] = json.dumps(body)
    if parameters:
        request["pathParameters"] = dict(parameters)
    return request


def _json(record: Json) -> bytes:
    return json.dumps(record).encode()


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
