"""What a function's reply says about its batch: ReportBatchItemFailures and tumbling windows by AWS's rules.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
"""

import json
from typing import Any

from streamscore.local.delivery import Deliver, Failed, FailedFrom, Record, Refused, Reply, Rules, Succeeded
from streamscore.local.function_process import Outcome


class _UnreadableError(Exception):
    """The reply breaks the contract, so everything counts as failed."""


def read_reply(rules: Rules, delivered: Deliver, outcome: Outcome) -> Reply:
    """An unreadable reply, an unknown identifier or a windowed reply without state: everything failed."""
    if outcome.refused:
        return Refused()
    if outcome.failed:
        return Failed()
    if not (rules.reports_failures or rules.tumbling_ms):
        return Succeeded()  # nobody looks at the reply
    try:
        reply = _parsed(outcome.payload)
        state = _state(reply, required=rules.tumbling_ms > 0 and not delivered.final)
        first = _first_failure(reply, delivered.records) if rules.reports_failures else None
    except _UnreadableError:
        return Failed(errored=False)
    if first is None:
        return Succeeded(state)
    return FailedFrom(first, state if first else None)


def _parsed(payload: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(payload or b"null")
    except (ValueError, RecursionError) as error:
        raise _UnreadableError from error
    if not isinstance(reply, dict | None):
        raise _UnreadableError
    return reply or {}


def _state(reply: dict[str, Any], *, required: bool) -> bytes | None:
    state = reply.get("state")
    if not isinstance(state, dict):
        if required:
            raise _UnreadableError
        return None
    return json.dumps(state).encode()


def _first_failure(reply: dict[str, Any], records: tuple[Record, ...]) -> int | None:
    """The position of the lowest record reported; None when none is."""
    items = reply.get("batchItemFailures") or []
    if not isinstance(items, list):
        raise _UnreadableError
    positions = {record.sequence: i for i, record in enumerate(records)}
    failed = [positions.get(_identifier(item)) for item in items]
    known = [position for position in failed if position is not None]
    if len(known) < len(failed):
        raise _UnreadableError
    return min(known, default=None)


def _identifier(item: Any) -> str:
    """The sequence number an item names; empty, which no record has, when it names none."""
    identifier = item.get("itemIdentifier") if isinstance(item, dict) else None
    return identifier if isinstance(identifier, str) else ""
