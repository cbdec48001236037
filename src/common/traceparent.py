"""Trace ids as the two worlds write them: W3C's `traceparent`, and X-Ray's. Pure.

    00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01      version, trace, span, flags (01: sampled)
    Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1

Both name a trace by 128 bits; X-Ray's first 32 are the second it began, which is why `new` begins so too.
https://www.w3.org/TR/trace-context/#traceparent-header
https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
"""

import re
from collections.abc import Iterable

_W3C = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-[!-~]*)?"
)
_XRAY = re.compile(r"(?:.*?(?:^|;|\s)Root=)?1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})(?:;.*)?")
_SAMPLED_FLAG = 1


def trace_id(text: str | None) -> str | None:
    """The 32 hex digits that name the trace in a text of either form; None if it is of neither.

    >>> trace_id("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01")
    '5759e988bd862e3fe1be46a994272793'
    >>> trace_id("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
    '5759e988bd862e3fe1be46a994272793'
    """
    if not text:
        return None
    if (found := _W3C.fullmatch(text)) and is_w3c(text):
        return found[2]
    found = _XRAY.fullmatch(text)
    return (found[1] + found[2]).lower() if found else None


def is_w3c(text: str) -> bool:
    """Whether the text is a valid `traceparent`: of version 00, or of a later one that begins the same."""
    found = _W3C.fullmatch(text)
    return found is not None and not (found[1] == "00" and found[4])


def xray_id(trace: str) -> str:
    """32 hex digits as X-Ray writes them.

    >>> xray_id("5759e988bd862e3fe1be46a994272793")
    '1-5759e988-bd862e3fe1be46a994272793'
    """
    return f"1-{trace[:8]}-{trace[8:]}"


def is_sampled(text: str | None) -> bool:
    """Whether whoever wrote the text keeps this trace."""
    if not text:
        return False
    if found := _W3C.fullmatch(text):
        return bool(int(found[3], 16) & _SAMPLED_FLAG)
    return "Sampled=1" in text


def xray_header(text: str | None) -> str | None:
    """A text of either form as X-Ray's header, without a parent; None if it names no trace."""
    trace = trace_id(text)
    return f"Root={xray_id(trace)};Sampled={int(is_sampled(text))}" if trace else None


def new(now_s: float, random_bytes: bytes) -> str:
    """A `traceparent`, sampled, of a trace that begins now; `random_bytes` are 20, from a secure source.

    >>> new(0x5759E988, bytes(range(20)))
    '00-5759e988000102030405060708090a0b-0c0d0e0f10111213-01'
    """
    digits = random_bytes.hex()
    return f"00-{int(now_s):08x}{digits[:24]}-{digits[24:40]}-01"


def from_xray(header: str | None) -> str | None:
    """The `traceparent` of X-Ray's header: same trace, same parent, same decision to sample; else None."""
    trace = trace_id(header)
    parent = re.search(r"Parent=([0-9a-f]{16})", header or "")
    return f"00-{trace}-{parent[1]}-{int(is_sampled(header)):02x}" if trace and parent else None


def response_headers(text: str | None) -> dict[str, str]:
    """What tells a caller the trace its request belongs to, in both forms; nothing if there is none."""
    header = xray_header(text)
    return {"traceparent": text, "x-amzn-trace-id": header} if text and header else {}


def sampled_ids(texts: Iterable[str | None], most: int) -> list[str]:
    """The traces among `texts` that their producers sample, each once, in order, at most so many."""
    found: dict[str, None] = {}
    for text in texts:
        if not text or text.endswith("-00"):  # most are not sampled: no need to parse them
            continue
        if is_sampled(text) and (trace := trace_id(text)):
            found[trace] = None
            if len(found) == most:
                break
    return list(found)
