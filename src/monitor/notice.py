"""The bus event `DriftFound`: what it says, and when there is something to say. Pure."""

from dataclasses import asdict, replace
from typing import Any

from monitor.judge import Verdict
from monitor.look import look
from monitor.times import DAY_S, HOUR_S, WINDOW_S, later, seconds
from monitor.watching import Seen, Watched

DETAIL_TYPE = "DriftFound"
TOLD = 8
"""So many findings are told in words; a mail is no table."""


def detail(found: Watched) -> dict[str, Any]:
    """What subscribers get: which model, which windows, what changed from what to what, how labels fared.

    What is not known is null.
    """
    looked = found.champion.looked
    score = looked.whole.comparison.score
    performance = looked.performance
    labels = performance.labels if performance else None
    return {
        "model": looked.model,
        "since": found.since,
        "until": found.until,
        "decided": looked.whole.comparison.decided,
        "reference": looked.whole.comparison.reference,
        "findings": [asdict(finding) for finding in looked.verdict.findings],
        "features": list(looked.verdict.features),
        "score": {"psi": score.psi, "noise": score.psi_noise, "drifted": looked.verdict.score_drifted},
        "performance": performance
        and {
            "since": performance.since,
            "until": performance.until,
            "roc_auc": labels.roc_auc.value if labels else None,
            "roc_auc_baseline": performance.roc_auc_baseline,
            "dropped": looked.verdict.performance_dropped,
        },
        "retrain": looked.verdict.retrain,
        "text": text(looked.verdict),
    }


def text(verdict: Verdict) -> str:
    """What changed, in a line for people: the rule of the alarm topic sends it as it is.

    `amount: psi 0.412 (noise 0.021), from 52.1 to 78.2; retraining is advised.`
    """
    told = [
        f"{f.name}: {f.kind} {f.value:.3g} (noise {f.noise:.3g}), from {f.baseline:.4g} to {f.now:.4g}"
        for f in verdict.findings[:TOLD]
    ]
    if more := verdict.findings[TOLD:]:
        told.append(f"and {len(more)} more")
    if verdict.retrain:
        told.append("retraining is advised")
    return "; ".join(told) + "."


def is_news(seen: Seen) -> bool:
    """Whether something drifted that had not a look before, five minutes ago (an hour, for performance), or
    it is the day's first look: as long as it lasts it is told once a day.
    """
    verdict = seen.looked.verdict
    if not verdict.findings:
        return False
    first_of_day = seconds(seen.read.until) % DAY_S == 0
    return first_of_day or not _found(verdict) <= _found_before(seen)


def _found(verdict: Verdict) -> set[tuple[str, str]]:
    return {(finding.name, finding.kind) for finding in verdict.findings}


def _found_before(seen: Seen) -> set[tuple[str, str]]:
    """What looks at the same windows found before: all are asked in the same way, so nothing is stored."""
    read = seen.read
    since, until = later(read.since, -WINDOW_S), later(read.until, -WINDOW_S)
    past = look(
        seen.subject,
        replace(
            read,
            since=since,
            until=until,
            windows=[window for window in read.earlier if window.start < until],
            matured=None,
        ),
    )
    found = _found(past.verdict)
    if read.matured is not None:
        hour_ago = later(read.until, -HOUR_S)
        matured = [window for window in read.matured if window.start < hour_ago]
        found |= _found(
            look(seen.subject, replace(read, until=hour_ago, matured=matured, windows=())).verdict
        )
    return found
