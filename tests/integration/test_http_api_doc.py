"""docs/http-api.md shows what the API answers: its curl lines are asked of a local stack."""

import itertools
import json
import re
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring.problems import KINDS
from streamscore.local import stack as stacks

PAGE = (Path(__file__).parents[2] / "docs/http-api.md").read_text(encoding="utf-8")
UNSTABLE = {"policy", "time"}


def asked(api: str, line: str) -> tuple[int, Any]:
    """The status and body for a line `curl $API/path [-d BODY]`."""
    curl, url, *rest = shlex.split(line)
    assert curl == "curl"
    body = rest[1].encode() if rest else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url.replace("$API", api), body)) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[str]:
    """The address of a stack in which nothing was decided."""
    yield stacks.up(tmp_path, port=0, detached=False).outputs["HttpApiUrl"]
    stacks.down(tmp_path)


def test_its_examples_give_what_it_shows(api: str) -> None:
    blocks = re.findall(r"```(sh|json)\n(.*?)```", PAGE, re.DOTALL)
    shown = 0
    for (kind, text), (next_kind, answer) in itertools.pairwise([*blocks, ("", "")]):
        for line in text.splitlines() if kind == "sh" else ():
            status, told = asked(api, line)
            assert status == 200, told
        if kind == "sh" and next_kind == "json":
            expected = json.loads(answer)
            assert told.keys() == expected.keys()
            assert {**told, **{n: expected[n] for n in UNSTABLE & told.keys()}} == expected
            shown += 1
    assert shown == 2


def test_its_table_names_every_kind_of_problem_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE)
    assert {kind: int(status) for kind, status in rows} == {k: told.status for k, told in KINDS.items()}
