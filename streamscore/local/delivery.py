"""The words of stream delivery: a mapping's rules, what a shard wants done, what a function answered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One stream record; `body` is its JSON as the function gets it."""

    sequence: str
    arrival_ms: int
    body: bytes


@dataclass(frozen=True)
class Rules:
    """The settings of a mapping that decide what is invoked when. None means without limit."""

    batch_size: int = 100
    batching_ms: int = 0
    reports_failures: bool = False
    bisects: bool = False
    max_retries: int | None = None
    max_age_ms: int | None = None
    tumbling_ms: int = 0


@dataclass(frozen=True)
class Window:
    """An open tumbling window and the state (JSON) that its last invocation returned."""

    start_ms: int
    state: bytes = b"{}"


@dataclass(frozen=True)
class Deliver:
    """Invoke the function with these records (none when a window is only closed)."""

    records: tuple[Record, ...]
    window: Window | None = None
    final: bool = False
    early: bool = False


@dataclass(frozen=True)
class GiveUp:
    """Send these records to the failure destination, then call `given_up`.

    `errored`: the last of `invocations` ended in a function error, not in a report; `window` was open.
    """

    records: tuple[Record, ...]
    condition: str
    invocations: int
    errored: bool = False
    window: Window | None = None


@dataclass(frozen=True)
class Wait:
    """Nothing to do before `until_ms`, unless records arrive; None: only records can change that."""

    until_ms: int | None


@dataclass(frozen=True)
class Succeeded:
    """The function took everything; `state` is a windowed function's."""

    state: bytes | None = None


@dataclass(frozen=True)
class FailedFrom:
    """Everything before `index` succeeded; that record and all later ones are to be retried."""

    index: int
    state: bytes | None = None


@dataclass(frozen=True)
class Failed:
    """The function failed (`errored`), or its reply cannot be read: all are to be retried."""

    errored: bool = True


@dataclass(frozen=True)
class Refused:
    """Lambda did not run the function (throttled, for one): costs no attempt."""


type Action = Deliver | GiveUp | Wait
type Reply = Succeeded | FailedFrom | Failed | Refused


@dataclass(frozen=True)
class Checkpoint:
    """Where to go on after a restart: after `sequence` (None: from the start), with `window` open."""

    sequence: str | None = None
    window: Window | None = None
