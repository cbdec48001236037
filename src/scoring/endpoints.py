"""What the API answers, path by path: a question in, a reply or a problem out. HTTP's and Lambda's forms are
`scoring.api`'s.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from common.aws import Backoff, RemainingMs, answer_of, client
from common.errors import RecordRefusedError, TransientError
from common.records import partition_of
from scoring import answers, openapi
from scoring.answers import Answer
from scoring.asked import Reader
from scoring.predict import predict
from scoring.problems import ProblemError, Refusals, busy
from scoring.wiring import Wiring
from stream_features.events import Event, Label
from stream_features.values import MAX_TEXT_BYTES

MAX_EVENTS = 500
MAX_BODY_BYTES = 1_000_000
MAX_FEATURE_VALUES = 50_000
"""In one answer: Lambda's 6 MB would hold about twice as many."""


class Request(NamedTuple):
    """What is asked: the body's bytes, the id in the path or query, how long there is, and the trace it is
    part of (`traceparent`), which is that of events without one of their own.
    """

    body: bytes
    id: str
    remaining_ms: RemainingMs
    trace: str | None = None


class Reply(NamedTuple):
    """A status, a body that can be JSON, and headers of its own."""

    status: int
    body: Any
    headers: Mapping[str, str] = {}


class _Batch(msgspec.Struct):
    events: list[msgspec.Raw]
    features: bool = False


class Endpoints:
    """The API of one stack. Each raises ProblemError, or TransientError when a table does not answer."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._decoder = wiring.decoder()
        self._reader = Reader(wiring.spec, self._decoder)
        self._refusals = Refusals(wiring.spec)
        self._batch = msgspec.json.Decoder(_Batch)

    def predict(self, request: Request) -> Reply:
        """POST /predict: an event, or a ready vector."""
        (answer,) = self._answers([request.body], request, features=True)
        if isinstance(answer, ProblemError):
            raise answer
        return Reply(200, answer)

    def batch_predict(self, request: Request) -> Reply:
        """POST /batch-predict: {"events": […]}, each as /predict takes it."""
        asked = self._asked(request.body)
        found = self._answers([bytes(event) for event in asked.events], request, features=asked.features)
        return Reply(200, {"results": [_result(n, answer) for n, answer in enumerate(found)]})

    def _answers(
        self, bodies: Sequence[bytes], request: Request, *, features: bool
    ) -> list[Answer | ProblemError]:
        """An answer, with the features it rests on if wanted, or what is wrong with it, for each body."""
        held = predict(self._wiring, self._reader, bodies, request.remaining_ms, request.trace)
        standing = [each for each in held if not isinstance(each, ProblemError)]
        told = answers.answers(standing, self._wiring.specs.get) if features else answers.brief(standing)
        in_order = iter(told)
        return [each if isinstance(each, ProblemError) else next(in_order) for each in held]

    def put_event(self, request: Request) -> Reply:
        """POST /events: checked as the stream's consumer will, so the caller hears what is wrong instead of
        quarantine.
        """
        try:
            record = self._decoder.decode_as_sent(request.body, time.time_ns() // 1_000_000)
        except RecordRefusedError as error:
            raise self._refusals.problem(error) from error
        put = {
            "StreamName": self._wiring.settings.events_stream,
            "Data": _with_trace(request.body, record, self._wiring.spec.event.trace, request.trace),
            **partition_of(record.entities[0]),
        }
        for _ in Backoff().tries(request.remaining_ms):
            done = answer_of(lambda: _kinesis().put_record(**put))
            if done is not None:
                return Reply(
                    202, {"id": record.id, "shard": done["ShardId"], "sequence": done["SequenceNumber"]}
                )
        raise busy("the stream takes no more records at the moment")

    def decision(self, request: Request) -> Reply:
        """GET /decisions/{id}, and /decisions?id= for ids that a path cannot carry."""
        wanted = request.id
        if 0 < len(wanted.encode("utf-8", "replace")) <= MAX_TEXT_BYTES:
            item = self._wiring.decisions.get([wanted], request.remaining_ms).get(wanted)
            if item is not None and "scored_at" in item:
                return Reply(200, answers.stored(item))
        raise ProblemError("no_decision", "no decision about this id is stored", field="id")

    def health(self, request: Request) -> Reply:
        """GET /health: what it would decide with; a missing model is no fault, since the fallback decides."""
        serving = self._wiring.serving.current()
        told = {
            "status": "ok",
            "model": serving.model.version if serving.model else None,
            "absent": serving.absent,
            "challenger": serving.challenger.version if serving.challenger else None,
            "policy": serving.policy.version,
            "spec": self._wiring.spec.sha256,
        }
        return Reply(200, told)

    def openapi(self, request: Request) -> Reply:
        """GET /openapi.json."""
        return Reply(200, self._openapi)

    @functools.cached_property
    def _openapi(self) -> dict[str, Any]:
        return openapi.document(self._wiring.spec, MAX_EVENTS)

    def _asked(self, body: bytes) -> _Batch:
        try:
            asked = self._batch.decode(body)
        except msgspec.ValidationError as error:
            field = next((name for name in _Batch.__struct_fields__ if name in str(error)), "")
            told = f"the batch: {error}"
            raise ProblemError("invalid_event", told, reason="wrong_type", field=field) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProblemError("malformed", f"the body: {error}", reason="bad_json") from error
        most = MAX_EVENTS
        if asked.features:
            most = min(most, MAX_FEATURE_VALUES // max(1, len(self._wiring.spec.features)))
        if len(asked.events) > most:
            told = f"events: {len(asked.events)} of them, at most {most} in one call"
            raise ProblemError("too_large", told, reason="too_many", field="events")
        return asked


def _with_trace(body: bytes, record: Event | Label, field: str | None, trace: str | None) -> bytes:
    """The record as it was written; an event without a trace gets the request's before its first key."""
    if not field or not trace or not isinstance(record, Event) or record.trace:
        return body
    brace, _, rest = body.partition(b"{")
    return brace + b"{" + msgspec.json.encode({field: trace})[1:-1] + b"," + rest


def _result(index: int, answer: Answer | ProblemError) -> dict[str, Any]:
    if isinstance(answer, ProblemError):
        return {"index": index, "error": answer.document()}
    return {"index": index, **answer}


@functools.cache
def _kinesis() -> Any:
    return client("kinesis")


Endpoint = Callable[[Endpoints, Request], Reply]
ROUTES: Mapping[str, Mapping[str, Endpoint]] = {
    "/predict": {"POST": Endpoints.predict},
    "/batch-predict": {"POST": Endpoints.batch_predict},
    "/events": {"POST": Endpoints.put_event},
    "/decisions/{id+}": {"GET": Endpoints.decision},
    "/decisions": {"GET": Endpoints.decision},
    "/health": {"GET": Endpoints.health},
    "/openapi.json": {"GET": Endpoints.openapi},
}
"""By path as the template writes it, then by method."""


def answered(endpoints: Endpoints, path: str, method: str, request: Request) -> Reply:
    """The reply of the endpoint at a path of ROUTES; a TransientError becomes a problem."""
    methods = ROUTES.get(path)
    if methods is None:
        raise ProblemError("unknown_path", "see /openapi.json for what there is")
    if method not in methods:
        raise ProblemError(
            "wrong_method", f"it takes {', '.join(methods)}", headers={"allow": ", ".join(methods)}
        )
    if len(request.body) > MAX_BODY_BYTES:
        told = f"the body has {len(request.body)} bytes, at most {MAX_BODY_BYTES} are read"
        raise ProblemError("too_large", told, reason="too_large")
    try:
        return methods[method](endpoints, request)
    except TransientError as error:
        raise busy("a table did not answer in time") from error
