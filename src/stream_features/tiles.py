"""How old events are summed up: the sizes of tiles by age, and where a window's edge falls among them.

A tile is 5 minutes long below 12 hours of age, an hour below 12 days, else a day. The borders between the
sizes lie on multiples of the larger one, so a tile never has to be split when it ages.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
FINE_MS = 5 * MINUTE_MS
"""Every tile starts at a multiple of this."""
HOURLY_FROM_MS = 12 * HOUR_MS
DAILY_FROM_MS = 12 * DAY_MS


def grain_ms(age_ms: int) -> int:
    """The size of the tiles among which an edge of this age can fall."""
    if age_ms < HOURLY_FROM_MS:
        return FINE_MS
    return HOUR_MS if age_ms < DAILY_FROM_MS else DAY_MS


def rounded_down[Time: (int, Ints)](time_ms: Time, size_ms: int) -> Time:
    """The multiple of `size_ms` at or before a time."""
    return time_ms - time_ms % size_ms


def tile_of(time_ms: int, clock_ms: int) -> int:
    """The start of the tile in which an event of `time_ms` lies, when the newest is of `clock_ms`."""
    if time_ms < rounded_down(clock_ms - DAILY_FROM_MS, DAY_MS):
        return rounded_down(time_ms, DAY_MS)
    if time_ms < rounded_down(clock_ms - HOURLY_FROM_MS, HOUR_MS):
        return rounded_down(time_ms, HOUR_MS)
    return rounded_down(time_ms, FINE_MS)


def tiles_of(time_ms: Ints, clock_ms: Ints) -> Ints:
    """`tile_of`, for many."""
    daily = time_ms < (clock_ms - DAILY_FROM_MS) // DAY_MS * DAY_MS
    hourly = time_ms < (clock_ms - HOURLY_FROM_MS) // HOUR_MS * HOUR_MS
    size = np.where(daily, DAY_MS, np.where(hourly, HOUR_MS, FINE_MS))
    return time_ms - time_ms % size


def oldest_kept_ms[Time: (int, Ints)](clock_ms: Time, horizon_ms: int) -> Time:
    """What is older than this is forgotten: it lies in no window of an event at or after `clock_ms`."""
    return rounded_down(clock_ms - horizon_ms + 1, grain_ms(horizon_ms))
