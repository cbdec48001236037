"""Local time by the `tzdata` package, never by the machine's own tables: training and serving agree.

Zones are imported when a feature needs one: every cold start would pay for them, and few specs do.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache

import numpy as np

from stream_features.columns import Ints

BUCKET_MS = 900_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@cache
def names() -> frozenset[str]:
    """Every zone that is known."""
    from importlib import resources  # noqa: PLC0415

    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def zone(name: str) -> tzinfo:
    """The zone of that name, which must be one of `names`."""
    from importlib import resources  # noqa: PLC0415
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as table:
        return ZoneInfo.from_file(table, key=name)


def local_ms(time_ms: Ints, name: str) -> Ints:
    """What a clock in the zone shows, as milliseconds since 1970 by that clock.

    Offsets are looked up once for each quarter of an hour, unless a clock is changed within it.
    """
    buckets, places = np.unique(time_ms // BUCKET_MS, return_inverse=True)
    starts = buckets * BUCKET_MS
    first = np.array([_offset_ms(name, int(ms)) for ms in starts], np.int64)
    last = np.array([_offset_ms(name, int(ms) + BUCKET_MS) for ms in starts], np.int64)
    offsets = first[places]
    for row in np.flatnonzero((first != last)[places]).tolist():
        offsets[row] = _offset_ms(name, int(time_ms[row]))
    return time_ms + offsets


@lru_cache(maxsize=65_536)
def _offset_ms(name: str, time_ms: int) -> int:
    moment = _EPOCH + time_ms * _MILLISECOND
    return (moment.astimezone(zone(name)).utcoffset() or timedelta()) // _MILLISECOND
