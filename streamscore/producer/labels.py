"""From the lines of a LABELS file to label records: what a line leaves out its event's decision knows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import polars as pl

from common.errors import InvalidInputError, RecordRefusedError
from stream_features import values
from stream_features.event_types import Label
from stream_features.events import decoder
from stream_features.spec_model import Spec
from streamscore.moments import rfc3339
from streamscore.producer.stream import Record
from streamscore.training.rows import ANSWERS, LABEL_TIME, Refusal, record_of
from streamscore.training.sources import JSON_LINES, frames, refused

ATTRIBUTES = ("pk", "entity", "entities", "event_time", "label", LABEL_TIME)
"""What is asked of a decision."""
ROWS = 1_000

Fields = dict[str, msgspec.Raw]
Identity = dict[str, str]
"""The event's time (RFC 3339) and entities by their fields."""
Item = Mapping[str, Mapping[str, Any]]
Look = Callable[[Sequence[str]], Mapping[str, Item]]
_OBJECT = msgspec.json.Decoder(Fields)


class Line(NamedTuple):
    """A line of the file: the columns the spec knows of, as raw JSON, those that are empty left out; None if
    it is no JSON object.
    """

    number: int
    fields: Fields | None


@dataclass
class Labels:
    """What to put, how many lines say what is known already, and what was refused."""

    records: list[Record] = field(default_factory=list)
    known: int = 0
    refusals: list[Refusal] = field(default_factory=list)


def labels_of(spec: Spec, lines: Iterable[Line], look: Look, now_ms: int, key: bytes | None = None) -> Labels:
    """A label record for each line that tells something new; `look` finds decisions by event id.

    The event's time and entities are the decision's where the line does not say them, and must not differ
    where it does. Without `label_time` a label became known `now_ms`. `key` is that of hashed entities.
    """
    found, reader = Labels(), _Reader(spec, now_ms, key)
    for some in batched(lines, ROWS, strict=False):
        ids = {line.number: reader.id_of(line) for line in some}
        items = look(sorted({id_ for id_ in ids.values() if id_ is not None}))
        for line in some:
            try:
                label, record = reader.read(line, items.get(ids[line.number] or ""))
            except RecordRefusedError as error:
                found.refusals.append(Refusal(line.number, error.reason, str(error)))
                continue
            if _is_known(label, items.get(label.id), _is_timed(line)):
                found.known += 1
            else:
                found.records.append(record)
    return found


class _Reader:
    """Reads lines of one spec as the stream will."""

    def __init__(self, spec: Spec, now_ms: int, key: bytes | None) -> None:
        self._spec, self._now_ms, self._decoder = spec, now_ms, decoder(spec, key)
        self._names = [spec.event.time, *(entity.field for entity in spec.entities)]
        self._told: dict[str, tuple[int, bool]] = {}

    def id_of(self, line: Line) -> str | None:
        """The event's id; None if it is not one."""
        name = self._spec.event.id
        raw = (line.fields or {}).get(name)
        try:
            return None if raw is None else values.identifier(bytes(raw), name)
        except RecordRefusedError:
            return None

    def read(self, line: Line, item: Item | None) -> tuple[Label, Record]:
        """The label, and the record that says it; RecordRefusedError if the stream would refuse it."""
        if line.fields is None:
            raise RecordRefusedError("bad_json", "the line is no JSON object")
        known: Identity = {} if item is None else _identity(self._spec, item)
        absent = [name for name in self._names if name not in line.fields and name not in known]
        if absent and self.id_of(line) is not None:
            raise RecordRefusedError(
                "no_decision", f"{', '.join(absent)}: not given, and no decision about this event says it"
            )
        told = {name: _json(value) for name, value in known.items()} | line.fields
        told.setdefault(LABEL_TIME, _json(rfc3339(self._now_ms)))
        _settle_answer(told, self._spec.event.label or "")
        data = msgspec.json.encode({**told, "type": "label"})
        label = cast(Label, self._decoder.decode(data, self._now_ms))
        self._refuse_another_event(label, known)
        self._refuse_contradiction(line, label)
        sent = self._decoder.decode_as_sent(data, self._now_ms)
        return label, Record(label.label_time_ms, sent.entities[0], data, is_label=True)

    def _refuse_another_event(self, label: Label, known: Identity) -> None:
        """Values may be card numbers and are not shown."""
        for name, value in zip(self._names, (rfc3339(label.time_ms), *label.entities), strict=True):
            if known.get(name, value) != value:
                raise RecordRefusedError("other_event", f"{name}: the decision about this event has another")

    def _refuse_contradiction(self, line: Line, label: Label) -> None:
        """Two answers of one moment: which is right nobody knows."""
        if _is_timed(line):
            return
        first, answer = self._told.setdefault(label.id, (line.number, label.label))
        if answer != label.label:
            raise RecordRefusedError(
                "contradiction", f"line {first} says the opposite; give label_time, the later one counts"
            )


def _identity(spec: Spec, item: Item) -> Identity:
    """The event's time and entities as a decision, or a label that came before it, has them."""
    primary, *others = spec.entities
    found = {spec.event.time: rfc3339(int(item["event_time"]["N"])), primary.field: str(item["entity"]["S"])}
    stored = item.get("entities", {}).get("M", {})
    return found | {one.field: str(stored[one.name]["S"]) for one in others if one.name in stored}


def _settle_answer(told: Fields, name: str) -> None:
    """A label as the stream takes it; what is none is left for it to refuse."""
    answer = ANSWERS.get(bytes(told.get(name, b"")))
    if answer is not None:
        told[name] = _json(answer)


def _is_timed(line: Line) -> bool:
    return LABEL_TIME in (line.fields or {})


def _is_known(label: Label, item: Item | None, timed: bool) -> bool:
    """Whether the decision has this label, as of then or later; a label that is not timed is as of then."""
    if item is None or "label" not in item or item["label"]["BOOL"] != label.label:
        return False
    return not timed or int(item[LABEL_TIME]["N"]) >= label.label_time_ms


def _json(value: str | bool) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def read_lines(path: Path, spec: Spec) -> Iterator[Line]:
    """The lines of a .csv, .csv.gz, .csv.xz, .jsonl or .parquet file.

    InvalidInputError if the spec has no label, or the file cannot be read or lacks its id or label.
    """
    if spec.event.label is None:
        raise InvalidInputError("the spec names no label ([event] label), so there is none to tell")
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file")
    names = dict.fromkeys(
        (spec.event.id, spec.event.label, LABEL_TIME, spec.event.time, *(one.field for one in spec.entities))
    )
    if path.name.endswith(JSON_LINES):
        yield from _json_lines(path, names)
        return
    for frame in frames(path, ROWS, lambda schema: _columns(path, schema, spec, names)):
        for row in frame.iter_rows(named=True):
            number = int(row.pop("@line"))
            yield Line(number, _OBJECT.decode(record_of(row, spec)))


def _columns(path: Path, schema: pl.Schema, spec: Spec, names: Iterable[str]) -> list[pl.Expr]:
    absent = [name for name in (spec.event.id, spec.event.label or "") if name not in schema]
    if absent:
        has = ", ".join(schema) or "none"
        raise InvalidInputError(f"{path}: no column {', '.join(absent)}; it has {has}")
    return [pl.col(name) for name in names if name in schema]


def _json_lines(path: Path, names: Iterable[str]) -> Iterator[Line]:
    with refused(path), path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield Line(number, _fields(line, names))


def _fields(line: bytes, names: Iterable[str]) -> Fields | None:
    try:
        found = _OBJECT.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return {name: found[name] for name in names if name in found and bytes(found[name]) != b"null"}
