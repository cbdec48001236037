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
from urllib.parse import parse_qs, unquote

from streamscore.local.function_process import Outcome

DEFAULT = "$default"
"""The route of what no other route takes."""


@dataclass(frozen=True)
class Request:
    """A request as it came; `target` is path and query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Decoded, once: HTTP APIs route by it, and hand it on."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> str:
        """As it came."""
        return self.target.partition("?")[2]


@dataclass(frozen=True)
class Response:
    """What goes back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def gateway_response(status: int, message: str) -> Response:
    """An answer of the gateway's own."""
    return Response(status, {"content-type": "application/json"}, json.dumps({"message": message}).encode())


NOT_FOUND = gateway_response(404, "Not Found")
_FAILED = gateway_response(500, "Internal Server Error")


@dataclass(frozen=True)
class Route:
    """A method and a path such as /decisions/{id}; {id+} at the end takes all that is left, with slashes."""

    method: str
    path: str

    @property
    def key(self) -> str:
        """As it stands in events."""
        return DEFAULT if self.path == DEFAULT else f"{self.method} {self.path}"

    def parameters(self, method: str, path: str) -> dict[str, str] | None:
        """What the path's braces stand for in a request, or None when this is not its route."""
        if self.path == DEFAULT:
            return {}
        wanted = self.path.split("/")
        given = path.split("/", len(wanted) - 1 if wanted[-1].endswith("+}") else -1)
        if method != self.method or len(wanted) != len(given):
            return None
        pairs = list(zip(wanted, given, strict=True))
        if any(w != g for w, g in pairs if not w.startswith("{")) or not all(given[1:]):
            return None
        return {w.strip("{+}"): g for w, g in pairs if w.startswith("{")}


def routes_of(template: Mapping[str, Any], function: str) -> list[Route]:
    """The HttpApi events of a function in the template, before the local overlay takes them out. The default
    route comes last.
    """
    events = template["Resources"].get(function, {}).get("Properties", {}).get("Events", {})
    found = [event["Properties"] for event in events.values() if event["Type"] == "HttpApi"]
    routes = [Route(properties["Method"].upper(), properties["Path"]) for properties in found]
    return sorted(routes, key=lambda route: route.path == DEFAULT)


def event_of(routes: list[Route], request: Request) -> bytes | None:
    """The function's event for a request; None when no route takes it."""
    for route in routes:
        parameters = route.parameters(request.method, request.path)
        if parameters is not None:
            return json.dumps(_event(route, parameters, request)).encode()
    return None


def _event(route: Route, parameters: dict[str, str], request: Request) -> dict[str, Any]:
    now_s, path, query = time.time(), request.path, request.query
    http = {"method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "127.0.0.1",
            "http": {**http, "userAgent": ""},
            "requestId": str(uuid.uuid4()),
            "routeKey": route.key,
            "stage": "$default",
            "time": f"{datetime.fromtimestamp(now_s, UTC):%d/%b/%Y:%H:%M:%S +0000}",
            "timeEpoch": int(now_s * 1000),
        },
        "isBase64Encoded": False,
    }
    if query:
        given = parse_qs(query, keep_blank_values=True)
        event["queryStringParameters"] = {name: ",".join(values) for name, values in given.items()}
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
    """The response for what the function returned."""
    if outcome.failed:
        return _FAILED
    try:
        reply = json.loads(outcome.payload)
    except ValueError:
        return _FAILED
    if not isinstance(reply, dict) or "statusCode" not in reply:
        return Response(200, {"content-type": "application/json"}, outcome.payload)
    headers = {name.lower(): value for name, value in (reply.get("headers") or {}).items()}
    body = str(reply.get("body") or "")
    data = base64.b64decode(body) if reply.get("isBase64Encoded") else body.encode()
    return Response(int(reply["statusCode"]), {"content-type": "application/json", **headers}, data)
