"""Why a score is high: occlusion from both sides. A feature's part is the mean of what the score loses when
the feature is replaced by its training median, and of what a row of all medians gains by the feature's value.

Of two features that say nearly the same, such as one count over two windows, the score loses little with
either; the other side shows them. It is the mean of the last and the first term of Shapley's sum.

Contributions are differences of log-odds, the scale on which evidence adds up (I. J. Good, *Probability and
the Weighing of Evidence*, 1950). Only what raises the score is a reason. Pure: the model is a function given.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream_features.spec import Feature

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

TOP = 3
USUAL = "{name} is {value}, usually {median}"
"""How a feature is told for which the spec has no `reason`."""

MOST_CHARACTERS = 400
"""Longer texts are cut: a long name, told often, must not push a decision over what a table takes."""

_LIMIT = 1e-4
"""Scores nearer to 0 or 1 count as this near: the log-odds of a unanimous forest would be infinite."""
_FLAGS = frozenset({"one_of", "is_weekend", "hour_between", "is_new", "same_as_last"})


class Reason(NamedTuple):
    """A feature of this row, its value (None: missing, or no finite number), the training median, by how much
    it raises the log-odds, and that in words.
    """

    feature: str
    value: float | None
    median: float | None
    contribution: float
    text: str = ""


def explain(
    score: Callable[[Floats], Scores], names: Sequence[str], medians: Floats, rows: Floats
) -> list[list[Reason]]:
    """The TOP reasons of each row, strongest first, by one call of `score` with (1 + 2 x features) x rows + 1
    rows; without words (`tell`). A row whose score is no number has none.
    """
    count, width = rows.shape
    if not count:
        return []
    without = np.repeat(rows[:, np.newaxis, :], width + 1, axis=1)  # the row itself comes first
    alone = np.tile(medians, (count, width, 1))
    diagonal = np.arange(width)
    without[:, diagonal + 1, diagonal] = medians
    alone[:, diagonal, diagonal] = rows
    tried = np.concatenate([each.reshape(-1, width) for each in (without, alone, medians)])
    log_odds = _log_odds(score(tried))
    *_, usual = log_odds
    whole = log_odds[: count * (width + 1)].reshape(count, width + 1)
    lost = whole[:, :1] - whole[:, 1:]
    gained = log_odds[whole.size : -1].reshape(count, width) - usual
    part = (lost + np.where(np.isnan(gained), lost, gained)) / 2  # NaN: no score of a median that is missing
    strongest = np.argsort(-part, axis=1, kind="stable")[:, :TOP]
    return [
        [
            _reason(names[n], rows[row, n], medians[n], part[row, n])
            for n in strongest[row]
            if part[row, n] > 0
        ]
        for row in range(count)
    ]


def tell(reason: Reason, feature: Feature) -> Reason:
    """The reason in the words that the spec has for its feature.

    >>> tell(Reason("night", 1.0, 0.0, 0.8), Feature("night", "hour_between", "", reason="at night: {value}"))
    Reason(feature='night', value=1.0, median=0.0, contribution=0.8, text='at night: yes')
    """
    shown = _yes_or_no if feature.op in _FLAGS else _number
    text = (feature.reason or USUAL).format(
        value=shown(reason.value),
        median=shown(reason.median),
        contribution=f"{reason.contribution:+.2f}",
        name=reason.feature,
    )
    return reason._replace(text=text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…")


def _log_odds(scores: Scores) -> Scores:
    bounded = np.clip(scores, _LIMIT, 1 - _LIMIT)
    return np.log(bounded / (1 - bounded))


def _reason(name: str, value: np.float32, median: np.float32, part: np.float64) -> Reason:
    return Reason(name, _shortest(value), _shortest(median), round(float(part), 4))


def _shortest(value: np.float32) -> float | None:
    """The shortest decimal that is this float32 (12.1, not 12.100000381), None for NaN and infinities."""
    return float(str(value)) if np.isfinite(value) else None


def _number(value: float | None) -> str:
    """As a person writes it.

    >>> [_number(value) for value in (None, 12.0, 310.5, 0.33333334, 1e20)]
    ['missing', '12', '310.50', '0.3333', '1e+20']
    """
    if value is None:
        return "missing"
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    if value.is_integer():
        return str(int(value))
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.4g}"


def _yes_or_no(value: float | None) -> str:
    return {None: "missing", 0.0: "no", 1.0: "yes"}.get(value) or _number(value)
