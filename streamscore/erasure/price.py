"""What looking for an entity costs, before it is done. Pure; prices: common/prices.py."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from common.pricing import METERED, Usage, cost_usd, read_units

_LISTED_AT_ONCE = 1_000
_UNIT_BYTES = 4_096
FEWEST_PASSES = 2
"""One that erases, and one that finds nothing."""


class Extent(NamedTuple):
    """What one pass reads: tables in bytes, as DynamoDB last counted them (every six hours), and objects."""

    decisions_bytes: int
    state_bytes: int
    items: int
    objects: int
    objects_bytes: int

    @property
    def usage(self) -> Usage:
        """In the units that AWS bills; a page of a listing costs what a PUT costs."""
        scanned = (self.decisions_bytes, self.state_bytes)
        units = sum(math.ceil(size / _UNIT_BYTES) for size in scanned) + self.items * read_units(0)
        lists = math.ceil(self.objects / _LISTED_AT_ONCE)
        return Usage(dynamodb_read_units=units, s3_gets=self.objects, s3_puts=lists)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        usage = self.usage
        return {
            **self._asdict(),
            "read_units": usage.dynamodb_read_units,
            "usd_a_pass": cost_usd(usage),
            "fewest_passes": FEWEST_PASSES,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        usage, a_kb = self.usage, METERED["dynamodb_write_units"].usd
        yield f"read once: {usage.dynamodb_read_units:,.0f} read units, {self.objects:,} objects of S3 " + (
            f"({self.objects_bytes / 1e6:,.1f} MB)"
        )
        usd = cost_usd(usage)
        yield (
            f"price: ${usd:.6f} a pass, at least {FEWEST_PASSES} passes: ${usd * FEWEST_PASSES:.6f}; and "
            + (f"${a_kb:.7f} a KB of what is deleted")
        )
