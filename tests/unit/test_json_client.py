"""Our client asks what botocore asks, byte for byte but for the order of headers."""

import json
from datetime import UTC, datetime

import botocore.session
import pytest
from botocore.serialize import create_serializer

from common.json_client import JsonClient

ENVIRON = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
AT = datetime(2026, 11, 24, 12, 0, 1, 250_000, tzinfo=UTC)
CALLS = [
    ("ssm", "get_parameters", {"Names": ["/a/champion", "/a/policy"]}),
    ("kinesis", "put_record", {"StreamName": "s", "Data": bytes(range(256)), "PartitionKey": "é"}),
    ("secretsmanager", "get_secret_value", {"SecretId": "a"}),
    ("events", "put_events", {"Entries": [{"Source": "s", "Detail": "{}", "Time": AT.timestamp()}]}),
    ("sqs", "send_message", {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q", "MessageBody": "é"}),
    ("dynamodb", "batch_get_item", {"RequestItems": {"t": {"Keys": [{"pk": {"S": "a"}}]}}}),
    ("dynamodb", "put_item", {"TableName": "t", "Item": {"b": {"B": b"\xff\x00"}, "n": {"N": "1"}}}),
]


@pytest.mark.parametrize(("service", "operation", "request_"), CALLS)
def test_a_request_is_botocores(service, operation, request_):
    ours = JsonClient(service, ENVIRON)
    name = botocore.xform_name(operation)
    theirs_model = botocore.session.get_session().get_service_model(service)
    (model,) = [
        theirs_model.operation_model(n)
        for n in theirs_model.operation_names
        if botocore.xform_name(n) == name
    ]
    theirs = create_serializer("json").serialize_to_request(request_, model)
    head, _, body = ours._request(model.name, request_).partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert json.loads(body) == json.loads(theirs["body"])
    assert lines["x-amz-target"] == theirs["headers"]["X-Amz-Target"]
    assert lines["content-type"] == theirs["headers"]["Content-Type"]
    assert lines["host"] == f"{service}.eu-west-1.amazonaws.com"
    assert int(lines["content-length"]) == len(body)


def test_what_is_no_operation_is_no_method():
    with pytest.raises(AttributeError):
        _ = JsonClient("ssm", ENVIRON)._client
