"""The stream of a chaos run: simulated payments and labels, put with repeats, rubbish and new shards."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from stream_features.spec import Spec
from streamscore import simulator
from streamscore.chaos import labels
from streamscore.chaos.rubbish import RUBBISH
from streamscore.chaos.schedule import Schedule, Turn
from streamscore.event_files import write_events
from streamscore.local import reshard
from streamscore.producer.records import Selection, records
from streamscore.producer.stream import Pace, Record, put_in_order, requests_of
from streamscore.training.backfill import backfill, to_frame
from streamscore.training.estimators import estimator
from streamscore.training.split import DAY_MS, Windows
from streamscore.training.tables import read_events
from streamscore.training.train import Recipe, train

LIVE_DAYS = 5
"""Below the week by which shared entities' features are delayed: what two shards do to a terminal at the
same time is then the state's order alone, and no event's features depend on which of them was first."""
_EVENTS_A_CUSTOMER = 1.5 * LIVE_DAYS  # below the mean of 1.94 a day, so that there are always enough
_LATELY = 200
_EARLIER_MS = 3_600_000
"""By so much is the label time of a wrong word before that of the right one."""


@dataclass(frozen=True)
class Material:
    """What every run of a number of events is made of."""

    records: tuple[Record, ...]
    bundle: Path

    @property
    def events(self) -> int:
        """How many of the records are events."""
        return sum(not record.is_label for record in self.records)


@dataclass
class Sent:
    """What was done besides: repeats of events and labels, and new shards."""

    repeats: Counter[str] = field(default_factory=Counter)
    reshards: Counter[str] = field(default_factory=Counter)


def prepare(folder: Path, spec: Spec, events: int) -> Material:
    """Simulate the stream, and train a small model on the weeks before it."""
    folder.mkdir(parents=True)
    last = datetime.now(UTC).date() - timedelta(days=LIVE_DAYS + 9)  # the last label is in the past too
    customers = 10 + int(events / _EVENTS_A_CUSTOMER)
    live = _simulated(customers, customers // 2, LIVE_DAYS, last, seed=1).head(events)
    write_events(live, folder / "live.parquet")
    made = records(spec, read_events(folder / "live.parquet", spec), Selection())
    return Material(tuple(interleaved(spec, list(made))), _model(folder, spec, last))


def interleaved(spec: Spec, made: Sequence[Record]) -> Iterator[Record]:
    """The same events in their order, and labels where and as often as `labels` says."""
    right = {_id(spec, record): record for record in made if record.is_label}
    events = [record for record in made if not record.is_label]
    for item in labels.order(len(events)):
        if isinstance(item, int):
            yield events[item]
        else:
            label = right[_id(spec, events[item.event])]
            yield label if item.right else _wrong(spec, label)


def put(producer: Any, owner: Any, arn: str, some: Sequence[Record], schedule: Schedule) -> Sent:
    """Put all of it as the schedule says, in order for each key; the `owner` of the stream reshards it."""
    sent, number = Sent(), 0
    marks = _reshards(len(some)) if schedule.reshards else {}
    for request in put_in_order(producer, arn, requests_of(_disturbed(some, schedule, sent), Pace())):
        for mark in sorted(mark for mark in marks if number < mark <= number + len(request)):
            marks[mark](owner, arn.rpartition("/")[2])
            sent.reshards[marks[mark].__name__] += 1
        number += len(request)
    return sent


def _simulated(customers: int, terminals: int, days: int, start: Any, seed: int) -> pl.DataFrame:
    return simulator.to_frame(simulator.simulate(simulator.Scale(customers, terminals, days, start), seed))


def _model(folder: Path, spec: Spec, until: Any) -> Path:
    history = _simulated(100, 200, 40, until - timedelta(days=40), seed=2)
    write_events(history, folder / "history.parquet")
    to_frame(backfill(spec, folder / "history.parquet")).write_parquet(folder / "features.parquet")
    few = estimator("sklearn.ensemble.RandomForestClassifier", '{"n_estimators": 10, "max_depth": 8}')
    recipe = Recipe(windows=Windows(train_ms=25 * DAY_MS), estimator=few)
    train(folder / "features.parquet", spec, folder / "bundle", recipe)
    return folder / "bundle"


def _id(spec: Spec, record: Record) -> str:
    return str(msgspec.json.decode(record.data)[spec.event.id])


def _wrong(spec: Spec, label: Record) -> Record:
    """The opposite, of a label time that is before."""
    told, name = msgspec.json.decode(label.data), spec.event.label or ""
    at = datetime.fromisoformat(told["label_time"]) - timedelta(milliseconds=_EARLIER_MS)
    told |= {name: not told[name], "label_time": at.isoformat()}
    return label._replace(data=msgspec.json.encode(told))


def _reshards(count: int) -> Mapping[int, Any]:
    """What is done to the stream's shards after so many records."""
    return {count // 4: reshard.split, count // 2: reshard.split, 3 * count // 4: reshard.merge}


def _disturbed(some: Sequence[Record], schedule: Schedule, sent: Sent) -> Iterator[Record]:
    for number, record in enumerate(some):
        yield record
        match schedule.turn(number):
            case Turn.REPEATED:
                lately = some[max(0, number - _LATELY) : number + 1]
                again = lately[schedule.one_of(len(lately), number)]
                sent.repeats["label" if again.is_label else "event"] += 1
                yield again
            case Turn.BROKEN:
                rubbish = RUBBISH[schedule.one_of(len(RUBBISH), number)]
                yield Record(record.time_ms, record.key, rubbish)
