"""Requests become events of payload format 2.0, and replies responses."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamscore.local.function_process import Outcome
from streamscore.local.http_api import DEFAULT, Request, Response, Route, event_of, response_of, routes_of
from streamscore.local.template import read_template

ROUTES = [Route("POST", "/predict"), Route("GET", "/decisions/{id+}"), Route("GET", "/cards/{card}/state")]


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


def test_the_path_is_decoded_once_and_the_query_is_left_as_it_came() -> None:
    made = event("GET", "/decisions/%C3%A4%2520%3F?id=%2F%20")
    assert (made["rawPath"], made["pathParameters"]) == ("/decisions/ä%20?", {"id": "ä%20?"})
    assert (made["rawQueryString"], made["queryStringParameters"]) == ("id=%2F%20", {"id": "/ "})
    assert event("GET", "/cards/a%20b/state")["pathParameters"] == {"card": "a b"}


@pytest.mark.parametrize("path", ["a/b", "a%2Fb"])
def test_a_parameter_with_a_plus_takes_the_rest_of_the_path(path: str) -> None:
    assert event("GET", f"/decisions/{path}")["pathParameters"] == {"id": "a/b"}


def test_the_default_route_takes_what_no_other_does_with_its_own_method() -> None:
    routes = [*ROUTES, Route("X-AMAZON-APIGATEWAY-ANY-METHOD", DEFAULT)]
    made = json.loads(event_of(routes, Request("DELETE", "/predict", {}, b"")) or b"")
    assert (made["routeKey"], made["requestContext"]["http"]["method"]) == ("$default", "DELETE")
    assert "pathParameters" not in made


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/predict"), ("POST", "/other"), ("GET", "/decisions/"), ("GET", "/cards/a/b/state")],
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
            Response(422, {"content-type": "application/problem+json"}, b"{}"),
        ),
        (
            {"statusCode": 200, "headers": {"Allow": "GET"}, "body": "/w==", "isBase64Encoded": True},
            Response(200, {"content-type": "application/json", "allow": "GET"}, b"\xff"),
        ),
        ({"score": 1}, Response(200, {"content-type": "application/json"}, b'{"score": 1}')),
    ],
)
def test_what_the_function_returns_becomes_the_response(returned: Any, response: Response) -> None:
    assert response_of(Outcome(json.dumps(returned).encode(), failed=False)) == response


def test_a_function_error_is_an_internal_server_error_that_tells_nothing() -> None:
    response = response_of(Outcome(b'{"errorMessage": "secret"}', failed=True))
    assert response.status == 500
    assert b"secret" not in response.body


def test_the_templates_routes_are_found() -> None:
    template = read_template(Path(__file__).parents[3] / "template.yaml")
    routes = routes_of(template, "ScoringApiFunction")
    assert Route("POST", "/predict") in routes
    assert routes[-1].path == DEFAULT
