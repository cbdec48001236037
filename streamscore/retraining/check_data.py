"""State CheckData: is what came under raw-data/ good enough to learn from, and does it say anything new?"""

import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl
from sklearn.metrics import roc_auc_score

from common.errors import InvalidInputError
from scoring import bundle as bundle_format
from scoring.bundle import Bundle
from scoring.model import Model
from scoring.retrain import Retrain
from stream_features.spec import Spec
from streamscore.entity_keys import key_of_stack
from streamscore.parity.served import running_spec
from streamscore.promotion import examined
from streamscore.retraining import history
from streamscore.retraining.chance import SIGMAS, least_auc, standard_error
from streamscore.retraining.cleaning import Cleaned, clean
from streamscore.retraining.place import Run, checked_key, put_json
from streamscore.retraining.quality import Part, Quality, quality, unreadable, with_part
from streamscore.training import bundles

REPORT, REFUSED = "report.json", "refused.jsonl"
SIGNAL = "labels fit"
_SHOWN = 5


class _Measure(NamedTuple):
    """What files are held against; without a champion there is no model."""

    spec: Spec
    rules: Retrain
    champion: Model | None


class _File(NamedTuple):
    """A raw file and what is known of it. `path` is the cleaned one, None where there is nothing to learn."""

    key: str
    quality: Quality
    found: Cleaned | None
    path: Path | None
    aside: Path


def check_data(run: Run) -> dict[str, Any]:
    """Check each file that the run's reasons name; a report beside each, a cleaned file where it is good."""
    asked = run.read("request.json")
    rules = examined.policy(run.place).retrain
    measure = _Measure(running_spec(run.place), rules, opened(run, asked["champion"]))
    files = [_read(run, measure, key, n) for n, key in enumerate(asked["objects"])]
    files, drift = _against_history(run, measure, files)
    reports = [_report(run, measure, file, drift) for file in files]
    accepted = sum(file.path is not None for file in files)
    highest = max(drift.values(), default=0.0) if drift is not None else None
    teaches = accepted > 0 and (highest is None or highest >= rules.drift)
    return {
        "files": reports,
        "accepted": accepted,
        "drift": highest,
        "drifted": dict(list((drift or {}).items())[:_SHOWN]),
        "teaches": teaches,
        "text": _text(reports, highest, rules, teaches),
    }


def opened(run: Run, version: str) -> Model | None:
    """The registered model of that version; None for "". InvalidInputError if it is not there."""
    if not version:
        return None
    stored = bundles.stored(run.place.client("s3"), run.place.bucket, version)
    if stored is None:
        raise InvalidInputError(f"the champion {version} is not registered: `streamscore rollback`")
    return Model.load(*stored)


def _read(run: Run, measure: _Measure, key: str, n: int) -> _File:
    cleaned, aside = run.scratch / f"cleaned-{n}.parquet", run.scratch / f"refused-{n}.jsonl"
    source = run.scratch / f"{n}-{Path(key).name}"
    try:
        run.download(key, source.name)
        secret, now_ms = key_of_stack(run.place, measure.spec), time.time_ns() // 1_000_000
        found = clean(source, measure.spec, cleaned, aside, now_ms, secret)
    except InvalidInputError as error:
        told = str(error).replace(str(source), key)
        return _File(key, unreadable(told), None, None, aside)
    finally:
        source.unlink(missing_ok=True)
    expected = _share_of(measure.champion.bundle) if measure.champion else None
    scored = quality(found.counts, expected)
    return _File(key, scored, found, cleaned if scored.score >= measure.rules.quality else None, aside)


def _share_of(champion: Bundle) -> float | None:
    period = champion.train or champion.test
    return period.positives / period.rows if period.rows else None


def _against_history(
    run: Run, measure: _Measure, files: list[_File]
) -> tuple[list[_File], dict[str, float] | None]:
    """The files again, judged by their features too, and the drift of those that are good (None: no
    champion, or no good file). The features of all history are kept for the training set.
    """
    good = [file for file in files if file.path is not None]
    if not good:
        return files, None
    before = history.cleaned(run, [file.key for file in files])
    features = history.backfilled(measure.spec, [*_paths(good), *before], run.scratch)
    judged = [_judged(measure, features, file) for file in files]
    still = [file for file in judged if file.path is not None]
    if len(still) < len(good) and still:
        features = history.backfilled(measure.spec, [*_paths(still), *before], run.scratch)
    if not still:
        return judged, None
    run.upload(features, run.key(history.FEATURES))
    if measure.champion is None:
        return judged, None
    rows = history.new_rows(measure.spec, features, _paths(still))
    return judged, history.drift_of(measure.spec, rows, measure.champion.bundle)


def _paths(files: list[_File]) -> list[Path]:
    return [file.path for file in files if file.path is not None]


def _judged(measure: _Measure, features: Path, file: _File) -> _File:
    """With the part `labels fit`: by the champion's ranking, the labels are not just any."""
    if file.path is None or measure.champion is None:
        return file
    rows = history.new_rows(measure.spec, features, [file.path])
    part = label_signal(measure.spec, rows, measure.champion)
    scored = with_part(file.quality, SIGNAL, part)
    return file._replace(quality=scored, path=file.path if scored.score >= measure.rules.quality else None)


def label_signal(spec: Spec, rows: pl.DataFrame, champion: Model) -> Part:
    """Whether labels rank above chance under a champion that could tell: 0 if not, 1 if so or if it cannot.

    A champion could tell if its own ROC AUC is twice as far above a half as chance goes on so many labels.
    """
    places = bundle_format.columns(champion.bundle, spec.feature_names, spec.definition_hashes)
    labelled = rows.filter(pl.col(spec.event.label or "").is_not_null())
    labels = labelled[spec.event.label or ""].cast(pl.Boolean).to_numpy()
    positives = int(labels.sum())
    negatives = len(labels) - positives
    promised = champion.bundle.metrics.get("roc_auc", 0.5)
    if places is None or promised - 0.5 < 2 * SIGMAS * standard_error(positives, negatives):
        return Part(1.0, f"{positives:,} positive labels: the champion cannot tell whether they fit")
    auc = float(roc_auc_score(labels, champion.scores(history.vectors(spec, labelled)[:, places])))
    least = least_auc(positives, negatives)
    seen = f"the champion ranks them with ROC AUC {auc:.4f}, {promised:.4f} in its own test; chance is below"
    return Part(float(auc > least), f"{seen} {least:.4f}")


def _report(run: Run, measure: _Measure, file: _File, drift: dict[str, float] | None) -> dict[str, Any]:
    """Leave what was found beside the file, and the cleaned file if it may teach."""
    report: dict[str, Any] = {
        "key": file.key,
        "run": run.name,
        "accepted": file.path is not None,
        "quality": file.quality.score,
        "least": measure.rules.quality,
        "parts": msgspec.to_builtins(file.quality.parts),
        "rows": file.found.counts.rows if file.found else 0,
        "drift": drift if file.path is not None else None,
    }
    if file.found:
        report |= {
            "refused": file.found.reasons,
            "counts": msgspec.to_builtins(file.found.counts),
            "first_ms": file.found.first_ms,
            "last_ms": file.found.last_ms,
        }
        if file.found.reasons:
            run.upload(file.aside, checked_key(file.key, REFUSED))
    if file.path is not None:
        run.upload(file.path, checked_key(file.key, history.CLEANED))
    put_json(run.place, checked_key(file.key, REPORT), report)
    return report


def _text(reports: list[dict[str, Any]], drift: float | None, rules: Retrain, teaches: bool) -> str:
    lines = [
        f"{report['key']}: quality {report['quality']:.2f}"
        + ("" if report["accepted"] else f", below {rules.quality:g}: {_worst(report)}")
        for report in reports
    ]
    if drift is not None:
        enough = "" if teaches else f", below {rules.drift:g}: nothing new to learn from"
        lines.append(f"drift {drift:.3f}{enough}")
    return "; ".join(lines)


def _worst(report: dict[str, Any]) -> str:
    name, part = min(report["parts"].items(), key=lambda item: float(item[1]["value"]))
    return f"{name} {part['value']:.2f}, {part['seen']}"
