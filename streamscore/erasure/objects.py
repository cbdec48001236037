"""Objects of the data bucket without what they hold of an entity; all else in them stays as it is. Pure.

Quarantined records and given-up batches are described in `redrive.strays`, exports in `decided.exports`.
"""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from common.errors import InvalidInputError
from common.records import kinesis_records
from stream_features.state import decode_out, encode_out
from streamscore.decided.exports import Line
from streamscore.erasure.whom import Whom
from streamscore.redrive.progress import Progress

_BROKEN = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, InvalidInputError)
_line = msgspec.json.Decoder(Line)
Record = dict[str, Any]


@dataclass
class Left:
    """What is left of an object. `arrived_ms` of what is not; `kept` are the places of the records that are
    left, counted as redrive counts them. A `masked` record stays, without the value. `body` is None where
    nothing is left.
    """

    arrived_ms: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    masked: int = 0
    body: bytes | None = None

    @property
    def is_changed(self) -> bool:
        """Whether the object held anything of the entity."""
        return bool(self.arrived_ms or self.masked)

    def keep(self, place: int) -> None:
        """The record at this place stays."""
        self.kept.append(place)


Without = Callable[[bytes, Whom], Left]


def without(read: Without, key: str, body: bytes, whom: Whom) -> Left:
    """What is left of an object; InvalidInputError if it is not what its key says."""
    try:
        return read(body, whom)
    except _BROKEN as error:
        raise InvalidInputError(
            f"{key}: not readable, so nobody can say whether it names the entity: {error}; delete it, or let "
            "it expire"
        ) from error


def quarantined(body: bytes, whom: Whom) -> Left:
    """Of an object of records that a function set aside, a line each."""
    left, lines = Left(), []
    for place, text in enumerate(gzip.decompress(body).splitlines(keepends=True)):
        line = json.loads(text)
        data = _judged(whom, base64.b64decode(line["payload"], validate=True), line["arrival_ms"], left)
        if data is None:
            continue
        left.keep(place)
        masked = {**line, "payload": base64.b64encode(data).decode()}
        lines.append(text if data is _SAME else json.dumps(masked).encode() + b"\n")
    left.body = _packed(lines) if lines else None
    return left


def given_up(body: bytes, whom: Whom) -> Left:
    """Of a batch that Lambda gave up. A producer's aggregate that held the entity is taken apart."""
    document, left = json.loads(body), Left()
    is_text = isinstance(document["payload"], str)
    event = json.loads(document["payload"]) if is_text else document["payload"]
    kept: list[Record] = []
    for record in event["Records"]:
        kept += _of_stream(whom, record, left) if "kinesis" in record else _of_table(whom, record, left)
    event["Records"] = kept
    if not left.kept and kept:
        left.keep(0)  # a table's batch is one thing to redrive
    document["payload"] = json.dumps(event) if is_text else event
    left.body = json.dumps(document).encode() if kept else None
    return left


def exported(body: bytes, whom: Whom) -> Left:
    """Of a data file of an export. Its manifest counts lines, so a decision's line stays, and says of it what
    an incremental export says of an item that was deleted: its key, no image.
    """
    left, written = Left(), io.BytesIO()
    with (
        gzip.GzipFile(fileobj=io.BytesIO(body)) as lines,
        gzip.GzipFile(fileobj=written, mode="wb", mtime=0) as out,
    ):
        for place, text in enumerate(lines):
            line = _line.decode(text)
            image = line.Item or line.NewImage or {}
            left.keep(place)
            if not whom.in_decision(image):
                out.write(text)
                continue
            left.arrived_ms.append(int(image.get("arrival", image["event_time"])["N"]))
            about = {name: value for name, value in json.loads(text).items() if name == "Metadata"}
            keys = {"Keys": {"pk": image["pk"]}}
            out.write(json.dumps(about | keys).encode() + b"\n")
    left.body = written.getvalue()
    return left


def progress_of(left: Left, before: Progress, etag: str) -> Progress:
    """What redrive has done of the object as it is now, by what it had done of it before."""
    now = {place: number for number, place in enumerate(left.kept)}
    through = sum(place < before.through for place in left.kept)
    return Progress(etag, through, [now[place] for place in before.left if place in now])


_SAME = b"as it is"


def _judged(whom: Whom, data: bytes, arrival_ms: int, left: Left) -> bytes | None:
    """The record's data as it may stay: `_SAME`, masked, or None if it has to go."""
    names_it = whom.in_record(data)
    if names_it:
        left.arrived_ms.append(arrival_ms)
        return None
    masked = data if names_it is False else whom.masked(data)
    if masked == data:
        return _SAME
    left.masked += 1
    return masked


def _of_stream(whom: Whom, record: Record, left: Left) -> list[Record]:
    """The entries that are left of one of a batch of events."""
    taken, unread = kinesis_records({"Records": [record]})
    parts = [*taken, *(refused.record for refused in unread)]
    first = len(left.kept) + len(left.arrived_ms)
    judged = [_judged(whom, part.data, part.arrival_ms, left) for part in parts]
    for place, data in enumerate(judged, first):
        if data is not None:
            left.keep(place)
    if all(data is _SAME for data in judged):
        return [record]
    kept = [part.data if data is _SAME else data for part, data in zip(parts, judged, strict=True)]
    return [_entry(record, data, whom) for data in kept if data is not None]


def _entry(record: Record, data: bytes, whom: Whom) -> Record:
    kinesis = {**record["kinesis"], "data": base64.b64encode(data).decode()}
    if kinesis.get("partitionKey") in whom.forms:
        kinesis["partitionKey"] = "erased"
    return {**record, "kinesis": kinesis}


def _of_table(whom: Whom, record: Record, left: Left) -> list[Record]:
    """What is left of a change of the state table, or of the decisions table."""
    change = record["dynamodb"]
    images = [change[name] for name in ("NewImage", "OldImage") if name in change]
    arrived_ms = round(change.get("ApproximateCreationDateTime", 0) * 1000)
    own = change.get("Keys", {}).get("pk", {}).get("S") in whom.keys
    if own or any(map(whom.in_decision, images)):
        left.arrived_ms.append(arrived_ms)
        return []
    for image in images:
        if "out" in image and not whom.is_primary:
            rows = base64.b64decode(image["out"]["B"])
            if (fewer := without_rows(rows, whom)) is not None:
                left.arrived_ms.append(arrived_ms)
                image["out"] = {"B": base64.b64encode(fewer).decode()}
    return [record]


def without_rows(rows: bytes, whom: Whom) -> bytes | None:
    """An `out` without the rows and labels that name the entity; None if it has none of them."""
    out = decode_out(rows)

    def others[R: Any](some: Iterable[R]) -> tuple[R, ...]:
        return tuple(row for row in some if not whom.is_among(row.entities))

    fewer = msgspec.structs.replace(out, rows=others(out.rows), labels=others(out.labels))
    return None if fewer == out else encode_out(fewer)


def _packed(lines: Iterable[bytes]) -> bytes:
    written = io.BytesIO()
    with gzip.GzipFile(fileobj=written, mode="wb", mtime=0) as out:
        for line in lines:
            out.write(line)
    return written.getvalue()


def names_it(message: str, whom: Whom) -> bool:
    """Whether a message of a queue is a decision that the bus was to be told, about the entity."""
    try:
        document = json.loads(message)
    except ValueError:
        return False
    detail: Mapping[str, Any] = document.get("detail") or {} if isinstance(document, dict) else {}
    named = detail.get("entity") if whom.is_primary else detail.get("entities", {}).get(whom.entity)
    return bool(named == whom.value)
