"""What a pass over a stack found of an entity, by where it lay; with what names it and cannot be erased."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

STATE, ROWS, DECISIONS, QUEUE = "state", "rows to score", "decisions", "undelivered bus events"


@dataclass
class Found:
    """One pass. `erased` and `masked` count things by place; `late` those that arrived after the run had
    begun. `yours` are objects that only their owner should change, `unread` are those nobody can read.
    """

    began_ms: int
    erased: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)
    late: int = 0
    read_units: float = 0.0
    objects: int = 0
    yours: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def add(self, place: str, arrived_ms: Iterable[int]) -> None:
        """Things found in a place, and when each arrived (epoch ms; 0: not known)."""
        for at in arrived_ms:
            self.erased[place] += 1
            self.late += at >= self.began_ms

    @property
    def old(self) -> int:
        """How many of what was found had arrived before the run began: none, and the run is done."""
        return self.erased.total() + self.masked.total() - self.late

    def as_json(self) -> dict[str, Any]:
        """For the receipt: counts and keys, and no value."""
        return {
            "found": dict(sorted(self.erased.items())),
            "masked": dict(sorted(self.masked.items())),
            "arrived_meanwhile": self.late,
            "read_units": self.read_units,
            "objects_read": self.objects,
        }
