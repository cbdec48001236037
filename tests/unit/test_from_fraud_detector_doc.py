"""docs/from-fraud-detector.md names operations that Fraud Detector has, and commands that we have."""

import re

import click
from botocore.session import Session

from streamscore.cli.main import cli
from tests.unit.transformed_template import ROOT

TEXT = (ROOT / "docs/from-fraud-detector.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`]+)`", TEXT)


def test_its_operations_are_theirs() -> None:
    named = {code for code in CODE if re.fullmatch(r"(?:[A-Z][A-Za-z]+){2,}", code) and not code.isupper()}
    assert len(named) > 10
    assert named <= set(Session().get_service_model("frauddetector").operation_names)


def test_its_commands_are_ours() -> None:
    known = set(cli.list_commands(click.Context(cli)))
    named = {code.split()[1] for code in CODE if code.startswith("streamscore ")}
    assert len(named) > 5
    assert named <= known
    alone = {
        "backfill",
        "backtest",
        "challenger",
        "evaluate",
        "load-state",
        "pack",
        "promote",
        "register",
        "thresholds",
    }
    assert alone <= known & set(CODE)
