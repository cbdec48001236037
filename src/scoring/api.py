"""Scoring over HTTP (payload format 2.0) and by direct invocation with the same bodies.

    POST /predict         {event}, or {"features": {name: number or null}}: the decision that stands
    POST /batch-predict   {"events": [as for /predict, …]}, at most 500: a decision or a problem each
    POST /events          {event or label}: put on the stream
    GET  /decisions/{id}  what was decided; /decisions?id= for ids that a path cannot carry
    GET  /health          what would decide now
    GET  /openapi.json    all of this, from the spec's own types

A direct invocation gives a body alone: `events` and no keys of an event is a batch, all else a prediction.
"""

import base64
import functools
import json
import os
import time
from typing import Any
from urllib.parse import parse_qs

import msgspec

from common import traceparent
from common.aws import RESERVE_MS, RemainingMs
from common.settings import Settings, code_root
from common.telemetry import logger, meter, observed, some_traces
from common.tracing import annotate
from scoring.early import load_early
from scoring.endpoints import ROUTES, Endpoints, Reply, Request, answered
from scoring.problems import MEDIA_TYPE, ProblemError
from scoring.wiring import Wiring, wire
from stream_features.careful_decoder import MAX_TRACE_CHARACTERS

PATIENCE_MS = 2_000
"""What is throttled is asked again for this long; then the caller is told to come back."""
_JSON = "application/json"
_DECISION = "/decisions/{id+}"
_BATCH_KEYS = frozenset({"events", "features"})


@observed
def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry."""
    return respond(_endpoints(), event)


def respond(endpoints: Endpoints, event: Any) -> Any:
    """The answer to an HTTP API event, or to a body invoked directly."""
    remaining_ms, trace = _patience(time.monotonic()), _trace(event)
    if not _is_http(event):
        batch = isinstance(event, dict) and "events" in event and event.keys() <= _BATCH_KEYS
        request = Request(json.dumps(event).encode(), "", remaining_ms, trace)
        path = "/batch-predict" if batch else "/predict"
        return _reply(endpoints, path, "POST", request).body
    path, method = _path(event), event["requestContext"]["http"]["method"]
    request = Request(_body(event), _id(event), remaining_ms, trace)
    meter().http_request(len(request.body))
    return _http(_reply(endpoints, path, method, request), trace)


def _reply(endpoints: Endpoints, path: str, method: str, request: Request) -> Reply:
    try:
        return answered(endpoints, path, method, request)
    except ProblemError as problem:
        if problem.kind == "busy":
            told = {"error": str(problem.__cause__ or problem), "traces": some_traces([request.trace])}
            logger().warning("answered 503", extra=told)
        return Reply(problem.status, problem.document(), {"content-type": MEDIA_TYPE, **problem.headers})


def _http(reply: Reply, trace: str | None) -> dict[str, Any]:
    annotate(status=reply.status)
    body = msgspec.json.encode(reply.body).decode()
    headers = {"content-type": _JSON, **traceparent.response_headers(trace), **reply.headers}
    return {"statusCode": reply.status, "headers": headers, "body": body}


def _trace(event: Any) -> str | None:
    """The request's `traceparent`: the caller's, else that of the X-Ray trace that Lambda says it is in."""
    headers = event.get("headers") if _is_http(event) else None
    given = str(headers.get("traceparent", "")) if isinstance(headers, dict) else ""
    if len(given) <= MAX_TRACE_CHARACTERS and traceparent.is_w3c(given):
        return given
    return traceparent.from_xray(os.environ.get("_X_AMZN_TRACE_ID"))


def _patience(started_s: float) -> RemainingMs:
    return lambda: RESERVE_MS + PATIENCE_MS - (time.monotonic() - started_s) * 1000


def _is_http(event: Any) -> bool:
    """Whether it is payload format 2.0; anything else is a body by itself."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    return isinstance(context, dict) and "http" in context and "rawPath" in event


def _path(event: dict[str, Any]) -> str:
    """The path as ROUTES has it: by the gateway's route key, which no stage or mapping changes, or, on the
    $default route, by the path itself.
    """
    _, _, path = event.get("routeKey", "").partition(" ")
    if path in ROUTES:
        return str(path)
    path = event["rawPath"]
    return _DECISION if path.startswith("/decisions/") else str(path)


def _id(event: dict[str, Any]) -> str:
    """An HTTP API has decoded the path and its parameters (once), and left the query as it came."""
    asked = parse_qs(event.get("rawQueryString") or "", keep_blank_values=True)
    found = (event.get("pathParameters") or {}).get("id") or asked.get("id", [""])[0]
    return str(found or event["rawPath"].partition("/decisions/")[2])


def _body(event: dict[str, Any]) -> bytes:
    text = event.get("body") or ""
    return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()


@functools.cache
def _wiring() -> Wiring:
    return wire(Settings.from_environ(os.environ), code_root())


@functools.cache
def _endpoints() -> Endpoints:
    return Endpoints(_wiring())


load_early(__name__, _wiring, _endpoints)
