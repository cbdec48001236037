"""An answer at once: features of an event as of now, by the kernel that serves the stream, and nothing
written.

State is read as it stands, so it lags the stream by the stream's own latency; an event that is on the stream
already is in it. Several events in one call do not see each other.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from common.aws import RemainingMs
from common.errors import InvalidInputError, RecordRefusedError
from common.telemetry import count
from scoring.judge import Judged
from scoring.model import Floats
from scoring.rules import Batch
from scoring.wiring import Wiring
from stream_features.events import Event
from stream_features.kernel import Columns, Group, fold
from stream_features.state import kernel_blob

Answer = dict[str, Any]


def predict(
    wiring: Wiring, bodies: Sequence[bytes], remaining_ms: RemainingMs
) -> list[Answer | RecordRefusedError]:
    """An answer, or what is wrong with it, for each event as JSON; TransientError if state cannot be read."""
    now_ms = time.time_ns() // 1_000_000
    decoded = [_decode(wiring, body, now_ms) for body in bodies]
    events = [found for found in decoded if isinstance(found, Event)]
    features = as_of_now(wiring, events, remaining_ms)
    judged = wiring.judge.judge(
        wiring.serving.current(), wiring.spec, Batch(features, [event.kept for event in events])
    )
    answers = iter(_answers([event.id for event in events], features, wiring, judged))
    count("RowsScored", len(events) if judged.model else 0)
    return [next(answers) if isinstance(found, Event) else found for found in decoded]


def predict_vector(wiring: Wiring, features: Mapping[str, Any]) -> Answer:
    """An answer for a caller's own feature values; InvalidInputError names one that is unknown, absent or
    no number.
    """
    names = wiring.spec.feature_names
    unknown, absent = [n for n in features if n not in names], [n for n in names if n not in features]
    if unknown or absent:
        wrong = (
            f"unknown feature {unknown[0]!r}"
            if unknown
            else f"feature {absent[0]!r} is missing (null is allowed)"
        )
        raise InvalidInputError(f"features: {wrong}")
    vector = np.array([[_number(name, features[name]) for name in names]], np.float32)
    kept = [(None,) * len(wiring.spec.event.keep)]
    judged = wiring.judge.judge(wiring.serving.current(), wiring.spec, Batch(vector, kept))
    count("RowsScored", 1 if judged.model else 0)
    return _answers([None], vector, wiring, judged)[0]


def as_of_now(wiring: Wiring, events: Sequence[Event], remaining_ms: RemainingMs) -> Floats:
    """The feature vectors [n, F] of events folded, each by itself, into the states that are stored now."""
    entities = [entity.name for entity in wiring.spec.entities]
    keys = [[f"{n}#{v}" for n, v in zip(entities, event.entities, strict=True)] for event in events]
    wanted = list({key for own in keys for key in own})
    items = wiring.db.batch_get(wiring.settings.state_table, wanted, ("pk", "s"), remaining_ms)
    blobs = {item["pk"]["S"]: kernel_blob(item["s"]["B"]) for item in items}
    codes, apply = np.arange(len(events), dtype=np.int32), np.ones(len(events), np.bool_)
    groups = [Group(codes, [blobs.get(own[n], b"") for own in keys], apply) for n in range(len(entities))]
    return fold(wiring.spec, Columns.from_records(wiring.spec, events), groups).features


def _decode(wiring: Wiring, body: bytes, now_ms: int) -> Event | RecordRefusedError:
    try:
        found = wiring.decoder.decode(body, now_ms)
    except RecordRefusedError as error:
        return error
    if isinstance(found, Event):
        return found
    return RecordRefusedError("is_label", "type: a label is not scored; put it on the stream")


def _number(name: str, value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInputError(f"features: {name!r} must be a number or null")
    return float(value)


def _answers(ids: Sequence[str | None], features: Floats, wiring: Wiring, judged: Judged) -> list[Answer]:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    answers: list[Answer] = []
    for row, id_ in enumerate(ids):
        score = judged.score(row)
        reasons: list[Any] = [reason._asdict() for reason in judged.reasons[row]]
        values = zip(wiring.spec.feature_names, features[row], strict=True)
        answers.append(
            {
                "id": id_,
                "decision": judged.verdicts[row].decision,
                "score": score,
                "confidence": None if score is None else round(max(score, 1 - score), 6),
                "reasons": [judged.absent] if judged.absent else reasons,
                "rules": judged.verdicts[row].rules,
                "features": {n: None if np.isnan(v) else float(str(v)) for n, v in values},
                "model": judged.model,
                "policy": judged.policy,
                "time": at,
            }
        )
    return answers
