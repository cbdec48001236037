"""What a stack served and still knows: decisions, the specs they were made with, entities' stored state."""

import json
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError

from common.dynamodb import RESERVE_MS, DynamoDB
from common.errors import InvalidInputError, TransientError
from stream_features.blob import decode
from stream_features.columns import Ints
from stream_features.layout import layouts
from stream_features.sharing import united
from stream_features.spec_model import Spec, from_json
from stream_features.state import NO_SHARD, Stored, decode_item
from stream_features.store import read_items
from streamscore.decided.decisions_log import Stack, decisions_log
from streamscore.decided.stored import Decided
from streamscore.room_client import RoomClient

PATIENCE_S = 60
API = "ScoringApiAliasArn"
"""The output that names the function to ask."""
_GET = {"http": {"method": "GET"}}


class Served(NamedTuple):
    """One decision: the float32 vector it was made from, and where its event stands."""

    id: str
    vector: bytes
    spec_sha: str
    primary: str
    event_ms: int
    arrival_ms: int
    label: bool | None
    on_stream: bool


@dataclass(frozen=True)
class Known:
    """What the stored state of an entity says of its history.

    ``shards`` are those whose records reached it (0: loaded only); ``head_ms`` the times of the events it
    keeps one by one, in order; ``first_ms`` and ``last_ms`` of all it keeps, None if that is nothing.
    """

    shards: int
    first_ms: int | None
    last_ms: int | None
    head_ms: Ints


UNKNOWN = Known(0, None, None, np.empty(0, np.int64))


def decisions(stack: Stack) -> dict[str, Served]:
    """Every decision by event id; stubs of labels are left out. Reads the whole table."""
    return {served.id: served for served in map(served_of, decisions_log(stack))}


def served_of(decided: Decided) -> Served:
    """What parity asks of a decision."""
    decision = decided.decision
    return Served(
        id=decision.id,
        vector=decision.features,
        spec_sha=decision.spec_sha,
        primary=decision.entity,
        event_ms=decision.event_time_ms,
        arrival_ms=decision.arrival_ms,
        label=decided.label,
        on_stream=decision.source == "stream",
    )


def specs(stack: Stack, shas: Iterable[str]) -> dict[str, Spec]:
    """The published specs of these hashes; one that is not there is left out."""
    found = {sha: _spec(stack, f"specs/{sha}.json") for sha in set(shas)}
    return {sha: spec for sha, spec in found.items() if spec is not None}


def running_spec(stack: Stack) -> Spec:
    """The spec that the stack's functions serve, by their own word: what was published last may not be
    deployed yet, or its deployment may have failed. Only where their name is not known (in a job of the state
    machine) it is what was published last.

    TransientError if they do not answer, InvalidInputError if their spec is not published.
    """
    if API not in stack.outputs:
        return _newest(stack)
    sha = _health(stack)["spec"]
    spec = _spec(stack, f"specs/{sha}.json")
    if spec is None:
        raise InvalidInputError(
            f"the stack serves the spec {sha[:16]}, which is not published: run `streamscore publish` with "
            "its features.toml (--spec)"
        )
    return spec


def _newest(stack: Stack) -> Spec:
    pages = stack.client("s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=stack.outputs["DataBucketName"], Prefix="specs/")
    published = [entry for page in found for entry in page.get("Contents", ())]
    newest = max(published, key=lambda entry: entry["LastModified"], default=None)
    spec = _spec(stack, newest["Key"]) if newest else None
    if spec is None:
        raise InvalidInputError("the stack has published no spec: run `streamscore publish`")
    return spec


def _health(stack: Stack) -> dict[str, Any]:
    """What GET /health answers, asked by a direct invocation: the caller may have no way to the HTTP API."""
    function, asked = stack.outputs[API], {"rawPath": "/health", "requestContext": _GET}
    try:
        answer = stack.client("lambda").invoke(FunctionName=function, Payload=json.dumps(asked))
        reply = json.load(answer["Payload"])
    except (ClientError, BotoCoreError) as error:
        raise TransientError(f"{function}, asked which spec it serves: {error}") from error
    if "FunctionError" in answer or reply["statusCode"] != HTTPStatus.OK:
        raise TransientError(f"{function}, asked which spec it serves, failed; its log says why: {reply}")
    told: dict[str, Any] = json.loads(reply["body"])
    return told


def _spec(stack: Stack, key: str) -> Spec | None:
    try:
        answer = stack.client("s3").get_object(Bucket=stack.outputs["DataBucketName"], Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise
    return from_json(bytes(answer["Body"].read()))


def known(stack: Stack, spec: Spec, keys: Collection[str]) -> dict[str, Known]:
    """The stored histories of entities by their items' keys; those that do not exist are left out."""
    return {key: known_of(spec, key, items) for key, items in stored(stack, keys).items()}


def stored(stack: Stack, keys: Collection[str]) -> dict[str, list[Stored]]:
    """What is stored of each entity that exists: its item, and its sub-items after it."""
    end_s = time.monotonic() + PATIENCE_S + RESERVE_MS / 1000
    dynamodb = DynamoDB(RoomClient(stack.client("dynamodb")))
    table = stack.outputs["StateTableName"]
    return read_items(dynamodb, table, sorted(keys), lambda: (end_s - time.monotonic()) * 1000)


def known_of(spec: Spec, key: str, items: Sequence[Stored]) -> Known:
    """What an entity's items, a main item first, say of its history."""
    names = [entity.name for entity in spec.entities]
    layout = layouts(spec)[names.index(key.partition("#")[0])]
    states = decode(layout, [united(layout, items)])
    marks = [mark for item in items for mark in decode_item(item, NO_SHARD).other_marks]
    shards, head_ms = len({mark.shard for mark in marks}), states.head.time_ms
    kept = np.concatenate([states.tiles.time_ms, head_ms])
    if not len(kept):
        return Known(shards, None, None, head_ms)
    return Known(shards, int(kept[0]), int(states.newest_ms[0]), head_ms)
