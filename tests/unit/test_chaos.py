"""Schedules are decided by their seed; a run that differs is told to differ, and how."""

import base64
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import InvalidInputError
from scoring.policy import Verdict
from streamscore.chaos import mutations
from streamscore.chaos.befell import Metered, befell, never
from streamscore.chaos.contents import Contents
from streamscore.chaos.differences import differences
from streamscore.chaos.heard import Heard
from streamscore.chaos.proxy import halves, left_undone
from streamscore.chaos.rubbish import RUBBISH
from streamscore.chaos.schedule import MISHAPS, NOTHING, Fault, Mishap, Schedule, Turn, schedule_of
from streamscore.chaos.stream import Sent
from streamscore.chaos.world import Parts

APPROVED: Any = ({"verdict": Verdict("approve", (), None)}, True, 9, ())
BLOCKED: Any = ({"verdict": Verdict("block", (), None)}, None, None, ())
WHOLE = Contents(
    decisions={"a": APPROVED, "b": BLOCKED},
    states={"customer#1": b"x"},
    rows={"a": [(1, b"v")], "b": [(2, b"w")]},
    counted={"decisions": [1, 0, 1]},
    told={"b": [{"id": "b", "decision": "block"}]},
    quarantined={b"{": 2},
    given_up=0,
)


def test_a_seed_decides_everything_and_another_one_otherwise() -> None:
    def drawn(seed: int) -> list[Any]:
        made = Schedule(seed)
        return [(made.fault("PutItem", n), made.mishap("f", n), made.turn(n)) for n in range(300)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_what_happens_comes_about_as_often_as_it_is_said_to() -> None:
    seen = Counter(Schedule(3).mishap("f", number) for number in range(4000))
    for mishap, chance in MISHAPS:
        assert seen[mishap] == pytest.approx(4000 * chance, rel=0.4)


def test_a_long_run_has_kills_all_along_and_as_many_as_a_short_one() -> None:
    def killed(events: int) -> int:
        made = schedule_of(5, events)
        return sum(made.mishap("f", n) is Mishap.KILLED for n in range(events))

    assert killed(24_000) == pytest.approx(killed(6_000), rel=0.2)
    assert dict(schedule_of(5, 24_000).mishaps)[Mishap.THROTTLED] == dict(MISHAPS)[Mishap.THROTTLED]
    assert schedule_of(5, 100) == Schedule(5)


def test_without_faults_nothing_happens() -> None:
    assert {NOTHING.fault("PutItem", n) for n in range(100)} == {Fault.NONE}
    assert {NOTHING.mishap("f", n) for n in range(100)} == {Mishap.NONE}
    assert {NOTHING.turn(n) for n in range(100)} == {Turn.NONE}


def test_equal_contents_do_not_differ() -> None:
    assert differences(WHOLE, WHOLE, events=2, rubbish={b"{": 2}) == []
    waiting = replace(WHOLE, told={"b": []})
    assert differences(WHOLE, waiting, events=2, rubbish={b"{": 2}) == [], "in the queue of the untold"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decisions": {}}, "decisions: 2 missing, a"),
        ({"decisions": {**WHOLE.decisions, "a": BLOCKED}}, "decisions: 1 different, a"),
        ({"decisions": {**WHOLE.decisions, "c": APPROVED}}, "decisions: 1 too many, c"),
        ({"states": {"customer#1": b"y"}}, "states: 1 different, customer#1"),
        ({"rows": {**WHOLE.rows, "a": [(1, b"v")] * 2}}, "rows: 1 events were emitted more than once, a"),
        ({"rows": {**WHOLE.rows, "a": [(1, b"w")]}}, "rows: 1 different, a"),
        ({"counted": {"decisions": [1, 0, 2]}}, "counted: 1 different, decisions"),
        ({"quarantined": {b"{": 1}}, "quarantine: 1 different, b'{'"),
        ({"quarantined": {}}, "quarantine: 1 missing, b'{'"),
        ({"given_up": 3}, "failed: 3 records were given up"),
        ({"told": {}}, "bus: 1 reviews and blocks were told to nobody, b for one"),
        ({"told": {"b": [{"decision": "review"}]}}, "bus: of 1 events was told what was not decided, b"),
        ({"told": WHOLE.told | {"a": [{"decision": "block"}]}}, "bus: of 1 events was told what was not"),
        ({"told": {"b": WHOLE.told["b"] * 2}}, "bus: of 1 events was told what was not decided, b"),
    ],
)
def test_a_difference_is_told_with_an_example(change: dict[str, Any], words: str) -> None:
    lines = differences(WHOLE, replace(WHOLE, **change), events=2, rubbish={b"{": 2})
    assert lines[0].startswith(words)


def test_what_is_sent_has_to_end_somewhere() -> None:
    lines = differences(WHOLE, WHOLE, events=3, rubbish={b"{": 2})
    assert lines == ["limbo: 5 records sent, and 4 decided, set aside or given up"]


def test_what_services_took_is_known() -> None:
    heard = Heard()

    def call(operation: str, entries: list[dict[str, str]], refused: int | None = None) -> None:
        name = "Records" if operation == "PutRecords" else "Entries"
        answers = [{"ErrorCode": "x"} if n == refused else {"EventId": "x"} for n in range(len(entries))]
        heard.offer(operation, json.dumps({name: entries}).encode(), json.dumps({name: answers}).encode())

    def details(*told: dict[str, Any]) -> list[dict[str, str]]:
        return [{"DetailType": "DecisionBlocked", "Detail": json.dumps(one)} for one in told]

    one, two, other = {"id": "1", "score": 1}, {"id": "2"}, {"id": "4", "score": 2}
    call("PutEvents", details(one, two, other), refused=1)
    call("PutEvents", details(one, {"id": "4", "score": 3}))
    call("PutEvents", [{"DetailType": "DriftFound", "Detail": '{"alarm": "x"}'}])
    heard.offer("SendMessage", b'{"MessageBody": "[\\"3\\"]"}', b"{}")
    heard.offer("BatchGetItem", b"not looked at", b"")
    assert heard.told == {"1": [one], "3": [], "4": [other, {"id": "4", "score": 3}]}

    datas = [b"event", RUBBISH[0], RUBBISH[1]]
    records = [{"Data": base64.b64encode(data).decode(), "PartitionKey": "c"} for data in datas]
    call("PutRecords", records, refused=2)
    call("PutRecords", records[1:])
    assert (heard.landed, heard.rubbish) == (4, {RUBBISH[0]: 2, RUBBISH[1]: 1})


def test_what_befell_a_run_is_counted_by_kind_and_what_never_happened_is_named() -> None:
    metered = Metered()
    about = {"Namespace": "n", "Metrics": [{"Name": "StateConflicts"}, {"Name": "EventsReceived"}]}
    line = {
        "StateConflicts": [2, 1],
        "EventsReceived": 5,
        "_aws": {"Timestamp": 0, "CloudWatchMetrics": [about]},
    }
    metered.offer(json.dumps(line).encode())
    metered.offer(b"no metrics")
    calls = {("PutEvents", Fault.PARTIAL): 2, ("S3.PUT", Fault.LOST): 1, ("S3.PUT", Fault.NONE): 9}
    mishaps = {("ScoringFunction", Mishap.KILLED): 3, ("ScoringFunction", Mishap.NONE): 8}
    sent = Sent(Counter({"label": 1}), Counter({"split": 2}))
    found = befell(calls, mishaps, metered.sums, sent, {"processes with a wrong clock": 7})
    assert {what: count for what, count in found.items() if count} == {
        "calls done, and hung up on": 1,
        "PutEvents done by half, the rest told as unprocessed": 2,
        "ScoringFunction: its process is killed with -9 while it runs": 3,
        "conditional writes that met another version": 3,
        "labels put again": 1,
        "shards: split": 2,
        "processes with a wrong clock": 7,
    }
    assert {"shards: merge", "events put again", "calls throttled"} <= set(never(found))
    assert "shards: split" not in never(found)


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_breaks_the_code_as_it_is_now(mutation: mutations.Mutation, tmp_path: Path) -> None:
    parts = mutations.broken(mutation, tmp_path / "broken", Parts(shards=2, batch_size=5))
    assert parts.code == tmp_path / "broken/src"
    for path, old, new in mutation.changes:
        ours = (mutations.PROJECT / path).read_text(encoding="utf-8")
        theirs = (tmp_path / "broken" / path).read_text(encoding="utf-8")
        assert old in ours
        assert new in theirs and theirs != ours
        compile(theirs, path, "exec")


def test_a_mutation_of_code_that_has_changed_is_refused(tmp_path: Path) -> None:
    outdated = mutations.Mutation("old", (("src/stream_features/verdict.py", "no such text", ""),))
    with pytest.raises(InvalidInputError, match="old: .* has 0 times 'no such text'"):
        mutations.broken(outdated, tmp_path / "broken", Parts(shards=2, batch_size=5))


def test_a_batch_is_done_by_half_and_the_rest_told_as_aws_tells_it() -> None:
    keys = [{"pk": {"S": name}} for name in "abc"]
    now, later = halves("BatchGetItem", {"RequestItems": {"t": {"Keys": keys, "ConsistentRead": True}}})
    assert now["RequestItems"]["t"]["Keys"] == keys[:2]
    told = left_undone("BatchGetItem", {"Responses": {}}, later)
    assert told["UnprocessedKeys"] == {"t": {"Keys": keys[2:], "ConsistentRead": True}}

    now, later = halves("BatchExecuteStatement", {"Statements": [1, 2, 3]})
    told = left_undone("BatchExecuteStatement", {"Responses": [{}, {}]}, later)
    assert (now["Statements"], [set(one) for one in told["Responses"]]) == ([1, 2], [set(), set(), {"Error"}])

    now, later = halves("PutEvents", {"Entries": [1, 2]})
    told = left_undone("PutEvents", {"Entries": [{"EventId": "x"}], "FailedEntryCount": 0}, later)
    assert (now["Entries"], told["FailedEntryCount"], len(told["Entries"])) == ([1], 1, 2)

    now, later = halves("PutRecords", {"Records": [1, 2, 3]})
    told = left_undone("PutRecords", {"Records": [{"ShardId": "s"}] * 2, "FailedRecordCount": 0}, later)
    assert (now["Records"], told["FailedRecordCount"], len(told["Records"])) == ([1, 2], 1, 3)
    assert told["Records"][2]["ErrorCode"] == "ProvisionedThroughputExceededException"
