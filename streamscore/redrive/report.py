"""What a redrive found and did, by where it was found and why it was there."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST_TOLD = 20


@dataclass
class Tally:
    """Records: found now, brought back (or that would be), done by an earlier run, left where they are."""

    records: int = 0
    back: int = 0
    before: int = 0
    left: int = 0


class Left(NamedTuple):
    """Something that did not come back: where it lies, and why."""

    where: str
    why: str


@dataclass
class Report:
    """`tallies` by (where they were, reason); of what is left, the first MOST_TOLD are told."""

    dry_run: bool
    tallies: defaultdict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    told: list[Left] = field(default_factory=list)

    def leave(self, kind: tuple[str, str], count: int, where: str, why: str) -> None:
        """Count records that stay where they are, and tell of them."""
        self.tallies[kind].left += count
        if len(self.told) < MOST_TOLD:
            self.told.append(Left(where, why))

    @property
    def left(self) -> int:
        """How many records were asked for and did not come back."""
        return sum(tally.left for tally in self.tallies.values())

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        rows = [
            {"from": place, "reason": reason, **vars(tally)}
            for (place, reason), tally in sorted(self.tallies.items())
        ]
        return {"dry_run": self.dry_run, "found": rows, "left": [one._asdict() for one in self.told]}

    def lines(self) -> Iterator[str]:
        """For people."""
        if not self.tallies:
            yield "nothing is set aside or given up"
        for (place, reason), tally in sorted(self.tallies.items()):
            parts = [f"{tally.back:,} {'would come back' if self.dry_run else 'brought back'}"]
            parts += [f"{tally.before:,} by an earlier run"] if tally.before else []
            parts += [f"{tally.left:,} left"] if tally.left else []
            yield f"{place}, {reason}: {tally.records:,} records, {', '.join(parts)}"
        yield from (f"  left: {one.where}: {one.why}" for one in self.told)
        if self.left > len(self.told):
            yield f"  and {self.left - len(self.told):,} more"
