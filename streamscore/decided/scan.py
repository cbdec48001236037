"""Decisions by reading the table itself."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from streamscore.decided.stored import Decided, decided_of

Page = dict[str, Any]


def scanned(
    dynamodb: Any, table: str, since_ms: int | None, until_ms: int | None, segments: int = 1
) -> Iterator[Decided]:
    """Each decision with since <= `scored_at` < until. Costs read units for the whole table, whatever it
    finds; what is written meanwhile may be missing. A page (1 MB) a segment is in memory.
    """
    asked = {"TableName": table, "ConsistentRead": True, **_filter(since_ms, until_ms)}
    with ThreadPoolExecutor(segments, thread_name_prefix="scan") as threads:

        def page(segment: int, **start: Any) -> tuple[int, "Future[Page]"]:
            more = {"Segment": segment, "TotalSegments": segments, **start}
            return segment, threads.submit(dynamodb.scan, **asked, **more)

        under_way = deque(page(segment) for segment in range(segments))
        while under_way:
            segment, answer = under_way.popleft()
            found = answer.result()
            if last := found.get("LastEvaluatedKey"):
                under_way.append(page(segment, ExclusiveStartKey=last))
            yield from map(decided_of, found["Items"])


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
