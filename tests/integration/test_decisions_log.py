"""The decisions log on items as scoring writes them."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from scoring.items import number
from streamscore.decided.decisions_log import decisions_log
from streamscore.decided.stored import Decided
from tests.integration import scoring_stack
from tests.integration.scoring_stack import ScoringStack, deliver, label, record, row

stack = scoring_stack.fresh_stack
T = 1_790_000_000_000


@dataclasses.dataclass
class Read:
    """What `decisions_log` needs of a stack."""

    made: ScoringStack

    @property
    def outputs(self) -> dict[str, str]:
        return {"DecisionsTableName": self.made.settings.decisions_table}

    def client(self, service: str) -> Any:
        return self.made.client(service)

    def log(self, since_ms: int | None = None, until_ms: int | None = None) -> dict[str, Decided]:
        found = list(decisions_log(self, since_ms, until_ms))
        assert len({one.id for one in found}) == len(found)
        return {one.id: one for one in found}


def decided_at(made: ScoringStack, times_ms: dict[str, int]) -> None:
    """Decide events of these ids, as if at these times."""
    deliver(made.wired(), record(1, [row(id_) for id_ in times_ms]))
    for item in made.items():
        item |= {"scored_at": number(times_ms[item["pk"]["S"]])}
        made.client("dynamodb").put_item(TableName=made.settings.decisions_table, Item=item)


@pytest.mark.parametrize(
    ("since_ms", "until_ms", "found"),
    [
        (None, None, "abc"),
        (T, T + 1, "b"),
        (T, None, "bc"),
        (None, T, "a"),
        (T + 1, T + 1, ""),
        (T + 1, T + 2, "c"),
    ],
)
def test_since_is_within_and_until_is_not(
    stack: ScoringStack, since_ms: int | None, until_ms: int | None, found: str
) -> None:
    decided_at(stack, {"a": T - 1, "b": T, "c": T + 1})
    assert "".join(sorted(Read(stack).log(since_ms, until_ms))) == found


def test_a_decision_is_read_as_it_was_made_with_the_label_that_came_since(
    stack: ScoringStack, tmp_path: Path
) -> None:
    version = stack.promote(tmp_path / "bundle")
    deliver(stack.wired(), record(1, [row("a", 6000.5), row("b")]))
    deliver(stack.wired(), record(2, [], [label("a"), label("stub")]))
    found = Read(stack).log()
    assert sorted(found) == ["a", "b"]
    one = found["a"]
    assert (one.decision.model, one.action, one.decision.verdict.rules) == (version, "block", ("huge",))
    assert (one.label, one.label_time_ms) == (True, scoring_stack.NOW_MS)
    assert (one.decision.features, one.decision.entities) == (row("a", 6000.5).vector, {"terminal": "t1"})
    assert one.decision.reasons[0].feature == "amount"
    assert found["b"].label is None
    (stored, *_) = stack.items()
    assert one.item() == {name: value for name, value in stored.items() if name != "ttl"}
