"""Copy every item of one DynamoDB table into another: a restored one into the stack's (docs/operations.md).

Stop the stack first: items that functions write meanwhile would be overwritten. Running it again is harmless.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import click
from botocore.exceptions import ClientError

SEGMENTS = 8
"""Parts of a table read at once, each by a thread of its own."""


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--missing-only", is_flag=True, help="Leave items alone that TARGET has, whatever they hold.")
def command(source: str, target: str, missing_only: bool) -> None:
    """Copy every item of the table SOURCE into the table TARGET, which must have the same key."""
    put = _put_missing if missing_only else _put_all
    with ThreadPoolExecutor(SEGMENTS) as pool:
        counts = list(pool.map(lambda segment: put(target, _segment(source, segment)), range(SEGMENTS)))
    read, written = (sum(part) for part in zip(*counts, strict=True))
    click.echo(f"{source}: {read:,} items read; {target}: {written:,} written")


def _table(name: str) -> Any:
    """A table of a session of its own: threads must not share one."""
    return boto3.session.Session().resource("dynamodb").Table(name)


def _segment(source: str, segment: int) -> Iterator[dict[str, Any]]:
    table = _table(source)
    page = table.scan(Segment=segment, TotalSegments=SEGMENTS, ConsistentRead=True)
    yield from page["Items"]
    while after := page.get("LastEvaluatedKey"):
        page = table.scan(
            Segment=segment, TotalSegments=SEGMENTS, ConsistentRead=True, ExclusiveStartKey=after
        )
        yield from page["Items"]


def _put_all(target: str, items: Iterator[dict[str, Any]]) -> tuple[int, int]:
    """Items read and written, 25 to a call; what DynamoDB leaves undone is put again."""
    count = 0
    with _table(target).batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)
            count += 1
    return count, count


def _put_missing(target: str, items: Iterator[dict[str, Any]]) -> tuple[int, int]:
    """Items read, and those of them that were not there."""
    table, read, written = _table(target), 0, 0
    for item in items:
        read += 1
        try:
            table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")
            written += 1
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
    return read, written


if __name__ == "__main__":
    command()
