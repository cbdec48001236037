"""A look at a model's windows: compared, judged, and how its decisions fared. Pure.

The alarms' metrics, `streamscore drift` and the report all come from here, so they agree.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monitor import fared
from monitor.compare import SEASONAL, Comparison, Distribution, compare, distributions
from monitor.decided import DecidedSketch, Layout
from monitor.fared import Labels, Performance
from monitor.judge import Verdict, drift_verdict, is_enough
from monitor.sketch import total
from monitor.tally import Stored
from monitor.times import DAY_S, WEEK_S, WINDOW_S, day, floor, later, seconds
from scoring.bundle import Bundle
from scoring.watch import PerformanceWatch, Watch
from stream_features.spec import Spec

CALENDAR_OPS = frozenset({"hour", "hour_between", "is_weekend", "weekday"})
_COVERED = 0.9


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows with `since` <= start < `until`, compared with their reference."""

    since: str
    until: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Point:
    """One window in a series."""

    start: str
    comparison: Comparison
    labelled: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found of one model version in one role.

    `newest` are the newest windows with decisions enough, where those are fewer than all. `performance` is
    of matured decisions, `arrived` of all labels that came in the stretch, early ones too: it is not judged.
    """

    model: str
    challenger: bool
    whole: Stretch
    newest: Stretch | None
    verdict: Verdict
    performance: Performance | None
    arrived: Labels | None


@dataclass(frozen=True)
class Subject:
    """What is looked at: a model, what the policy bears, and which of its features follow the calendar."""

    bundle: Bundle
    layout: Layout
    watch: Watch
    calendar: frozenset[str] = frozenset()
    delay_s: int = 0
    """How long labels take to be known."""


@dataclass(frozen=True)
class Read:
    """Windows of one model: those of the stretch [since, until), those a week before (of either role), and
    those from the first day of matured decisions on; all in order of start. `earlier` are the stretch's with
    one window more before it.
    """

    since: str
    until: str
    windows: Sequence[Stored]
    before: Sequence[Stored] = ()
    matured: Sequence[Stored] | None = None
    earlier: Sequence[Stored] = ()


def calendar_of(bundle: Bundle, spec: Spec | None) -> frozenset[str]:
    """The features that are functions of the event's time alone."""
    follows = {f.name for f in spec.features if f.op in CALENDAR_OPS} if spec else set()
    return frozenset(follows & {feature.name for feature in bundle.features})


def matured_days(watch: PerformanceWatch, delay_s: int, until: str) -> tuple[str, str]:
    """[since, until) of the days, as midnights, whose decisions' labels are known by a moment.

    >>> matured_days(PerformanceWatch(days=2), 7 * DAY_S, "2026-11-24T16:00:00Z")
    ('2026-11-15T00:00:00Z', '2026-11-17T00:00:00Z')

    Labels that take no time have matured today too.
    """
    end_s = floor(seconds(until) - delay_s, DAY_S) + (0 if delay_s else DAY_S)
    midnight = day(end_s) + "T00:00:00Z"
    return later(midnight, -watch.days * DAY_S), midnight


def look(subject: Subject, read: Read, *, challenger: bool = False) -> Looked:
    """Compare, judge and sum up."""
    stretches = _stretches(subject, read)
    whole, *newest = stretches
    verdict = drift_verdict(subject.watch.drift, [(s.comparison, s.since, s.until) for s in stretches])
    performance = _performance(subject, read) if read.matured is not None else None
    if performance:
        worse = fared.findings(subject.watch.performance, subject.bundle, performance)
        verdict = Verdict(verdict.judged, (*verdict.findings, *worse))
    labels = (sketch for window in read.windows for sketch in window.tally.labels.values())
    return Looked(
        model=subject.bundle.version,
        challenger=challenger,
        whole=whole,
        newest=newest[0] if newest else None,
        verdict=verdict,
        performance=performance,
        arrived=fared.fared(labels),
    )


def series(subject: Subject, read: Read) -> tuple[Point, ...]:
    """Each window that has anything in it, compared with the same reference."""
    labelled: dict[str, int] = {}
    for window in read.windows:
        labelled[window.start] = labelled.get(window.start, 0) + window.tally.labelled
    return tuple(
        Point(start, _compared(subject, read, start, later(start, WINDOW_S)), labelled[start])
        for start in _starts(read.windows)
    )


def counts(subject: Subject, read: Read) -> tuple[Distribution, ...]:
    """The histograms behind the whole stretch's comparison."""
    return distributions(
        subject.bundle, _sum(subject.layout, read.windows), _seasonal(subject, read, read.since, read.until)
    )


def _stretches(subject: Subject, read: Read) -> list[Stretch]:
    """All of it, and the newest windows that have decisions enough, where those are fewer."""
    whole = Stretch(read.since, read.until, _compared(subject, read, read.since, read.until))
    if not is_enough(subject.watch.drift, whole.comparison):
        return [whole]
    for first in reversed(_starts(read.windows)[1:]):
        newest = Stretch(first, read.until, _compared(subject, read, first, read.until))
        same = newest.comparison.reference == whole.comparison.reference
        if same and is_enough(subject.watch.drift, newest.comparison):
            return [whole, newest]
    return [whole]


def _compared(subject: Subject, read: Read, since: str, until: str) -> Comparison:
    window = _sum(subject.layout, _between(read.windows, since, until))
    return compare(subject.bundle, window, _seasonal(subject, read, since, until), subject.calendar)


def _seasonal(subject: Subject, read: Read, since: str, until: str) -> DecidedSketch | None:
    """The same hours a week before, if the policy wants them and hardly a window of now is without its fellow
    then: a model's first week has only its baseline.
    """
    if subject.watch.drift.reference != SEASONAL:
        return None
    before = _between(read.before, later(since, -WEEK_S), later(until, -WEEK_S))
    then = {later(start, WEEK_S) for start in _starts(before)}
    now = _starts(_between(read.windows, since, until))
    met = sum(1 for start in now if start in then)
    return _sum(subject.layout, before) if before and met >= _COVERED * len(now) else None


def _performance(subject: Subject, read: Read) -> Performance:
    since, until = matured_days(subject.watch.performance, subject.delay_s, read.until)
    first, end = since[:10], until[:10]
    windows = read.matured or ()
    labels = [(d, sketch) for window in windows for d, sketch in window.tally.labels.items()]
    matured = fared.fared(sketch for d, sketch in labels if first <= d < end)
    young = fared.fared(sketch for d, sketch in labels if d >= end)
    decided = sum(w.tally.decisions for w in windows if since <= w.start < until)
    after = sum(w.tally.decisions for w in windows if w.start >= until)
    return Performance(
        since=first,
        until=end,
        decided=decided,
        open=max(0, decided - (matured.labelled if matured else 0)),
        waiting=max(0, after - (young.labelled if young else 0)),
        labels=matured,
        roc_auc_baseline=subject.bundle.metrics.get("roc_auc", math.nan),
        label_rate_baseline=fared.label_rate_of(subject.bundle),
    )


def enough(subject: Subject, looked: Looked) -> bool:
    """Whether the whole stretch can be judged."""
    return is_enough(subject.watch.drift, looked.whole.comparison)


def _between(windows: Iterable[Stored], since: str, until: str) -> list[Stored]:
    return [window for window in windows if since <= window.start < until]


def _starts(windows: Iterable[Stored]) -> list[str]:
    return sorted({window.start for window in windows})


def _sum(layout: Layout, windows: Iterable[Stored]) -> DecidedSketch:
    return total(layout, (window.tally.decided for window in windows))
