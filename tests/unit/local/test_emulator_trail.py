"""The trail names a call as IAM does, whoever asks how."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamscore.local.emulator_trail import Request, Trail, used

SIGNED = {
    "authorization": "AWS4-HMAC-SHA256 Credential=ScoringFunction/20260101/eu-west-1/dynamodb/aws4_request"
}


def asked(service: str, target: str, body: Any, headers: dict[str, str] = SIGNED) -> Request:
    return Request(service, "POST", "/", headers | {"x-amz-target": target}, json.dumps(body).encode())


STATEMENTS = [
    {"Statement": "INSERT INTO \"decisions\" VALUE {'pk': ?}"},
    {"Statement": 'UPDATE "decisions" SET "a" = ? WHERE "pk" = ?'},
    {"Statement": 'DELETE FROM "decisions" WHERE "pk" = ?'},
]
QUEUE = "http://127.0.0.1:4566/000000000000/unpublished"


@pytest.mark.parametrize(
    ("request_", "calls"),
    [
        (
            asked("dynamodb", "DynamoDB_20120810.BatchExecuteStatement", {"Statements": STATEMENTS}),
            {(f"dynamodb:PartiQL{verb}", "table/decisions") for verb in ("Insert", "Update", "Delete")},
        ),
        (
            asked("dynamodb", "DynamoDB_20120810.BatchGetItem", {"RequestItems": {"a": {}, "b": {}}}),
            {("dynamodb:BatchGetItem", "table/a"), ("dynamodb:BatchGetItem", "table/b")},
        ),
        (
            asked("kinesis", "Kinesis_20131202.PutRecord", {"StreamName": "s"}),
            {("kinesis:PutRecord", "stream/s")},
        ),
        (
            asked("ssm", "AmazonSSM.PutParameter", {"Name": "/a/b"}),
            {("ssm:PutParameter", "parameter/a/b")},
        ),
        (
            asked("ssm", "AmazonSSM.GetParameters", {"Names": ["/a/b"]}),
            {("ssm:GetParameters", "parameter/a/b")},
        ),
        (asked("sqs", "AmazonSQS.SendMessage", {"QueueUrl": QUEUE}), {("sqs:SendMessage", "unpublished")}),
        (
            asked("events", "AWSEvents.PutEvents", {"Entries": [{"EventBusName": "bus"}] * 2}),
            {("events:PutEvents", "event-bus/bus")},
        ),
        (
            asked("monitoring", "GraniteServiceVersion20100801.GetMetricData", {}),
            {("cloudwatch:GetMetricData", "*")},
        ),
        (Request("s3", "GET", "/bucket/models/a%20b", SIGNED, b""), {("s3:GetObject", "bucket/models/a b")}),
        (
            Request("s3", "PUT", "/bucket/quarantine/x", SIGNED, b"{"),
            {("s3:PutObject", "bucket/quarantine/x")},
        ),
        (Request("s3", "GET", "/bucket", SIGNED, b""), {("s3:ListBucket", "bucket")}),
    ],
)
def test_a_request_is_told_as_iam_names_it(request_: Request, calls: set[tuple[str, str]]) -> None:
    assert set(used(request_)) == calls


def test_a_call_is_kept_once_and_only_a_functions(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "calls.jsonl")
    person = {"authorization": SIGNED["authorization"].replace("ScoringFunction", "test")}
    body = {"StreamName": "s"}
    for headers in (SIGNED, SIGNED, person, {}):
        trail.record(
            *asked("kinesis", "Kinesis_20131202.PutRecord", body, headers), {}, "request-id", "region"
        )
    kept = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert kept == [{"caller": "ScoringFunction", "action": "kinesis:PutRecord", "resource": "stream/s"}]
