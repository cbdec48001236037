"""What is said of an erasure afterwards, with the entity's keyed hash in the place of its value. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from streamscore.erasure.found import Found
from streamscore.moments import rfc3339

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
FOLDER = "erasures/"
"""Where receipts lie in the data bucket, for good."""
_SHOWN = 20


class Remains(NamedTuple):
    """Where copies are that nobody can take back, and until when at the latest (epoch ms)."""

    where: str
    until_ms: int


def remains(ended_ms: int, stream_hours: int, recovery_days: int) -> list[Remains]:
    """By the retention of each place: the stream's, and point-in-time recovery's as they are set."""
    return [
        Remains("the events stream: the producer's records", ended_ms + stream_hours * HOUR_MS),
        Remains("the tables' streams", ended_ms + DAY_MS),
        Remains("point-in-time recovery of the tables", ended_ms + recovery_days * DAY_MS),
        Remains("noncurrent versions of objects", ended_ms + 8 * DAY_MS),  # counted from midnight
        Remains("results of Athena's queries", ended_ms + 8 * DAY_MS),
    ]


class Receipt(NamedTuple):
    """One run. `whom` is the entity's name, `value_hash` the keyed hash of its value."""

    stack: str
    whom: str
    value_hash: str
    began_ms: int
    ended_ms: int
    dry_run: bool
    passes: Sequence[Found]
    remains: Sequence[Remains] = ()

    @property
    def is_proved(self) -> bool:
        """Whether a pass found nothing that had arrived before the run began."""
        return not self.dry_run and self.passes[-1].old == 0

    @property
    def is_whole(self) -> bool:
        """Whether, besides, nothing names it that a person has to remove, and nothing was unreadable."""
        last = self.passes[-1]
        return self.is_proved and not last.yours and not last.unread

    @property
    def key(self) -> str:
        """Where it lies in the data bucket."""
        return f"{FOLDER}{rfc3339(self.began_ms)}-{self.value_hash[:16]}.json"

    def as_json(self) -> dict[str, Any]:
        """For machines, and to keep."""
        last = self.passes[-1]
        return {
            "stack": self.stack,
            "entity": self.whom,
            "value_hash": self.value_hash,
            "began": rfc3339(self.began_ms),
            "ended": rfc3339(self.ended_ms),
            "dry_run": self.dry_run,
            "passes": [one.as_json() for one in self.passes],
            "proved": self.is_proved,
            "yours": last.yours,
            "unread": last.unread,
            "remains": [{"where": one.where, "until": rfc3339(one.until_ms)} for one in self.remains],
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        verb = "would be erased" if self.dry_run else "erased"
        for number, one in enumerate(self.passes, 1):
            told = [f"{count:,} {verb} of {place}" for place, count in sorted(one.erased.items())]
            told += [f"{count:,} masked in {place}" for place, count in sorted(one.masked.items())]
            late = f" ({one.late:,} arrived after this run began)" if one.late else ""
            yield f"pass {number}: {', '.join(told) or 'nothing found'}{late}"
        last = self.passes[-1]
        for what, some in (("only you can remove it", last.yours), ("not readable", last.unread)):
            yield from (f"  {what}: {one}" for one in some[:_SHOWN])
            if len(some) > _SHOWN:
                yield f"  and {len(some) - _SHOWN:,} more"
        if self.dry_run:
            return
        if self.is_proved:
            yield "proved: a pass found nothing that had arrived before this run began"
        else:
            yield "not proved: the last pass still found something; run it again once the stream is read up"
        yield f"receipt: s3 {self.key}, value hash {self.value_hash}"
        yield from (f"  held until {rfc3339(one.until_ms)[:10]}: {one.where}" for one in self.remains)
