"""Retraining's own few items in `monitor-windows`: reasons that wait, and who runs. One run at a time.

`pk` is `retraining`; `sk` is `reason#<id>` for each reason that was given (it names the run that took it, and
expires), and `lock`: the run that has its turn, and until when the one before wants peace. Every write is
conditional, so two deliveries of one trigger, or two triggers at once, have one effect.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from common.errors import ServiceError
from common.telemetry import meter
from monitor.requests import Reason

PK = "retraining"
KEEP_S = 30 * 86_400
FOLDER = "retrain/"
"""Of the data bucket: what runs found."""
_LOCK = "lock"


def object_key(run: str, name: str) -> str:
    """Where in the data bucket a run keeps what it found."""
    return f"{FOLDER}{run}/{name}"


def token_sk(run: str) -> str:
    """The `sk` of the token by which a person lets a run go on."""
    return f"token#{run}"


class Turn(NamedTuple):
    """The lock: which run holds it ("": none), from when on it works, and when the next one may."""

    run: str = ""
    starts_s: int = 0
    peace_until_s: int = 0


class Runs:
    """One stack's retraining items."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def add(self, reason: Reason, now_s: float) -> bool:
        """Keep a reason; False if it is known: said again, it changes nothing."""
        item = {
            "sk": {"S": f"reason#{reason.id}"},
            "kind": {"S": reason.kind},
            "text": {"S": reason.text},
            "key": {"S": reason.key},
            "at": {"N": str(int(now_s))},
            "ttl": {"N": str(int(now_s) + KEEP_S)},
        }
        return self._put(item, "attribute_not_exists(sk)", {})

    def waiting(self) -> list[Reason]:
        """The reasons that no run took yet, the oldest first."""
        return _in_order(row for row in self._rows("reason#") if "run" not in row)

    def taken(self, run: str) -> list[Reason]:
        """The reasons that a run took, the oldest first."""
        return _in_order(row for row in self._rows("reason#") if row.get("run") == {"S": run})

    def take(self, run: str, reasons: Sequence[Reason]) -> None:
        """Let a run answer these; asked again for the same run, nothing changes."""
        for reason in reasons:
            self._write(
                self._dynamodb.update_item,
                Key={"pk": {"S": PK}, "sk": {"S": f"reason#{reason.id}"}},
                UpdateExpression="SET #run = :run",
                ConditionExpression="attribute_not_exists(#run) OR #run = :run",
                ExpressionAttributeNames={"#run": "run"},
                ExpressionAttributeValues={":run": {"S": run}},
            )

    def turn(self) -> Turn:
        """Who has the turn now."""
        row = next(self._rows(_LOCK), None)
        if row is None:
            return Turn()
        return Turn(row["run"]["S"], int(row["starts"]["N"]), int(row["peace"]["N"]))

    def pass_on(self, before: Turn, after: Turn) -> bool:
        """Move the turn, if it still is as `before`; False if somebody else moved it."""
        item = {
            "sk": {"S": _LOCK},
            "run": {"S": after.run},
            "starts": {"N": str(after.starts_s)},
            "peace": {"N": str(after.peace_until_s)},
        }
        condition = "#run = :run" if before != Turn() else "attribute_not_exists(sk) OR #run = :run"
        return self._put(item, condition, {":run": {"S": before.run}})

    def keep_token(self, run: str, token: str, now_s: float) -> None:
        """The token by which a person lets a waiting run go on."""
        item = {"sk": {"S": token_sk(run)}, "token": {"S": token}, "ttl": {"N": str(int(now_s) + KEEP_S)}}
        self._write(self._dynamodb.put_item, Item={"pk": {"S": PK}, **item})

    def _put(self, item: Mapping[str, Any], condition: str, values: Mapping[str, Any]) -> bool:
        named = {"ExpressionAttributeNames": {"#run": "run"}} if "#run" in condition else {}
        valued = {"ExpressionAttributeValues": dict(values)} if values else {}
        whole = {"pk": {"S": PK}, **item}
        return self._write(
            self._dynamodb.put_item, Item=whole, ConditionExpression=condition, **named, **valued
        )

    def _write(self, call: Any, **request: Any) -> bool:
        """False if its condition does not hold."""
        try:
            answer = call(TableName=self._table, ReturnConsumedCapacity="TOTAL", **request)
        except ServiceError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        meter().dynamodb_write(answer, items=[1])
        return True

    def _rows(self, prefix: str) -> Iterator[dict[str, Any]]:
        start: dict[str, Any] = {}
        while True:
            page = self._dynamodb.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                ExpressionAttributeValues={":pk": {"S": PK}, ":sk": {"S": prefix}},
                ConsistentRead=True,
                ReturnConsumedCapacity="TOTAL",
                **start,
            )
            meter().dynamodb_read(page, consistent=True)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _in_order(rows: Iterable[Mapping[str, Any]]) -> list[Reason]:
    by_age = sorted(rows, key=lambda row: (int(row["at"]["N"]), row["sk"]["S"]))
    return [_reason(row) for row in by_age]


def _reason(row: Mapping[str, Any]) -> Reason:
    return Reason(row["sk"]["S"].partition("#")[2], row["kind"]["S"], row["text"]["S"], row["key"]["S"])
