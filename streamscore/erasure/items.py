"""The entity's items of the state and decisions tables. Nothing here waits for the stream's writers: whoever
has read an item that is deleted meanwhile fails on his condition and reads again.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from common.errors import ServiceError
from common.pricing import consumed_units
from stream_features.state import NO_SHARD, Stored, decode_item
from streamscore.erasure.found import DECISIONS, ROWS, STATE, Found
from streamscore.erasure.objects import without_rows
from streamscore.erasure.whom import Whom
from streamscore.progress import Step

AT_ONCE = 8
_OF_STATE = {"ProjectionExpression": "pk, v, w, s", "ConsistentRead": True}


class Items:
    """The tables of one stack. Of a dry run, nothing is written."""

    def __init__(self, dynamodb: Any, state: str, decisions: str, dry_run: bool) -> None:
        self._dynamodb, self._state, self._decisions = dynamodb, state, decisions
        self._dry_run = dry_run

    def state(self, whom: Whom, found: Found) -> None:
        """Its own items: a split one before its sub-items, so that nobody folds into those any more."""
        for pk in whom.keys:
            key = {"pk": {"S": pk}}
            answer = self._dynamodb.get_item(
                TableName=self._state, Key=key, ReturnConsumedCapacity="TOTAL", **_OF_STATE
            )
            found.read_units += consumed_units(answer) or 1.0
            if "Item" not in answer:
                continue
            found.add(STATE, [_arrived_ms(answer["Item"])])
            if not self._dry_run:
                self._dynamodb.delete_item(TableName=self._state, Key=key)

    def rows(self, whom: Whom, found: Found, step: Step) -> None:
        """Rows of a shared entity lie in the items of those it met, until those are written again.

        `out` goes as a whole: what is still to be scored of it is on the table's stream, whose records do not
        change, and an item written anew with what is left of it would be scored again.
        """
        asked = {"FilterExpression": "attribute_exists(#out)", "ExpressionAttributeNames": {"#out": "out"}}
        for page in self._pages(self._state, found, step, **asked):
            for item in page:
                if without_rows(bytes(item["out"]["B"]), whom) is None:
                    continue
                found.add(ROWS, [_arrived_ms(item)])
                if not self._dry_run:
                    self._remove_rows(item)

    def decisions(self, whom: Whom, found: Found, step: Step) -> None:
        """Every decision and label's stub that names it."""
        asked = {
            "FilterExpression": "#entity = :value" if whom.is_primary else "#entities.#name = :value",
            "ExpressionAttributeNames": {"#entity": "entity"}
            if whom.is_primary
            else {"#entities": "entities", "#name": whom.entity},
            "ExpressionAttributeValues": {":value": {"S": whom.value}},
        }
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="forget") as threads:
            for page in self._pages(self._decisions, found, step, **asked):
                found.add(DECISIONS, [int(item.get("arrival", _LONG_AGO)["N"]) for item in page])
                if not self._dry_run:
                    list(threads.map(self._delete_decision, page))

    def _delete_decision(self, item: dict[str, Any]) -> None:
        self._dynamodb.delete_item(TableName=self._decisions, Key={"pk": item["pk"]})

    def _remove_rows(self, item: dict[str, Any]) -> None:
        """Unless the item was written since: then its rows are others, which the next pass looks at."""
        try:
            self._dynamodb.update_item(
                TableName=self._state,
                Key={"pk": item["pk"]},
                UpdateExpression="REMOVE #out",
                ConditionExpression="v = :v",
                ExpressionAttributeNames={"#out": "out"},
                ExpressionAttributeValues={":v": item["v"]},
            )
        except ServiceError as error:
            if error.code != "ConditionalCheckFailedException":
                raise

    def _pages(self, table: str, found: Found, step: Step, **asked: Any) -> Iterator[list[dict[str, Any]]]:
        """What the filter leaves of the whole table, a page at a time; the scan is paid in full."""
        start: dict[str, Any] = {}
        while True:
            page = self._dynamodb.scan(
                TableName=table, ConsistentRead=True, ReturnConsumedCapacity="TOTAL", **asked, **start
            )
            found.read_units += consumed_units(page) or 0.0
            step.advance(page["ScannedCount"])
            yield page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


_LONG_AGO = {"N": "0"}


def _arrived_ms(item: dict[str, Any]) -> int:
    """When the newest record that the item has seen arrived; 0 of one that was only loaded."""
    stored = Stored(int(item["v"]["N"]), bytes(item["w"]["B"]), bytes(item["s"]["B"]))
    marks = decode_item(stored, NO_SHARD).other_marks
    return max((mark.arrival_s * 1000 for mark in marks), default=0)
