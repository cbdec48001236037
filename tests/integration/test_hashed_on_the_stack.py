"""A whole stack whose customers have `hash = true`: what producers send of them is nowhere to be found."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from common.keyed_hash import hashed_id
from common.settings import code_root
from streamscore import simulator
from streamscore.entity_keys import LOCAL_KEY
from streamscore.event_files import write_events
from streamscore.local import stack as stacks
from streamscore.parity.served import API
from tests import least_privilege, left_behind
from tests.integration.commands import invoke

MARK = "4539578763621486"
"""Every customer's id begins with it."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    root = tmp_path_factory.mktemp("hashed")
    text = (code_root() / "features.toml").read_text()
    spec = root / "features.toml"
    spec.write_text(
        text.replace('customer = "customer_id"', 'customer = { field = "customer_id", hash = true }')
    )
    stack = stacks.up(root, spec=spec, port=0, detached=False)
    stack.start()
    yield stack
    stacks.down(root)


def told(*arguments: Any) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def naming(stack: stacks.Stack, text: str) -> set[str]:
    """The places of the stack where the text is."""
    held = {place: data for place, data in left_behind.told(stack, [])}
    for key, body in left_behind.objects(stack):
        if key.startswith(left_behind.QUARANTINE):
            held[key] = b"\n".join(
                base64.b64decode(json.loads(line)["payload"]) for line in body.splitlines()
            )
    dynamodb = stack.client("dynamodb")
    for name in ("StateTableName", "DecisionsTableName", "MonitorTableName"):
        pages = dynamodb.get_paginator("scan").paginate(TableName=stack.outputs[name])
        held[name] = repr([page["Items"] for page in pages]).encode()
    return {place for place, data in held.items() if text.encode() in data}


def test_nothing_holds_the_values_and_all_commands_take_them(
    running: stacks.Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(running.state_dir.parent)
    scale = simulator.Scale(customers=5, terminals=25, days=3)
    frame = simulator.to_frame(simulator.simulate(scale, seed=3)).with_columns(
        pl.format(f"{MARK}-{{}}", pl.col("customer_id")).alias("customer_id")
    )
    history, whole = tmp_path / "history.csv", tmp_path / "whole.csv"
    cut = frame["event_time"][len(frame) // 2]
    write_events(frame.filter(pl.col("event_time") <= cut), history)
    write_events(frame, whole)
    spec = ("--spec", running.state_dir.parent / "features.toml")

    told("load-state", history, "--until", cut, *spec)
    customer, event = frame["customer_id"][-1], frame["transaction_id"][-1]
    ahead = {"transaction_id": "x", "event_time": int(time.time() + 9e5), "customer_id": customer}
    ahead |= {"terminal_id": "t", "amount": 1}
    asked = ahead | {"transaction_id": "y", "event_time": frame["event_time"][-1]}
    told("put", whole, "--since", cut, "--no-labels", *spec)
    running.client("kinesis").put_record(
        StreamARN=running.outputs["EventsStreamArn"], Data=json.dumps(ahead), PartitionKey=customer
    )
    running.drain()
    assert "bit for bit" in told("parity", whole)
    answer = running.client("lambda").invoke(FunctionName=running.outputs[API], Payload=json.dumps(asked))
    assert json.load(answer["Payload"])["features"]["customer_count_30d"] > 1
    labels = tmp_path / "labels.csv"
    pl.DataFrame({"transaction_id": [event], "customer_id": [customer], "is_fraud": [True]}).write_csv(labels)
    told("label", labels)
    running.drain()

    kept = hashed_id(LOCAL_KEY, customer)
    assert told("entity", "customer", customer, "--id") == f"{kept}\n"
    assert json.loads(told("entity", "customer", customer, "--event", event, "--json"))["in_head"]
    listed = told("decisions", "--entity", "customer", customer, "--since", "1h", "--entities", "--csv")
    rows = pl.read_csv(listed.encode(), infer_schema=False)
    assert set(rows["customer"]) == {kept}
    assert rows.filter(pl.col("id") == event)["label"].to_list() == ["true"]
    live = frame.filter((pl.col("customer_id") == customer) & (pl.col("event_time") > cut))
    assert set(rows["id"]) == {*live["transaction_id"], "y"}
    assert {"StateTableName", "DecisionsTableName"} < naming(running, kept)
    assert naming(running, MARK) == set()

    receipt = json.loads(told("forget", "customer", customer, "--yes", "--json"))
    assert receipt["proved"] and receipt["passes"][0]["found"]["quarantine/"] == 1
    assert naming(running, kept) == set()
    _reads_the_key_as_granted(running, monkeypatch)


def _reads_the_key_as_granted(running: stacks.Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `HashedEntities=some`, exactly the functions that decode events may read the key, and do."""
    monkeypatch.setattr(least_privilege, "ON_HERE", {*least_privilege.ON_HERE, "HashesEntities"})
    ids = least_privilege.physical_ids(running.client("cloudformation"), running.name)
    callers = least_privilege.roles().keys() - least_privilege.RETRAINING
    granted = least_privilege.grants(running.name, ids, callers)
    made = least_privilege.calls(running.state_dir / "emulator/calls.jsonl")
    reads = "secretsmanager:GetSecretValue"
    assert {call.caller for call in made if call.action == reads} == {
        grant.function for grant in granted if grant.action == reads
    }
    assert least_privilege.not_granted(granted, made) == set()
