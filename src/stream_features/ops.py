"""The catalogue of feature operations: what each one takes from the spec."""

from dataclasses import dataclass
from typing import Literal

Scope = Literal["event", "window", "history", "features"]
Of = Literal["", "number", "exact", "identity", "listed", "feature"]


@dataclass(frozen=True)
class Op:
    """An operation: what ``of`` names ('' for nothing), and the spec keys that it needs and may take.

    ``of`` is a "number" field (float too), an "exact" one (decimal, int, bool), an "identity" (a field that
    is no float, or another entity), a "listed" one (a field that is no float) or another "feature".
    """

    scope: Scope
    of: Of = ""
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    labels: bool = False

    @property
    def keys(self) -> frozenset[str]:
        """Every key that a [[feature]] of this op may have."""
        return frozenset({"name", "op", "default", "reason"}) | self.needs | self.takes


def _op(scope: Scope, of: Of = "", *, needs: str = "", takes: str = "", labels: bool = False) -> Op:
    required = frozenset(needs.split()) | (frozenset({"of"}) if of else frozenset())
    return Op(scope, of, required, frozenset(takes.split()), labels)


def _window(of: Of = "", *, takes: str = "delay where", labels: bool = False) -> Op:
    return _op("window", of, needs="entity windows", takes=takes, labels=labels)


OPS: dict[str, Op] = {
    "value": _op("event", "number"),
    "one_of": _op("event", "listed", needs="values"),
    "hour": _op("event", takes="timezone"),
    "weekday": _op("event", takes="timezone"),
    "is_weekend": _op("event", takes="timezone"),
    "hour_between": _op("event", needs="hours", takes="timezone"),
    "log1p": _op("event", "number"),
    "count": _window(),
    "sum": _window("exact"),
    "mean": _window("exact"),
    "min": _window("exact"),
    "max": _window("exact"),
    "std": _window("exact"),
    "distinct": _window("identity", takes="where"),
    "is_new": _window("identity", takes="where"),
    "label_count": _window(takes="delay", labels=True),
    "label_rate": _window(takes="delay", labels=True),
    "since_last": _op("history", needs="entity"),
    "last": _op("history", "exact", needs="entity"),
    "same_as_last": _op("history", "identity", needs="entity"),
    "ewma": _op("history", "exact", needs="entity half_life"),
    "ratio": _op("features", "feature", needs="to", takes="windows"),
    "difference": _op("features", "feature", needs="to", takes="windows"),
    "zscore": _op("features", "feature", needs="to std", takes="windows"),
}
"""In the order of the documentation: of the event alone, over a window, over the history, of features."""
