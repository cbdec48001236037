"""Requests become events of payload format 2.0, and replies responses."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamscore.local.function_process import Outcome
from streamscore.local.http_api import Request, Route, event_of, response_of, routes_of
from streamscore.local.template import read_template

ROUTES = [Route("POST", "/predict"), Route("GET", "/decisions/{id}")]


def event(method: str, target: str, body: bytes = b"") -> Any:
    made = event_of(ROUTES, Request(method, target, {"Content-Type": "application/json"}, body))
    return made and json.loads(made)


def test_a_request_becomes_the_event_of_its_route() -> None:
    made = event("POST", "/predict?a=1&a=2", b'{"x": "\xc3\xa4"}')
    assert (made["version"], made["routeKey"], made["rawPath"]) == ("2.0", "POST /predict", "/predict")
    assert made["body"] == '{"x": "ä"}'
    assert made["headers"] == {"content-type": "application/json"}
    assert made["queryStringParameters"] == {"a": "1,2"}
    assert made["requestContext"]["http"]["method"] == "POST"


def test_path_parameters_are_decoded() -> None:
    assert event("GET", "/decisions/a%2Fb")["pathParameters"] == {"id": "a/b"}


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/predict"), ("POST", "/other"), ("GET", "/decisions/a/b")]
)
def test_a_request_without_a_route_has_no_event(method: str, target: str) -> None:
    assert event(method, target) is None


def test_a_body_that_is_not_text_travels_as_base64() -> None:
    made = event("POST", "/predict", b"\xff")
    assert (made["body"], made["isBase64Encoded"]) == ("/w==", True)


@pytest.mark.parametrize(
    ("returned", "response"),
    [
        (
            {"statusCode": 422, "headers": {"Content-Type": "application/problem+json"}, "body": "{}"},
            (422, "application/problem+json", b"{}"),
        ),
        ({"statusCode": 200, "body": "/w==", "isBase64Encoded": True}, (200, "application/json", b"\xff")),
        ({"score": 1}, (200, "application/json", b'{"score": 1}')),
    ],
)
def test_what_the_function_returns_becomes_the_response(
    returned: Any, response: tuple[int, str, bytes]
) -> None:
    assert response_of(Outcome(json.dumps(returned).encode(), failed=False)) == response


def test_a_function_error_is_an_internal_server_error_that_tells_nothing() -> None:
    assert response_of(Outcome(b'{"errorMessage": "secret"}', failed=True))[0] == 500
    assert b"secret" not in response_of(Outcome(b'{"errorMessage": "secret"}', failed=True))[2]


def test_the_templates_routes_are_found() -> None:
    template = read_template(Path(__file__).parents[3] / "template.yaml")
    assert Route("POST", "/predict") in routes_of(template, "ScoringApiFunction")
