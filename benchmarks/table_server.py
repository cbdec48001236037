"""A DynamoDB of one table in memory that answers many calls at once, each after a set delay.

The emulator serves one call after another, so a wall clock over it measures the emulator. This one knows only
what the state table is asked: BatchGetItem, the two statements, the cut-over mark. A process of its own:

    with serving() as (endpoint, delay): ...; delay(10)
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.request import Request, urlopen

import msgspec

Item = dict[str, dict[str, str]]
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
_ATTRIBUTES = ("v", "w", "s", "ttl", "out")


class Table:
    """Items by key; conditions as the state table states them."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}

    def batch_get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        [(table, asked)] = request["RequestItems"].items()
        found = [self.items.get(key["pk"]["S"]) for key in asked["Keys"]]
        kept = [{name: item[name] for name in ("pk", "v", "w", "s")} for item in found if item]
        return {"Responses": {table: kept}, "UnprocessedKeys": {}, **_capacity(table, len(found))}

    def batch_execute_statement(self, request: dict[str, Any]) -> dict[str, Any]:
        answers = [self._execute(one["Statement"], one["Parameters"]) for one in request["Statements"]]
        return {"Responses": answers, **_capacity("t", len(answers))}

    def get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self.items.get(request["Key"]["pk"]["S"])
        return {"Item": item} if item else {}

    def put_item(self, request: dict[str, Any]) -> dict[str, Any]:
        """Whatever the condition."""
        self.items[request["Item"]["pk"]["S"]] = request["Item"]
        return {}

    def _execute(self, text: str, parameters: list[dict[str, str]]) -> dict[str, Any]:
        if text.startswith("INSERT"):
            pk, *values = parameters
            if pk["S"] in self.items:
                return {"Error": {"Code": "DuplicateItem"}}
        else:
            *values, pk, v = parameters
            if self.items.get(pk["S"], {}).get("v") != v:
                return {"Error": {"Code": "ConditionalCheckFailed"}}
        self.items[pk["S"]] = {"pk": pk, **dict(zip(_ATTRIBUTES, values, strict=False))}
        return {}


def _capacity(table: str, units: int) -> dict[str, Any]:
    return {"ConsumedCapacity": [{"TableName": table, "CapacityUnits": units}]}


class Connection(asyncio.Protocol):
    """One kept connection: requests come one at a time, and are answered `delay_s` after they came."""

    delay_s = 0.0
    _table = Table()
    _operations: ClassVar[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
        "BatchGetItem": _table.batch_get_item,
        "BatchExecuteStatement": _table.batch_execute_statement,
        "GetItem": _table.get_item,
        "PutItem": _table.put_item,
        "PutEvents": lambda request: {
            "FailedEntryCount": 0,
            "Entries": [{"EventId": "1"}] * len(request["Entries"]),
        },
        "Delay": lambda request: setattr(Connection, "delay_s", request["ms"] / 1000) or {},
    }

    def connection_made(self, transport: Any) -> None:
        self._transport, self._read = transport, bytearray()
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = bytes(self._read[:end]).decode().split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers["content-length"])
        if len(self._read) - end - 4 >= length:
            body = bytes(self._read[end + 4 :])
            self._read.clear()
            target = headers.get("x-amz-target", "").partition(".")[2]
            asyncio.get_running_loop().call_later(Connection.delay_s, self._answer, target, body)

    def _answer(self, target: str, body: bytes) -> None:
        told = _encode(self._operations[target](_decode(body)))
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))


@contextmanager
def serving() -> Iterator[tuple[str, Callable[[float], None]]]:
    """The endpoint of a running table, and what sets its delay in milliseconds."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"

        def delay(ms: float) -> None:
            urlopen(Request(endpoint, _encode({"ms": ms}), {"X-Amz-Target": "Bench.Delay"})).read()  # noqa: S310

        yield endpoint, delay
    finally:
        process.terminate()
        process.wait()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
