"""Rows of features on their way to decisions, whichever path they came by."""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from common.errors import InvalidInputError
from common.telemetry import count, measure
from scoring.decisions import Written
from scoring.items import Decision, Item, kept_values, to_item
from scoring.judge import Judged
from scoring.rules import Batch
from stream_features.spec import Spec
from stream_features.state import Row

_DECIDED = {"approve": "DecisionsApproved", "review": "DecisionsReviewed", "block": "DecisionsBlocked"}


def batch(spec: Spec | None, rows: Sequence[Row]) -> Batch:
    """The rows' vectors as one matrix, without touching a value, and what rules look at beside them; none of
    an unknown spec, which no rule reads.

    InvalidInputError if a vector has another length than its spec's: it would shift all after it.
    """
    if spec is None:
        return Batch(np.empty((len(rows), 0), np.float32), [()] * len(rows))
    vectors = [row.vector for row in rows]
    width = len(spec.features)
    if any(len(vector) != 4 * width for vector in vectors):
        raise InvalidInputError(f"out: a vector is not one of spec {spec.sha256}'s {width} features")
    matrix = np.frombuffer(b"".join(vectors), "<f4").reshape(len(rows), width)
    return Batch(matrix, [row.kept for row in rows], [row.entities for row in rows])


def items(
    spec: Spec | None, spec_sha: str, rows: Sequence[Row], judged: Judged, source: str
) -> Iterator[Item]:
    """The item of each row's decision, in order; `source` is `stream` or `api`."""
    scored_at_ms = time.time_ns() // 1_000_000
    others = [entity.name for entity in spec.entities[1:]] if spec else []
    scores = judged.each_score()
    for n, row in enumerate(rows):
        yield to_item(
            Decision(
                id=row.id,
                entity=row.entities[0],
                event_time_ms=row.time_ms,
                arrival_ms=row.arrival_ms,
                scored_at_ms=scored_at_ms,
                score=scores[n],
                verdict=judged.verdicts[n],
                reasons=judged.reasons[n],
                absent=judged.absence(scores[n]),
                model=judged.model,
                policy=judged.policy,
                spec_sha=spec_sha,
                features=row.vector,
                kept=kept_values(spec, row.kept) if spec else {},
                trace=row.trace,
                source=source,
                entities=dict(zip(others, row.entities[1:], strict=True)) if others else {},
                challenger=judged.shadow(n),
            )
        )
    count("RowsScored", len(rows) if judged.model else 0)


def tally(written: Written) -> None:
    """Count what became of decisions and labels, and what the challenger would have made of them."""
    count("DecisionsMade", len(written.made))
    for decision, metric in _DECIDED.items():
        count(metric, sum(item["decision"]["S"] == decision for item in written.made))
    count("DecisionsRepeated", len(written.stood))
    count("LabelsStored", written.labels)
    measure("DecisionLatency", [float(item["latency_ms"]["N"]) for item in written.made])
    shadowed = [(i["decision"]["S"], i["challenger"]["M"]) for i in written.made if "challenger" in i]
    agreed = sum(decision == would["decision"]["S"] for decision, would in shadowed)
    count("ChallengerAgreed", agreed)
    count("ChallengerFlips", len(shadowed) - agreed)
    count("ChallengerAlerts", sum(would["decision"]["S"] != "approve" for _, would in shadowed))
