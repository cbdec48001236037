"""Whether a model that was just promoted is worse than it promised: its own baseline is the promise. Pure."""

from monitor.judge import PREDICTION_RATE, ROC_AUC, SCORE, Finding
from monitor.look import Looked


def regressions(looked: Looked) -> list[Finding]:
    """What takes the model back: its ranking by matured labels fell past `[performance.alert]`, or the share
    of events at or above its review threshold is past `[drift.retrain]`; both beyond noise.

    Features that drift do not: going back does not mend the world.
    """
    return [
        finding
        for finding in looked.verdict.findings
        if finding.name == SCORE
        and (finding.kind == ROC_AUC or (finding.kind == PREDICTION_RATE and finding.retrain))
    ]


def in_words(found: list[Finding]) -> str:
    """A line for the pointer's history and for people."""
    return "; ".join(f"{one.kind} from {one.baseline:.4g} to {one.now:.4g}" for one in found)
