"""What our launcher does once instead of over and over changes no answer of the emulator."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from streamscore.local import emulator as emulators

TABLE = "same-name"
Answers = tuple[int, Any]

INSERT = f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'n': ?, 'more': ?}}"
UPDATE = f'UPDATE "{TABLE}" SET "n" = ? REMOVE "more" WHERE pk = ? AND "n" < ?'
S, N, B = {"S": "a"}, {"N": "12.50"}, {"B": "AAEC"}
DEEP: dict[str, Any] = {"S": "bottom"}
for _ in range(40):
    DEEP = {"L": [DEEP]}
MIXED = {"M": {"s": {"S": "é"}, "l": {"L": [{"N": "-7e-3"}, {"BOOL": True}, {"NULL": True}]}, "b": B}}

STATEMENTS = [
    (INSERT, [S, N, MIXED]),
    (INSERT, [S, N, MIXED]),  # there already
    (INSERT, [{"S": "b"}, {"N": "1"}, {"SS": ["x", "y"]}]),
    (INSERT, [{"S": "c"}, {"N": "1"}, DEEP]),
    (INSERT, [{"S": "d"}, {"N": "1e9999999999"}, S]),
    (INSERT, [{"S": "e"}, {"N": "much"}, S]),
    (INSERT, [{"S": "f"}, {"N": "1"}, {"B": "not base64"}]),
    (INSERT, [{"S": "g"}, N]),  # one too few
    (INSERT, [{"S": "h"}, N, S, S]),  # one too many
    (INSERT, [{"S": ""}, N, S]),
    (UPDATE, [{"N": "3"}, S, {"N": "100"}]),
    (UPDATE, [{"N": "3"}, S, {"N": "1"}]),  # the condition fails
    (UPDATE, [{"N": "3"}, S, {"BOOL": True}]),  # no order among these
    (UPDATE, [{"N": "3"}, {"S": "nobody"}, {"N": "1"}]),
    (f'UPDATE "{TABLE}" SET "n" = "n" + ? WHERE pk = ?', [{"N": "0.5"}, S]),
    (f'UPDATE "{TABLE}" SET "tags" = <<?, \'z\'>> WHERE pk = ?', [{"S": "z"}, S]),  # twice in one set
    (f'UPDATE "{TABLE}" SET "deep" = [?, {{\'k\': ?}}] WHERE pk = ?', [N, B, S]),
    (f'UPDATE "{TABLE}" SET "n" = ? WHERE pk = ? AND "n" IS MISSING', [N, S]),
    (f'UPDATE "{TABLE}" SET', [S]),
    (f'SELECT * FROM "{TABLE}" WHERE pk = ?', [S]),
    (f'SELECT * FROM "{TABLE}" WHERE pk IN ? ', [{"L": [S]}]),
    (f'DELETE FROM "{TABLE}" WHERE pk = ?', [{"S": "b"}]),
]
PROJECTIONS = [
    ("#0,#1", {"#0": "pk", "#1": "more"}),
    ("#0, #1", {"#0": "n", "#1": "missing"}),
    ("#0,#0", {"#0": "n"}),
    ("#0,#1", {"#0": "more", "#1": "more.s"}),
    ("#0.l[1],pk", {"#0": "more"}),
    ("#0", {}),
    ("pk,n", {}),
    ("n,comment", {}),
    ("#0", {"#0": "n", "#1": "unused"}),
]


@pytest.fixture(scope="module")
def both(emulator: emulators.Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Our emulator and the one that ships, each with an empty table of the same name."""
    shipped = emulators.start(tmp_path_factory.mktemp("shipped"), as_shipped=True)
    try:
        endpoints = emulator.endpoint, shipped.endpoint
        for endpoint in endpoints:
            ask(
                endpoint,
                "CreateTable",
                TableName=TABLE,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        yield endpoints
        ask(emulator.endpoint, "DeleteTable", TableName=TABLE)
    finally:
        shipped.stop()


def ask(endpoint: str, operation: str, **request: Any) -> Answers:
    """As it comes over the wire: botocore would refuse much of what is asked here."""
    authorization = "AWS4-HMAC-SHA256 Credential=test/20261128/us-east-1/dynamodb/aws4_request"
    headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Authorization": authorization}
    asked = urllib.request.Request(endpoint, json.dumps(request).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=30) as reply:  # noqa: S310
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_statements_are_answered_as_the_emulator_that_ships_does(both: tuple[str, str]) -> None:
    """Twice each text, so that the second time it is known; what is stored is the same as well."""
    ours, shipped = both
    batch = [{"Statement": text, "Parameters": parameters} for text, parameters in STATEMENTS]
    for statements in (batch, batch[::-1]):
        for number, statement in enumerate(statements):
            told = [ask(each, "BatchExecuteStatement", Statements=[statement]) for each in both]
            assert told[0] == told[1], (number, statement)
            alone = [ask(each, "ExecuteStatement", **statement) for each in both]
            assert alone[0] == alone[1], (number, statement)
        assert ask(ours, "Scan", TableName=TABLE) == ask(shipped, "Scan", TableName=TABLE)


PLAIN = f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'n': ?}}"
BATCHES: dict[str, list[tuple[str, list[Any]]]] = {
    "new ones": [(PLAIN, [{"S": f"many-{n}"}, {"N": str(n)}]) for n in range(25)],
    "some there already": [(PLAIN, [{"S": f"many-{n}"}, {"N": "1"}]) for n in range(20, 30)],
    "one twice": [(PLAIN, [{"S": "twice"}, {"N": "1"}]), (PLAIN, [{"S": "twice"}, {"N": "2"}])],
    "a number that is none": [(PLAIN, [{"S": "fine"}, N]), (PLAIN, [{"S": "odd"}, {"N": "much"}])],
    "numbers too deep down": [(PLAIN, [{"S": "deep"}, {"M": {"l": {"L": [N, {"N": "1e9999999999"}]}}}])],
    "too deep": [(PLAIN, [{"S": "deeper"}, DEEP])],
    "another's text among them": [(PLAIN, [{"S": "mixed"}, N]), STATEMENTS[10]],
    "no key": [(f"INSERT INTO \"{TABLE}\" VALUE {{'n': ?}}", [N]), (PLAIN, [{"S": "after no key"}, N])],
    "an empty key": [(PLAIN, [{"S": ""}, N])],
    "too large": [(PLAIN, [{"S": "large"}, {"S": "x" * 410_000}]), (PLAIN, [{"S": "after large"}, N])],
    "a constant": [(f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'n': 'one'}}", [{"S": "constant"}])],
    "an attribute twice": [(f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'pk': ?}}", [S, {"S": "both"}])],
    "a map alone": [(f"INSERT INTO \"{TABLE}\" VALUE {{'M': ?}}", [{"M": {"pk": {"S": "map"}}}])],
    "an order of their own": [(f"INSERT INTO \"{TABLE}\" VALUE {{'n': ?, 'pk': ?}}", [N, {"S": "order"}])],
    "what is returned": [(f"{PLAIN} RETURNING ALL OLD *", [{"S": "returned"}, N])],
    "no such table": [("INSERT INTO \"nowhere\" VALUE {'pk': ?}", [S])],
    "too many": [(PLAIN, [{"S": f"more-{n}"}, {"N": str(n)}]) for n in range(26)],
    "none": [],
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches_of_inserts_are_answered_as_the_emulator_that_ships_does(
    both: tuple[str, str], name: str
) -> None:
    """Twice, so that the second time all is there; every item here is one unit to write."""
    statements = [{"Statement": text, "Parameters": parameters} for text, parameters in BATCHES[name]]
    for more in ({}, {"ReturnConsumedCapacity": "TOTAL"}):
        ours, shipped = [ask(each, "BatchExecuteStatement", Statements=statements, **more) for each in both]
        assert ours == shipped
    kept = [ask(each, "Scan", TableName=TABLE) for each in both]
    assert kept[0] == kept[1]


def test_projections_are_answered_as_the_emulator_that_ships_does(both: tuple[str, str]) -> None:
    for endpoint in both:
        ask(endpoint, "PutItem", TableName=TABLE, Item={"pk": {"S": "p"}, "n": N, "more": MIXED})
    for expression, names in PROJECTIONS * 2:
        asked: dict[str, Any] = {"Keys": [{"pk": {"S": "p"}}, {"pk": {"S": "none"}}]}
        asked |= {"ProjectionExpression": expression} | ({"ExpressionAttributeNames": names} if names else {})
        told = [ask(each, "BatchGetItem", RequestItems={TABLE: asked}) for each in both]
        assert told[0] == told[1], (expression, names)


@pytest.mark.parametrize(
    "value",
    [
        *({"N": text} for text in ("0", "-1", "12.50", "1795877070875", "1e40", "-0.001", "100")),
        {"S": "é" * 10},
        {"B": "AAEC"},
        {"B": "AAECAw=="},
        {"BOOL": True},
        {"NS": ["1", "22.5"]},
        MIXED,
    ],
    ids=str,
)
def test_items_are_sized_to_the_byte_as_the_emulator_that_ships_does(
    both: tuple[str, str], value: dict[str, Any]
) -> None:
    """A write is one unit up to 1 KB: the longest text that fits beside the value tells the value's size."""

    def units(endpoint: str, length: int) -> float:
        item = {"pk": {"S": "size"}, "value": value, "ü": {"S": "x" * length}}
        _, told = ask(endpoint, "PutItem", TableName=TABLE, Item=item, ReturnConsumedCapacity="TOTAL")
        return float(told["ConsumedCapacity"]["CapacityUnits"])

    ours, shipped = both
    for endpoint in both:
        ask(endpoint, "DeleteItem", TableName=TABLE, Key={"pk": {"S": "size"}})
    fits, too_long = 900, 1024
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        ask(shipped, "DeleteItem", TableName=TABLE, Key={"pk": {"S": "size"}})
        fits, too_long = (middle, too_long) if units(shipped, middle) == 1.0 else (fits, middle)
    assert (units(ours, fits), units(ours, too_long)) == (1.0, 2.0)
