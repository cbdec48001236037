"""Gathers what a look needs from a stack's store: which models, what policy, which windows."""

from dataclasses import dataclass
from typing import NamedTuple

from common.errors import InvalidInputError
from common.telemetry import logger
from monitor.look import Looked, Read, Subject, calendar_of, look, matured_days
from monitor.store import Store
from monitor.times import WEEK_S, WINDOW_S, later
from scoring.watch import Watch


class Watched(NamedTuple):
    """A stretch of windows: the model that decided, its challenger beside it, what the policy bears."""

    since: str
    until: str
    watch: Watch
    champion: "Seen"
    challenger: "Seen | None"


@dataclass(frozen=True, slots=True)
class Seen:
    """A look at one model, and what it was made of: for series and histograms, see `look.series`."""

    looked: Looked
    subject: Subject
    read: Read


def watched(
    store: Store, since: str, until: str, *, version: str | None = None, performance: bool = True
) -> Watched | None:
    """A look at the windows with since <= start < until of a model (by default the champion) and of the
    challenger; None if no model is promoted.

    `performance` reads the windows of some days more. InvalidInputError if the version has no bundle.
    """
    pointed = store.pointed()
    watch = store.policy(pointed.policy).monitoring
    named = version or pointed.champion
    if named is None:
        return None
    reads = (since, until, watch, performance)
    other = pointed.challenger if pointed.challenger != named else None
    champion = _seen(store, named, reads)
    return Watched(since, until, watch, champion, _challenger(store, other, reads))


_Reads = tuple[str, str, Watch, bool]


def _challenger(store: Store, version: str | None, reads: _Reads) -> Seen | None:
    """A challenger without a bundle is none: it scores nothing."""
    if version is None or store.bundle(version) is None:
        return None
    return _seen(store, version, reads, challenger=True)


def _seen(store: Store, version: str, reads: _Reads, *, challenger: bool = False) -> Seen:
    since, until, watch, performance = reads
    bundle = store.bundle(version)
    if bundle is None:
        raise InvalidInputError(
            f"model {version} is not registered; `streamscore models` lists those that are"
        )
    spec, layout = store.spec(bundle), store.model(version).layout
    if spec is None:
        logger().warning("a bundle's spec is not published", extra={"version": version})
    delay_s = ((spec.event.label_known_after_ms or 0) if spec else 0) // 1000
    subject = Subject(bundle, layout, watch, calendar_of(bundle, spec), delay_s)
    whole_days = matured_days(watch.performance, delay_s, until)[0] if performance else since
    earlier = later(since, -WINDOW_S)
    stored = store.windows(version, min(earlier, whole_days), until, layout)
    own = [window for window in stored if window.who.challenger == challenger]
    before = store.windows(version, later(earlier, -WEEK_S), later(until, -WEEK_S), layout)
    read = Read(
        since,
        until,
        windows=[window for window in own if window.start >= since],
        before=before,
        matured=own if performance else None,
        earlier=[window for window in own if window.start >= earlier],
    )
    return Seen(look(subject, read, challenger=challenger), subject, read)
