"""Start the emulator with what it lacks mended. Runs in the emulator's own environment, as a script.

In ministack 1.5.33 PartiQL writes reach no DynamoDB stream and are metered as one unit whatever their size,
BatchGetItem is not metered, an alarm looks at its metric under any dimensions and at all periods as one, and
state machines know no SageMaker, and every failure of a function of ours as `Runtime.HandlerError`.
`tests/integration/test_emulator.py` fails when upstream mends one of them.
What it does over and over is done once (here, in `emulator_speed`, `emulator_inserts` and `emulator_alarms`).
"""

import asyncio
import gc
import json
import os
import re
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import emulator_kinesis  # beside this script
from ministack import app
from ministack.services import dynamodb, kinesis, lambda_svc, stepfunctions

sys.path.append(str(Path(__file__).resolve().parents[2]))  # the project: not installed in this environment
from streamscore.local.emulator_alarms import evaluate_alarms_as_aws_does, evaluate_alarms_together
from streamscore.local.emulator_inserts import insert_batches_quickly
from streamscore.local.emulator_speed import (
    check_quickly,
    read_projections_once,
    read_statements_once,
    size_quickly,
)
from streamscore.local.emulator_trail import Trail

Reply = tuple[int, dict[str, str], bytes]


class PartiqlWrites(threading.local):
    """What PartiQL statements changed in the request that this thread is serving."""

    active = False
    extra_units: dict[str, float]

    def __init__(self) -> None:
        self.extra_units = {}


_writes = PartiqlWrites()


def emit_partiql_writes_to_streams() -> None:
    """Wrap the PartiQL operations, and the two functions by which every item changes."""
    for name in ("_partiql_insert", "_partiql_update", "_partiql_delete"):
        setattr(dynamodb, name, _as_partiql_write(getattr(dynamodb, name)))
    set_item, remove_item = dynamodb._set_item, dynamodb._remove_item

    def set_and_emit(table: dict[str, Any], pk: Any, sk: Any, item: dict[str, Any]) -> Any:
        old = set_item(table, pk, sk, item)
        if _writes.active:
            _record(table["TableName"], "INSERT" if old is None else "MODIFY", old, item)
        return old

    def remove_and_emit(table: dict[str, Any], pk: Any, sk: Any) -> Any:
        old = remove_item(table, pk, sk)
        if _writes.active and old is not None:
            _record(table["TableName"], "REMOVE", old, None)
        return old

    dynamodb._set_item, dynamodb._remove_item = set_and_emit, remove_and_emit


def _as_partiql_write(operation: Callable[..., Reply]) -> Callable[..., Reply]:
    def wrapped(*args: Any) -> Reply:
        _writes.active = True
        try:
            return operation(*args)
        finally:
            _writes.active = False

    return wrapped


def _record(table_name: str, event_name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
    dynamodb._emit_stream_event(table_name, event_name, old, new)
    size = max(dynamodb._item_size_bytes(item) for item in (old, new) if item is not None)
    extra = dynamodb._capacity_kb(size) - 1.0  # ministack has counted one
    _writes.extra_units[table_name] = _writes.extra_units.get(table_name, 0.0) + extra


def meter_partiql_by_size() -> None:
    """Correct the consumed capacity of the calls that run PartiQL writes outside transactions."""
    for name in ("_execute_statement", "_batch_execute_statement"):
        setattr(dynamodb, name, _with_units_by_size(getattr(dynamodb, name)))


def _with_units_by_size(call: Callable[[dict[str, Any]], Reply]) -> Callable[[dict[str, Any]], Reply]:
    def wrapped(request: dict[str, Any]) -> Reply:
        outermost = not getattr(_depth, "value", 0)  # a batch calls the single statement
        _depth.value = getattr(_depth, "value", 0) + 1
        if outermost:
            _writes.extra_units = {}
        try:
            status, headers, body = call(request)
        finally:
            _depth.value -= 1
        if outermost and status == 200 and request.get("ReturnConsumedCapacity", "NONE") != "NONE":
            body = _add_units(body, _writes.extra_units)
        return status, headers, body

    return wrapped


_depth = threading.local()


def _add_units(body: bytes, extra_units: dict[str, float]) -> bytes:
    reply = json.loads(body)
    consumed = reply.get("ConsumedCapacity") or []
    for entry in consumed if isinstance(consumed, list) else [consumed]:
        entry["CapacityUnits"] += extra_units.get(entry["TableName"], 0.0)
    return json.dumps(reply, ensure_ascii=False).encode()


def meter_batch_get_item() -> None:
    """Add the read units of BatchGetItem: per started 4 KB of each item, however little is asked for, one
    if strong, else a half.
    """
    call = dynamodb._batch_get_item

    def wrapped(request: dict[str, Any]) -> Reply:
        status, headers, body = call(request)
        if status == 200 and request.get("ReturnConsumedCapacity", "NONE") != "NONE":
            consumed = [
                {"TableName": table, "CapacityUnits": _read_units(table, config)}
                for table, config in request["RequestItems"].items()
            ]
            body = body[:-1] + b', "ConsumedCapacity": ' + json.dumps(consumed).encode() + b"}"
        return status, headers, body

    dynamodb._batch_get_item = wrapped


def _read_units(table_name: str, config: dict[str, Any]) -> float:
    table = dynamodb._tables[dynamodb._normalize_table_name(table_name)]
    items = [dynamodb._get_item_by_key(table, key) for key in config["Keys"]]
    started_4kb: int = sum(
        max(1, -(-dynamodb._item_size_bytes(item) // 4096)) if item else 1 for item in items
    )  # reading nothing costs as much as reading 4 KB
    return started_4kb * (1.0 if config.get("ConsistentRead") else 0.5)


def parse_partiql_once() -> None:
    """A batch parses a statement to check it, and its execution parses it again."""
    parse, last = dynamodb._parse_partiql, threading.local()

    def wrapped(statement: str, parameters: Any) -> Any:
        known = getattr(last, "parsed", None)
        last.parsed = None  # for the one that follows, no further: the second may change what was parsed
        if known and known[0] == statement and known[1] is parameters:
            return known[2]
        parsed = parse(statement, parameters)
        last.parsed = (statement, parameters, parsed) if parameters else None
        return parsed

    dynamodb._parse_partiql = wrapped


def leave_lambdas_metrics_to_the_host() -> None:
    """It knows every invocation, ministack those that came through Invoke: these would count twice."""
    lambda_svc._emit_lambda_metrics = lambda *_args, **_named: None


def ring_when_streams_change(address: str) -> None:
    """Send the name of a table or Kinesis stream to `address` when records were put on its stream: once for
    all that one request put there, since nobody can read them before it is done. See Bell.
    """
    host, _, port = address.rpartition(":")
    at_path = address.startswith("/")
    bell = socket.socket(socket.AF_UNIX if at_path else socket.AF_INET, socket.SOCK_DGRAM)
    bell.setblocking(False)
    changed: set[str] = set()

    def send(name: str) -> None:
        with suppress(OSError):
            bell.sendto(name.encode(), address if at_path else (host, int(port)))

    def ring() -> None:
        while changed:
            send(changed.pop())

    def ringing(call: Callable[..., Any], name_of: Callable[[Any], str]) -> Callable[..., Any]:
        def wrapped(about: Any, *more: Any, **named: Any) -> Any:
            reply = call(about, *more, **named)
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # not a request, but a thread of the emulator's own
                send(name_of(about))
                return reply
            if not changed:
                loop.call_soon(ring)
            changed.add(name_of(about))
            return reply

        return wrapped

    dynamodb._emit_stream_event = ringing(dynamodb._emit_stream_event, str)
    for name in ("_put_record", "_put_records"):
        setattr(kinesis, name, ringing(getattr(kinesis, name), _stream_of))


def _stream_of(request: dict[str, Any]) -> str:
    return str(request.get("StreamName") or request.get("StreamARN", "")).rpartition("/")[2]


def name_functions_errors() -> None:
    """A state's Retry and Catch see the name of the exception; the hub writes it first in its reply."""
    call = stepfunctions._call_lambda

    def wrapped(function: Any, event: Any) -> Any:
        try:
            return call(function, event)
        except stepfunctions._ExecutionError as error:
            named = re.search(r'\\?"errorType\\?": ?\\?"([\w.]+)', error.cause)
            if error.error == "Runtime.HandlerError" and named:
                raise stepfunctions._ExecutionError(named[1], error.cause) from error
            raise

    stepfunctions._call_lambda = wrapped


def do_sagemaker_jobs(url: str) -> None:
    """Hand the tasks `sagemaker:create…Job.sync` to whoever does them at `url`, and wait for the end."""

    def run(resource: str, arguments: dict[str, Any]) -> Any:
        body = json.dumps({"resource": resource, "arguments": arguments}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body)) as reply:  # noqa: S310 - our own hub
            answer = json.load(reply)
        if "error" in answer:
            raise stepfunctions._ExecutionError(answer["error"], answer["cause"])
        return answer["output"]

    for name in ("createTrainingJob", "createProcessingJob"):
        stepfunctions._SERVICE_DISPATCH[f"arn:aws:states:::sagemaker:{name}"] = run


if __name__ == "__main__":
    if not os.environ.get("STREAMSCORE_EMULATOR_AS_SHIPPED"):
        emit_partiql_writes_to_streams()
        parse_partiql_once()
        insert_batches_quickly(read_statements_once())
        meter_partiql_by_size()
        meter_batch_get_item()
        read_projections_once()
        size_quickly()
        check_quickly()
        emulator_kinesis.bound_reads()
        emulator_kinesis.keep_parents()
        evaluate_alarms_as_aws_does()
        evaluate_alarms_together()
        name_functions_errors()
        leave_lambdas_metrics_to_the_host()
    if os.environ.get("STREAMSCORE_JOBS"):
        do_sagemaker_jobs(os.environ["STREAMSCORE_JOBS"])
    if os.environ.get("STREAMSCORE_BELL"):
        ring_when_streams_change(os.environ["STREAMSCORE_BELL"])
    app._maybe_record_cloudtrail = Trail(Path("calls.jsonl")).record  # it is told of every request
    gc.freeze()  # what was imported stays: looked through again, it would hold calls up by 0.1 s
    app.main()
