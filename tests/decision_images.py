"""Makes records of the decisions table's stream, as Lambda delivers them."""

import base64
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_sequence = itertools.count(100)
MODEL, SPEC = "m1", "spec-1"
SCORED_AT_MS = 1_795_536_060_000  # a minute into the window that `batch` makes


def decision(
    event_id: str = "e1",
    *,
    score: float | None = 0.5,
    features: Sequence[float] = (),
    decision: str = "approve",
    model: str | None = MODEL,
    label: bool | None = None,
    latency_ms: int = 300,
    scored: bool = True,
    scored_at_ms: int = SCORED_AT_MS,
) -> dict[str, Any]:
    """A decision's image in DynamoDB JSON; `scored=False` is the stub a label leaves that comes first."""
    image: dict[str, Any] = {"pk": {"S": event_id}}
    if label is not None:
        image["label"] = {"BOOL": label}
    if not scored:
        return image
    vector = np.asarray(features, dtype="<f4").tobytes()
    image |= {
        "scored_at": {"N": str(scored_at_ms)},
        "decision": {"S": decision},
        "spec": {"S": SPEC},
        "features": {"B": base64.b64encode(vector).decode()},
        "latency_ms": {"N": str(latency_ms)},
    }
    if model is not None:
        image["model"] = {"S": model}
    if score is not None:
        image["score"] = {"N": str(score)}
    return image


def change(
    new: Mapping[str, Any] | None, old: Mapping[str, Any] | None = None, sequence: int | None = None
) -> dict[str, Any]:
    """The stream record of a write; `new=None` is a removal."""
    images = {"NewImage": new, "OldImage": old}
    number = next(_sequence) if sequence is None else sequence
    return {
        "eventID": f"id-{number}",
        "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "SequenceNumber": f"{number:021d}",
            "ApproximateCreationDateTime": 1_790_000_123.0,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **{name: image for name, image in images.items() if image is not None},
        },
    }


def batch(
    records: Sequence[Mapping[str, Any]],
    state: Mapping[str, Any] | None = None,
    *,
    start: str = "2026-11-24T16:00:00Z",
    shard: str = "shardId-1",
    final: bool = False,
    early: bool = False,
) -> dict[str, Any]:
    """A window's event as Lambda sends it."""
    return {
        "Records": list(records),
        "window": {"start": start, "end": "later"},
        "state": dict(state or {}),
        "shardId": shard,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/decisions/stream/1",
        "isFinalInvokeForWindow": final,
        "isWindowTerminatedEarly": early,
    }
