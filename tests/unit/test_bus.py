"""What the bus is told, and in how many calls."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from common.aws import RESERVE_MS
from scoring.bus import BYTES_PER_CALL, ENTRIES_PER_CALL, Bus, detail
from scoring.decisions import _ATTRIBUTES
from scoring.items import Challenged, Decision, to_item
from scoring.policy import Verdict
from scoring.reasons import Reason

PAGE = (Path(__file__).parents[2] / "docs" / "bus-events.md").read_text(encoding="utf-8")
EXAMPLE = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
DECISION = Decision(
    id="tx1042",
    entity="C17",
    event_time_ms=1795557943000,
    arrival_ms=1795557944021,
    scored_at_ms=1795557944210,
    score=0.973214,
    verdict=Verdict("block", ("large_amount_at_night",), 0.95),
    reasons=[
        Reason("amount", 310.5, 25.0, 1.25, "amount 310.50, usually 25"),
        Reason(
            "terminal_risk_7d",
            None,
            0.0,
            0.4,
            "share of fraud at the terminal in the 7d up to a week ago missing, usually 0",
        ),
    ],
    absent="",
    model="3da15a939aabbf0a",
    policy="7b6ed3a1c2f40d15",
    spec_sha=EXAMPLE["detail"]["spec"],
    features=bytes(60),
    kept={"amount": {"N": "310.50"}, "category": {"S": "ecom"}},
    trace=EXAMPLE["detail"]["trace"],
    source="stream",
    entities={"terminal": "T4"},
    challenger=Challenged("91c2d3e4f5a60718", 0.911, "block"),
)


class Events:
    """A bus that takes what AWS's takes."""

    def __init__(self) -> None:
        self.calls: list[list[dict[str, Any]]] = []

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        size = sum(len(entry["Detail"].encode()) + len(entry["Source"]) + 40 for entry in Entries)
        assert size < 256 * 1024
        assert len(Entries) <= 10
        self.calls.append(Entries)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


def told(*decisions: Decision) -> list[list[dict[str, Any]]]:
    events = Events()
    assert Bus(events, "bus").publish([to_item(one) for one in decisions], lambda: RESERVE_MS) == set()
    return events.calls


def test_the_page_shows_what_is_told() -> None:
    ((entry,),) = told(DECISION)
    assert json.loads(entry["Detail"]) == EXAMPLE["detail"]
    assert (entry["Source"], entry["DetailType"]) == (EXAMPLE["source"], EXAMPLE["detail-type"])
    assert entry["EventBusName"] == "bus"


def test_the_page_describes_every_member_there_can_be() -> None:
    described = {name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in row.split("`")}
    withheld = {"pk", "features", "request", "label", "label_time", "second_path_score", "ttl"}
    assert {*_ATTRIBUTES} - withheld | {"id"} <= described
    assert detail(to_item(DECISION)).keys() <= described


def test_a_call_holds_no_more_than_the_bus_takes() -> None:
    large = [
        DECISION._replace(id=f"e{n}", kept={f"f{k}": {"S": "x" * 1000} for k in range(60)}) for n in range(9)
    ]
    calls = told(*large)
    assert [len(call) for call in calls] == [3, 3, 3]
    small = [DECISION._replace(id=f"e{n}") for n in range(25)]
    assert [len(call) for call in told(*small)] == [ENTRIES_PER_CALL, ENTRIES_PER_CALL, 5]


def test_what_is_too_large_for_the_bus_is_told_without_its_largest_members() -> None:
    kept = {f"f{k:02}": {"S": "\x01" * 1000} for k in range(90)}
    shown = detail(to_item(DECISION._replace(kept=kept)))
    assert len(msgspec.json.encode(shown)) < BYTES_PER_CALL
    assert shown["cut"] == ["kept"]
    assert shown["reasons"] == EXAMPLE["detail"]["reasons"]


def test_approvals_are_not_told() -> None:
    assert told(DECISION._replace(verdict=Verdict("approve", ()))) == []
