"""What docs/policy.md and policy.toml show is what happens, and the page leaves nothing out."""

import doctest
from pathlib import Path
from typing import Any

import pytest

from common.settings import code_root
from scoring.policy_file import POLICY_KEYS, RULE_KEYS, parse
from scoring.rules import check
from scoring.watch import CostWatch, DriftLimits, DriftWatch, PerformanceLimits, PerformanceWatch, Watch
from stream_features import spec as specs
from streamscore.cli import policy as commands

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"


def test_every_example_of_the_page_runs() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert tried > 20
    assert not failed


@pytest.mark.parametrize("key", sorted(POLICY_KEYS - {"rule"} | RULE_KEYS))
def test_every_key_is_described(key: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"`{key}`" in text or f"`[{key}]`" in text or f"`[{key}." in text


@pytest.mark.parametrize("name", sorted(commands.command.commands))
def test_every_command_is_described(name: str) -> None:
    assert f"| `streamscore policy {name}" in PAGE.read_text(encoding="utf-8")


def test_what_the_shipped_file_shows_commented_out_is_a_policy_for_the_shipped_spec() -> None:
    text = (code_root({}) / "policy.toml").read_text(encoding="utf-8")
    examples = [line.removeprefix("# ") for line in text.splitlines() if _is_toml(line)]
    policy = parse("\n".join(examples))
    check(policy, specs.parse((code_root({}) / "features.toml").read_text(encoding="utf-8")))
    assert [rule.name for rule in policy.rules] == ["large_amount_at_night", "stolen_card"]
    assert policy.control_share == 0.01
    assert "stolen" in policy.lists
    usual = policy.monitoring._replace(performance=policy.monitoring.performance._replace(amount=None))
    assert usual._replace(cost=CostWatch()) == Watch(), "what is shown as a default is the default"


@pytest.mark.parametrize("table", [DriftWatch, DriftLimits, PerformanceWatch, PerformanceLimits, CostWatch])
def test_every_key_of_the_monitors_is_described(table: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [key for key in table._fields if f"`{key}`" not in text and f".{key}]" not in text] == []


def _is_toml(line: str) -> bool:
    bare = line.removeprefix("# ")
    return bare.startswith("[") or bare.split(" = ")[0].isidentifier()
