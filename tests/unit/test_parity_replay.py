"""The closed loop puts no faster than decisions come, and does not wait for ever."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from common.errors import TransientError
from stream_features.spec import parse
from streamscore.parity.replay import BACKLOG, STUCK_AFTER_S, Landed, closed_loop, ids_of
from streamscore.producer.stream import Record


class Quiet:
    """A step that counts."""

    advanced = 0

    def expect(self, total: int) -> None: ...
    def note(self, text: str) -> None: ...
    def advance(self, amount: int) -> None:
        self.advanced += amount


@dataclass
class Stack:
    """Decides so many of the oldest events each time it is asked, never those in `bad`."""

    at_once: int
    bad: frozenset[str] = frozenset()
    put: list[str] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)
    most_under_way: int = 0
    time_s: float = 0.0

    def requests(self, count: int) -> Iterator[Landed]:
        for start in range(0, count, 100):
            ids = [f"e{n}" for n in range(start, start + 100)]
            self.put += ids
            self.most_under_way = max(self.most_under_way, len(self.put) - len(self.decided))
            yield Landed(ids, 150)

    def ask(self, ids: Sequence[str]) -> set[str]:
        open_ = [id_ for id_ in self.put if id_ not in self.decided and id_ not in self.bad]
        self.decided |= set(open_[: self.at_once])
        return self.decided & set(ids)

    def clock(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds


def test_events_under_way_are_bounded_and_all_are_waited_for() -> None:
    stack, step = Stack(at_once=70), Quiet()

    done = closed_loop(stack.requests(10_000), stack.ask, step, stack.clock, stack.sleep)

    assert (done.events, done.labels, done.never_decided) == (10_000, 5_000, [])
    assert step.advanced == len(stack.decided) == 10_000
    assert stack.most_under_way <= BACKLOG + 200


def test_an_event_that_is_never_decided_is_given_up_and_the_rest_is_not() -> None:
    stack = Stack(at_once=100, bad=frozenset({"e5", "e999"}))

    done = closed_loop(stack.requests(1_000), stack.ask, Quiet(), stack.clock, stack.sleep)

    assert done.never_decided == ["e5", "e999"]
    assert STUCK_AFTER_S < stack.time_s < 2 * STUCK_AFTER_S


def test_a_stack_that_decides_nothing_ends_it_with_a_remedy() -> None:
    stack = Stack(at_once=0)
    with pytest.raises(TransientError, match="streamscore start"):
        closed_loop(stack.requests(300), stack.ask, Quiet(), stack.clock, stack.sleep)


def test_ids_are_read_as_the_stream_reads_them() -> None:
    spec = parse(
        '[event]\nid = "tx"\ntime = "at"\n[entities]\nc = "c"\n[[feature]]\nname = "h"\nop = "hour"\n'
    )
    id_of = ids_of(spec)
    assert [id_of(Record(0, "k", data)) for data in (b'{"tx": 12}', b'{"a": 1, "tx": "012"}')] == [
        "12",
        "012",
    ]
