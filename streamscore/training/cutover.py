"""The cut-over mark of the state table: what is not later than it, the loaded states hold."""

from datetime import UTC, datetime
from typing import Any

from common.errors import InvalidInputError
from stream_features.state import CUTOVER_KEY, cutover_item

_KEY = {"pk": {"S": CUTOVER_KEY}}


def read(stack: Any) -> int | None:
    """The moment of a stack's mark in epoch milliseconds; None if it has none."""
    table = stack.outputs["StateTableName"]
    item = stack.client("dynamodb").get_item(TableName=table, Key=_KEY, ConsistentRead=True).get("Item")
    return int(item["v"]["N"]) if item else None


def check(stack: Any, until_ms: int) -> None:
    """InvalidInputError if the mark is later than `until_ms`: it never moves back."""
    found_ms = read(stack)
    if found_ms is not None and found_ms > until_ms:
        raise _backwards(found_ms)


def write(stack: Any, until_ms: int) -> None:
    """Set the mark; InvalidInputError if that would move it back."""
    dynamodb = stack.client("dynamodb")
    try:
        dynamodb.put_item(
            TableName=stack.outputs["StateTableName"],
            Item=cutover_item(until_ms),
            ConditionExpression="attribute_not_exists(pk) OR v <= :until",
            ExpressionAttributeValues={":until": {"N": str(until_ms)}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        raise _backwards(read(stack) or until_ms) from error


def _backwards(found_ms: int) -> InvalidInputError:
    at = datetime.fromtimestamp(found_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return InvalidInputError(
        f"--until: the stream already passes over everything up to {at}, and that never moves back; "
        "use that time or a later one"
    )
