"""Subsegments of a sampled invocation, sent to the X-Ray daemon as they end, over its own UDP protocol.

    with step("write", items=len(writes)) as span:
        ...
        span.flag(throttle=True)
    annotate(batch_size=500, model_version="ab12")       # of the invocation

An invocation that is not sampled gets one object that does nothing: about 0.1 µs a step. Nothing here waits
or raises: a document that cannot be sent is lost. Steps belong to the invocation's own thread.
The X-Ray SDK ends support on 2027-02-25 and costs 200 ms of every cold start; the daemon's protocol stays.
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-daemon
"""

import functools
import json
import math
import os
import re
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, override

from common.errors import StreamscoreError, TransientError
from common.traceparent import trace_id, xray_id

type Annotation = str | int | float | bool | None

MAX_DOCUMENT_BYTES = 64_000
MAX_ANNOTATION_CHARACTERS = 1_000
IDS_AN_ANNOTATION = (MAX_ANNOTATION_CHARACTERS + 1) // 36
ANNOTATIONS_OF_IDS = 4
_HEADER = b'{"format":"json","version":1}\n'
_NAMESPACE = "streamscore"
_DEFAULT_DAEMON = "127.0.0.1:2000"
_ADDRESS = re.compile(r"(?:(tcp|udp):)?(?:\[([0-9a-fA-F:.]+)\]|([^:\s\[\]]+)):(\d{1,5})")
_PARENT = re.compile(r"(?:^|;)\s*Parent=([0-9a-fA-F]{16})(?:;|$)")


class Step:
    """A step of an invocation that is not sampled: whatever is told to it is forgotten."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def annotate(self, **values: Annotation) -> None:
        """Index values under these names; None and what is not finite is left out."""

    def flag(self, *, error: bool = False, throttle: bool = False, fault: bool = False) -> None:
        """Mark it as refused (4xx), throttled (429) or failed (5xx); false changes nothing."""


class _Trace:
    """The sampled invocation under way: its trace, where documents go, and the steps that are open."""

    def __init__(self, root: str, parent: str, daemon: str) -> None:
        self.root, self.parent, self.daemon = root, parent, daemon
        self.open: list[_Subsegment] = []

    def send(self, document: dict[str, Any]) -> None:
        where = _daemon(self.daemon)
        packet = _packet(document)
        if where is None or packet is None:
            return
        try:
            where[0].sendto(packet, where[1])
        except OSError:  # a full buffer, no route: a trace is not worth an invocation
            return


class _Subsegment(Step):
    def __init__(self, trace: _Trace, name: str, more: dict[str, Any]) -> None:
        self._trace = trace
        self._id = secrets.token_hex(8)
        self._document: dict[str, Any] = {
            "type": "subsegment",
            "trace_id": trace.root,
            "parent_id": trace.open[-1]._id if trace.open else trace.parent,
            "id": self._id,
            "name": name,
            **more,
        }

    @override
    def __enter__(self) -> Self:
        self._trace.open.append(self)
        self._document["start_time"] = time.time()
        return self

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._document["end_time"] = time.time()
        if kind is not None:
            self._document |= _failure(kind)
        if self in self._trace.open:
            del self._trace.open[self._trace.open.index(self) :]
        self._trace.send(self._document)

    @override
    def annotate(self, **values: Annotation) -> None:
        known = {name: text for name, value in values.items() if (text := _annotation(value)) is not None}
        if known:
            self._document.setdefault("annotations", {}).update(known)

    @override
    def flag(self, *, error: bool = False, throttle: bool = False, fault: bool = False) -> None:
        flags = {"error": error, "throttle": throttle, "fault": fault}
        self._document |= {name: True for name, on in flags.items() if on}

    def keep(self, name: str, value: Sequence[str]) -> None:
        """Store a list beside the annotations, not indexed."""
        self._document.setdefault("metadata", {}).setdefault(_NAMESPACE, {})[name] = list(value)


class _Invocation(_Subsegment):
    """The subsegment that all steps of an invocation are in; with it the trace ends."""

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _current  # noqa: PLW0603 - one invocation at a time is Lambda's own contract
        _current = None
        super().__exit__(kind, error, trace)


_NOTHING = Step()
_current: _Trace | None = None


def invocation(name: str, environ: Mapping[str, str] = os.environ) -> Step:
    """The step around a whole invocation. Sampled or not is what `_X_AMZN_TRACE_ID` says this time."""
    global _current  # noqa: PLW0603 - one invocation at a time is Lambda's own contract
    _current = None
    header = environ.get("_X_AMZN_TRACE_ID", "")
    if "Sampled=1" not in header:
        return _NOTHING
    root, parent = trace_id(header), _PARENT.search(header)
    if root is None or parent is None:
        return _NOTHING
    daemon = environ.get("AWS_XRAY_DAEMON_ADDRESS") or _DEFAULT_DAEMON
    _current = _Trace(xray_id(root), parent[1], daemon)
    return _Invocation(_current, name, {})


def step(name: str, **annotations: Annotation) -> Step:
    """A step of the invocation under way, or of the step that is open."""
    if _current is None:
        return _NOTHING
    made = _Subsegment(_current, name, {})
    made.annotate(**annotations)
    return made


def aws_call(service: str, operation: str, **about: Annotation) -> Step:
    """A call of an AWS service; `about` may be `table_name`, and what else X-Ray knows of calls."""
    if _current is None:
        return _NOTHING
    aws = {"operation": operation, "region": os.environ.get("AWS_REGION"), **about}
    known = {name: value for name, value in aws.items() if value is not None}
    return _Subsegment(_current, service, {"namespace": "aws", "aws": known})


def annotate(**values: Annotation) -> None:
    """Annotate the invocation as a whole."""
    if _current is not None and _current.open:
        _current.open[0].annotate(**values)


def producers(ids: Sequence[str]) -> None:
    """Let the invocation be found by the traces (32 hex digits) of what it works on.

    They are annotations in X-Ray's form, 27 a value: `producers`, `producers_2` … to 4 (X-Ray indexes 50
    annotations a trace); all of them are in its metadata.
    """
    if _current is None or not _current.open or not ids:
        return
    texts = [xray_id(one) for one in ids]
    for n in range(min(ANNOTATIONS_OF_IDS, math.ceil(len(texts) / IDS_AN_ANNOTATION))):
        some = texts[n * IDS_AN_ANNOTATION : (n + 1) * IDS_AN_ANNOTATION]
        annotate(**{f"producers_{n + 1}" if n else "producers": " ".join(some)})
    _current.open[0].keep("producers", texts)


def daemon_address(text: str) -> tuple[str, int] | None:
    """Where the daemon takes UDP: `host:port`, or `tcp:host:port udp:host:port` in either order.

    An IPv6 address stands in brackets. None if there is no such address in it.
    """
    for part in text.split():
        found = _ADDRESS.fullmatch(part)
        if found and found[1] != "tcp" and int(found[4]) < 65_536:
            return found[2] or found[3], int(found[4])
    return None


@functools.cache
def _daemon(address: str) -> tuple[socket.socket, Any] | None:
    """A socket that never waits, and the daemon's resolved address; None if there is no way to it."""
    where = daemon_address(address)
    if where is None:
        return None
    try:
        family, kind, protocol, _, resolved = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError):
        return None
    made.setblocking(False)
    return made, resolved


def _packet(document: dict[str, Any]) -> bytes | None:
    """The datagram; without its metadata if it is too large with it, None if it still is."""
    body = json.dumps(document, separators=(",", ":"), default=str).encode()
    if len(body) > MAX_DOCUMENT_BYTES and "metadata" in document:
        slim = {name: value for name, value in document.items() if name != "metadata"}
        return _packet(slim)
    return _HEADER + body if len(body) <= MAX_DOCUMENT_BYTES else None


def _annotation(value: Annotation) -> Annotation:
    if isinstance(value, str):
        return value[:MAX_ANNOTATION_CHARACTERS]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _failure(kind: type[BaseException]) -> dict[str, Any]:
    """By type alone: a message may hold what must not leave the function."""
    flag = "fault"
    if issubclass(kind, StreamscoreError):
        flag = "throttle" if issubclass(kind, TransientError) else "error"
    exception = {"id": secrets.token_hex(8), "type": kind.__name__}
    return {flag: True, "cause": {"exceptions": [exception]}}
