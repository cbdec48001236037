"""Moves the pointers of a stack: champion, challenger, policy. Functions follow within a minute.

A pointer keeps, beside what it points to, what it pointed to before (EARLIER of them): going back takes the
newest of these off, so that going back twice goes two back, not forth again. The parameter's own history
keeps the last 100 moves with their reasons.

SSM has no conditional overwrite. A move therefore reads, writes, and looks at the version number that it got:
if another move came in between, the first one stands, is written again, and the second fails with a
TransientError. Only the very first move of a pointer is refused by SSM itself.

`ssm` is a client whose errors are ours: of `common.aws`, or a person's in a `RoomClient`.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from common.errors import InvalidInputError, ModelRefusedError, ServiceError, TransientError
from scoring import pointers
from scoring.pointers import CHAMPION, NOTHING, Pointer, Version

EARLIER = 10
_MOST_BYTES = 4096
"""Of a standard parameter's value."""


class _Found(NamedTuple):
    """What a parameter holds (None: nothing, or no pointer), and how often it was written."""

    pointer: Pointer | None
    writes: int


def read(ssm: Any, prefix: str, name: str = CHAMPION) -> Pointer | None:
    """The pointer, or None if it was never written; ModelRefusedError if the value is none."""
    parameter = _parameter(ssm, f"{prefix}/{name}")
    return pointers.decode(parameter["Value"]) if parameter else None


def point(ssm: Any, prefix: str, version: Version, reason: str, name: str = CHAMPION) -> Pointer:
    """Point to a version (NOTHING withdraws), remembering the one before: at first NOTHING, and for the
    champion none. Pointing to the current one again changes nothing; a value that is no pointer is replaced.
    """
    return _point(ssm, f"{prefix}/{name}", Pointer(version.version, version.sha256, reason=reason))


def promote(ssm: Any, prefix: str, version: Version, reason: str, forced: tuple[str, ...]) -> Pointer:
    """Point the champion to a version, as `point` does; `forced` are the checks that were overruled."""
    wanted = Pointer(version.version, version.sha256, reason=reason, forced=forced)
    return _point(ssm, f"{prefix}/{CHAMPION}", wanted)


def instead(ssm: Any, prefix: str, version: Version, reason: str, name: str = CHAMPION) -> Pointer:
    """Point to a version in place of the current one: what is remembered is what that one remembered."""
    current, writes = _found(ssm, f"{prefix}/{name}")
    if current is None:
        return point(ssm, prefix, version, reason, name)
    if current.current == version:
        return current
    moved = Pointer(version.version, version.sha256, current.previous, _now(), reason, current.earlier)
    return _write(ssm, f"{prefix}/{name}", moved, writes)


def back(ssm: Any, prefix: str, reason: str, name: str = CHAMPION) -> Pointer:
    """Point to what was in use before, and forget what is: doing it twice goes two back.

    InvalidInputError if nothing was before; ModelRefusedError if the value is no pointer, so nobody knows.
    """
    parameter = f"{prefix}/{name}"
    current, writes = _found(ssm, parameter)
    if current is None and writes:
        raise ModelRefusedError(
            f"{parameter}: is no pointer, so what was before it is not known; set it anew"
        )
    if current is None or current.previous is None:
        raise InvalidInputError(f"{parameter}: there is no earlier version to go back to")
    target, earlier = current.previous, current.earlier
    previous = earlier[0] if earlier else None
    moved = Pointer(target.version, target.sha256, previous, _now(), reason, earlier[1:], back=True)
    return _write(ssm, parameter, moved, writes)


def _point(ssm: Any, parameter: str, wanted: Pointer) -> Pointer:
    current, writes = _found(ssm, parameter)
    if current is not None and current.current == wanted.current:
        return current
    previous = None if parameter.endswith(f"/{CHAMPION}") else NOTHING
    earlier: tuple[Version, ...] = ()
    if current is not None:
        previous = current.current
        earlier = (current.previous, *current.earlier)[:EARLIER] if current.previous is not None else ()
    moved = msgspec.structs.replace(wanted, previous=previous, earlier=earlier, at=_now())
    return _write(ssm, parameter, moved, writes)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _found(ssm: Any, name: str) -> _Found:
    parameter = _parameter(ssm, name)
    return _Found(readable(parameter["Value"]), parameter["Version"]) if parameter else _Found(None, 0)


def readable(value: str) -> Pointer | None:
    """The pointer in a parameter's value, or None if it is none."""
    try:
        return pointers.decode(value)
    except ModelRefusedError:
        return None


def _parameter(ssm: Any, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = ssm.get_parameter(Name=name)["Parameter"]
    except ServiceError as error:
        if error.code == "ParameterNotFound":
            return None
        raise
    return found


def _write(ssm: Any, parameter: str, moved: Pointer, writes: int) -> Pointer:
    """Write a move that was made on what the parameter held after `writes` writes."""
    value = pointers.encode(moved)
    if len(value.encode()) > _MOST_BYTES:
        raise InvalidInputError(f"{parameter}: the reason is too long for a parameter; say it shorter")
    try:
        got = ssm.put_parameter(Name=parameter, Value=value, Type="String", Overwrite=writes > 0)["Version"]
    except ServiceError as error:
        if error.code != "ParameterAlreadyExists":
            raise
        raise _too_late(parameter) from error
    if got > writes + 1:
        theirs = ssm.get_parameter(Name=f"{parameter}:{got - 1}")["Parameter"]["Value"]
        ssm.put_parameter(Name=parameter, Value=theirs, Type="String", Overwrite=True)
        raise _too_late(parameter)
    return moved


def _too_late(parameter: str) -> TransientError:
    return TransientError(
        f"{parameter}: somebody else moved it at the same moment, and their move stands; look what it is now "
        "(`streamscore models`, `streamscore policy show`), then do it again if it is still meant"
    )
