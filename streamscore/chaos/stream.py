"""The stream of a chaos run: simulated payments and labels, put with repeats, rubbish and new shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from stream_features.spec import Spec
from streamscore import simulator
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


@dataclass(frozen=True)
class Material:
    """What every run of a number of events is made of."""

    records: tuple[Record, ...]
    bundle: Path


def prepare(folder: Path, spec: Spec, events: int) -> Material:
    """Simulate the stream, and train a small model on the weeks before it."""
    folder.mkdir(parents=True)
    last = datetime.now(UTC).date() - timedelta(days=LIVE_DAYS + 9)  # the last label is in the past too
    customers = 10 + int(events / _EVENTS_A_CUSTOMER)
    live = _simulated(customers, LIVE_DAYS, last, seed=1).head(events)
    write_events(live, folder / "live.parquet")
    made = records(spec, read_events(folder / "live.parquet", spec), Selection())
    return Material(tuple(made), _model(folder, spec, last))


def _simulated(customers: int, days: int, start: Any, seed: int) -> pl.DataFrame:
    return simulator.to_frame(
        simulator.simulate(simulator.Scale(customers, 2 * customers, days, start), seed)
    )


def _model(folder: Path, spec: Spec, until: Any) -> Path:
    write_events(_simulated(100, 40, until - timedelta(days=40), seed=2), folder / "history.parquet")
    to_frame(backfill(spec, folder / "history.parquet")).write_parquet(folder / "features.parquet")
    few = estimator("sklearn.ensemble.RandomForestClassifier", '{"n_estimators": 10, "max_depth": 8}')
    recipe = Recipe(windows=Windows(train_ms=25 * DAY_MS), estimator=few)
    train(folder / "features.parquet", spec, folder / "bundle", recipe)
    return folder / "bundle"


def put(kinesis: Any, stream: str, arn: str, some: Sequence[Record], schedule: Schedule) -> int:
    """Put all of it as the schedule says, in order for each key; returns how many could not be parsed."""
    broken = 0
    marks = {len(some) // 4: reshard.split, len(some) // 2: reshard.split, 3 * len(some) // 4: reshard.merge}
    number = 0
    for request in put_in_order(kinesis, arn, requests_of(_disturbed(some, schedule), Pace())):
        broken += sum(record.data == RUBBISH for record in request)
        for mark in sorted(mark for mark in marks if number < mark <= number + len(request)):
            if schedule.reshards:
                marks[mark](kinesis, stream)
        number += len(request)
    return broken


RUBBISH = b'{"not": json'


def _disturbed(some: Sequence[Record], schedule: Schedule) -> Iterator[Record]:
    for number, record in enumerate(some):
        yield record
        match schedule.turn(number):
            case Turn.REPEATED:
                lately = some[max(0, number - _LATELY) : number + 1]
                yield lately[schedule.one_of(len(lately), number)]
            case Turn.BROKEN:
                yield Record(record.time_ms, record.key, RUBBISH)
