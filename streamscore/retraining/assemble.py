"""State AssembleTrainingSet: what was served, with matured labels, and raw data backfilled, as one table."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from scoring.retrain import Retrain
from stream_features.spec import Spec, to_json
from streamscore.decided.stored import Decided
from streamscore.parity.served import running_spec
from streamscore.promotion import examined
from streamscore.retraining import history
from streamscore.retraining.agreement import Agreement, agreement
from streamscore.retraining.place import Run

_LEAST_ROWS = 20


def assemble(run: Run) -> dict[str, Any]:
    """Write the training set where the training job looks for it; what it is made of, and if it is sound."""
    spec, rules = running_spec(run.place), examined.policy(run.place).retrain
    served, left_out = served_rows(run, spec, time.time_ns() // 1_000_000)
    raw = _raw_rows(run, spec)
    agreed = agreed_on(spec, served, raw)
    table = _united(spec, served, raw)
    whole = run.scratch / "features.parquet"
    table.write_parquet(whole)
    run.upload(whole, run.key("training/features.parquet"))
    (run.scratch / "spec.json").write_bytes(to_json(spec))
    run.upload(run.scratch / "spec.json", run.key("training/spec.json"))
    rows, positives = table.height, int(table[_label(spec)].sum()) if table.height else 0
    wrong = _unsound(rows, positives, agreed, rules)
    return {
        "sound": not wrong,
        "text": wrong or f"{rows:,} labelled events, {positives:,} positive",
        "rows": rows,
        "positives": positives,
        "served": served.height,
        "raw": raw.height,
        "left_out": left_out,
        "overlap": agreed.events,
        "agreement": agreed.vectors,
        "label_agreement": agreed.labels,
        "differing": dict(list(agreed.differing.items())[:10]),
    }


def served_rows(run: Run, spec: Spec, now_ms: int) -> tuple[pl.DataFrame, dict[str, int]]:
    """FEATURES of decisions whose labels have matured, as served; and how many were left out, why."""
    left_out = {"label open": 0, "label too young": 0, "of another spec": 0}
    kept: list[Decided] = []
    for one in examined.recorded(run.place, now_ms):
        decision = one.decision
        if one.label is None:
            left_out["label open"] += 1
        elif decision.event_time_ms + (spec.event.label_known_after_ms or 0) > now_ms:
            left_out["label too young"] += 1
        elif decision.spec_sha != spec.sha256 or len(decision.features) != 4 * len(spec.features):
            left_out["of another spec"] += 1
        else:
            kept.append(one)
    return _served_frame(spec, kept), {why: n for why, n in left_out.items() if n}


def agreed_on(spec: Spec, served: pl.DataFrame, raw: pl.DataFrame) -> Agreement:
    """How far both tell the same of the events that are in both."""
    both = served.join(raw, on=spec.event.id, how="inner", suffix="@raw", maintain_order="left")
    names, label = spec.feature_names, _label(spec)
    sides = [
        history.vectors(spec, both.select(pl.col(f"{name}{suffix}").alias(name) for name in names))
        for suffix in ("", "@raw")
    ]
    labels = [both[f"{label}{suffix}"].cast(pl.Boolean).to_numpy() for suffix in ("", "@raw")]
    return agreement(sides[0], sides[1], labels[0], labels[1], names)


def _served_frame(spec: Spec, kept: list[Decided]) -> pl.DataFrame:
    data = b"".join(one.decision.features for one in kept)
    table = np.frombuffer(data, "<f4").reshape(len(kept), len(spec.features))
    primary, *others = spec.entities
    columns: dict[str, Any] = {
        spec.event.id: pl.Series([one.id for one in kept], dtype=pl.String),
        spec.event.time: pl.Series([one.decision.event_time_ms for one in kept], dtype=pl.Int64),
        primary.field: pl.Series([one.decision.entity for one in kept], dtype=pl.String),
    }
    for entity in others:
        found = [one.decision.entities.get(entity.name, "") for one in kept]
        columns[entity.field] = pl.Series(found, dtype=pl.String)
    columns |= {name: pl.Series(table[:, n]) for n, name in enumerate(spec.feature_names)}
    columns[_label(spec)] = pl.Series([one.label for one in kept], dtype=pl.Boolean)
    frame = pl.DataFrame(columns)
    return frame.with_columns(pl.col(spec.event.time).cast(pl.Datetime("ms", "UTC")))


def _raw_rows(run: Run, spec: Spec) -> pl.DataFrame:
    """The labelled rows of the backfilled history; the check of this run may have left it."""
    path = _history(run, spec)
    if path is None:
        return _served_frame(spec, [])
    label = _label(spec)
    table = pl.scan_parquet(path)
    if label not in table.collect_schema():
        return _served_frame(spec, [])
    return table.filter(pl.col(label).is_not_null()).with_columns(pl.col(label).cast(pl.Boolean)).collect()


def _history(run: Run, spec: Spec) -> Path | None:
    key, s3 = run.key(history.FEATURES), run.place.client("s3")
    if s3.list_objects_v2(Bucket=run.place.bucket, Prefix=key).get("KeyCount", 0):
        return run.download(key, history.FEATURES)
    files = history.cleaned(run)
    return history.backfilled(spec, files, run.scratch) if files else None


def _united(spec: Spec, served: pl.DataFrame, raw: pl.DataFrame) -> pl.DataFrame:
    """Each event once, as it was served where it was; by time."""
    fresh = raw.join(served.select(spec.event.id), on=spec.event.id, how="anti")
    return pl.concat([served, fresh.select(served.columns)]).sort(spec.event.time, maintain_order=True)


def _unsound(rows: int, positives: int, agreed: Agreement, rules: Retrain) -> str:
    if rows < _LEAST_ROWS or not 0 < positives < rows:
        return (
            f"{rows:,} labelled events, {positives:,} positive: too few, or of one kind only, to learn from"
        )
    if agreed.vectors < rules.agreement:
        worst = ", ".join(f"{name} ({n:,})" for name, n in list(agreed.differing.items())[:3])
        return (
            f"{agreed.events:,} events were served and are in raw data; {agreed.vectors:.2%} have equal "
            f"features, at least {rules.agreement:.2%} must; different: {worst}: raw data begins too late, "
            "or is of another source (`streamscore parity` says more)"
        )
    if agreed.labels < rules.agreement:
        return (
            f"{agreed.events:,} events were served and are in raw data; {agreed.labels:.2%} have equal "
            f"labels, at least {rules.agreement:.2%} must: the file's labels are not those on the stream"
        )
    return ""


def _label(spec: Spec) -> str:
    return spec.event.label or "@label"
