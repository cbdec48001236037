"""Thresholds from what people can do or from what mistakes cost, as lines for policy.toml."""

from dataclasses import dataclass

import numpy as np

from scoring.bundle import Thresholds
from scoring.model import SCORE_DECIMALS
from streamscore.evaluation.rows import Rows, Scores
from streamscore.training.proof import MAX_DIFFERENCE
from streamscore.training.thresholds import reached_by

LEAST_BLOCKED = 20
"""Fewer labelled rows above a threshold say little about its precision."""
HIGHEST = 1.0


@dataclass(frozen=True, slots=True)
class Costs:
    """In one currency: a fraud that nobody looks at, and a look."""

    missed: float
    review: float


def by_capacity(rows: Rows, block: float, per_day: float) -> float:
    """The least review threshold that at most `per_day` events a day reach on average, blocked ones apart."""
    looked_at = rows.scores[rows.scores < block]
    if not looked_at.size:
        return block
    days = len(np.unique(rows.days))
    return min(reached_by(looked_at, min(1.0, per_day * days / looked_at.size)), block)


def by_cost(rows: Rows, block: float, costs: Costs) -> float:
    """The review threshold of the least cost on these rows: missed frauds and looks together. Nobody looks at
    what is blocked.
    """
    rows = rows.only(rows.scores < block)
    cuts, reaching, hits = _cuts(rows)
    total = costs.missed * (rows.labels.sum() - hits) + costs.review * reaching
    nobody = costs.missed * rows.labels.sum()
    best = int(np.argmin(total)) if total.size else 0
    return float(cuts[best]) if total.size and total[best] < nobody else block


def blocking(rows: Rows, precision: float) -> float:
    """The least block threshold of at least that precision over LEAST_BLOCKED rows or more; 1.0 if there is
    none.
    """
    cuts, reaching, hits = _cuts(rows)
    good = (reaching >= LEAST_BLOCKED) & (hits >= precision * reaching)
    return float(cuts[good][0]) if good.any() else HIGHEST


def stanza(version: str, limits: Thresholds, why: str) -> str:
    """The table for policy.toml."""
    review, block = _written(limits.review), _written(limits.block)
    return f"# {why}\n[thresholds.{version}]\nreview = {review}\nblock = {block}"


def _written(limit: float) -> str:
    return f"{limit:.{SCORE_DECIMALS}f}".rstrip("0").ljust(3, "0")


def _cuts(rows: Rows) -> tuple[Scores, Scores, Scores]:
    """Thresholds midway between scores, ascending, with the rows and the positives that reach each.

    As in `thresholds.reached_by` none is near a score.
    """
    values, places = np.unique(rows.scores, return_inverse=True)
    below = np.concatenate([[0.0], values[:-1]])
    reaching = np.cumsum(np.bincount(places)[::-1])[::-1].astype(float)
    hits = np.cumsum(np.bincount(places, rows.labels)[::-1])[::-1]
    apart = values - below > 2 * MAX_DIFFERENCE
    return ((values + below) / 2).round(SCORE_DECIMALS)[apart], reaching[apart], hits[apart]
