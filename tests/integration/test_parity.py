"""`parity` and `entity` on the real stack: a state that was tampered with is found out, and explained."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from common.errors import InvalidInputError
from stream_features.state import Stored, decode_item, encode_item
from streamscore import simulator
from streamscore.cli import entity, parity
from streamscore.event_files import write_events
from streamscore.local import stack as stacks

SCALE = simulator.Scale(customers=20, terminals=25, days=14)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    root = tmp_path_factory.mktemp("parity")
    stack = stacks.up(root, port=0, detached=False)
    stack.start()
    yield stack
    stacks.down(root)


@pytest.fixture(autouse=True)
def in_the_stacks_folder(running: stacks.Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(running.state_dir.parent)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(parity.command, arguments, catch_exceptions=False)


def explained(*arguments: str) -> Any:
    result = CliRunner().invoke(entity.command, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def forget(running: stacks.Stack, key: str) -> None:
    """Take the history out of an item, and leave its watermarks and ids."""
    dynamodb, table = running.client("dynamodb"), running.outputs["StateTableName"]
    item: dict[str, Any] = dynamodb.get_item(TableName=table, Key={"pk": {"S": key}})["Item"]
    stored = Stored(int(item["v"]["N"]), bytes(item["w"]["B"]), bytes(item["s"]["B"]))
    emptied = decode_item(stored, shard=0)
    emptied.blob = b""
    w, s = encode_item(emptied, 0, 0)
    item |= {"v": {"N": str(stored.v + 1)}, "w": {"B": w}, "s": {"B": s}}
    item.pop("out", None)
    dynamodb.put_item(TableName=table, Item=item)


def test_a_replay_is_served_as_backfilled_until_a_state_is_tampered_with(
    running: stacks.Stack, tmp_path: Path
) -> None:
    frame = simulator.to_frame(simulator.simulate(SCALE, seed=3))
    half, whole = tmp_path / "half.csv", tmp_path / "whole.csv"
    first, rest = frame[: len(frame) // 2], frame[len(frame) // 2 :]
    write_events(first, half)
    write_events(frame, whole)

    before = run(str(half), "--replay")
    assert before.exit_code == 0, before.output
    assert f"held: {len(first):,} events × 15 features, bit for bit" in before.stdout
    with pytest.raises(InvalidInputError, match="decided already"):
        run(str(half), "--replay")

    customer = rest["customer_id"][0]
    newest = first.filter(customer_id=customer)["transaction_id"][-1]
    item = explained("customer", str(customer))
    event = explained("customer", str(customer), "--event", str(newest))
    assert len(item["watermarks"]) == 1
    assert len(item["head"]) == item["ids_remembered"] == first.filter(customer_id=customer).height
    recomputed = [one for one in event["features"] if "parts" in one]
    assert len(recomputed) == 6
    assert all(one["value"] == one["served"] for one in recomputed)
    assert [one["value"] for one in recomputed] == [one["value"] for one in item["features"]]
    forget(running, f"customer#{customer}")
    since = first["event_time"].max()
    after = run(str(whole), "--replay", "--since", since, "--json")

    report = json.loads(after.stdout)
    assert after.exit_code == 1
    assert not report["held"]
    features = {one["feature"]: one for one in report["features"]}
    broken = features["customer_count_30d"]
    assert broken["different"] == broken["failed"] == rest.filter(customer_id=customer).height
    assert broken["first"]["value"] == str(customer)
    assert broken["first"]["served"] == 1.0
    assert features["amount"]["different"] == features["terminal_count_7d"]["different"] == 0
    assert "FAILED" in run(str(whole)).stdout


def test_what_is_not_there_is_said_in_one_line(running: stacks.Stack) -> None:
    for arguments, says in {
        ("shop", "1"): "not an entity of the stack's spec; it has customer, terminal",
        ("customer", "nobody"): "nothing is stored of customer nobody",
        ("customer", "1", "--event", "none"): "there is no decision about 'none'",
    }.items():
        with pytest.raises(InvalidInputError, match=says):
            CliRunner().invoke(entity.command, arguments, catch_exceptions=False)
