"""The stream of a chaos run: labels come among the events in every way there is, the same in each run."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from common.errors import RecordRefusedError
from scoring import policy_file
from stream_features import spec as specs
from stream_features.events import Event, Label, decoder
from streamscore.chaos import labels
from streamscore.chaos.labels import MOST_AFTER, MOST_BEFORE, Coming, Word, coming, order, words
from streamscore.chaos.rubbish import RUBBISH
from streamscore.chaos.stream import interleaved
from streamscore.producer.stream import Record

EVENTS = 400
SPEC = specs.parse((Path(__file__).parents[2] / "src/features.toml").read_text(encoding="utf-8"), "")
DAY = "2026-03-01T00:00:00Z"


def made(number: int, is_label: bool) -> Record:
    told = {"transaction_id": f"t{number}", "event_time": DAY, "customer_id": "c", "terminal_id": "1"}
    more = {"type": "label", "is_fraud": number % 2 == 0, "label_time": "2026-03-08T00:00:00Z"}
    data = msgspec.json.encode(told | (more if is_label else {"amount": number}))
    return Record(0, "c", data, is_label=is_label)


def test_labels_come_in_every_way_and_every_event_has_its_last_word_right() -> None:
    ways = Counter(map(coming, range(EVENTS)))
    assert set(ways) == set(Coming)
    stream = list(order(EVENTS))
    assert [one for one in stream if not isinstance(one, Word)] == list(range(EVENTS))
    said = [one for one in stream if isinstance(one, Word)]
    assert len(said) == EVENTS + ways[Coming.CORRECTED] + ways[Coming.OUTDATED]
    assert {word.event for word in said if word.right} == set(range(EVENTS))


@pytest.mark.parametrize("way", Coming)
def test_a_label_lies_where_its_way_says(way: Coming) -> None:
    event = next(n for n in range(100, EVENTS) if coming(n) is way)
    stream = list(order(EVENTS))
    at = {word: stream.index(word) - stream.index(event) for word in words(event, EVENTS)}
    first, last = (list(at) * 2)[0], list(at)[-1]
    assert (at[first] < 0) is (way is Coming.BEFORE)
    assert at[first] <= at[last]
    assert (first.right, last.right) == {
        Coming.CORRECTED: (False, True),
        Coming.OUTDATED: (True, False),
    }.get(way, (True, True))
    behind = [one for one in stream[stream.index(first) :] if not isinstance(one, Word)]
    assert (not behind) if way is Coming.LAST else first.place - event > -MOST_BEFORE
    assert last.place - event < MOST_AFTER or way is Coming.LAST


def test_a_wrong_word_is_the_opposite_of_an_earlier_time() -> None:
    records = [made(n, False) for n in range(EVENTS)] + [made(n, True) for n in range(EVENTS)]
    decode = decoder(SPEC).decode
    told: dict[str, list[Label]] = {}
    for record in interleaved(SPEC, records):
        found = decode(record.data, 1_800_000_000_000)
        if isinstance(found, Event):
            assert not record.is_label
        else:
            told.setdefault(found.id, []).append(found)
    for number in range(EVENTS):
        last = max(told[f"t{number}"], key=lambda label: label.label_time_ms)
        assert last.label is (number % 2 == 0)
        others = [label for label in told[f"t{number}"] if label is not last]
        assert all(o.label is not last.label and o.label_time_ms < last.label_time_ms for o in others)


def test_the_policy_of_chaos_runs_holds() -> None:
    policy = policy_file.parse((Path(labels.__file__).with_name("policy.toml")).read_text(encoding="utf-8"))
    assert {rule.decision for rule in policy.rules} == {"review", "block"}


@pytest.mark.parametrize("data", RUBBISH)
def test_rubbish_can_never_be_applied(data: bytes) -> None:
    with pytest.raises(RecordRefusedError):
        decoder(SPEC).decode(data, 1_800_000_000_000)
