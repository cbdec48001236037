"""An answer at once: features of an event as of now, by the kernel that serves the stream, and a decision
that stands. State is read and never written.

State lags the stream by the stream's own latency; an event that is on the stream already is in it. Several
events in one call do not see each other.
"""

import time
from collections.abc import Sequence

import msgspec
import numpy as np

from common.aws import RemainingMs
from common.telemetry import follow, note
from common.tracing import annotate, step
from scoring import policy as policies
from scoring.asked import Asked, Reader
from scoring.items import Item
from scoring.model import Floats
from scoring.problems import ProblemError
from scoring.record import Held, record
from scoring.rows import batch, items
from scoring.wiring import Wiring
from stream_features.events import Event
from stream_features.kernel import Columns, Group, fold
from stream_features.spec import Spec
from stream_features.state import Row
from stream_features.store import read_states


def predict(
    wiring: Wiring,
    reader: Reader,
    bodies: Sequence[bytes],
    remaining_ms: RemainingMs,
    trace: str | None = None,
) -> list[Held]:
    """The decision that stands, or what is wrong, for each body; TransientError if state cannot be read.
    `trace` is the request's; an event that has one of its own keeps it.
    """
    now_ms = time.time_ns() // 1_000_000
    with step("decode"):
        read = [_traced(each, trace) for each in reader.read(bodies, now_ms)]
    asked = [each for each in read if isinstance(each, Asked)]
    if not asked:
        return [each for each in read if isinstance(each, ProblemError)]
    follow([trace, *(each.event.trace for each in asked if each.event)])
    annotate(batch_size=len(asked))
    with step("features"):
        rows = _rows(wiring.spec, asked, as_of_now(wiring, _events(asked), remaining_ms), now_ms)
    with step("score"):
        decided = _decided(wiring, rows)
    for item, each in zip(decided, asked, strict=True):
        item["request"] = {"B": each.digest}
    held = iter(record(wiring, asked, decided, remaining_ms))
    return [next(held) if isinstance(each, Asked) else each for each in read]


def as_of_now(wiring: Wiring, events: Sequence[Event], remaining_ms: RemainingMs) -> Floats:
    """The feature vectors [n, F] of events folded, each by itself, into the states that are stored now."""
    if not events:
        return np.empty((0, len(wiring.spec.features)), np.float32)
    entities = [entity.name for entity in wiring.spec.entities]
    keys = [[f"{n}#{v}" for n, v in zip(entities, event.entities, strict=True)] for event in events]
    wanted = list({key for own in keys for key in own})
    blobs = read_states(wiring.db, wiring.settings.state_table, wiring.spec, wanted, remaining_ms)
    codes, apply = np.arange(len(events), dtype=np.int32), np.ones(len(events), np.bool_)
    groups = [Group(codes, [blobs.get(own[n], b"") for own in keys], apply) for n in range(len(entities))]
    return fold(wiring.spec, Columns.from_records(wiring.spec, events), groups, keep=False).features


def _traced(asked: Asked | ProblemError, trace: str | None) -> Asked | ProblemError:
    """With the request's trace, where the event has none of its own."""
    if (
        trace is None
        or isinstance(asked, ProblemError)
        or asked.event is None
        or asked.event.trace is not None
    ):
        return asked
    return asked._replace(event=msgspec.structs.replace(asked.event, trace=trace))


def _events(asked: Sequence[Asked]) -> list[Event]:
    return [each.event for each in asked if each.event is not None]


def _rows(spec: Spec, asked: Sequence[Asked], features: Floats, now_ms: int) -> list[Row]:
    """A row for each: an event with its features, a ready vector without id and fields."""
    of_events = iter(features)
    nobody, nothing = ("",) * len(spec.entities), (None,) * len(spec.event.keep)
    rows = []
    for event, _, vector in asked:
        if event is None:
            rows.append(Row("", now_ms, now_ms, None, nobody, nothing, vector))
        else:
            known = event.id, event.time_ms, event.arrival_ms, event.trace, event.entities, event.kept
            rows.append(Row(*known, next(of_events).tobytes()))
    return rows


def _decided(wiring: Wiring, rows: Sequence[Row]) -> list[Item]:
    """The item of each row's decision, not stored yet."""
    serving, spec = wiring.serving.current(), wiring.spec
    version = serving.model.version if serving.model else serving.absent
    note(model_version=version)
    annotate(model_version=version)
    draws = policies.draws(serving.policy, [row.id for row in rows])
    if draws is not None:
        draws[[not row.id for row in rows]] = np.nan  # a vector is nobody's: no control for it
    judged = wiring.judge.judge(serving, spec, batch(spec, rows), draws)
    return list(items(spec, spec.sha256, rows, judged, "api"))
