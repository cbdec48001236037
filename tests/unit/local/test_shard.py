"""The state machine of a shard: AWS's rules one by one, then what must hold whatever functions reply."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamscore.local.delivery import (
    Checkpoint,
    Deliver,
    Failed,
    FailedFrom,
    GiveUp,
    Record,
    Refused,
    Reply,
    Rules,
    Succeeded,
    Wait,
    Window,
)
from streamscore.local.function_process import Outcome
from streamscore.local.replies import read_reply
from streamscore.local.shard import MAX_EVENT_BYTES, Shard
from tests.oracle_mapping import Told as Expected
from tests.oracle_mapping import deliveries

NOW_MS = 1_000_000


def records(count: int, arrival_ms: int = NOW_MS, first: int = 0) -> list[Record]:
    return [Record(f"{i:04}", arrival_ms, b"{}") for i in range(first, first + count)]


def shard_with(rules: Rules, given: list[Record]) -> Shard:
    shard = Shard(rules, Checkpoint())
    shard.offer(given, given[-1].sequence, NOW_MS)
    return shard


def numbers(action: object) -> list[int]:
    assert isinstance(action, Deliver | GiveUp), action
    return [int(record.sequence) for record in action.records]


def next_of(shard: Shard, now_ms: int = NOW_MS, *, at_tip: bool = False, flush: bool = False) -> object:
    return shard.next(now_ms, at_tip=at_tip, flush=flush)


def test_batches_have_the_batch_size_and_the_rest_comes_at_once() -> None:
    shard = shard_with(Rules(batch_size=4), records(6))
    assert numbers(next_of(shard)) == [0, 1, 2, 3]
    shard.settle(Succeeded(), NOW_MS)
    assert numbers(next_of(shard)) == [4, 5]
    shard.settle(Succeeded(), NOW_MS)
    assert next_of(shard) == Wait(None)
    assert shard.checkpoint == Checkpoint("0005")


def test_a_batching_window_waits_for_more_but_not_for_a_full_batch() -> None:
    shard = shard_with(Rules(batch_size=4, batching_ms=1000), records(3))
    assert next_of(shard, NOW_MS + 999) == Wait(NOW_MS + 1000)
    shard.offer(records(1, first=3), "0003", NOW_MS + 999)
    assert numbers(next_of(shard, NOW_MS + 999)) == [0, 1, 2, 3]


def test_a_batching_window_ends_with_what_there_is() -> None:
    shard = shard_with(Rules(batch_size=4, batching_ms=1000), records(3))
    assert numbers(next_of(shard, NOW_MS + 1000)) == [0, 1, 2]


def test_a_flush_does_not_wait_for_the_batching_window() -> None:
    shard = shard_with(Rules(batch_size=4, batching_ms=1000), records(3))
    assert numbers(next_of(shard, flush=True)) == [0, 1, 2]


def test_an_event_stays_below_six_megabytes() -> None:
    big = [replace(record, body=b"x" * (MAX_EVENT_BYTES // 3)) for record in records(4)]
    shard = shard_with(Rules(batch_size=4, batching_ms=1000), big)
    assert numbers(next_of(shard)) == [0, 1]  # a third would reach it, with the envelope


def test_a_report_keeps_what_is_below_it_and_retries_from_it() -> None:
    shard = shard_with(Rules(reports_failures=True), records(5))
    next_of(shard)
    shard.settle(FailedFrom(3), NOW_MS)
    assert shard.checkpoint == Checkpoint("0002")
    assert isinstance(next_of(shard), Wait)
    assert numbers(next_of(shard, NOW_MS + 25)) == [3, 4]


def test_a_failure_without_bisect_repeats_the_batch_until_retries_are_spent() -> None:
    shard, now_ms, tried = shard_with(Rules(max_retries=2), records(5)), NOW_MS, 0
    while not isinstance(action := next_of(shard, now_ms), GiveUp):
        if isinstance(action, Deliver):
            tried += 1
            shard.settle(Failed(), now_ms)
        now_ms += 25
    assert (tried, numbers(action), action.condition) == (3, [0, 1, 2, 3, 4], "RetryAttemptsExhausted")
    assert action.invocations == 3
    assert shard.checkpoint == Checkpoint(None)
    shard.given_up()
    assert shard.checkpoint == Checkpoint("0004")


def test_bisect_finds_the_poison_record_and_splits_cost_no_attempt() -> None:
    shard, delivered, lost = shard_with(Rules(bisects=True, max_retries=1), records(8)), [], []
    now_ms = NOW_MS
    while (action := next_of(shard, now_ms)) != Wait(None):
        match action:
            case Deliver():
                poisoned = 5 in numbers(action)
                delivered.append(numbers(action))
                shard.settle(Failed() if poisoned else Succeeded(), now_ms)
            case GiveUp():
                lost.append(numbers(action))
                shard.given_up()
        now_ms += 25
    halves = [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [5], [6, 7]]
    assert (delivered, lost) == (halves, [[5]])


def test_a_report_with_bisect_splits_at_the_reported_record() -> None:
    shard = shard_with(Rules(bisects=True, reports_failures=True, max_retries=0), records(5))
    next_of(shard)
    shard.settle(FailedFrom(3), NOW_MS)
    assert next_of(shard) == Deliver(tuple(records(2, first=3)))
    shard.settle(FailedFrom(0), NOW_MS)
    assert next_of(shard) == Deliver(tuple(records(1, first=3)))


def test_a_refused_invocation_costs_no_attempt() -> None:
    shard, now_ms = shard_with(Rules(max_retries=0), records(2)), NOW_MS
    for _ in range(50):
        if isinstance(next_of(shard, now_ms), Deliver):
            shard.settle(Refused(), now_ms)
        now_ms += 25
    assert not isinstance(next_of(shard, now_ms), GiveUp)


def test_a_refused_invocation_is_given_up_when_it_is_too_old_as_one_never_made() -> None:
    shard = shard_with(Rules(max_age_ms=60_000, max_retries=0), records(1))
    next_of(shard)
    shard.settle(Refused(), NOW_MS)
    action = next_of(shard, NOW_MS + 60_001)
    assert action == GiveUp(tuple(records(1)), "RecordAgeExceeded", invocations=0)


@pytest.mark.parametrize(
    ("reply", "errored"), [(Failed(), True), (Failed(errored=False), False), (FailedFrom(0), False)]
)
def test_what_is_given_up_says_how_often_it_was_tried_and_whether_by_an_error(
    reply: Reply, errored: bool
) -> None:
    shard = shard_with(Rules(max_retries=1), records(2))
    for now_ms in (NOW_MS, NOW_MS + 25):
        next_of(shard, now_ms)
        shard.settle(reply, now_ms)
    action = next_of(shard, NOW_MS + 75)
    assert isinstance(action, GiveUp)
    assert (action.invocations, action.errored) == (2, errored)


def test_records_above_the_age_are_given_up_and_younger_ones_are_not() -> None:
    given_records = [*records(2, NOW_MS - 60_001), *records(2, NOW_MS - 60_000, first=2)]
    shard = shard_with(Rules(max_age_ms=60_000), given_records)
    action = next_of(shard)
    assert isinstance(action, GiveUp)
    assert (numbers(action), action.condition) == ([0, 1], "RecordAgeExceeded")
    shard.given_up()
    assert numbers(next_of(shard)) == [2, 3]


def test_filtered_records_move_the_checkpoint_only_when_nothing_before_them_is_open() -> None:
    shard = shard_with(Rules(), records(1))
    shard.offer([], "0009", NOW_MS)
    assert shard.checkpoint == Checkpoint(None)
    next_of(shard)
    shard.settle(Succeeded(), NOW_MS)
    assert shard.checkpoint == Checkpoint("0009")


def test_a_tumbling_window_hands_its_state_on_and_ends_with_a_final_invocation() -> None:
    """
    arrival  0    100    |  1000
    invoked  [0]  [1]   end  [2]
    """
    rules = Rules(batch_size=1, tumbling_ms=1000)
    shard = shard_with(rules, [*records(1, 0), *records(1, 100, first=1), *records(1, 1000, first=2)])
    assert next_of(shard) == Deliver(tuple(records(1, 0)), Window(0))
    shard.settle(Succeeded(b'{"n": 1}'), NOW_MS)
    second = next_of(shard)
    assert isinstance(second, Deliver) and second.window == Window(0, b'{"n": 1}')
    shard.settle(Succeeded(b'{"n": 2}'), NOW_MS)
    assert next_of(shard) == Deliver((), Window(0, b'{"n": 2}'), final=True)
    shard.settle(Succeeded(), NOW_MS)
    third = next_of(shard)
    assert isinstance(third, Deliver) and (numbers(third), third.window) == ([2], Window(1000))


def test_a_window_whose_time_is_over_ends_without_another_record_once_the_tip_is_reached() -> None:
    shard = shard_with(Rules(tumbling_ms=1000), records(1, NOW_MS))
    next_of(shard)
    shard.settle(Succeeded(b"{}"), NOW_MS)
    assert next_of(shard, NOW_MS + 2999, at_tip=True) == Wait(NOW_MS + 3000)
    assert isinstance(next_of(shard, NOW_MS + 3000, at_tip=False), Wait)
    assert next_of(shard, NOW_MS + 3000, at_tip=True) == Deliver((), Window(NOW_MS), final=True)


@pytest.mark.parametrize("reply", [Failed(), Refused()])
def test_a_final_invocation_is_repeated_until_it_succeeds(reply: Reply) -> None:
    shard, now_ms = shard_with(Rules(tumbling_ms=1000, max_retries=0), records(1)), NOW_MS
    next_of(shard)
    shard.settle(Succeeded(b"{}"), NOW_MS)
    for _ in range(5):
        now_ms += 2000
        assert isinstance(action := next_of(shard, now_ms, flush=True), Deliver) and action.final
        shard.settle(reply, now_ms)
    assert shard.has_open_window


def test_a_flushed_window_and_one_with_too_much_state_end_early() -> None:
    shard = shard_with(Rules(tumbling_ms=1000), records(1))
    next_of(shard)
    shard.settle(Succeeded(b"{}"), NOW_MS)
    assert next_of(shard, flush=True) == Deliver((), Window(NOW_MS), final=True, early=True)
    shard = shard_with(Rules(tumbling_ms=1000, batch_size=1), records(2))
    next_of(shard)
    shard.settle(Succeeded(big := b'"' + b"x" * 2**20 + b'"'), NOW_MS)
    assert next_of(shard) == Deliver((), Window(NOW_MS, big), final=True, early=True)
    shard.settle(Succeeded(), NOW_MS)
    assert next_of(shard) == Deliver(tuple(records(1, first=1)), Window(NOW_MS))


def test_an_open_window_survives_a_restart() -> None:
    shard = Shard(Rules(tumbling_ms=1000), Checkpoint("0003", Window(NOW_MS, b'{"n": 4}')))
    shard.offer(records(1, NOW_MS + 10, first=4), "0004", NOW_MS + 10)
    assert next_of(shard, NOW_MS + 10) == Deliver(
        tuple(records(1, NOW_MS + 10, first=4)), Window(NOW_MS, b'{"n": 4}')
    )


@dataclass
class Told:
    """What a run has shown to the function and to the failure destination."""

    succeeded: list[int] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    delivered: list[list[int]] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)
    states: list[tuple[Window, bool]] = field(default_factory=list)


rules_strategy = st.builds(
    Rules,
    batch_size=st.integers(1, 7),
    batching_ms=st.sampled_from([0, 500]),
    bisects=st.booleans(),
    reports_failures=st.booleans(),
    max_retries=st.sampled_from([0, 1, 3, None]),
    max_age_ms=st.sampled_from([None, 60_000]),
    tumbling_ms=st.sampled_from([0, 1000]),
)
arrivals = st.lists(st.sampled_from([0, 1, 999, 1000, 70_000]), min_size=1, max_size=30)
mishaps = st.lists(st.sampled_from(["ok", "fail", "refuse", "report 0", "report 1", "report 5"]), max_size=60)


ODD_REPLIES = [
    b"",
    b"null",
    b"{}",
    b'{"batchItemFailures":[]}',
    b'{"batchItemFailures":[{"itemIdentifier":""}]}',
    b'{"batchItemFailures":[{"itemIdentifier":"0003"}],"state":{}}',
    b'{"batchItemFailures":[{"itemIdentifier":"nobody"}],"state":{"n":1}}',
    b'{"state":[1]}',
    b'{"state":{"big":"' + b"x" * 2**20 + b'"}}',
]


def run(
    rules: Rules, gaps_ms: list[int], replies: Sequence[str | bytes], kills: set[int] | None = None
) -> Told:
    """Drive a shard to its end: replies as listed, then successes; at the steps in `kills` it restarts."""
    told, now_ms, script, kills = Told(), NOW_MS, iter(replies), kills or set()
    source, at_ms = [], NOW_MS - 100_000
    for i, gap_ms in enumerate(gaps_ms):
        source.append(Record(f"{i:04}", at_ms := min(NOW_MS, at_ms + gap_ms), b"{}"))
    shard, read = Shard(rules, Checkpoint()), 0
    for step in range(5000):
        if step in kills:
            saved = shard.checkpoint
            shard, read = Shard(rules, saved), 0 if saved.sequence is None else int(saved.sequence) + 1
        action = shard.next(now_ms, at_tip=read == len(source), flush=read == len(source))
        match action:
            case Deliver():
                told.delivered.append(numbers(action))
                if action.window:
                    told.states.append((action.window, action.final))
                reply = reply_of(rules, next(script, "ok"), action)
                shard.settle(reply, now_ms)
                told.succeeded += numbers(action)[: taken(reply, action)]
            case GiveUp():
                told.given_up += numbers(action)
                shard.given_up()
            case Wait():
                if shard.room and read < len(source):
                    upto = min(len(source), read + 3)
                    shard.offer(source[read:upto], source[upto - 1].sequence, now_ms)
                    read = upto
                elif shard.empty and not shard.has_open_window:
                    break
        told.checkpoints.append(-1 if shard.checkpoint.sequence is None else int(shard.checkpoint.sequence))
        now_ms += 25
    else:
        raise AssertionError("no progress")
    return told


def reply_of(rules: Rules, word: str | bytes, action: Deliver) -> Reply:
    if isinstance(word, bytes):
        return read_reply(rules, action, Outcome(word, failed=False))
    if word.startswith("report") and int(word[7:]) < len(action.records):
        return FailedFrom(int(word[7:]))
    return {"fail": Failed(), "refuse": Refused()}.get(word, Succeeded(b"{}"))


def taken(reply: Reply, action: Deliver) -> int:
    match reply:
        case Succeeded():
            return len(action.records)
        case FailedFrom(index=index):
            return index
    return 0


@given(rules_strategy, arrivals, mishaps)
def test_every_record_succeeds_or_is_given_up_once_and_in_order(
    rules: Rules, gaps_ms: list[int], replies: list[str]
) -> None:
    told = run(rules, gaps_ms, replies)
    everything = range(len(gaps_ms))
    assert sorted(told.succeeded + told.given_up) == list(everything)
    assert told.succeeded == sorted(told.succeeded)
    assert told.given_up == sorted(told.given_up)
    assert told.checkpoints == sorted(told.checkpoints)
    if rules.max_retries is None and rules.max_age_ms is None:
        assert told.given_up == []


@given(rules_strategy, arrivals, st.lists(st.binary() | st.sampled_from(ODD_REPLIES), max_size=60))
def test_no_reply_whatever_it_says_stops_a_shard_or_costs_a_record(
    rules: Rules, gaps_ms: list[int], payloads: list[bytes]
) -> None:
    told = run(rules, gaps_ms, payloads)
    assert sorted(told.succeeded + told.given_up) == list(range(len(gaps_ms)))


@given(rules_strategy, arrivals, mishaps)
def test_batches_are_runs_of_neighbours_within_the_batch_size(
    rules: Rules, gaps_ms: list[int], replies: list[str]
) -> None:
    for batch in run(rules, gaps_ms, replies).delivered:
        assert batch == list(range(batch[0], batch[0] + len(batch))) if batch else rules.tumbling_ms
        assert len(batch) <= rules.batch_size


@given(rules_strategy, arrivals, mishaps, st.sets(st.integers(0, 100), max_size=5))
def test_a_restart_from_the_checkpoint_skips_nothing(
    rules: Rules, gaps_ms: list[int], replies: list[str], kills: set[int]
) -> None:
    told = run(rules, gaps_ms, replies, kills)
    assert {*told.succeeded, *told.given_up} == set(range(len(gaps_ms)))
    firsts = list(dict.fromkeys(told.succeeded))
    assert firsts == sorted(firsts), "replayed records come again, new ones never out of order"


@given(rules_strategy.filter(lambda rules: rules.tumbling_ms), arrivals, mishaps)
def test_windows_open_in_order_and_each_ends_with_one_successful_final_invocation(
    rules: Rules, gaps_ms: list[int], replies: list[str]
) -> None:
    states = run(rules, gaps_ms, replies).states
    starts = [window.start_ms for window, _final in states]
    assert starts == sorted(starts)
    assert not states or states[-1][1], "the last one is final"
    for (window, was_final), (later, final) in itertools.pairwise(states):
        if later.start_ms > window.start_ms:
            assert was_final and not final


@given(
    st.builds(
        Rules,
        batch_size=st.integers(1, 6),
        bisects=st.booleans(),
        reports_failures=st.booleans(),
        max_retries=st.integers(0, 3),
    ),
    st.integers(1, 20),
    st.sets(st.integers(0, 19)),
    st.booleans(),
)
def test_a_function_that_never_takes_some_records_is_invoked_as_the_oracle_says(
    rules: Rules, count: int, poison: set[int], reports: bool
) -> None:
    shard, now_ms, told = shard_with(rules, records(count)), NOW_MS, Expected()
    while not shard.empty:
        match action := shard.next(now_ms, at_tip=True):
            case Deliver():
                told.delivered.append(numbers(action))
                bad = [i for i, number in enumerate(numbers(action)) if number in poison]
                failure = FailedFrom(bad[0]) if bad and reports else Failed()
                unheard = reports and not rules.reports_failures
                shard.settle(failure if bad and not unheard else Succeeded(), now_ms)
            case GiveUp():
                told.given_up.append(numbers(action))
                shard.given_up()
        now_ms += 1000
    assert told == deliveries(list(range(count)), rules, poison, reports)
