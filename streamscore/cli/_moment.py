"""Moments as people write them in options."""

from common.errors import InvalidInputError, RecordRefusedError
from stream_features.values import rfc3339_ms


def moment_ms(text: str | None, option: str) -> int | None:
    """Epoch milliseconds of a date or an RFC 3339 time, UTC if it says no zone; None of None."""
    if text is None:
        return None
    whole = f"{text}T00:00:00" if len(text) == len("2026-11-24") else text
    try:
        return rfc3339_ms(whole, option)
    except RecordRefusedError as error:
        raise InvalidInputError(f"{option} {text}: write 2026-11-24 or 2026-11-24T12:30:00Z") from error
