"""Requests to the scoring API as its function gets them, for its tests."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from scoring.api import respond
from scoring.endpoints import Endpoints
from stream_features.events import decoder
from stream_features.kernel import Columns, Group, fold
from stream_features.state import BEFORE_ALL, Item, encode_item
from tests import small_model
from tests.integration.scoring_stack import ScoringStack

NOW = datetime.now(UTC)


def event(id_: str = "a", amount: float = 10.0, minutes_ago: float = 0, **more: Any) -> dict[str, Any]:
    at = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    return {"id": id_, "at": at, "card": "c1", "terminal": "t1", "amount": amount, "shop": "books", **more}


def vector(**more: Any) -> dict[str, Any]:
    features = {"amount": 900.0, "card_count_1d": 2, "card_count_7d": 5, "card_mean_1d": None}
    return {"features": {**features, **more}}


def http(
    method: str, path: str, body: Any = None, *, encoded: bool = False, query: str = ""
) -> dict[str, Any]:
    """An event of an HTTP API, payload format 2.0, by the default route."""
    text = body if isinstance(body, str) else json.dumps(body)
    text = base64.b64encode(text.encode()).decode() if encoded else text
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {"http": {"method": method, "path": path}},
        "isBase64Encoded": encoded,
        "body": text,
    }


def call(api: Endpoints, *request: Any, **more: Any) -> tuple[int, Any]:
    """Status and body of a request; every answer is of the media type its status asks for."""
    reply = respond(api, http(*request, **more))
    problem = reply["statusCode"] >= 400
    assert reply["headers"]["content-type"] == f"application/{'problem+json' if problem else 'json'}"
    return reply["statusCode"], json.loads(reply["body"])


def store_history(stack: ScoringStack, events: list[dict[str, Any]]) -> None:
    """The state of card c1 after these events, as stream_features writes it."""
    spec = small_model.spec()
    now_ms = time.time_ns() // 1_000_000
    records = [decoder(spec).decode(json.dumps(e).encode(), now_ms) for e in events]
    group = Group(np.zeros(len(records), np.int32), [b""], np.ones(len(records), bool))
    blobs = fold(spec, Columns.from_records(spec, records), [group, group]).blobs
    w, s = encode_item(Item(v=1, mark=BEFORE_ALL, blob=blobs[0][0]), 0, now_ms)
    item = {"pk": {"S": "card#c1"}, "v": {"N": "1"}, "w": {"B": w}, "s": {"B": s}}
    stack.client("dynamodb").put_item(TableName=stack.settings.state_table, Item=item)
