"""Batches of the tables' streams: what the feature function writes, and a window of decisions about it."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from monitor import baseline, windows
from monitor.images import news
from scoring.items import Decision, kept_values, to_item
from scoring.policy import Action, Verdict
from scoring.reasons import Reason
from stream_features.events import decoder
from stream_features.intake import take
from stream_features.protocol import Saved, apply_delivery
from stream_features.spec import Spec
from stream_features.state import Row, Stored, decode_out
from stream_features.store import run
from stream_features.turn import Write
from streamscore.samples.purchases import ACCOUNT, ARRIVED, REGION, STARTED, Json, iso


class _EmptyTable:
    """A state table that holds nothing and takes everything."""

    def __init__(self) -> None:
        self.writes: list[Write] = []

    def read(self, keys: Sequence[str], attempt: int) -> Mapping[str, Stored]:
        """No item exists."""
        return {}

    def save(self, writes: Sequence[Write]) -> list[Saved]:
        """Every write succeeds."""
        self.writes += writes
        return [Saved.DONE] * len(writes)


def state_stream_event(spec: Spec, batch: Json) -> Json:
    """What the state table's stream tells the scorer after a batch of new entities was applied."""
    table, now_ms = _EmptyTable(), int(ARRIVED.timestamp() * 1000)
    run(apply_delivery(spec, take(batch, spec, decoder(spec)).delivery, now_ms), table)
    images = [_image(write) for write in table.writes if write.out is not None]
    return {"Records": [stream_record("state", place, image) for place, image in enumerate(images)]}


def _image(write: Write) -> Json:
    binaries = {"w": write.w, "s": write.s, "out": write.out or b""}
    numbers = {"v": write.v, "ttl": write.ttl_s}
    return {
        "pk": {"S": write.pk},
        **{name: {"N": str(value)} for name, value in numbers.items()},
        **{name: {"B": base64.b64encode(value).decode()} for name, value in binaries.items()},
    }


def stream_record(table: str, place: int, new: Json, old: Json | None = None) -> Json:
    """One change of an item as a DynamoDB stream tells it."""
    change: Json = {
        "ApproximateCreationDateTime": int(ARRIVED.timestamp()),
        "Keys": {"pk": new["pk"]},
        "NewImage": new,
        "SequenceNumber": str(400_000_000_000_000_000_001 + place),
        "SizeBytes": len(json.dumps(new)),
        "StreamViewType": "NEW_IMAGE" if table == "state" else "NEW_AND_OLD_IMAGES",
    }
    if old is not None:
        change["OldImage"] = old
    return {
        "eventID": hashlib.blake2b(f"{table} {place}".encode(), digest_size=16).hexdigest(),
        "eventName": "INSERT" if old is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/streamscore-sample-{table}"
        f"/stream/{STARTED:%Y-%m-%dT%H:%M:%S}.000",
    }


def window_events(spec: Spec, state_stream: Json) -> dict[str, Json]:
    """A batch of the decisions' stream within a window, then the call that ends the window."""
    images = [record["dynamodb"]["NewImage"] for record in state_stream["Records"]]
    outs = [decode_out(base64.b64decode(image["out"]["B"])) for image in images]
    rows = [row for out in outs for row in out.rows]
    decisions = [_decision(spec, place, row) for place, row in enumerate(rows)]
    labels = {"label": {"BOOL": True}, "label_time": {"N": str(int(STARTED.timestamp() * 1000) + 30_000)}}
    records = [stream_record("decisions", place, decision) for place, decision in enumerate(decisions)]
    records.append(stream_record("decisions", len(records), decisions[0] | labels, decisions[0]))
    window = {
        "window": {"start": iso(STARTED), "end": iso(STARTED + timedelta(minutes=5))},
        "shardId": "shardId-00000001795521600000-00000000",
        "eventSourceARN": records[0]["eventSourceARN"],
        "isWindowTerminatedEarly": False,
    }
    batch = {"Records": records, "state": {}, "isFinalInvokeForWindow": False, **window}
    last = {"Records": [], "state": _counted(batch), "isFinalInvokeForWindow": True, **window}
    return {"monitor-window.json": batch, "monitor-window-final.json": last}


def _decision(spec: Spec, place: int, row: Row) -> Json:
    """A decision's image as the stream shows it: bytes as base64."""
    score = [0.02, 0.11, 0.94, 0.35, 0.71][place % 5]
    action: Action = "block" if score > 0.9 else "review" if score > 0.5 else "approve"
    item = to_item(
        Decision(
            id=row.id,
            entity=row.entities[0],
            event_time_ms=row.time_ms,
            arrival_ms=row.arrival_ms,
            scored_at_ms=row.arrival_ms + 400 + place,
            score=score,
            verdict=Verdict(action, ()),
            reasons=(Reason("amount", 310.0, 25.0, 1.25, "amount 310, usually 25"),)
            if action != "approve"
            else (),
            absent="",
            model="sample-model",
            policy="sample-policy",
            spec_sha=spec.sha256,
            features=row.vector,
            kept=kept_values(spec, row.kept),
            trace=row.trace,
            source="stream",
        )
    )
    return item | {"features": {"B": base64.b64encode(row.vector).decode()}}


def _counted(batch: Json) -> Json:
    """The state the monitor answers a first batch with, the model's bins not being known."""
    window, found = windows.read(batch), news(batch["Records"])
    tallies = baseline.observed(found, {"sample-model": baseline.Model()})
    state: Json = windows.close(window, tallies)[0]
    return state
