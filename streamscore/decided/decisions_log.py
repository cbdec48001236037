"""Decisions read back by time: the one way for backtests, reports, training sets and case files."""

from collections.abc import Iterator
from typing import Any, Protocol

from streamscore.decided.stored import Decided, decided_of


class Stack(Protocol):
    """A deployed stack: names from its outputs, clients that reach it."""

    @property
    def outputs(self) -> dict[str, str]:
        """Output key to value."""

    def client(self, service: str) -> Any:
        """A boto3 client of that service."""


def decisions_log(
    stack: Stack, since_ms: int | None = None, until_ms: int | None = None
) -> Iterator[Decided]:
    """Every decision with since <= `scored_at` < until (epoch ms; None: no bound), each once, in no order, as
    it stands now: with the label that came since. Memory does not grow with their number.
    """
    return scanned(stack, since_ms, until_ms)


def scanned(stack: Stack, since_ms: int | None, until_ms: int | None) -> Iterator[Decided]:
    """The same by reading the whole table, a page at a time; what is written meanwhile may be missing."""
    asked = {"TableName": stack.outputs["DecisionsTableName"], "ConsistentRead": True}
    pages = stack.client("dynamodb").get_paginator("scan").paginate(**asked, **_filter(since_ms, until_ms))
    for page in pages:
        yield from map(decided_of, page["Items"])


def _filter(since_ms: int | None, until_ms: int | None) -> dict[str, Any]:
    """A stub of a label has no `scored_at`, so no comparison holds for it."""
    values = {":since": {"N": str(since_ms or 0)}}
    condition = "#at >= :since"
    if until_ms is not None:
        values[":until"] = {"N": str(until_ms)}
        condition += " AND #at < :until"
    return {
        "FilterExpression": condition,
        "ExpressionAttributeNames": {"#at": "scored_at"},
        "ExpressionAttributeValues": values,
    }
