"""Schedules are decided by their seed; a run that differs is told to differ, and how."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import InvalidInputError
from streamscore.chaos import mutations
from streamscore.chaos.contents import Contents, differences
from streamscore.chaos.proxy import halves, left_undone
from streamscore.chaos.schedule import MISHAPS, NOTHING, Fault, Mishap, Schedule, Turn
from streamscore.chaos.world import Parts

WHOLE = Contents({"a": ("approve",)}, {"customer#1": b"x"}, {"a": [(1, b"v")]}, quarantined=2, given_up=0)


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


def test_without_faults_nothing_happens() -> None:
    assert {NOTHING.fault("PutItem", n) for n in range(100)} == {Fault.NONE}
    assert {NOTHING.mishap("f", n) for n in range(100)} == {Mishap.NONE}
    assert {NOTHING.turn(n) for n in range(100)} == {Turn.NONE}


def test_equal_contents_do_not_differ() -> None:
    assert differences(WHOLE, WHOLE, broken=2) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decisions": {}}, "decisions: 1 missing, a"),
        ({"decisions": {"a": ("block",)}}, "decisions: 1 different, a"),
        ({"decisions": {**WHOLE.decisions, "b": ()}}, "decisions: 1 too many, b"),
        ({"states": {"customer#1": b"y"}}, "states: 1 different, customer#1"),
        ({"rows": {"a": [(1, b"v"), (1, b"v")]}}, "rows: 1 events were emitted more than once, a"),
        ({"rows": {"a": [(1, b"w")]}}, "rows: 1 different, a"),
        ({"quarantined": 1}, "quarantine: 1 records, and 2 could not be parsed"),
        ({"given_up": 3}, "failed: 3 records were given up"),
    ],
)
def test_a_difference_is_told_with_an_example(change: dict[str, Any], words: str) -> None:
    told = differences(WHOLE, replace(WHOLE, **change), broken=2)
    assert told[0].startswith(words)


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
