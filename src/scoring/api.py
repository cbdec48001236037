"""Scoring over HTTP (payload format 2.0) and by direct invocation with the same bodies.

    POST /predict         {event} or {"features": {name: number or null}}: a decision, nothing written
    POST /batch-predict   {"events": [{event}, …]}, at most 500: a result or an error each, with its index
    POST /events          {event or label}: put on the stream
    GET  /decisions/{id}  what was decided
    GET  /health

A direct invocation gives a body alone: with "events" it is a batch, else a prediction. Errors are RFC 9457
problems that name the field.
"""

import base64
import functools
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from common.aws import RESERVE_MS, RemainingMs, client
from common.errors import InvalidInputError, RecordRefusedError, StreamscoreError, TransientError
from common.settings import Settings, code_root
from common.telemetry import logger, meter, observed
from scoring.plain import plain
from scoring.predict import predict, predict_vector
from scoring.wiring import Wiring, wire

MAX_EVENTS = 500
MAX_BODY_BYTES = 1_000_000
PATIENCE_MS = 2_000
"""Throttled reads are asked again for this long; then the caller is told to come back."""


class ProblemError(StreamscoreError):
    """A request that is answered with an error: its status, and a member of the problem (`reason`) if
    there is one.
    """

    def __init__(self, status: int, detail: str, reason: str = "") -> None:
        super().__init__(detail)
        self.status, self.reason = status, reason


class Request(NamedTuple):
    """What is asked: a method, a path, the body's bytes, and how long there is."""

    method: str
    path: str
    body: bytes
    remaining_ms: RemainingMs


class Reply(NamedTuple):
    """A status and a body that can be JSON."""

    status: int
    body: Any


@observed
def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry."""
    return respond(_wiring(), event)


def respond(wiring: Wiring, event: Any) -> Any:
    """The answer to an HTTP API event, or to a body invoked directly."""
    deadline_s = time.monotonic() + PATIENCE_MS / 1000

    def remaining_ms() -> float:
        return RESERVE_MS + (deadline_s - time.monotonic()) * 1000

    http = event.get("requestContext", {}).get("http") if isinstance(event, dict) else None
    if http is None:
        path = "/batch-predict" if isinstance(event, dict) and "events" in event else "/predict"
        return _answer(wiring, Request("POST", path, json.dumps(event).encode(), remaining_ms)).body
    meter().http_request()
    text = event.get("body") or ""
    body = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    return _http(_answer(wiring, Request(http["method"], event["rawPath"], body, remaining_ms)))


def _answer(wiring: Wiring, request: Request) -> Reply:
    """Route it; an error we foresaw becomes a problem."""
    try:
        if len(request.body) > MAX_BODY_BYTES:
            raise ProblemError(
                413, f"the body has {len(request.body)} bytes, at most {MAX_BODY_BYTES} are read"
            )
        return _route(request)(wiring, request)
    except ProblemError as error:
        return _problem(error.status, str(error), error.reason)
    except RecordRefusedError as error:
        return _problem(422, str(error), error.reason)
    except InvalidInputError as error:
        return _problem(422, str(error))
    except TransientError as error:
        logger().warning("answered 503", extra={"error": str(error)})
        return _problem(503, "the tables are throttled; try again")


def _route(request: Request) -> Callable[[Wiring, Request], Reply]:
    methods = _ROUTES.get("/decisions/" if request.path.startswith("/decisions/") else request.path)
    if methods is None:
        raise ProblemError(404, f"there is no {request.path}")
    if request.method not in methods:
        raise ProblemError(405, f"{request.path} takes {', '.join(methods)}")
    return methods[request.method]


def _predict(wiring: Wiring, request: Request) -> Reply:
    body = _object(request.body)
    if "features" in body:
        features = _decode(body["features"], dict[str, Any], "features")
        return Reply(200, predict_vector(wiring, features))
    (answer,) = predict(wiring, [request.body], request.remaining_ms)
    if isinstance(answer, RecordRefusedError):
        raise answer
    return Reply(200, answer)


def _batch_predict(wiring: Wiring, request: Request) -> Reply:
    events = _object(request.body).get("events")
    if events is None:
        raise ProblemError(422, "events: is missing", "missing_field")
    bodies = [bytes(event) for event in _decode(events, list[msgspec.Raw], "events")]
    if len(bodies) > MAX_EVENTS:
        raise ProblemError(413, f"events: {len(bodies)} of them, at most {MAX_EVENTS} in one call")
    answers = predict(wiring, bodies, request.remaining_ms)
    return Reply(200, {"results": [_result(n, answer) for n, answer in enumerate(answers)]})


def _result(index: int, answer: dict[str, Any] | RecordRefusedError) -> dict[str, Any]:
    if isinstance(answer, RecordRefusedError):
        return {"index": index, "error": _problem(422, str(answer), answer.reason).body}
    return {"index": index, **answer}


def _put_event(wiring: Wiring, request: Request) -> Reply:
    """Checked first as the stream's consumer will, so the caller hears what is wrong instead of
    quarantine.
    """
    record = wiring.decoder.decode(request.body, time.time_ns() // 1_000_000)
    put = _kinesis().put_record(
        StreamName=wiring.settings.events_stream, Data=request.body, PartitionKey=record.entities[0]
    )
    return Reply(202, {"id": record.id, "shard": put["ShardId"], "sequence": put["SequenceNumber"]})


def _decision(wiring: Wiring, request: Request) -> Reply:
    id_ = request.path.removeprefix("/decisions/")
    item = wiring.decisions.get([id_], request.remaining_ms).get(id_)
    if item is None:
        raise ProblemError(404, "there is no decision about this event")
    return Reply(200, {"id": id_, **{n: plain(v) for n, v in item.items() if n != "pk"}})


def _health(wiring: Wiring, request: Request) -> Reply:
    """Up, and what it would decide with; a missing model is no fault, since the fallback decides."""
    serving = wiring.serving.current()
    model = serving.model.version if serving.model else None
    return Reply(200, {"status": "ok", "model": model, "absent": serving.absent, "spec": wiring.spec.sha256})


_ROUTES: Mapping[str, Mapping[str, Callable[[Wiring, Request], Reply]]] = {
    "/predict": {"POST": _predict},
    "/batch-predict": {"POST": _batch_predict},
    "/events": {"POST": _put_event},
    "/decisions/": {"GET": _decision},
    "/health": {"GET": _health},
}
_TITLES = {
    404: "Not found",
    405: "Method not allowed",
    413: "Too large",
    422: "Not an event of this spec",
    503: "Not now",
}


def _problem(status: int, detail: str, reason: str = "") -> Reply:
    body = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail}
    return Reply(status, body | ({"reason": reason} if reason else {}))


def _http(reply: Reply) -> dict[str, Any]:
    kind = "application/json" if reply.status < 400 else "application/problem+json"
    headers = {"content-type": kind} | ({"retry-after": "1"} if reply.status == 503 else {})
    return {"statusCode": reply.status, "headers": headers, "body": msgspec.json.encode(reply.body).decode()}


def _object(body: bytes) -> dict[str, msgspec.Raw]:
    return _decode(body, dict[str, msgspec.Raw], "the body")


def _decode[T](data: bytes | msgspec.Raw, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProblemError(422, f"{what}: {error}", "bad_json") from error


@functools.cache
def _wiring() -> Wiring:
    return wire(Settings.from_environ(os.environ), code_root())


@functools.cache
def _kinesis() -> Any:
    return client("kinesis")
