"""A model's stored windows against its baseline: now, cell by cell, and over time. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from monitor.compare import ENOUGH, compare, total
from monitor.sketch import Bins, Counts, Layout, Sketch
from scoring.bundle import Bundle
from streamscore.report.content import Distribution, Drift, Stretch

MOST_STRETCHES = 48
_TINY = 1e-30
"""An edge just above zero makes a cell of zero alone."""
Windows = Sequence[tuple[str, Sketch]]
"""(start, sketch) in order of start."""


def drift(bundle: Bundle, layout: Layout, windows: Windows, psi_alert: float) -> Drift:
    """Everything the report says about a model's windows."""
    whole = total(layout, (sketch for _, sketch in windows))
    found = compare(bundle, whole)
    distributions = {one.name: one for one in _distributions(bundle, whole)}
    order = [found.score.name, *(row.name for row in found.features)]
    return Drift(
        found, psi_alert, tuple(distributions[name] for name in order), tuple(_over_time(bundle, windows))
    )


def _distributions(bundle: Bundle, whole: Sketch) -> Iterator[Distribution]:
    yield _distribution(whole.layout.score, bundle.score.counts, whole.part("score"))
    baselines = {feature.name: feature.baseline.counts for feature in bundle.features}
    for bins, counts, _ in whole.features():
        yield _distribution(bins, baselines[bins.name], counts)


def _distribution(bins: Bins, baseline: Sequence[int], now: Counts) -> Distribution:
    return Distribution(bins.name, tuple(_cells(bins.edges)), _shares(baseline), _shares(now.tolist()))


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


def _shares(counts: Iterable[int]) -> tuple[float, ...]:
    counted = tuple(counts)
    whole = sum(counted)
    return tuple(count / whole if whole else 0.0 for count in counted)


def _over_time(bundle: Bundle, windows: Windows) -> Iterator[Stretch]:
    """Windows of the same start together, then as many starts that there are no more than 48 stretches; one
    with too few decisions to compare is left out.
    """
    starts = sorted({start for start, _ in windows})
    size = -(-len(starts) // MOST_STRETCHES) or 1
    for first in range(0, len(starts), size):
        chosen = set(starts[first : first + size])
        some = [sketch for start, sketch in windows if start in chosen]
        found = compare(bundle, total(some[0].layout, some))
        if found.decided >= ENOUGH:
            psi = {row.name: row.psi for row in (found.score, *found.features)}
            yield Stretch(starts[first], found.decided, psi, found.score.psi_noise)
