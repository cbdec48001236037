"""What a load came to, for machines and for people. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from monitor.cost import Cost
from streamscore.load.produce import Put
from streamscore.load.profiles import Profile

PERCENTILES = (50, 90, 99, 100)


class Report(NamedTuple):
    """`looked_up` events of those put were looked for; `latencies_ms` are of those that were decided.
    `ages_ms` are the greatest by lane.
    """

    profile: Profile
    put: Put
    looked_up: int
    latencies_ms: Sequence[int]
    ages_ms: Mapping[str, int]
    cost: Cost

    @property
    def undecided(self) -> int:
        """How many of the sample were not decided in time."""
        return self.looked_up - len(self.latencies_ms)

    def as_json(self) -> dict[str, Any]:
        """For machines; what is not known is null."""
        per_million = self.cost.per_million_usd
        return {
            "profile": self.profile.shape,
            "asked_rate": self.profile.rate,
            "peak_rate": self.profile.peak,
            "seconds": round(self.put.took_s, 3),
            "events": self.put.events,
            "achieved_rate": round(self.put.rate, 3),
            "behind_most": self.put.behind,
            "looked_up": self.looked_up,
            "undecided": self.undecided,
            "latency_ms": self._percentiles(),
            "iterator_age_ms": dict(self.ages_ms),
            "metered_decisions": self.cost.decisions,
            "usd": self.cost.total_usd,
            "usd_per_million": None if math.isnan(per_million) else per_million,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        put, profile = self.put, self.profile
        yield (
            f"{profile.shape}: {put.events:,} events in {put.took_s:,.1f} s, {put.rate:,.1f} a second "
            f"(asked: {profile.events:,}, {profile.rate:,.1f}, at the peak {profile.peak:,.1f}); "
            f"at most {put.behind:,} behind"
        )
        told = ", ".join(f"{name} {value:,.0f}" for name, value in self._percentiles().items())
        of = f"of {len(self.latencies_ms):,} events"
        yield f"arrival to decision, ms: {told or 'nothing was decided'} ({of})"
        if self.undecided:
            yield f"{self.undecided:,} of {self.looked_up:,} looked up are not decided: is the stack started?"
        ages = ", ".join(f"{lane} {age:,}" for lane, age in self.ages_ms.items())
        yield f"greatest iterator age, ms: {ages or 'CloudWatch does not know yet'}"
        if math.isnan(self.cost.per_million_usd):
            yield "cost: nothing is metered yet; `streamscore cost` shows it once it is"
        else:
            yield (
                f"metered: ${self.cost.total_usd:.6f} for {self.cost.decisions:,} decisions, "
                f"${self.cost.per_million_usd:.4f} per million"
            )

    def _percentiles(self) -> dict[str, float]:
        if not self.latencies_ms:
            return {}
        found = np.percentile(np.asarray(self.latencies_ms, np.float64), PERCENTILES)
        names = [f"p{one}" if one < 100 else "most" for one in PERCENTILES]
        return dict(zip(names, found.tolist(), strict=True))
