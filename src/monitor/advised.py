"""What an alarm for retraining does not say: what changed."""

from common.errors import StreamscoreError
from common.telemetry import logger
from monitor.requests import ALARM, Reason
from monitor.store import Store
from monitor.times import HOUR_S, iso
from monitor.watching import watched

TOLD = 3


def named(store: Store, reason: Reason, now_s: float) -> Reason:
    """An alarm's reason with what advises retraining in the hour before, or drifted at least; any other
    reason, and where nothing did, as it is.
    """
    changes = _changes(store, now_s) if reason.kind == ALARM else ""
    return reason._replace(text=f"{reason.text}: {changes}") if changes else reason


def _changes(store: Store, now_s: float) -> str:
    """Worst first: `amount psi 0.412, from 52.1 to 78.2`."""
    try:
        seen = watched(store, iso(now_s - HOUR_S), iso(now_s))
    except StreamscoreError as error:  # a reason counts, named or not
        logger().warning("what changed is not known", extra={"error": str(error)})
        return ""
    verdict = seen.champion.looked.verdict if seen else None
    findings = (verdict.advising or verdict.findings) if verdict else ()
    return "; ".join(
        f"{one.name} {one.kind} {one.value:.3g}, from {one.baseline:.4g} to {one.now:.4g}"
        for one in findings[:TOLD]
    )
