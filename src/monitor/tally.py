"""What was counted of one model in one window, and how windows' counts come together. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from monitor.decided import DecidedSketch, Layout, decisions_of
from monitor.labelled import LabelSketch, labels_of
from monitor.sketch import zero


class Who(NamedTuple):
    """A model version, in the role it had: as challenger it scored beside the one that decided."""

    model: str
    challenger: bool = False


@dataclass(frozen=True)
class Tally:
    """Its decisions, and labels by the UTC day on which their decision was made."""

    decided: DecidedSketch
    labels: Mapping[str, LabelSketch]

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.decided + other.decided, merged(self.labels, other.labels))

    @property
    def decisions(self) -> int:
        """Decisions counted."""
        return decisions_of(self.decided)

    @property
    def labelled(self) -> int:
        """Labels counted."""
        return sum(map(labels_of, self.labels.values()))


class Stored(NamedTuple):
    """One item of `monitor-windows`: the start of its window (ISO 8601, UTC) and what was counted."""

    start: str
    who: Who
    tally: Tally


Tallies = Mapping[Who, Tally]


def nothing(layout: Layout) -> Tally:
    """Of no decision and no label."""
    return Tally(zero(layout), {})


def merged[K, V: (Tally, LabelSketch)](one: Mapping[K, V], other: Mapping[K, V]) -> dict[K, V]:
    """Both, added key by key."""
    both = dict(one)
    for key, value in other.items():
        both[key] = both[key] + value if key in both else value
    return both
