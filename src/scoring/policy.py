"""What becomes of a scored event: a policy as plain data, applied to columns. Pure.

The score decides by thresholds, rules may only make it more severe (block > review > approve), and the first
rule that fires with `override` decides alone. Without a score the fallback stands in for the thresholds. A
control share of the blocks that no override made is let through. `force` comes before all of it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from scoring.bundle import Thresholds
from scoring.retrain import Retrain
from scoring.watch import Watch

Action = Literal["approve", "review", "block"]
ACTIONS: tuple[Action, ...] = ("approve", "review", "block")
"""By severity."""
_BLOCK = ACTIONS.index("block")

FORCE, CONTROL, SHADOW = "force", "control", "shadow:"
"""What decisions name beside the policy's own rules: forced; let through as control; before one in shadow."""

Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
Severity = npt.NDArray[np.int8]
Scalar = str | bool | int | Decimal

FOREVER_MS = 2**63 - 1


class Value(NamedTuple):
    """What something is compared with, for decisions before `until_ms`."""

    value: Scalar
    until_ms: int = FOREVER_MS


class Condition(NamedTuple):
    """A comparison of one feature, kept field or entity (`of`), with one value above or below, or any of
    many. A missing value fulfils none. `listed` names the list that the values are from.
    """

    of: Literal["feature", "field", "entity"]
    name: str
    test: Literal["above", "below", "in"]
    values: tuple[Value, ...]
    listed: str = ""
    line: int = 0


class Rule(NamedTuple):
    """Fires where all of `all` and, if given, one of `any` hold."""

    name: str
    decision: Action
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    override: bool = False
    shadow: bool = False

    @property
    def shown(self) -> str:
        """Its name in a decision."""
        return SHADOW + self.name if self.shadow else self.name


class Gate(NamedTuple):
    """The least matured labels on which champion and candidate are compared, the largest model in MB (10^6
    bytes), the longest CPU time to open it and to score one row in ms.
    """

    matured_labels: int = 1000
    model_mb: float = 50.0
    load_ms: float = 1000.0
    row_ms: float = 5.0


class Policy(NamedTuple):
    """A parsed policy. `version` is the beginning of its text's sha256; `thresholds` are by model version;
    `monitoring` and `retrain` are what only the monitor goes by, `gate` what `promote` asks of a model.
    """

    version: str
    fallback: Action = "approve"
    thresholds: Mapping[str, Thresholds] = {}
    rules: tuple[Rule, ...] = ()
    lists: Mapping[str, tuple[Value, ...]] = {}
    control_share: float = 0.0
    daily_review_capacity: int | None = None
    force: Action | None = None
    monitoring: Watch = Watch()
    gate: Gate = Gate()
    retrain: Retrain = Retrain()
    source: str = "policy.toml"

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
    if not policy.control_share or policy.force:
        return None
    return np.array([draw(id_, policy.version) for id_ in ids], np.float64)


def by_score(scores: Scores | None, count: int, limits: Thresholds | None, fallback: Action) -> Severity:
    """Severity of each row by its score (>= review, >= block); the fallback's where there is none (NaN)."""
    severity = np.full(count, ACTIONS.index(fallback), np.int8)
    if scores is not None and limits is not None:
        blocked = scores >= limits.block
        reached = ((scores >= limits.review) | blocked).astype(np.int8) + blocked
        np.copyto(severity, reached, where=~np.isnan(scores))
    return severity


def apply(
    policy: Policy, severity: Severity, fired: Sequence[tuple[Rule, Mask]], draws: Scores | None = None
) -> list[Verdict]:
    """The verdict of each row from its severity by score, the masks of the policy's rules in its order, and
    its draw in [0, 1) (NaN: the control share has no say in this row; None: in no row).
    """
    final, overridden = _by_rules(severity, fired)
    names: dict[int, list[str]] = {}
    for rule, mask in fired:
        _name(names, rule.shown, mask)
    chances: dict[int, float] = {}
    if policy.force:
        final[:] = ACTIONS.index(policy.force)
        return [_forced(policy.force, names.get(row, ())) for row in range(len(final))]
    if policy.control_share and draws is not None:
        would_block = (final == _BLOCK) & ~overridden & ~np.isnan(draws)
        control = would_block & (draws < policy.control_share)
        chances = _chances(would_block, control, policy.control_share)
        final[control] = ACTIONS.index("approve")
        _name(names, CONTROL, control)
    verdicts = [_PLAIN[level] for level in final.tolist()]
    for row in names.keys() | chances.keys():
        rules = tuple(names.get(row, ()))
        verdicts[row] = Verdict(verdicts[row].decision, rules, chances.get(row))
    return verdicts


_PLAIN = tuple(Verdict(action, ()) for action in ACTIONS)


def _by_rules(severity: Severity, fired: Sequence[tuple[Rule, Mask]]) -> tuple[Severity, Mask]:
    """The severity after the live rules, and where an override decided it."""
    overridden = np.zeros(len(severity), bool)
    final = severity.copy()
    for rule, mask in fired:
        if rule.override and not rule.shadow:
            final[mask & ~overridden] = ACTIONS.index(rule.decision)
            overridden |= mask
    for rule, mask in fired:
        if not rule.override and not rule.shadow:
            more = mask & ~overridden
            final[more] = np.maximum(final[more], ACTIONS.index(rule.decision))
    return final, overridden


def _name(names: dict[int, list[str]], name: str, mask: Mask) -> None:
    for row in np.flatnonzero(mask).tolist():
        names.setdefault(row, []).append(name)


def _chances(would_block: Mask, control: Mask, share: float) -> dict[int, float]:
    """How likely each would-be block was to become what it became."""
    kept = round(1 - share, 9)
    return {row: share if control[row] else kept for row in np.flatnonzero(would_block).tolist()}


def _forced(action: Action, rules: Sequence[str]) -> Verdict:
    return Verdict(action, (FORCE, *rules))
