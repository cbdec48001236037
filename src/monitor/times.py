"""Moments as windows' keys write them: ISO 8601 in UTC, whole seconds. Pure."""

from datetime import UTC, datetime

WINDOW_S, HOUR_S, DAY_S = 300, 3_600, 86_400
WEEK_S = 7 * DAY_S


def iso(time_s: float) -> str:
    """As windows' starts are written.

    >>> iso(1_790_000_100)
    '2026-09-21T14:15:00Z'
    """
    return datetime.fromtimestamp(time_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> int:
    """The epoch seconds of such a text.

    >>> seconds("2026-09-21T14:15:00Z")
    1790000100
    """
    return int(datetime.fromisoformat(text).timestamp())


def later(text: str, by_s: int) -> str:
    """So many seconds later.

    >>> later("2026-11-24T16:00:00Z", -WEEK_S)
    '2026-11-17T16:00:00Z'
    """
    return iso(seconds(text) + by_s)


def day(time_s: float) -> str:
    """The UTC day."""
    return iso(time_s)[:10]


def floor(time_s: float, step_s: int) -> int:
    """The last whole step before or at a time."""
    return int(time_s // step_s * step_s)
