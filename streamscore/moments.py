"""Moments and spans of time as people read them."""

from datetime import UTC, datetime


def moment(epoch_ms: int | None) -> str:
    """UTC to the millisecond.

    >>> moment(1_764_000_000_000)
    '2025-11-24 16:00:00.000'
    """
    if epoch_ms is None:
        return "never"
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def rfc3339(epoch_ms: int) -> str:
    """UTC to the millisecond, as records and files have it; sorts as text.

    >>> rfc3339(1_764_000_000_000)
    '2025-11-24T16:00:00.000Z'
    """
    at = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(milliseconds: int) -> str:
    """A duration in the largest units that say it exactly, as the spec writes them.

    >>> span(604_800_000), span(5_400_000), span(1_500)
    ('7d', '1h30m', '1.5s')
    """
    rest, told = abs(milliseconds), ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        count, rest = divmod(rest, size)
        told += f"{count}{unit}" if count else ""
    if rest or not told:
        told += f"{rest / 1000:g}s"
    return f"-{told}" if milliseconds < 0 else told
