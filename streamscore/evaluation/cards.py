"""Card precision: of the k entities a team looks at in a day, how many are defrauded that day.

As in "Reproducible Machine Learning for Credit Card Fraud Detection — Practical Handbook", chapters 3 and 4:
who is known to be defrauded is out of the test set, and who has been found is out from the next day on.
"""

from dataclasses import dataclass

import numpy as np

from streamscore.evaluation.rows import Ints, Labels, Rows

_LONG_AFTER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Days:
    """Per day with events: the day, the precision of its k entities, how many were defrauded at all."""

    days: list[int]
    precisions: list[float]
    defrauded: list[int]


def unknown(history: Rows, rows: Rows, delay_days: int, since_day: int | None = None) -> Labels:
    """Which `rows` are of entities that no label has shown to be defrauded by the row's day.

    A fraud of `history` on day d (since `since_day`) is known from day d + delay_days + 1 on.
    """
    known_from = np.full(
        max(history.entities.max(initial=-1), rows.entities.max(initial=-1)) + 1, _LONG_AFTER
    )
    frauds = history.labels if since_day is None else history.labels & (history.days >= since_day)
    np.minimum.at(known_from, history.entities[frauds], history.days[frauds] + delay_days + 1)
    seen: Labels = rows.days < known_from[rows.entities]
    return seen


def card_precision(rows: Rows, k: int) -> Days:
    """Each day the k entities of the highest score, of those not found on a day before: hits / k."""
    found = Days([], [], [])
    caught = np.zeros(rows.entities.max(initial=-1) + 1, bool)
    for day in np.unique(rows.days):
        today = rows.only((rows.days == day) & ~caught[rows.entities])
        defrauded = np.unique(today.entities[today.labels])
        hits = np.intersect1d(_highest(today, k), defrauded)
        caught[hits] = True
        found.days.append(int(day))
        found.precisions.append(len(hits) / k)
        found.defrauded.append(len(defrauded))
    return found


def _highest(rows: Rows, k: int) -> Ints:
    """The k entities with the highest scores; equal scores by number."""
    order = np.lexsort((rows.entities, -rows.scores))
    entities, first = np.unique(rows.entities[order], return_index=True)
    return entities[np.argsort(first)][:k]
