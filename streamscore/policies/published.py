"""Policies in a stack's bucket, `policies/<version>.toml`, and the one its pointer names."""

import re
from typing import Any, NamedTuple

from common.errors import InvalidInputError, ModelRefusedError
from common.settings import code_root
from scoring import policy_file
from scoring.bundle import sha256
from scoring.pointers import NOTHING, POLICY, Pointer, Version, policy_key
from scoring.policy import Policy
from streamscore.decided.decisions_log import Stack
from streamscore.training import pointers
from streamscore.training.bundles import fetch

_FORCE = re.compile(r"^\s*force\s*=")
_TABLE = re.compile(r"^\s*\[")


class Place(NamedTuple):
    """Where a stack keeps its policies and its pointer: two clients, a bucket, a prefix."""

    s3: Any
    ssm: Any
    bucket: str
    prefix: str

    @classmethod
    def of(cls, stack: Stack) -> "Place":
        """A stack's own, by its outputs."""
        outputs = stack.outputs
        return cls(
            stack.client("s3"), stack.client("ssm"), outputs["DataBucketName"], outputs["PointerPrefix"]
        )


class InUse(NamedTuple):
    """The text that decides, and the pointer to it; without one (or if it points to nothing) the text is that
    of the policy that ships, as it is here.
    """

    text: str
    pointer: Pointer | None

    @property
    def ships(self) -> bool:
        """Whether it is the policy that ships."""
        return self.pointer is None or self.pointer.current == NOTHING


def in_use(place: Place) -> InUse:
    """What the pointer names; ModelRefusedError if it is not there, or not what was published."""
    pointer = pointers.read(place.ssm, place.prefix, POLICY)
    if pointer is None or pointer.current == NOTHING:
        return InUse((code_root() / "policy.toml").read_text(encoding="utf-8"), pointer)
    key = policy_key(pointer.version)
    data = fetch(place.s3, place.bucket, key)
    if data is None or sha256(data) != pointer.sha256:
        what = "is not there" if data is None else f"has sha256 {sha256(data)}, not {pointer.sha256}"
        raise ModelRefusedError(f"s3://{place.bucket}/{key}, which the pointer names, {what}")
    return InUse(data.decode(), pointer)


def publish(place: Place, text: str, name: str) -> tuple[Version, Policy]:
    """Put a policy where functions can read it; nothing points to it yet. Doing it again changes nothing.

    Raises InvalidInputError if the text is no policy, ModelRefusedError if another lies under its version.
    """
    policy = policy_file.parse(text, name)
    version = Version(policy.version, sha256(text.encode()))
    key = policy_key(version.version)
    stored = fetch(place.s3, place.bucket, key)
    if stored is None:
        place.s3.put_object(Bucket=place.bucket, Key=key, Body=text.encode())
    elif sha256(stored) != version.sha256:
        raise ModelRefusedError(f"s3://{place.bucket}/{key} holds another policy; it stays as it is")
    return version, policy


def forced(text: str, action: str) -> str:
    """The same policy, forced: its rules are still recorded, and going back is going back to it.

    >>> forced('force = "approve"\\nfallback = "review"', "review")
    'force = "review"\\nfallback = "review"\\n'
    """
    try:
        policy_file.parse(text)
    except InvalidInputError:
        text = ""  # a switch that a broken policy could jam would be none
    lines = text.splitlines()
    tables = next((n for n, line in enumerate(lines) if _TABLE.match(line)), len(lines))
    kept = [line for n, line in enumerate(lines) if n >= tables or not _FORCE.match(line)]
    return "\n".join([f'force = "{action}"', *kept, ""])
