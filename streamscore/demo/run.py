"""The demo: from nothing to decisions on a live stream, then proof that they are what a backfill says."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import NamedTuple

import msgspec
import polars as pl
import psutil

from common.errors import InvalidInputError
from stream_features.spec import Spec
from streamscore.demo import checks, drift, findings, life, material
from streamscore.demo.coming import Coming
from streamscore.demo.drift import Acted
from streamscore.demo.flow import Flow
from streamscore.demo.life import LABELS_MORE, Lived, Plan
from streamscore.demo.looks import WINDOW_S
from streamscore.demo.material import Material
from streamscore.demo.steps import Steps
from streamscore.demo.summary import Summary
from streamscore.entity_keys import LOCAL_KEY
from streamscore.estimate.price_file import PriceTable
from streamscore.event_files import write_events
from streamscore.local import stack as local
from streamscore.local.processes import ProcessIdentity
from streamscore.local.stack import Stack
from streamscore.producer.records import Selection, new_trace, records
from streamscore.producer.stream import Pace
from streamscore.progress import Progress
from streamscore.promotion import examined
from streamscore.report.content import Report
from streamscore.report.gather import gather
from streamscore.training import backfill as backfills
from streamscore.training.backfill import Backfilled, backfill
from streamscore.training.estimators import estimator
from streamscore.training.final_states import final_states
from streamscore.training.load_state import load
from streamscore.training.split import DAY_MS, Windows
from streamscore.training.tables import read_events
from streamscore.training.train import Recipe, train

TRAINED_ON = Windows(train_ms=28 * DAY_MS)
"""A demo's week has few frauds."""
FEATURES, COMING = "features.parquet", "coming.parquet"
CHAMPION = Recipe(
    windows=TRAINED_ON, estimator=estimator("sklearn.linear_model.LogisticRegression", '{"max_iter": 1000}')
)
CHALLENGER = Recipe(windows=TRAINED_ON)
"""What a team begins with, and what it tries next: a forest on the same data."""


@dataclass(frozen=True)
class Options:
    """What to replay and how; without ``events``, transactions are simulated. With ``drift``, they change
    after that: see `demo.drift`.
    """

    root: Path
    spec_path: Path | None
    spec: Spec
    events: Path | None
    simulated: material.Simulated
    rate: float
    port: int
    keep: bool
    drift: bool = False

    @property
    def folder(self) -> Path:
        """Where the demo's own files go."""
        return self.root / ".local/demo"


class Outcome(NamedTuple):
    """What a run came to, and the report of its stack."""

    summary: Summary
    report: Report


def run(options: Options, progress: Progress) -> Outcome:
    """Everything; the stack is taken down on the way out, whatever happens, unless it is to be kept."""
    material.refuse_max_age(options.spec)
    if options.drift:
        material.refuse_other_payments(options.spec)
    if options.events is not None and not options.events.is_file():
        raise InvalidInputError(f"{options.events}: no such file")
    steps = Steps(progress)
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    with ExitStack() as ending:
        with steps("Bring up the stack"):
            stack = local.up(
                options.root,
                spec=options.spec_path,
                port=options.port,
                window_s=WINDOW_S if options.drift else None,
                detached=options.keep,
            )
        ending.callback(local.down, options.root)
        prepared = _prepare(options, steps)
        _load_and_train(stack, options, prepared, steps)
        lived = _introduce(stack, options, steps)
        summary = _replay(stack, options, prepared, lived, steps)
        since = lived.began - findings.WINDOW
        with steps("Gather the report"):
            report = gather(stack, stack.name, since, datetime.now(UTC), PriceTable())
        started = _processes(stack)
        if options.keep:
            ending.pop_all()
            return _outcome(summary, report, steps)
    summary = findings.with_check(summary, checks.no_process_left(_alive(started)))
    return _outcome(summary, report, steps)


def _outcome(summary: Summary, report: Report, steps: Steps) -> Outcome:
    """The report has the run's own findings too."""
    summary = msgspec.structs.replace(summary, seconds=steps.seconds)
    parts = {"checks": summary.checks, "parity": summary.parity, "seconds": summary.seconds}
    return Outcome(summary, msgspec.structs.replace(report, **parts))


def _prepare(options: Options, steps: Steps) -> Material:
    path = options.events or options.folder / "events.parquet"
    if options.events is None:
        with steps("Simulate transactions"):
            coming = material.simulate(options.simulated, path, datetime.now(UTC).date())
            if options.drift:
                write_events(coming, options.folder / COMING)
    whole = _backfill(options.spec, path, steps)
    shift_ms = material.out_of_the_future(options.spec, whole, int(time() * 1000))
    if shift_ms:
        source, path = path, options.folder / "shifted.parquet"
        with steps("Shift into the past") as step:
            material.write_shifted(options.spec, source, shift_ms, path)
            step.note(f"by {-shift_ms // material.WEEK_MS} weeks")
        whole = _backfill(options.spec, path, steps)
    return Material(path, whole, material.last_of_history_ms(whole.time_ms, options.simulated.live))


def _backfill(spec: Spec, path: Path, steps: Steps) -> Backfilled:
    with steps("Backfill everything", "events") as step:
        whole = backfill(spec, path, key=LOCAL_KEY)
        step.advance(len(whole.ids))
    return whole


def _load_and_train(stack: Stack, options: Options, prepared: Material, steps: Steps) -> None:
    """History into the state table, and a model trained on the labels known when it ends."""
    with steps("Load history into the state", "entities") as step:
        load(
            stack,
            final_states(options.spec, prepared.path, prepared.moment_ms, key=LOCAL_KEY),
            advance=step.advance,
        )
    with steps("Train a first model") as step:
        known_ms = prepared.moment_ms - (options.spec.event.label_known_after_ms or 0)
        frame = backfills.to_frame(prepared.whole).filter(pl.Series(prepared.whole.time_ms <= known_ms))
        frame.write_parquet(options.folder / FEATURES)
        trained = train(options.folder / FEATURES, options.spec, options.folder / "bundle", CHAMPION)
        step.note(f"{trained.bundle.version} on {trained.rows:,} events")


def _introduce(stack: Stack, options: Options, steps: Steps) -> Lived:
    with steps("Register and promote it"):
        return Lived(champion=life.first_champion(stack, options.folder / "bundle"))


def _train_challenger(options: Options) -> Path:
    folder = options.folder / "challenger"
    train(options.folder / FEATURES, options.spec, folder, CHALLENGER)
    return folder


def _replay(stack: Stack, options: Options, prepared: Material, lived: Lived, steps: Steps) -> Summary:
    with steps("Start the mappings"):
        stack.start()
    with steps("Put the live stream; a model's life meanwhile", "records") as step:
        some = records(
            options.spec,
            read_events(prepared.path, options.spec),
            Selection(since_ms=prepared.moment_ms),
            new_trace,
        )
        flow = Flow(stack, options.spec, some, Pace(rate=options.rate), step)
        asked = examined.policy(stack).gate.matured_labels
        plan = Plan.of(int(prepared.live.sum()), prepared.matured_after(round(LABELS_MORE * asked)))
        life.live(stack, flow, lived, plan, lambda: _train_challenger(options))
    acted = None
    if options.drift:
        prepared, acted = _act(stack, options, prepared, lived, steps)
    with steps("Wait for every decision"):
        stack.drain(timeout_s=900)  # a slow machine works off a large file long after it is put
    with steps("Check and sum up"):
        return findings.gather(stack, options.spec, prepared, lived, acted)


def _act(
    stack: Stack, options: Options, prepared: Material, lived: Lived, steps: Steps
) -> tuple[Material, Acted]:
    """The act about drift; what is to be compared then has its payments too."""
    some = pl.concat(read_events(options.folder / COMING, options.spec))
    coming = Coming(some, options.simulated.seed)
    acted = drift.act(stack, options.spec, coming, lived.champion, steps)
    lived.sent += acted.sent
    lived.until_ms = acted.until_ms
    path = options.folder / "all-events.parquet"
    material.write_longer(options.spec, prepared.path, coming.given, path)
    return Material(path, _backfill(options.spec, path, steps), prepared.moment_ms), acted


def _processes(stack: Stack) -> dict[ProcessIdentity, str]:
    """Everything the stack runs, with its command."""
    family = [psutil.Process(stack.supervisor.pid)]
    family += family[0].children(recursive=True)
    found = {}
    for one in family:
        with suppress(psutil.Error):  # a job that has just ended
            found[ProcessIdentity(one.pid, one.create_time())] = " ".join(one.cmdline()[:3])
    return found


def _alive(started: dict[ProcessIdentity, str]) -> Sequence[str]:
    return [command for identity, command in started.items() if identity.alive()]
