"""The records the samples are about: five purchases of two customers, and what is wrong with some others."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

ACCOUNT, REGION = "123456789012", "eu-west-1"
STARTED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ARRIVED = STARTED + timedelta(minutes=1)


def records() -> list[Json]:
    """Five purchases of two customers at two terminals, and the news that the first was fraud."""
    bought = [("1001", "17", "5", 24.9), ("1002", "23", "5", 8.15), ("1003", "17", "8", 310.0)]
    bought += [("1004", "17", "5", 42.0), ("1005", "23", "8", 99.99)]
    events: list[Json] = [
        {
            "transaction_id": identity,
            "event_time": iso(STARTED + timedelta(seconds=place)),
            "customer_id": customer,
            "terminal_id": terminal,
            "amount": amount,
        }
        for place, (identity, customer, terminal, amount) in enumerate(bought)
    ]
    label = {"type": "label", "is_fraud": True, "label_time": iso(STARTED + timedelta(seconds=30))}
    asked = {key: events[0][key] for key in ("transaction_id", "event_time", "customer_id", "terminal_id")}
    return [*events, {**asked, **label}]


def poisoned() -> list[bytes]:
    """Good records, and between them what quarantine is for."""
    good = records()
    return [
        as_json(good[0]),
        b'{"transaction_id": "1006", "event_time"',
        as_json({**good[1], "amount": 8.155}),
        as_json({key: value for key, value in good[2].items() if key != "customer_id"}),
        as_json({**good[3], "event_time": "2099-01-01T00:00:00Z"}),
        as_json({**good[3], "amount": "forty-two"}),
        as_json(good[4]),
    ]


def as_json(record: Json) -> bytes:
    """What a producer sends."""
    return json.dumps(record).encode()


def iso(moment: datetime) -> str:
    """RFC 3339, to the second, in UTC."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
