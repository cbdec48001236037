"""Labels against recorded and new decisions. Pure.

An outcome is seen only where the event was let happen. Where a policy had a control share, each block that it
let through by chance stands for 1 / propensity of them (inverse propensity weighting: Horvitz and Thompson,
1952), and blocked events are left out; without one, what the blocked would have become is not known: it is
said how many there are.
"""

from array import array
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scoring.policy import CONTROL
from streamscore.backtest.again import Again
from streamscore.backtest.differences import Judged, Side, differences
from streamscore.backtest.result import Labels, Quality

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
DAY_MS = 86_400_000


@dataclass
class Labelled:
    """Rows with a label, 35 bytes each; the rest is counted."""

    open: int = 0
    blocked_open: int = 0
    newest_ms: int = 0
    _delay_ms: array[int] = field(default_factory=lambda: array("q"))
    _time_ms: array[int] = field(default_factory=lambda: array("q"))
    _scores: tuple[array[float], array[float]] = field(default_factory=lambda: (array("d"), array("d")))
    _flags: array[int] = field(default_factory=lambda: array("b"))
    _propensity: array[float] = field(default_factory=lambda: array("f"))

    def add(self, one: Again) -> None:
        """Take a decision in."""
        before = one.before
        self.newest_ms = max(self.newest_ms, before.decision.event_time_ms, before.label_time_ms or 0)
        blocked = before.action == "block"
        if before.label is None:
            self.open += 1
            self.blocked_open += blocked
            return
        control = CONTROL in before.decision.verdict.rules
        alerts = before.action != "approve", one.verdict.decision != "approve"
        flags = (before.label, *alerts, blocked, control)
        self._flags.append(sum(flag << n for n, flag in enumerate(flags)))
        self._propensity.append(before.decision.verdict.propensity or 1.0)
        self._time_ms.append(before.decision.event_time_ms)
        self._delay_ms.append(one.spec.event.label_known_after_ms or 0)
        for scores, score in zip(self._scores, (before.decision.score, one.score), strict=True):
            scores.append(np.nan if score is None else score)

    def result(self) -> Labels:
        """What the labels say, once every decision is in."""
        time_ms = np.array(self._time_ms, np.int64)
        matured = time_ms + np.array(self._delay_ms, np.int64) <= self.newest_ms
        flags = np.array(self._flags, np.int8)
        label, alert_before, alert_after, blocked, control = (
            ((flags >> n) & 1).astype(bool) for n in range(5)
        )
        weighted = bool((control & matured).any())
        used = matured & ~blocked if weighted else matured
        weights = np.where(control, 1 / np.array(self._propensity, np.float64), 1.0)[used]
        sides = [
            Side(np.array(scores, np.float64)[used], alerts[used])
            for scores, alerts in zip(self._scores, (alert_before, alert_after), strict=True)
        ]
        judged = Judged(time_ms[used] // DAY_MS, weights, label[used], both(sides))
        before, after = (quality(side, judged.scored, judged.labels, weights) for side in sides)
        return Labels(
            matured=int(used.sum()),
            positives=int(label[used].sum()),
            young=int((~matured).sum()),
            open=self.open,
            blocked=int((blocked & matured).sum()),
            blocked_open=self.blocked_open,
            control=int((control & matured).sum()),
            weighted=weighted,
            days=len(np.unique(judged.days)),
            before=before,
            after=after,
            differences=differences(judged, *sides),
        )


def both(sides: list[Side]) -> Flags:
    """The rows that both sides scored: rankings are compared on the same ones."""
    return ~(np.isnan(sides[0].scores) | np.isnan(sides[1].scores))


def quality(side: Side, scored: Flags, label: Flags, weights: Floats) -> Quality:
    """Ranking over the `scored` rows, alerts over all."""
    ranked = label[scored]
    two_classes = bool(ranked.any() and not ranked.all())
    ranking = _ranking(ranked, side.scores[scored], weights[scored]) if two_classes else (None, None)
    alerted, caught = float(weights @ side.alerts), float(weights @ (side.alerts & label))
    return Quality(
        roc_auc=ranking[0],
        average_precision=ranking[1],
        precision=_share(caught, alerted),
        recall=_share(caught, float(weights @ label)),
        alert_rate=_share(alerted, float(weights.sum())),
    )


def _ranking(label: Flags, scores: Floats, weights: Floats) -> tuple[float, float]:
    """ROC AUC and average precision of rows of both classes."""
    # seconds that a promotion without matured labels does not need
    from sklearn.metrics import average_precision_score, roc_auc_score  # noqa: PLC0415

    return (
        float(roc_auc_score(label, scores, sample_weight=weights)),
        float(average_precision_score(label, scores, sample_weight=weights)),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
