"""What a pointer says: which version is in use, the hash of its content, and what was in use before it. Pure.

There are three: `champion` and `challenger` name bundles, `policy` names a policy. A pointer that was never
written and one that points to nothing mean the same: no model, no challenger, the policy that ships.
"""

import msgspec

from common.errors import ModelRefusedError
from scoring.bundle import BUNDLE_FILE, MODEL_FILE

CHAMPION, CHALLENGER, POLICY = "champion", "challenger", "policy"
ALL = (CHAMPION, CHALLENGER, POLICY)


class Version(msgspec.Struct, frozen=True):
    """Something published: `sha256` is of a bundle's `bundle.json` (which holds the hash of `model.onnx`), or
    of a policy's text.
    """

    version: str
    sha256: str


NOTHING = Version("", "")
"""What a pointer points to that was withdrawn."""


class Pointer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of an SSM parameter `<prefix>/<name>`, as JSON. `at` is RFC 3339, `reason` is for people.

    `previous` is what going back returns to, and what a cold start takes if the current one fails its check;
    `earlier` is what lay before that, newest first. `back`: this move was one back. `forced` names the checks
    of the gate that failed and were overruled.
    """

    version: str
    sha256: str
    previous: Version | None = None
    at: str = ""
    reason: str = ""
    earlier: tuple[Version, ...] = ()
    back: bool = False
    forced: tuple[str, ...] = ()

    @property
    def current(self) -> Version:
        """The version it points to, or NOTHING."""
        return Version(self.version, self.sha256)


def decode(text: str) -> Pointer:
    """The pointer in a parameter's value; ModelRefusedError if it is none."""
    try:
        return msgspec.json.decode(text, type=Pointer)
    except msgspec.MsgspecError as error:
        raise ModelRefusedError(f"the pointer is not readable: {error}") from error


def encode(pointer: Pointer) -> str:
    """The parameter's value."""
    return msgspec.json.encode(pointer).decode()


def bundle_key(version: str) -> str:
    """Where a version's `bundle.json` lies in the data bucket."""
    return f"models/{version}/{BUNDLE_FILE}"


def model_key(version: str) -> str:
    """Where a version's `model.onnx` lies in the data bucket."""
    return f"models/{version}/{MODEL_FILE}"


POLICIES = "policies/"
"""The data bucket's folder of policies' texts."""


def policy_key(version: str) -> str:
    """Where a policy's text lies in the data bucket."""
    return f"{POLICIES}{version}.toml"
