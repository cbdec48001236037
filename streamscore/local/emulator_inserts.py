"""A batch of plain PartiQL inserts, as decisions are written, without the emulator's detours: it reads each
statement twice, looks for RETURNING in it, and makes JSON of each answer to read it again.

The insert itself, with its limits, stream records and metering, is the emulator's. A batch in which one is
not `INSERT INTO "table" VALUE {'name': ?, …}`, or has a parameter that is refused, is left to it altogether.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from ministack.services import dynamodb

from streamscore.local.emulator_speed import TEXTS, Place, kinds_of

Form = Callable[[str, tuple[str, ...]], Any]
Insert = tuple[str, dict[str, Any]]
"""A table's name, and the item for it."""


def insert_batches_quickly(form: Form) -> None:
    """`form` reads a text with parameters of these types once."""
    batch = dynamodb._batch_execute_statement

    @functools.lru_cache(TEXTS)
    def plain(text: str, kinds: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
        """The table and the attributes of a plain insert, in the order of its parameters."""
        known = form(text, kinds)
        if known is None or known["op"] != "INSERT" or "returning" in text.lower():
            return None
        places = [each.place if type(each) is Place else None for each in known["item"].values()]
        return (known["table"], tuple(known["item"])) if places == list(range(len(kinds))) else None

    def insert_of(statement: Any) -> Insert | None:
        if type(statement) is not dict or statement.keys() != {"Statement", "Parameters"}:
            return None
        parameters = statement["Parameters"]
        kinds = kinds_of(parameters)
        known = plain(statement["Statement"], kinds) if kinds else None
        if known is None or known[0] not in dynamodb._tables:
            return None
        if any(map(dynamodb._partiql_parameter_error, parameters)):
            return None
        return known[0], dict(zip(known[1], parameters, strict=True))

    def quick(request: dict[str, Any]) -> Any:
        statements = request.get("Statements") or []
        inserts = [insert_of(each) for each in statements[: dynamodb._DDB_BATCH_PARTIQL_MAX]]
        if None in inserts or not 0 < len(inserts) == len(statements):
            return batch(request)
        answers = [_stored(*insert) for insert in inserts if insert]
        reply: dict[str, Any] = {"Responses": answers}
        if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
            ran = [answer["TableName"] for answer in answers if "TableName" in answer]
            units = {table: float(ran.count(table)) for table in dict.fromkeys(ran)}
            reply["ConsumedCapacity"] = [{"TableName": t, "CapacityUnits": u} for t, u in units.items()]
        return dynamodb.json_response(reply)

    dynamodb._batch_execute_statement = quick


def _stored(table: str, item: dict[str, Any]) -> dict[str, Any]:
    """The answer to one insert of a batch; a table is named by those that reached it."""
    status, _, body = dynamodb._partiql_insert(dynamodb._tables[table], {"item": item})
    if status == 200:
        return {"TableName": table}
    told = json.loads(body)
    code = told["__type"].rpartition("#")[2].removesuffix("Exception")
    error = {"Code": "ValidationError" if code == "Validation" else code, "Message": told["message"]}
    return {"Error": error} | ({"TableName": table} if code == "DuplicateItem" else {})
