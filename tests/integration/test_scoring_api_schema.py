"""The API against its own description, over real HTTP: what it says it takes and answers is what it does."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamscore.local import stack as stacks

SPEC = """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "7d"
trace = "traceparent"
keep = ["amount", "shop", "device"]

[event.fields]
amount = "decimal(2)"
shop = "string?"
device = "string? @ device.id"
seen = "int? @ device.seen"
lat = "float @ place.lat"
lon = "float? @ place.lon"
chip = "bool?"
items = "int"

[entities]
card = "card"
terminal = "terminal"

[[feature]]
name = "amount"
op = "value"
of = "amount"

[[feature]]
name = "card_mean_1d"
entity = "card"
op = "mean"
of = "amount"
windows = ["1d"]

[[feature]]
name = "terminals_7d"
entity = "card"
op = "distinct"
of = "terminal"
windows = ["7d"]
"""
# A batch judges its events each by itself, with a 200; JSON Schema can say neither how many decimals a number
# may have nor between which days a time may lie. Nothing asks for a signature here.
CHECKS = """
[checks]
ignored_auth.enabled = false
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = [400, 404, 405, 413, 422]

[[operations]]
include-operation-id = "batchPredict"
checks.negative_data_rejection.enabled = false
"""
EXAMPLES, SEED = 25, 20261124


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("described")
    (root / "features.toml").write_text(SPEC)
    stack = stacks.up(root, spec=root / "features.toml", port=0, detached=False)
    yield stack.outputs["HttpApiUrl"]
    stacks.down(root)


def asked(url: str, body: bytes | None = None, method: str | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_schemathesis_finds_nothing(url: str, tmp_path: Path) -> None:
    _, document = asked(f"{url}/openapi.json")
    del document["security"]
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "checks.toml").write_text(CHECKS)
    program = "from schemathesis.cli import schemathesis; schemathesis()"
    options = ["--url", url, "--max-examples", str(EXAMPLES), "--seed", str(SEED), "--no-color"]
    run = subprocess.run(
        [sys.executable, "-c", program, "--config-file", "checks.toml", "run", "openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    told = "\n".join(line[:400] for line in run.stdout.splitlines())
    assert run.returncode == 0, told + run.stderr
    assert "7 passed" in told


WILD = [
    b"",
    b"\xff\xfe",
    b"\x00",
    b'{"id": "\xed\xa0\x80"}',
    b'{"id": "\\ud800"}',
    b"[" * 200_000,
    b'{"a":' * 50_000,
    b"1" * 5_000,
    b"-1e999999999",
    b'{"id": 1, "id": 2}',
    b'{"events": [1e400, -0, NaN]}',
    json.dumps({"features": {"amount": 10**400, "card_mean_1d": 1, "terminals_7d": None}}).encode(),
    json.dumps({"features": {"x" * 100_000: 1}}).encode(),
    json.dumps({"features": {"\u0000\ud800": 1}}).encode(),
]


@pytest.mark.parametrize("path", ["predict", "batch-predict", "events"])
@pytest.mark.parametrize("body", WILD, ids=range(len(WILD)))
def test_a_wild_body_is_a_problem_of_the_senders(url: str, path: str, body: bytes) -> None:
    status, problem = asked(f"{url}/{path}", body)
    assert status in {400, 422}, problem
    assert problem["status"] == status


def test_extremes_that_fit_are_decided(url: str) -> None:
    event = {
        "id": "\U0010ffff\u0000é/?#%",
        "at": 0,
        "card": 10**30,
        "terminal": "\u202e" * 100,
        "amount": -(2**53) / 100,
    }
    more = {"place": {"lat": 5e-324}, "items": 2**53, "device": None, "else": [[[[]]]]}
    status, answer = asked(f"{url}/predict", json.dumps(event | more).encode())
    assert (status, answer["id"], answer["decision"]) == (200, event["id"], "approve")
    assert asked(f"{url}/predict", json.dumps(more | event).encode()) == (200, answer)
    status, problem = asked(f"{url}/predict", json.dumps(event | more | {"items": 1}).encode())
    assert (status, problem["type"]) == (409, "urn:streamscore:problem:id_reused")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "BREW"])
def test_another_method_is_told_what_the_path_takes(url: str, method: str) -> None:
    status, problem = asked(f"{url}/predict", method=method)
    assert (status, problem["detail"]) == (405, "it takes POST")
