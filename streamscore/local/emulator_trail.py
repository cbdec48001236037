"""What each function asked of AWS, as a trail would tell it: a line of JSON for each new kind of call.

A kind is caller, action and resource. The runtime host signs a function's calls with the function's logical
id as access key; calls under any other key are not kept. Runs in the emulator's environment, beside
`emulator_launcher`, where it is told of every request; what was seen before costs a few searches.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

NOT_A_FUNCTION = "test"
_CALLER = re.compile(r"Credential=([^/]+)/")
_STATEMENT = re.compile(rb'(INSERT INTO|UPDATE|DELETE FROM|SELECT [^"]* FROM) \\"([^"\\]+)\\"')
_PARTIQL = {b"I": "PartiQLInsert", b"U": "PartiQLUpdate", b"D": "PartiQLDelete", b"S": "PartiQLSelect"}
_SIGNED_AS = {"monitoring": "cloudwatch"}
Used = tuple[str, str]


class Request(NamedTuple):
    """A request, as ministack tells of it."""

    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Trail:
    """Appends to a file what its callers did that they had not done before."""

    def __init__(self, file: Path) -> None:
        self._file, self._seen = file, set[tuple[str, str, str]]()

    def record(self, *told: Any) -> None:
        """Keep a request that was served; of what is told of it, the first five are a Request."""
        request = Request(*told[:5])
        signed = _CALLER.search(request.headers.get("authorization", ""))
        if signed is None or signed[1] == NOT_A_FUNCTION:
            return
        for action, resource in used(request):
            if (call := (signed[1], action, resource)) not in self._seen:
                self._seen.add(call)
                line = json.dumps({"caller": call[0], "action": action, "resource": resource})
                with self._file.open("a", encoding="utf-8") as trail:
                    trail.write(f"{line}\n")


def used(request: Request) -> Iterator[Used]:
    """The IAM actions of a request, each with what an ARN of its resource ends with ("*": IAM knows none)."""
    service = _SIGNED_AS.get(request.service, request.service)
    if service == "s3":
        yield _of_s3(request.method, request.path)
        return
    operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
    if operation == "BatchExecuteStatement":
        for verb, table in set(_STATEMENT.findall(request.body)):
            yield f"dynamodb:{_PARTIQL[verb[:1]]}", f"table/{table.decode()}"
        return
    asked: dict[str, Any] = {}
    with suppress(ValueError):
        asked = json.loads(request.body)
    for resource in _RESOURCES.get(service, _no_resource)(asked):
        yield f"{service}:{operation}", resource


def _of_s3(method: str, path: str) -> Used:
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    if not key:
        return "s3:ListBucket", bucket
    actions = {"PUT": "PutObject", "POST": "PutObject", "DELETE": "DeleteObject"}
    return f"s3:{actions.get(method, 'GetObject')}", f"{bucket}/{key}"


def _tables(asked: dict[str, Any]) -> list[str]:
    names = list(asked.get("RequestItems", ())) or [asked.get("TableName", "")]
    return [f"table/{name}" for name in names]


def _streams(asked: dict[str, Any]) -> list[str]:
    return ["stream/" + (asked.get("StreamName") or asked.get("StreamARN", "").rpartition("/")[2])]


def _no_resource(_asked: dict[str, Any]) -> list[str]:
    return ["*"]


_RESOURCES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "dynamodb": _tables,
    "kinesis": _streams,
    "events": lambda asked: sorted({f"event-bus/{e['EventBusName']}" for e in asked["Entries"]}),
    "sqs": lambda asked: [asked["QueueUrl"].rpartition("/")[2]],
    "ssm": lambda asked: [f"parameter{name}" for name in asked.get("Names") or [asked["Name"]]],
    "states": lambda asked: [(asked.get("executionArn") or asked["stateMachineArn"]).split(":", 5)[5]],
    "cloudwatch": lambda asked: [f"alarm:{name}" for name in asked.get("AlarmNames", ())] or ["*"],
    "secretsmanager": lambda asked: [asked["SecretId"].rpartition(":secret:")[2]],
}
