"""Moments as people write them in options."""

import re
import time

from common.errors import InvalidInputError, RecordRefusedError
from stream_features.values import rfc3339_ms
from streamscore.moments import span

_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_SPAN = re.compile(r"(?:\d{1,9}[dhms])+")


def moment_ms(text: str | None, option: str) -> int | None:
    """Epoch milliseconds of a date or an RFC 3339 time, UTC if it says no zone; None of None."""
    return None if text is None else _written_ms(text, option, "write 2026-11-24 or 2026-11-24T12:30:00Z")


def moment_or_ago_ms(text: str | None, option: str, now_ms: int | None = None) -> int | None:
    """The same, or so long before now: `24h`, `1d12h`, `90m`."""
    if text is None:
        return None
    if _SPAN.fullmatch(text):
        now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        return now_ms - span_ms(text)
    return _written_ms(text, option, "write 2026-11-24, 2026-11-24T12:30:00Z, or how long ago: 24h")


def span_ms(text: str) -> int:
    """The length of a span that is written as `moments.span` writes it.

    >>> span_ms("1d12h"), span_ms("90m")
    (129600000, 5400000)
    """
    return sum(int(number) * _UNITS_MS[unit] for number, unit in re.findall(r"(\d+)([dhms])", text))


def span_within_ms(text: str, option: str, bounds_ms: tuple[int, int]) -> int:
    """The same of what an option says; InvalidInputError if it is no span, or not within the bounds."""
    least, most = bounds_ms
    found = span_ms(text) if _SPAN.fullmatch(text) else 0
    if not least <= found <= most:
        raise InvalidInputError(f"{option} {text}: write a span from {span(least)} to {span(most)}, as 1m30s")
    return found


def _written_ms(text: str, option: str, remedy: str) -> int:
    whole = f"{text}T00:00:00" if len(text) == len("2026-11-24") else text
    try:
        return rfc3339_ms(whole, option)
    except RecordRefusedError as error:
        raise InvalidInputError(f"{option} {text}: {remedy}") from error
