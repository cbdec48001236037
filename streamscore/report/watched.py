"""What the monitor saw, as the report shows it: cell by cell, and over time. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from monitor.compare import Distribution as Counted
from monitor.judge import ROC_AUC, is_enough
from monitor.look import Read, counts, series
from monitor.tally import Stored
from monitor.times import WINDOW_S, floor, iso, seconds
from monitor.watching import Seen, Watched
from streamscore.report.content import Distribution, Drift, Point

MOST_POINTS = 60
WIDTHS_S = (WINDOW_S, 900, 3_600, 10_800, 21_600, 86_400)
"""How many windows are put together; each divides a week, so that last week's are put together alike."""
_TINY = 1e-30
"""An edge just above zero makes a cell of zero alone."""


def drift(found: Watched) -> Drift:
    """Everything the report says about a model's windows."""
    looked = found.champion.looked
    named = {one.name for one in looked.verdict.findings if one.kind != ROC_AUC}
    shown = {one.name: _distribution(one) for one in counts(found.champion.subject, found.champion.read)}
    rows = looked.whole.comparison.rows
    return Drift(
        champion=looked,
        challenger=found.challenger.looked if found.challenger else None,
        psi_alert=found.watch.drift.alert.psi,
        min_positives=found.watch.performance.min_positives,
        budget_usd=found.watch.cost.per_million_usd,
        drifted=tuple(row.name for row in rows if row.name in named),
        distributions=tuple(shown[row.name] for row in rows),
        over_time=tuple(_over_time(found.champion)),
    )


def _distribution(one: Counted) -> Distribution:
    return Distribution(one.name, tuple(_cells(one.edges)), _shares(one.reference), _shares(one.now))


def _cells(edges: Sequence[float]) -> Iterator[str]:
    """
    >>> list(_cells((0.0, 0.5, 1.0, 1.0)))
    ['below 0', '0 to 0.5', '0.5 to 1', '1', 'above 1', 'missing']
    """
    told = [f"{edge:.4g}" if abs(edge) > _TINY else "0" for edge in edges]
    yield f"below {told[0]}"
    yield from (low if low == high else f"{low} to {high}" for low, high in zip(told, told[1:], strict=False))
    yield f"above {told[-1]}"
    yield "missing"


def _shares(some: Iterable[int]) -> tuple[float, ...]:
    counted = tuple(some)
    whole = sum(counted)
    return tuple(count / whole if whole else 0.0 for count in counted)


def _over_time(seen: Seen) -> Iterator[Point]:
    """Windows put together so that there are no more than 60; too few decisions to judge make no point."""
    starts = {window.start for window in seen.read.windows}
    width_s = next(
        (w for w in WIDTHS_S if len({_floored(start, w) for start in starts}) <= MOST_POINTS), WIDTHS_S[-1]
    )
    for point in series(seen.subject, _coarser(seen.read, width_s)):
        comparison = point.comparison
        if is_enough(seen.subject.watch.drift, comparison):
            psi = {row.name: row.psi for row in comparison.rows}
            yield Point(point.start, comparison.decided, psi, comparison.score.psi_noise)


def _coarser(read: Read, width_s: int) -> Read:
    def moved(windows: Iterable[Stored]) -> list[Stored]:
        return [window._replace(start=_floored(window.start, width_s)) for window in windows]

    return replace(read, windows=moved(read.windows), before=moved(read.before))


def _floored(start: str, width_s: int) -> str:
    return iso(floor(seconds(start), width_s))
