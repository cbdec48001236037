"""Moves the pointers of a stack with a person's own client: champion, challenger, policy.

The moves themselves are `scoring.pointer_moves`: what retrains itself on Lambda makes the same.
"""

from typing import Any

from botocore.exceptions import ClientError

from scoring import pointer_moves
from scoring.pointers import CHAMPION, Pointer, Version
from streamscore.room_client import RoomClient


def read(ssm: Any, prefix: str, name: str = CHAMPION) -> Pointer | None:
    """As `pointer_moves.read`."""
    return pointer_moves.read(RoomClient(ssm), prefix, name)


def history(ssm: Any, prefix: str, name: str = CHAMPION) -> list[Pointer]:
    """The moves that SSM remembers, the newest (what holds now) first; values that are no pointers left
    out.
    """
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=f"{prefix}/{name}")
    try:
        values = {one["Version"]: one["Value"] for page in pages for one in page["Parameters"]}
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return []
        raise
    moves = (pointer_moves.readable(values[number]) for number in sorted(values, reverse=True))
    return [move for move in moves if move is not None]


def point(ssm: Any, prefix: str, version: Version, reason: str, name: str = CHAMPION) -> Pointer:
    """As `pointer_moves.point`."""
    return pointer_moves.point(RoomClient(ssm), prefix, version, reason, name)


def promote(ssm: Any, prefix: str, version: Version, reason: str, forced: tuple[str, ...]) -> Pointer:
    """As `pointer_moves.promote`."""
    return pointer_moves.promote(RoomClient(ssm), prefix, version, reason, forced)


def instead(ssm: Any, prefix: str, version: Version, reason: str, name: str = CHAMPION) -> Pointer:
    """As `pointer_moves.instead`."""
    return pointer_moves.instead(RoomClient(ssm), prefix, version, reason, name)


def back(ssm: Any, prefix: str, reason: str, name: str = CHAMPION) -> Pointer:
    """As `pointer_moves.back`."""
    return pointer_moves.back(RoomClient(ssm), prefix, reason, name)
