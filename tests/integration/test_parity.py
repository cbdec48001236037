"""`parity` replays a file through the real stack, and a state that was tampered with is found out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from common.errors import InvalidInputError
from stream_features.state import Stored, decode_item, encode_item
from streamscore import simulator
from streamscore.cli import parity
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
