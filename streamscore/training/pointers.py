"""Moves the pointers of a stack: champion, challenger, policy. Functions follow within a minute; the
parameter's own history keeps every move.
"""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from common.errors import InvalidInputError, ModelRefusedError
from scoring import pointers
from scoring.pointers import CHAMPION, NOTHING, Pointer, Version


def read(ssm: Any, prefix: str, name: str = CHAMPION) -> Pointer | None:
    """The pointer, or None if it was never written."""
    try:
        value = ssm.get_parameter(Name=f"{prefix}/{name}")["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return None
        raise
    return pointers.decode(value)


def point(ssm: Any, prefix: str, version: Version, reason: str, name: str = CHAMPION) -> Pointer:
    """Point to a version (NOTHING withdraws), remembering the one before. Pointing to the current one again
    changes nothing; a value that is no pointer is replaced.
    """
    current = _readable(ssm, prefix, name)
    if current is not None and current.current == version:
        return current
    return _write(ssm, f"{prefix}/{name}", version, current.current if current else None, reason)


def instead(ssm: Any, prefix: str, version: Version, reason: str, name: str = CHAMPION) -> Pointer:
    """Point to a version in place of the current one: what is remembered is what that one remembered."""
    current = _readable(ssm, prefix, name)
    if current is not None and current.current == version:
        return current
    return _write(ssm, f"{prefix}/{name}", version, current.previous if current else None, reason)


def back(ssm: Any, prefix: str, reason: str, name: str = CHAMPION) -> Pointer:
    """Point to what was in use before; doing it twice returns to where it began.

    Before the first challenger or policy there was NOTHING; before the first champion there is no going back.
    """
    current = read(ssm, prefix, name)
    if current is None or (current.previous is None and name == CHAMPION):
        raise InvalidInputError(f"{prefix}/{name}: there is no earlier version to go back to")
    return point(ssm, prefix, current.previous or NOTHING, reason, name)


def _readable(ssm: Any, prefix: str, name: str) -> Pointer | None:
    try:
        return read(ssm, prefix, name)
    except ModelRefusedError:
        return None


def _write(ssm: Any, name: str, version: Version, previous: Version | None, reason: str) -> Pointer:
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    moved = Pointer(version.version, version.sha256, previous, at, reason)
    ssm.put_parameter(Name=name, Value=pointers.encode(moved), Type="String", Overwrite=True)
    return moved
