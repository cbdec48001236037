"""Moves the champion pointer of a stack. Functions follow within a minute; the parameter's own history keeps
every move.
"""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from common.errors import InvalidInputError
from scoring import pointers
from scoring.pointers import CHAMPION, Pointer, Version


def read(ssm: Any, prefix: str, name: str = CHAMPION) -> Pointer | None:
    """The pointer, or None before the first promotion."""
    try:
        value = ssm.get_parameter(Name=f"{prefix}/{name}")["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return None
        raise
    return pointers.decode(value)


def point(ssm: Any, prefix: str, version: Version, reason: str, name: str = CHAMPION) -> Pointer:
    """Point to a version, remembering the one before. Pointing to the current one again changes nothing."""
    current = read(ssm, prefix, name)
    if current is not None and current.current == version:
        return current
    moved = Pointer(
        version=version.version,
        sha256=version.sha256,
        previous=current.current if current else None,
        at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        reason=reason,
    )
    ssm.put_parameter(Name=f"{prefix}/{name}", Value=pointers.encode(moved), Type="String", Overwrite=True)
    return moved


def back(ssm: Any, prefix: str, reason: str, name: str = CHAMPION) -> Pointer:
    """Point to what was in use before; doing it twice returns to where it began."""
    current = read(ssm, prefix, name)
    if current is None or current.previous is None:
        raise InvalidInputError(f"{prefix}/{name}: there is no earlier version to go back to")
    return point(ssm, prefix, current.previous, reason, name)
