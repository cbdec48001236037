"""A bundle's scores of a FEATURES file's labelled rows, measured: of the rows after its training, or as the
protocol of the Handbook has it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from common.errors import InvalidInputError
from scoring import bundle as bundles
from scoring.bundle import Bundle
from scoring.model import Model
from scoring.policy import Policy
from stream_features.spec import Spec
from streamscore.evaluation.cards import unknown
from streamscore.evaluation.evaluate import compare, measures
from streamscore.evaluation.measured import Evaluation, Reference
from streamscore.evaluation.rows import Labels, Rows
from streamscore.moments import rfc3339
from streamscore.training import bundles as folders
from streamscore.training.labelled import Table, read_table
from streamscore.training.split import DAY_MS, Windows
from streamscore.training.train import Recipe, Trained, train

WEEK_MS = 7 * DAY_MS
CAPACITY = 100
"""The Handbook's k."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look at: by default the rows after the bundle's training, else those of the Handbook's protocol
    whose training week starts at `handbook_start_ms`. `amount` names a feature.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    handbook_start_ms: int | None = None
    capacity: int | None = None
    amount: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """Every labelled row of the file (`history`, without scores), and those that were asked for, scored."""

    bundle: Bundle
    model: Model
    table: Table
    history: Rows
    rows: Rows
    notes: tuple[str, ...] = ()


def evaluate(folder: Path, path: Path, spec: Spec, policy: Policy, asked: Asked) -> Evaluation:
    """The bundle in `folder` on the labelled rows of `path`. InvalidInputError if they do not fit."""
    if asked.handbook_start_ms is not None:
        return _handbook(folder, path, spec, policy, asked)
    scored = score(folder, path, spec, asked)
    fresh = unknown(scored.history, scored.rows, -(-Windows.of(spec).gap_ms // DAY_MS))
    return _evaluation(scored, policy, asked, scored.rows, fresh)


def _handbook(folder: Path, path: Path, spec: Spec, policy: Policy, asked: Asked) -> Evaluation:
    """The Handbook's protocol: train a week, a week of delay, test the week after that.

    Entities known to be defrauded are out of the test set. If `folder` is not there, the default forest is
    trained into it, and its own predictions are compared with the bundle's.
    """
    start_ms = asked.handbook_start_ms or 0
    if start_ms % DAY_MS:
        raise InvalidInputError(
            "--start: the protocol's weeks begin with a day; give a date such as 2018-07-25"
        )
    since_ms, until_ms = start_ms + 2 * WEEK_MS, start_ms + 3 * WEEK_MS
    trained = None
    if not folder.exists():
        recipe = Recipe(windows=Windows(WEEK_MS, WEEK_MS, WEEK_MS), until_ms=until_ms)
        trained = train(path, spec, folder, recipe)
    scored = score(folder, path, spec, replace(asked, since_ms=since_ms, until_ms=until_ms))
    _refuse_other_training(folder, scored.bundle, start_ms)
    fresh = unknown(scored.history, scored.rows, WEEK_MS // DAY_MS, start_ms // DAY_MS)
    rows = scored.rows.only(fresh)
    found = _evaluation(scored, policy, asked, rows, np.ones(len(rows.labels), bool))
    known = int((~fresh).sum())
    reference = None if trained is None else _reference(trained, scored, rows, fresh)
    return msgspec.structs.replace(found, protocol="handbook", known=known, reference=reference)


def score(folder: Path, path: Path, spec: Spec, asked: Asked) -> Scored:
    """The asked rows with the bundle's scores; InvalidInputError if there are none, or of other features."""
    bundle_json, onnx_model, bundle = folders.read(folder)
    columns = bundles.columns(bundle, spec.feature_names, spec.definition_hashes)
    if columns is None:
        raise InvalidInputError(
            f"{folder}: asks for features that this spec does not have, or defines otherwise; "
            "give its own --spec"
        )
    if asked.amount is not None and asked.amount not in spec.feature_names:
        raise InvalidInputError(f"--amount {asked.amount}: is no feature of the spec")
    table = read_table(path, spec, (spec.entities[0].field,))
    since_ms = _after_training(bundle) if asked.since_ms is None else asked.since_ms
    mask = (table.times >= since_ms) & (table.times < (asked.until_ms or np.iinfo(np.int64).max))
    if not mask.any():
        raise InvalidInputError(
            f"{path}: has no labelled row since {rfc3339(since_ms)}, where the bundle's training ends"
            if asked.since_ms is None
            else f"{path}: has no labelled row in the time asked for"
        )
    model = Model.load(bundle_json, onnx_model)
    chosen = table.only(mask)
    history = _rows(table, spec, asked.amount)
    rows = replace(history.only(mask), scores=model.scores(chosen.features[:, columns]))
    return Scored(bundle, model, chosen, history, rows, _notes(bundle, since_ms))


def _rows(table: Table, spec: Spec, amount: str | None) -> Rows:
    entities = table.columns[spec.entities[0].field].rank("dense").to_numpy() - 1
    amounts = None if amount is None else table.features[:, spec.feature_names.index(amount)].astype(float)
    return Rows(
        days=table.times // DAY_MS,
        entities=entities.astype(np.int64),
        labels=table.labels,
        scores=np.zeros(len(table.times)),
        amounts=None if amounts is None else np.nan_to_num(amounts),
    )


def _evaluation(scored: Scored, policy: Policy, asked: Asked, rows: Rows, fresh: Labels) -> Evaluation:
    bundle = scored.bundle
    capacity = asked.capacity or policy.daily_review_capacity or CAPACITY
    limits = policy.limits(bundle.version, bundle.thresholds)
    times = scored.table.times
    return Evaluation(
        version=bundle.version,
        estimator=bundle.estimator,
        protocol=None,
        since=rfc3339(int(times.min())),
        until=rfc3339(int(times.max()) + 1),
        rows=len(rows.labels),
        positives=int(rows.labels.sum()),
        days=len(np.unique(rows.days)),
        known=int((~fresh).sum()),
        capacity=capacity,
        measures=measures(rows, limits, capacity, rows.only(fresh)),
        notes=scored.notes,
    )


def _reference(trained: Trained, scored: Scored, rows: Rows, fresh: Labels) -> Reference:
    predictions = trained.fitted.predict_proba(scored.table.features[fresh])[:, 1]
    return compare(rows, predictions, scored.bundle.thresholds)


def _after_training(bundle: Bundle) -> int:
    """The start of its test: before that its training, and labels that training waited for."""
    return _ms(bundle.test.since)


def _notes(bundle: Bundle, since_ms: int) -> tuple[str, ...]:
    if bundle.train is not None and since_ms < _ms(bundle.train.until):
        return (
            f"some of these rows trained the model (until {bundle.train.until}): it looks better than it is",
        )
    return ()


def _refuse_other_training(folder: Path, bundle: Bundle, start_ms: int) -> None:
    if bundle.train is None or (_ms(bundle.train.since), _ms(bundle.train.until)) != (
        start_ms,
        start_ms + WEEK_MS,
    ):
        span = "an unknown time" if bundle.train is None else f"{bundle.train.since} to {bundle.train.until}"
        raise InvalidInputError(
            f"{folder}: was trained on {span}, the protocol trains on {rfc3339(start_ms)} to "
            f"{rfc3339(start_ms + WEEK_MS)}; give a folder that is not there yet, to train the default forest"
        )


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
