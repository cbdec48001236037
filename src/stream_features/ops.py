"""The catalogue of feature operations: what each needs from the spec, and whether the kernel computes it."""

from dataclasses import dataclass
from typing import Literal

Scope = Literal["event", "window", "history", "features"]
Of = Literal["", "number", "exact", "text", "any"]


@dataclass(frozen=True)
class Op:
    """An operation: the kind of input it takes ('' for none) and the spec keys it needs and may take."""

    scope: Scope
    of: Of = ""
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    labels: bool = False


_WINDOW = frozenset({"entity", "windows"})


def _window(of: Of = "", *, labels: bool = False) -> Op:
    return Op("window", of, needs=_WINDOW, takes=frozenset({"delay"}), labels=labels)


OPS: dict[str, Op] = {
    "value": Op("event", "number"),
    "is_weekend": Op("event"),
    "hour_between": Op("event", needs=frozenset({"hours"})),
    "hour": Op("event"),
    "weekday": Op("event"),
    "count": _window(),
    "sum": _window("exact"),
    "mean": _window("exact"),
    "label_count": _window(labels=True),
    "label_rate": _window(labels=True),
}

# Ops of the language that this version refuses by name instead of computing them wrongly.
NOT_YET = frozenset(
    {
        "min",
        "max",
        "std",
        "distinct",
        "since_last",
        "last",
        "is_new",
        "same_as_last",
        "ewma",
        "one_of",
        "log1p",
    }
    | {"ratio", "zscore", "difference"}
)
