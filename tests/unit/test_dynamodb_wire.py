"""The lean client speaks the protocol botocore speaks: requests, binary values, errors."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from common.aws import RESERVE_MS
from common.dynamodb import DynamoDB, Outcome, Statement
from common.dynamodb_wire import Wire
from common.errors import ServiceError

PACKED = bytes(range(256))


class Service(HTTPServer):
    """Answers with what it is told to, and keeps what it was asked."""

    answers: list[tuple[int, bytes]]
    asked: list[tuple[dict[str, str], Any]]


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Service)
        self.server.asked.append((dict(self.headers), json.loads(body)))
        status, answer = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    server = Service(("127.0.0.1", 0), Answering)
    server.answers, server.asked = [], []
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "eu-west-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    server.server_close()


def a_minute() -> float:
    return 60_000


def no_time() -> float:
    return RESERVE_MS


def test_items_come_with_their_binary_attributes_as_bytes(service):
    item = {"pk": {"S": "a"}, "v": {"N": "7"}, "s": {"B": base64.b64encode(PACKED).decode()}}
    service.answers = [(200, json.dumps({"Responses": {"t": [item]}, "UnprocessedKeys": {}}).encode())]
    found = DynamoDB(Wire()).batch_get("t", ["a"], ["pk", "v", "s"], a_minute)
    assert found == [{"pk": {"S": "a"}, "v": {"N": "7"}, "s": {"B": PACKED}}]


def test_a_request_names_its_operation_is_signed_with_the_session_token_and_carries_bytes_as_base64(service):
    service.answers = [(200, b'{"Responses": [{"TableName": "t"}]}')]
    outcomes = DynamoDB(Wire()).execute([Statement("UPDATE", [{"B": PACKED}])], a_minute)
    assert outcomes == [Outcome.OK]
    [(headers, body)] = service.asked
    assert headers["x-amz-target"] == "DynamoDB_20120810.BatchExecuteStatement"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert "/eu-west-1/dynamodb/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "token"
    assert base64.b64decode(body["Statements"][0]["Parameters"][0]["B"]) == PACKED


ERROR = b'{"__type": "com.amazonaws.dynamodb.v20120810#%s", "message": "why"}'
TRANSIENT = [
    (400, ERROR % b"ProvisionedThroughputExceededException"),
    (400, ERROR % b"ThrottlingException"),
    (500, ERROR % b"InternalServerError"),
    (503, b"<html>busy</html>"),
    (502, b""),
]


@pytest.mark.parametrize("answer", TRANSIENT)
def test_throttles_and_server_errors_are_tried_again_and_told_apart_when_time_is_up(service, answer):
    service.answers = [answer]
    assert DynamoDB(Wire()).execute([Statement("UPDATE", [])], no_time) == [Outcome.THROTTLED]


@pytest.mark.parametrize(
    "answer", [(400, ERROR % b"ResourceNotFoundException"), (403, b"no JSON"), (400, b"[]")]
)
def test_other_errors_surface(service, answer):
    service.answers = [answer]
    with pytest.raises(ServiceError):
        DynamoDB(Wire()).execute([Statement("UPDATE", [])], a_minute)
