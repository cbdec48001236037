"""When the labels of a chaos run come: among the events, some before their own, some wrong at first. Pure.

Part of the stream, not of the schedule: a run without faults gets the same labels in the same order.
"""

import random
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

MOST_BEFORE, MOST_AFTER = 40, 600
"""How many events lie between an event and its label, at most."""


class Coming(Enum):
    """How an event's label comes."""

    AFTER = "after its event"
    BEFORE = "before its event"
    CORRECTED = "wrong at first, then corrected"
    OUTDATED = "right at first, then a word of an earlier time, which counts for nothing"
    LAST = "after all events"


_CHANCES = (
    (Coming.BEFORE, 0.1),
    (Coming.CORRECTED, 0.1),
    (Coming.OUTDATED, 0.05),
    (Coming.LAST, 0.1),
    (Coming.AFTER, 0.65),
)


class Word(NamedTuple):
    """One label of the n-th event. `place` is between events: 2.5 is behind the third. Not `right`: wrong."""

    place: float
    event: int
    right: bool


def coming(event: int) -> Coming:
    """How the label of the n-th event comes."""
    ways, chances = [way for way, _ in _CHANCES], [chance for _, chance in _CHANCES]
    return _rng(event, "way").choices(ways, chances)[0]


def words(event: int, events: int) -> Sequence[Word]:
    """What is said about the n-th of so many events, in the order in which it is said."""
    rng, way = _rng(event, "places"), coming(event)
    before = event - rng.uniform(0.1, MOST_BEFORE)
    soon = event + rng.uniform(0.1, MOST_AFTER / 3)
    later = soon + rng.uniform(0.1, MOST_AFTER * 2 / 3)
    match way:
        case Coming.BEFORE:
            return [Word(before, event, right=True)]
        case Coming.CORRECTED:
            return [Word(soon, event, right=False), Word(later, event, right=True)]
        case Coming.OUTDATED:
            return [Word(soon, event, right=True), Word(later, event, right=False)]
        case Coming.LAST:
            return [Word(events + event, event, right=True)]
        case Coming.AFTER:
            return [Word(later, event, right=True)]


def order(events: int) -> Iterator[int | Word]:
    """The stream: numbers of events in their order, and the words about them where they come."""
    said = sorted(word for event in range(events) for word in words(event, events))
    at = 0
    for event in range(events):
        while at < len(said) and said[at].place < event:
            yield said[at]
            at += 1
        yield event
    yield from said[at:]


def _rng(event: int, what: str) -> random.Random:
    return random.Random(f"label/{what}/{event}")  # noqa: S311 - a plan, no secret
