"""What becomes of a scored event. Pure: `policy.toml` as plain data, compiled once a spec, applied to
columns.

The score decides by thresholds, rules may only make it more severe (block > review > approve), and the first
rule that fires with `override` decides alone. Without a score the fallback stands in for the thresholds.
"""

import hashlib
import tomllib
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from common.errors import InvalidInputError
from scoring.bundle import Thresholds

Action = Literal["approve", "review", "block"]
ACTIONS: tuple[Action, ...] = ("approve", "review", "block")
"""By severity."""

Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Scalar = str | bool | int | float


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A comparison of one feature or one kept field. A missing value fulfils none."""

    feature: str | None = None
    field: str | None = None
    above: float | None = None
    below: float | None = None
    equals: Scalar | None = None
    in_: tuple[Scalar, ...] | None = msgspec.field(default=None, name="in")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fires where all of `all` and, if given, one of `any` hold."""

    name: str
    decision: Action
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    override: bool = False
    mode: Literal["live", "shadow"] = "live"


class _Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    review: Share
    block: Share


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fallback: Action = "approve"
    control_share: Share = 0.0
    thresholds: dict[str, _Limits] = {}
    rule: tuple[Rule, ...] = ()
    drift: dict[str, Any] = {}


class Policy(NamedTuple):
    """A parsed policy; `version` is the hash of its text, `thresholds` are by model version."""

    version: str
    fallback: Action
    thresholds: dict[str, Thresholds]
    rules: tuple[Rule, ...]
    control_share: float = 0.0

    def limits(self, model_version: str, proposed: Thresholds) -> Thresholds:
        """The thresholds for a model: the policy's if it names that version, else the bundle's own."""
        return self.thresholds.get(model_version, proposed)


class Verdict(NamedTuple):
    """A decision and the names of the rules that fired (those in shadow as `shadow:<name>`).

    `propensity` is the probability with which this decision was chosen, where a control share had a say.
    """

    decision: Action
    rules: tuple[str, ...]
    propensity: float | None = None


def draw(id_: str, version: str) -> float:
    """The chance of one event under one policy, in [0, 1): always the same, unrelated to any other's."""
    digest = hashlib.blake2b(f"{version}\0{id_}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def draws(policy: Policy, ids: Sequence[str]) -> Scores | None:
    """The draw of each event; None under a policy that draws nothing."""
    if not policy.control_share:
        return None
    return np.array([draw(id_, policy.version) for id_ in ids], np.float64)


def parse(text: str, source: str = "policy.toml") -> Policy:
    """The policy written in `text`; InvalidInputError says where it is wrong."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"{source}: not valid TOML: {error}") from error
    try:
        file = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"{source}: {error}") from error
    _check(file, source)
    limits = {v: Thresholds(review=t.review, block=t.block) for v, t in file.thresholds.items()}
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Policy(version, file.fallback, limits, file.rule, file.control_share)


def decode(data: bytes, version: str) -> Policy:
    """The published policy of that version; InvalidInputError if these bytes are not it, or no policy."""
    try:
        policy = parse(data.decode(), f"policy {version}")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"policy {version}: is no text: {error}") from error
    if policy.version != version:
        raise InvalidInputError(f"policy {version}: its content is that of version {policy.version}")
    return policy


def by_score(
    scores: Scores | None, count: int, limits: Thresholds | None, fallback: Action
) -> npt.NDArray[np.int8]:
    """Severity of each row by its score (>= review, >= block); the fallback's where there is none, or NaN."""
    decided = np.full(count, ACTIONS.index(fallback), np.int8)
    if scores is None or limits is None:
        return decided
    reached = (scores >= limits.review) | (scores >= limits.block)
    return np.where(np.isnan(scores), decided, reached.astype(np.int8) + (scores >= limits.block))


def apply(severity: npt.NDArray[np.int8], fired: Sequence[tuple[Rule, Mask]]) -> list[Verdict]:
    """The verdict of each row from its severity by score and the masks of the rules, in the policy's
    order.
    """
    overridden = np.zeros(len(severity), bool)
    final = severity.copy()
    for rule, mask in fired:
        if rule.override and rule.mode == "live":
            final[mask & ~overridden] = ACTIONS.index(rule.decision)
            overridden |= mask
    for rule, mask in fired:
        if not rule.override and rule.mode == "live":
            more = mask & ~overridden
            final[more] = np.maximum(final[more], ACTIONS.index(rule.decision))
    names: list[tuple[str, ...]] = [()] * len(severity)
    for rule, mask in fired:
        name = rule.name if rule.mode == "live" else f"shadow:{rule.name}"
        for row in np.flatnonzero(mask):
            names[row] += (name,)
    return [Verdict(ACTIONS[level], rules) for level, rules in zip(final.tolist(), names, strict=True)]


def _check(file: _File, source: str) -> None:
    """What the types cannot say."""
    names = [rule.name for rule in file.rule]
    for rule in file.rule:
        where = f"{source}: rule {rule.name!r}"
        if not rule.name or names.count(rule.name) > 1:
            raise InvalidInputError(f"{where}: every rule needs a name of its own")
        if not rule.all and not rule.any:
            raise InvalidInputError(f"{where}: has neither `all` nor `any`, so it would always fire")
        for condition in (*rule.all, *rule.any):
            if (condition.feature is None) == (condition.field is None):
                raise InvalidInputError(f"{where}: a condition names either a `feature` or a `field`")
            tests = (condition.above, condition.below, condition.equals, condition.in_)
            if sum(test is not None for test in tests) != 1:
                raise InvalidInputError(f"{where}: a condition has one of above, below, equals, in")
    for version, limits in file.thresholds.items():
        if limits.block < limits.review:
            raise InvalidInputError(f"{source}: thresholds.{version}: block is below review")
