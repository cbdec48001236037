"""What a real stack has decided, listed and decided again, by the commands."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import InvalidInputError
from streamscore import simulator
from streamscore.event_files import write_events
from streamscore.local import stack as stacks
from tests.integration.commands import invoke

SCALE = simulator.Scale(customers=60, terminals=80, days=40)
LIVE = 400
BUNDLE, OWN_POLICY = ("--challenger", "bundle"), ("--policy", "policy.toml")
POLICY = """
control_share = 0.4
[[rule]]
name = "large"
decision = "block"
all = [{ field = "amount", above = 60 }]
[[rule]]
name = "night"
decision = "review"
all = [{ feature = "is_night", equals = 1 }]
"""


def said(*arguments: Any) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.stdout


def backtest(*arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said("backtest", *arguments, "--json"))
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stack that has decided LIVE events by a model and a policy with a control share, labels included."""
    root = tmp_path_factory.mktemp("decided")
    frame = simulator.to_frame(simulator.simulate(SCALE, seed=3))
    write_events(frame, root / "events.csv")
    write_events(frame.tail(LIVE), root / "live.csv")
    (root / "policy.toml").write_text(POLICY)
    other, _, _ = POLICY.replace("control_share = 0.4", "").rpartition("[[rule]]")
    (root / "other.toml").write_text(other)
    stack = stacks.up(root, port=0, detached=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        said("backfill", "events.csv", "-o", "features.parquet")
        shares = ("--review-share", "0.05", "--block-share", "0.02")
        said("train", "features.parquet", "-o", "bundle", "--train", "25d", *shares)
        said("promote", "bundle")
        said("policy", "publish", "policy.toml")
        said("start")
        said("put", "live.csv")
        stack.drain(timeout_s=240)
    yield root
    stacks.down(root)


@pytest.fixture(autouse=True)
def in_its_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


@pytest.mark.parametrize(
    "same",
    [
        ("--challenger", "bundle"),
        ("--policy", "policy.toml"),
        ("--challenger", "bundle", "--policy", "policy.toml"),
    ],
)
def test_what_decided_decides_the_same_again_bit_for_bit(same: tuple[str, ...]) -> None:
    found = backtest(*same)
    off = [n for before, row in found["flips"].items() for after, n in row.items() if before != after]
    assert (sum(off), found["coverage"]["decided"]) == (0, LIVE)
    assert (found["coverage"]["reproduced"], found["coverage"]["not_reproduced"]) == (LIVE, 0)
    assert (found["scores"]["equal"], found["scores"]["max_difference"]) == (LIVE, 0)
    assert (found["reasons"]["changed"], found["reasons"]["first_changed"]) == (0, 0)
    assert found["reasons"]["compared"] > 20
    assert found["labels"]["control"] > 5
    assert found["labels"]["weighted"]
    assert found["labels"]["before"] == found["labels"]["after"]


def test_another_policy_flips_what_its_rules_had_decided() -> None:
    """Without its control share what was let through is blocked, without its night rule nights are not
    reviewed."""
    rows = list(csv.DictReader(io.StringIO(said("decisions", "--csv"))))
    found = backtest("--policy", "other.toml")
    controls = [row for row in rows if "control" in row["rules"].split()]
    assert found["flips"]["approve"]["block"] == len(controls) > 0
    assert found["flips"]["review"]["approve"] > 0
    assert (found["flips"]["block"]["approve"], found["flips"]["block"]["review"]) == (0, 0)
    page = said("backtest", "--policy", "other.toml")
    titles = ["# Backtest: policy ", "## Decisions", "## Alerts a day", "## amount", "## By matured labels"]
    assert [title for title in titles if title not in page] == []
    assert f"{LIVE} of {LIVE} recorded decisions made again" in page


def test_the_list_says_what_the_backtest_counted() -> None:
    rows = list(csv.DictReader(io.StringIO(said("decisions", "--csv", "--since", "1d"))))
    recorded = {
        action: sum(row.values()) for action, row in backtest("--challenger", "bundle")["flips"].items()
    }
    assert {action: sum(row["decision"] == action for row in rows) for action in recorded} == recorded
    assert "customer" not in rows[0]
    flagged = said("decisions", "--decision", "review", "--decision", "block").splitlines()
    assert len(flagged) == recorded["review"] + recorded["block"]
    assert said("decisions", "--until", "1d") == ""


def test_json_is_what_decision_shows_and_holds_no_ids_of_entities_unasked() -> None:
    one, *_ = said("decisions", "--decision", "block", "--json", "--entities").splitlines()
    found = json.loads(one)
    assert found == json.loads(said("decision", found["id"], "--json"))
    private = {name: value for name, value in found.items() if name not in {"entity", "entities"}}
    assert private in [json.loads(line) for line in said("decisions", "--json").splitlines()]
    own = said("decisions", "--entity", "customer", found["entity"], "--csv", "--entities")
    customers = {row["customer"] for row in csv.DictReader(io.StringIO(own))}
    assert customers == {found["entity"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("decisions", "--since", "yesterday"),
            "--since yesterday: write 2026-11-24, .* ago: 24h",
        ),
        (("decisions", "--csv", "--json"), "--csv and --json: choose one"),
        (
            ("decisions", "--entity", "card", "1"),
            "--entity card: is none of the stack's entities: cust",
        ),
        (("backtest",), "nothing to try: give --challenger BUNDLE, --policy FILE, or both"),
        (
            ("backtest", "--challenger", "nope"),
            "--challenger nope: neither a folder here nor a",
        ),
        (("backtest", "--policy", "nope.toml"), "nope.toml: cannot be read as a policy: No such file"),
        (
            ("backtest", "--policy", "policy.toml", "--until", "1d"),
            "streamscore-local: no decision was made in that",
        ),
        (
            ("backtest", "--policy", "policy.toml", "--amount", "x"),
            "--amount x: is no number that the spec keeps",
        ),
    ],
)
def test_wrong_input_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = invoke(*arguments)
    assert isinstance(result.exception, InvalidInputError)
    with pytest.raises(InvalidInputError, match=message):
        raise result.exception
