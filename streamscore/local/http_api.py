"""The HTTP API in front of ScoringApiFunction, which the emulator would deploy without routes.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html (2.0)
"""

import base64
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from streamscore.local.function_process import Outcome

_FAILED = (500, "application/json", b'{"message":"Internal Server Error"}')
NOT_FOUND = (404, "application/json", b'{"message":"Not Found"}')

type Response = tuple[int, str, bytes]


@dataclass(frozen=True)
class Request:
    """A request as it came; `target` is path and query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Route:
    """A method and a path such as /decisions/{id}."""

    method: str
    path: str

    def parameters(self, method: str, path: str) -> dict[str, str] | None:
        """What the path's braces stand for in a request, or None when this is not its route."""
        wanted, given = self.path.split("/"), path.split("/")
        if method != self.method or len(wanted) != len(given):
            return None
        pairs = list(zip(wanted, given, strict=True))
        if any(w != g for w, g in pairs if not w.startswith("{")):
            return None
        return {w.strip("{}"): unquote(g) for w, g in pairs if w.startswith("{")}


def routes_of(template: Mapping[str, Any], function: str) -> list[Route]:
    """The HttpApi events of a function in the template, before the local overlay takes them out."""
    events = template["Resources"].get(function, {}).get("Properties", {}).get("Events", {})
    found = [event["Properties"] for event in events.values() if event["Type"] == "HttpApi"]
    return [Route(properties["Method"].upper(), properties["Path"]) for properties in found]


def event_of(routes: list[Route], request: Request) -> bytes | None:
    """The function's event for a request; None when no route takes it."""
    for route in routes:
        parameters = route.parameters(request.method, urlsplit(request.target).path)
        if parameters is not None:
            return json.dumps(_event(route, parameters, request)).encode()
    return None


def _event(route: Route, parameters: dict[str, str], request: Request) -> dict[str, Any]:
    now_s, url = time.time(), urlsplit(request.target)
    http = {"method": route.method, "path": url.path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{route.method} {route.path}",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "127.0.0.1",
            "http": {**http, "userAgent": ""},
            "requestId": str(uuid.uuid4()),
            "routeKey": f"{route.method} {route.path}",
            "stage": "$default",
            "time": f"{datetime.fromtimestamp(now_s, UTC):%d/%b/%Y:%H:%M:%S +0000}",
            "timeEpoch": int(now_s * 1000),
        },
        "isBase64Encoded": False,
    }
    if url.query:
        event["queryStringParameters"] = {k: ",".join(v) for k, v in parse_qs(url.query).items()}
    if parameters:
        event["pathParameters"] = parameters
    if request.body:
        event |= _body(request.body)
    return event


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def response_of(outcome: Outcome) -> Response:
    """Status, content type and body for what the function returned."""
    if outcome.failed:
        return _FAILED
    try:
        reply = json.loads(outcome.payload)
    except ValueError:
        return _FAILED
    if not isinstance(reply, dict) or "statusCode" not in reply:
        return 200, "application/json", outcome.payload
    headers = {name.lower(): value for name, value in (reply.get("headers") or {}).items()}
    body = str(reply.get("body") or "")
    data = base64.b64decode(body) if reply.get("isBase64Encoded") else body.encode()
    return int(reply["statusCode"]), headers.get("content-type", "application/json"), data
