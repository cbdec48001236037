"""From the raw JSON text of one value to what the spec says it is: exactly, or refused with the field's name.

Numbers never pass through float on their way to a fixed-point integer.
"""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import msgspec

from common.errors import RecordRefusedError

LIMIT = 2**53
MAX_TEXT_BYTES = 1024  # a DynamoDB key holds 2,048, and an entity's value is part of one
_MOST_ESCAPED_BYTES = 6 * MAX_TEXT_BYTES  # \uXXXX for one byte
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
SECONDS_BELOW = (
    100_000_000_000  # a number smaller than this is seconds (until the year 5138), else milliseconds
)
_QUOTE = 0x22
_KINDS = {b'"': "a string", b"{": "an object", b"[": "a list", b"t": "true", b"f": "false"}


def text(raw: bytes, name: str) -> str:
    """A JSON string of at most 1,024 bytes of UTF-8, however it is escaped."""
    if raw[0] != _QUOTE:
        raise RecordRefusedError("wrong_type", f"{name}: expected a string, got {_shown(raw)}")
    is_escaped = b"\\" in raw
    if len(raw) > (_MOST_ESCAPED_BYTES if is_escaped else MAX_TEXT_BYTES) + 2:
        raise RecordRefusedError("out_of_range", f"{name}: longer than {MAX_TEXT_BYTES} bytes")
    if not is_escaped:
        return raw[1:-1].decode()
    try:
        found = msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError as error:
        raise RecordRefusedError("bad_json", f"{name}: not a valid string: {error}") from error
    if len(found.encode()) > MAX_TEXT_BYTES:
        raise RecordRefusedError("out_of_range", f"{name}: longer than {MAX_TEXT_BYTES} bytes")
    return found


def identifier(raw: bytes, name: str) -> str:
    """An id: a string that is not empty, or the text of an integer exactly as written."""
    if raw[0] != _QUOTE and raw.lstrip(b"-").isdigit():
        if len(raw) > MAX_TEXT_BYTES:
            raise RecordRefusedError("out_of_range", f"{name}: longer than {MAX_TEXT_BYTES} bytes")
        return raw.decode()
    if raw[0] != _QUOTE:
        raise RecordRefusedError("wrong_type", f"{name}: expected a string or an integer, got {_shown(raw)}")
    value = text(raw, name)
    if not value:
        raise RecordRefusedError("missing_field", f"{name}: is empty")
    return value


def fixed(raw: bytes, name: str, digits: int) -> int:
    """A JSON number as an integer × 10^digits; 12.3400 is fine with two digits, 12.345 is refused."""
    if raw[0] == _QUOTE or raw in {b"true", b"false"} or raw[0] in b"[{":
        raise RecordRefusedError("wrong_type", f"{name}: expected a number, got {_shown(raw)}")
    whole, _, fraction = raw.partition(b".")
    if len(fraction) <= digits and len(raw) <= 20 and (whole + fraction).lstrip(b"-").isdigit():
        scaled = int(whole + fraction.ljust(digits, b"0"))
    else:
        scaled = _fixed_slowly(raw, name, digits)
    if not -LIMIT <= scaled <= LIMIT:
        raise RecordRefusedError("out_of_range", f"{name}: beyond ±2^53 units of its last decimal")
    return scaled


def _fixed_slowly(raw: bytes, name: str, digits: int) -> int:
    """Exponents, trailing zeros, long numbers; never builds an integer longer than the number's text."""
    number = _decimal(raw.decode())
    if number is None:
        raise RecordRefusedError("out_of_range", f"{name}: the exponent is beyond any use")
    if not number:
        return 0
    if number.adjusted() + digits > 16:
        raise RecordRefusedError("out_of_range", f"{name}: beyond ±2^53 units of its last decimal")
    sign, figures, exponent = number.as_tuple()
    written = "".join(map(str, figures)).rstrip("0")
    exponent = int(exponent) + len(figures) - len(written)
    if exponent + digits < 0:
        raise RecordRefusedError("too_many_decimals", f"{name}: more than {digits} decimals")
    scaled = int(written + "0" * (exponent + digits))
    return -scaled if sign else scaled


def floating(raw: bytes, name: str) -> float:
    """A JSON number as float64, within ±2^53."""
    if raw[0] == _QUOTE or raw in {b"true", b"false"} or raw[0] in b"[{":
        raise RecordRefusedError("wrong_type", f"{name}: expected a number, got {_shown(raw)}")
    value = float(raw)
    if math.isinf(value) or abs(value) > LIMIT:
        raise RecordRefusedError("out_of_range", f"{name}: beyond ±2^53")
    return value


def boolean(raw: bytes, name: str) -> bool:
    """true or false."""
    if raw not in {b"true", b"false"}:
        raise RecordRefusedError("wrong_type", f"{name}: expected true or false, got {_shown(raw)}")
    return raw == b"true"


def time_ms(raw: bytes, name: str) -> int:
    """Epoch milliseconds (floored) of an RFC 3339 string, or epoch seconds or milliseconds; from 1970 on."""
    if raw[0] == _QUOTE:
        value = rfc3339_ms(text(raw, name), name)
    elif raw in {b"true", b"false"} or raw[0] in b"[{":
        raise RecordRefusedError("wrong_type", f"{name}: expected a time, got {_shown(raw)}")
    else:
        value = epoch_ms(raw.decode(), name)
    return value


def epoch_ms(number: str, name: str) -> int:
    """Seconds (below 10^11) or milliseconds since 1970 as whole milliseconds, floored."""
    exact = _decimal(number)
    if exact is None or not 0 <= exact <= LIMIT:
        raise RecordRefusedError("bad_time", f"{name}: no epoch time from 1970 on")
    return int(exact * 1000 if exact < SECONDS_BELOW else exact)


def rfc3339_ms(written: str, name: str) -> int:
    """Epoch milliseconds, floored; no zone means UTC. A space may stand for the T."""
    try:
        if len(written) < 19 or written[10] not in "Tt ":
            raise ValueError
        second = _second_ms(written[:10], written[11:19])
        rest = written[19:]
        value = second if rest in {"", "Z"} else _with_fraction_and_zone(second, rest)
    except ValueError:
        raise RecordRefusedError("bad_time", f"{name}: no RFC 3339 time") from None
    if value < 0:
        raise RecordRefusedError("bad_time", f"{name}: before 1970")
    return value


def _decimal(number: str) -> Decimal | None:
    """None for an exponent that even Decimal cannot hold."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return None


@lru_cache(maxsize=64)
def _day_ms(day: str) -> int:
    figures = day[:4] + day[5:7] + day[8:]
    if not (day[4] == day[7] == "-" and len(figures) == 8 and figures.isascii() and figures.isdigit()):
        raise ValueError
    return (datetime(int(day[:4]), int(day[5:7]), int(day[8:]), tzinfo=UTC) - _EPOCH) // _MILLISECOND


def _second_ms(day: str, clock: str) -> int:
    hours, minutes, seconds = clock[:2], clock[3:5], clock[6:]
    figures = hours + minutes + seconds
    if not (clock[2] == clock[5] == ":" and figures.isascii() and figures.isdigit()):
        raise ValueError
    if hours > "23" or minutes > "59" or seconds > "59":
        raise ValueError
    return _day_ms(day) + int(hours) * 3_600_000 + int(minutes) * 60_000 + int(seconds) * 1_000


def _with_fraction_and_zone(second_ms: int, rest: str) -> int:
    fraction_ms = 0
    if rest[0] == ".":
        figures = rest[1:].rstrip("Zz") if rest[-1] in "Zz" else rest[1:].partition("+")[0].partition("-")[0]
        if not (figures.isascii() and figures.isdigit()):
            raise ValueError
        fraction_ms = int(figures[:3].ljust(3, "0"))
        rest = rest[1 + len(figures) :]
    return second_ms + fraction_ms - _zone_ms(rest)


def _zone_ms(zone: str) -> int:
    if zone in {"", "Z", "z"}:
        return 0
    hours, minutes = zone[1:3], zone[4:]
    well_formed = len(zone) == 6 and zone[0] in "+-" and zone[3] == ":" and (hours + minutes).isascii()
    if not well_formed or not (hours + minutes).isdigit() or hours > "23" or minutes > "59":
        raise ValueError
    offset_ms = int(hours) * 3_600_000 + int(minutes) * 60_000
    return offset_ms if zone[0] == "+" else -offset_ms


def _shown(raw: bytes) -> str:
    """What kind of thing stands there; never the value, which may be a card number."""
    return _KINDS.get(raw[:1], "a number")
