"""An answer at once: features of an event as of now, by the kernel that serves the stream, and a decision
that stands. State is read and never written.

State lags the stream by the stream's own latency; an event that is on the stream already is in it. Several
events in one call do not see each other.
"""

import time
from collections.abc import Sequence

import numpy as np

from common.aws import RemainingMs
from common.telemetry import count, follow, note
from common.tracing import annotate, step
from scoring import policy as policies
from scoring.answers import Answer, answers
from scoring.asked import Asked, Reader
from scoring.items import Decision, Item, kept_values, to_item
from scoring.judge import Judged
from scoring.model import Floats
from scoring.problems import ProblemError
from scoring.record import Held, record
from scoring.rules import Batch
from scoring.wiring import Wiring
from stream_features.events import Event
from stream_features.kernel import Columns, Group, fold
from stream_features.spec import Spec
from stream_features.store import read_states


def predict(
    wiring: Wiring, reader: Reader, bodies: Sequence[bytes], remaining_ms: RemainingMs
) -> list[Answer | ProblemError]:
    """An answer, or what is wrong with it, for each body; TransientError if state cannot be read."""
    now_ms = time.time_ns() // 1_000_000
    with step("decode"):
        read = [_read(reader, body, now_ms) for body in bodies]
    asked = [each for each in read if isinstance(each, Asked)]
    follow(each.event.trace for each in asked if each.event)
    annotate(batch_size=len(asked))
    with step("features"):
        features = _features(wiring, asked, remaining_ms)
    with step("score"):
        items = _decided(wiring, asked, features)
    held = record(wiring, asked, items, remaining_ms)
    told = iter(_told(wiring, held))
    return [next(told) if isinstance(each, Asked) else each for each in read]


def as_of_now(wiring: Wiring, events: Sequence[Event], remaining_ms: RemainingMs) -> Floats:
    """The feature vectors [n, F] of events folded, each by itself, into the states that are stored now."""
    entities = [entity.name for entity in wiring.spec.entities]
    keys = [[f"{n}#{v}" for n, v in zip(entities, event.entities, strict=True)] for event in events]
    wanted = list({key for own in keys for key in own})
    blobs = read_states(wiring.db, wiring.settings.state_table, wiring.spec, wanted, remaining_ms)
    codes, apply = np.arange(len(events), dtype=np.int32), np.ones(len(events), np.bool_)
    groups = [Group(codes, [blobs.get(own[n], b"") for own in keys], apply) for n in range(len(entities))]
    return fold(wiring.spec, Columns.from_records(wiring.spec, events), groups).features


def _read(reader: Reader, body: bytes, now_ms: int) -> Asked | ProblemError:
    try:
        return reader.read(body, now_ms)
    except ProblemError as problem:
        return problem


def _features(wiring: Wiring, asked: Sequence[Asked], remaining_ms: RemainingMs) -> Floats:
    """A row [F] for each: a ready vector as it is, an event's as of now."""
    features = np.empty((len(asked), len(wiring.spec.features)), np.float32)
    events = [each.event for each in asked if each.event is not None]
    if events:
        features[[each.event is not None for each in asked]] = as_of_now(wiring, events, remaining_ms)
    for row, each in enumerate(asked):
        if each.vector is not None:
            features[row] = each.vector
    return features


def _decided(wiring: Wiring, asked: Sequence[Asked], features: Floats) -> list[Item]:
    """The item of each row's decision, not stored yet; a vector's has no id and is never stored."""
    nothing = (None,) * len(wiring.spec.event.keep)
    kept = [each.event.kept if each.event else nothing for each in asked]
    serving = wiring.serving.current()
    version = serving.model.version if serving.model else serving.absent
    note(model_version=version)
    annotate(model_version=version)
    draws = policies.draws(serving.policy, [each.event.id if each.event else "" for each in asked])
    if draws is not None:
        draws[[each.event is None for each in asked]] = 1.0  # a vector is nobody's: no control for it
    judged = wiring.judge.judge(serving, wiring.spec, Batch(features, kept), draws)
    count("RowsScored", len(asked) if judged.model else 0)
    return [_item(wiring.spec, each, judged, row, features[row]) for row, each in enumerate(asked)]


def _item(spec: Spec, asked: Asked, judged: Judged, row: int, vector: Floats) -> Item:
    event, now_ms = asked.event, time.time_ns() // 1_000_000
    item = to_item(
        Decision(
            id=event.id if event else "",
            entity=event.entities[0] if event else "",
            event_time_ms=event.time_ms if event else now_ms,
            arrival_ms=event.arrival_ms if event else now_ms,
            scored_at_ms=now_ms,
            score=judged.score(row),
            verdict=judged.verdicts[row],
            reasons=judged.reasons[row],
            absent=judged.absence(row),
            model=judged.model,
            policy=judged.policy,
            spec_sha=spec.sha256,
            features=vector.tobytes(),
            kept=kept_values(spec, event.kept) if event else {},
            trace=event.trace if event else None,
            source="api",
        )
    )
    return item | {"request": {"B": asked.digest}}


def _told(wiring: Wiring, held: Sequence[Held]) -> list[Answer | ProblemError]:
    """Answers for what is held, in order."""
    told = iter(answers([each for each in held if not isinstance(each, ProblemError)], wiring.specs.get))
    return [each if isinstance(each, ProblemError) else next(told) for each in held]
