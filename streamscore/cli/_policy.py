"""Which policy.toml a command reads thresholds and capacity from."""

from pathlib import Path

from common.errors import InvalidInputError
from common.settings import code_root
from scoring.policy import Policy
from scoring.policy_file import parse


def read_policy(path: Path | None) -> Policy:
    """The policy in `path`, else the project's own; InvalidInputError says what is wrong and where."""
    path = path or code_root() / "policy.toml"
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | UnicodeDecodeError) -> InvalidInputError:
    """What is wrong with a file that holds no text, or is not there."""
    why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    return InvalidInputError(f"{path}: cannot be read as a policy: {why}")
