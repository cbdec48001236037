"""`scripts/copy_table.py`: a restored table back into the stack's."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from streamscore.local.emulator import REGION, Emulator

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/copy_table.py"
ITEMS = {f"customer#{i}": bytes([i % 256]) * 9_000 for i in range(300)}
"""More than a page of a scan."""


@pytest.fixture(autouse=True)
def in_the_emulator(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def table(dynamodb: Any, items: dict[str, bytes]) -> str:
    name = f"t{uuid4().hex}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for pk, state in items.items():
        dynamodb.put_item(
            TableName=name, Item={"pk": {"S": pk}, "s": {"B": state}, "v": {"N": "1795877943000"}}
        )
    return name


def content(dynamodb: Any, name: str) -> dict[str, tuple[bytes, str]]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=name)
    return {i["pk"]["S"]: (i["s"]["B"], i["v"]["N"]) for page in pages for i in page["Items"]}


def copy(*arguments: str) -> str:
    loading = importlib.util.spec_from_file_location("copy_table", SCRIPT)
    assert loading
    assert loading.loader
    script = importlib.util.module_from_spec(loading)
    loading.loader.exec_module(script)
    return CliRunner().invoke(script.command, arguments, catch_exceptions=False).stdout


def test_every_item_comes_back_as_it_was(client: Callable[[str], Any]) -> None:
    dynamodb = client("dynamodb")
    restored, spoilt = table(dynamodb, ITEMS), table(dynamodb, {"customer#7": b"spoilt", "younger": b"kept"})
    assert "300 items read" in copy(restored, spoilt)
    found = content(dynamodb, spoilt)
    assert found.pop("younger")[0] == b"kept"
    assert found == content(dynamodb, restored)
    assert found["customer#7"][0] == ITEMS["customer#7"]


def test_what_was_decided_since_stands_with_missing_only(client: Callable[[str], Any]) -> None:
    dynamodb = client("dynamodb")
    restored, now = table(dynamodb, {"a": b"old", "b": b"old"}), table(dynamodb, {"a": b"new"})
    assert "2 items read" in copy("--missing-only", restored, now)
    assert {pk: state for pk, (state, _) in content(dynamodb, now).items()} == {"a": b"new", "b": b"old"}
