"""What is wrong with a request, as problems of RFC 9457: kinds, each with its status and title. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from common.errors import RecordRefusedError, StreamscoreError
from stream_features.spec import Spec

MEDIA_TYPE = "application/problem+json"
URN = "urn:streamscore:problem:"
"""What the `type` of a problem starts with; its kind follows."""


class Kind(NamedTuple):
    """A kind of problem: the status it is answered with, and its title, the same whatever happened."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "malformed": Kind(400, "The body is not JSON"),
    "unknown_path": Kind(404, "There is no such path"),
    "no_decision": Kind(404, "Nothing was decided about this id"),
    "wrong_method": Kind(405, "The path does not take this method"),
    "id_reused": Kind(409, "The id belongs to another event"),
    "too_large": Kind(413, "The request is too large"),
    "invalid_event": Kind(422, "Not an event of this spec"),
    "invalid_features": Kind(422, "Not the features of this spec"),
    "busy": Kind(503, "Not now; ask again"),
}
_NO_JSON = frozenset({"bad_json", "not_finite"})


class ProblemError(StreamscoreError):
    """A request, or one event of a batch, that is answered with a problem. `reason` is a short stable code,
    `field` where in the body the fault lies; `headers` go with a response of its own.
    """

    def __init__(
        self, kind: str, detail: str, *, reason: str = "", field: str = "", headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(detail)
        self.kind, self.status, self.headers = kind, KINDS[kind].status, headers
        self._members = {"reason": reason} if reason else {}
        self._members |= {"field": field} if field else {}

    def document(self) -> dict[str, Any]:
        """The problem as JSON."""
        told = {"type": URN + self.kind, "title": KINDS[self.kind].title, "status": self.status}
        return {**told, "detail": str(self), **self._members}


class Refusals:
    """Tells of an event's refusal where in the body the fault lies."""

    def __init__(self, spec: Spec) -> None:
        event, entities = spec.event, [entity.field for entity in spec.entities]
        keys = [event.id, event.time, event.label, "label_time", "type", *entities]
        self._places = {key: key for key in keys if key}
        self._places |= {field.name: ".".join(field.path) for field in event.fields}

    def problem(self, error: RecordRefusedError) -> ProblemError:
        """The problem of an event that the decoder refused; `field` is a path such as `device.id`."""
        name, colon, _ = str(error).partition(": ")
        place = self._places.get(name) if colon else None
        kind = "malformed" if error.reason in _NO_JSON else "invalid_event"
        return ProblemError(kind, str(error), reason=error.reason, field=place or "")


def busy(detail: str) -> ProblemError:
    """What is asked can be had a little later."""
    return ProblemError("busy", detail, headers={"retry-after": "1"})
