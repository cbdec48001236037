"""The policy's table [retrain]: what it says, and what is refused with its line."""

import pytest

from common.errors import InvalidInputError
from scoring.policy_file import parse
from scoring.retrain import Retrain


def test_without_it_the_defaults_hold() -> None:
    assert parse("").retrain == Retrain()


def test_what_it_says_holds() -> None:
    text = """
[retrain]
quality = 0.9
drift = 0
agreement = 1
settle = "30s"
cool_down = "0s"
probation = "2d"
shadow_labels = 50
options = ["--train", "7d"]
"""
    assert parse(text).retrain == Retrain(
        quality=0.9, drift=0.0, agreement=1.0, settle_s=30, cool_down_s=0, probation_s=172_800,
        shadow_labels=50, options=("--train", "7d"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "quality = 1.1",
        "quality = true",
        'quality = "high"',
        "drift = -1",
        "gain = nan",
        'settle = "soon"',
        "settle = 60",
        'shadow = "31d"',
        "shadow_labels = 0",
        'options = "--train 7d"',
        "options = [7]",
        "qualty = 0.8",
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(InvalidInputError, match=r"policy\.toml:2"):
        parse(f"[retrain]\n{line}\n")
