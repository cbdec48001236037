"""What a reader should know first: a few sentences, each good, to look at, or not known yet. Pure."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from streamscore.report.content import Report
from streamscore.report.figures import drifted, number, percent

State = Literal["good", "look", "unknown"]


class Verdict(NamedTuple):
    """A sentence, and the section with its numbers."""

    state: State
    says: str
    section: str


def verdicts(report: Report) -> list[Verdict]:
    """In the order of the page."""
    return [
        *_checks(report),
        _agreement(report),
        _set_aside(report),
        _drift(report),
        _labels(report),
        _cost(report),
    ]


def lines(report: Report) -> list[str]:
    """The same for a terminal."""
    return [f"{one.state:<8} {one.says}" for one in verdicts(report)]


def _checks(report: Report) -> Iterator[Verdict]:
    failed = [check.name for check in report.checks if not check.held]
    if failed:
        yield Verdict("look", f"Did not hold: {', '.join(failed)}.", "checks")
    elif report.checks:
        yield Verdict("good", f"All {len(report.checks)} checks of the demo held.", "checks")


def _agreement(report: Report) -> Verdict:
    """Counts of a live stack may differ by what is under way at either end of the time."""
    made = {one.name: one.count for one in report.agree}
    same = ("Events applied", "Decisions made", "Decisions in the table", "Decisions counted")
    if not any(made[name] for name in same):
        return Verdict("unknown", "Nothing was decided in this time.", "counts")
    if len({made[name] for name in same}) == 1:
        return Verdict(
            "good", f"{number(made[same[0]])} events, each decided once: four counts agree.", "counts"
        )
    apart = ", ".join(f"{name.lower()} {number(made[name])}" for name in same)
    return Verdict("look", f"Counts differ: {apart}.", "counts")


def _set_aside(report: Report) -> Verdict:
    made = {one.name: one.count for one in report.agree}
    quarantined, failed = made["Records quarantined"], made["Records failed"]
    if quarantined or failed:
        return Verdict(
            "look", f"{number(quarantined)} records lie in quarantine, {number(failed)} failed.", "counts"
        )
    return Verdict("good", "No record is in quarantine, none failed.", "counts")


def _drift(report: Report) -> Verdict:
    if report.drift is None:
        return Verdict("unknown", "No model is promoted, so there is no baseline.", "drift")
    found, alert = report.drift.found, report.drift.psi_alert
    if not found.enough:
        return Verdict(
            "unknown", f"{number(found.decided)} decisions are too few to speak of drift.", "drift"
        )
    names = [f"{row.name} ({row.psi:.3f})" for row in (found.score, *found.features) if drifted(row, alert)]
    if names:
        return Verdict("look", f"PSI above {alert:g} and beyond sampling noise: {', '.join(names)}.", "drift")
    return Verdict(
        "good", f"No variable drifted: no PSI above {alert:g} that sampling does not explain.", "drift"
    )


def _labels(report: Report) -> Verdict:
    if not report.months:
        return Verdict("unknown", "No decision of this time has its label yet.", "model")
    newest = report.months[-1]
    it = newest.labels
    if math.isnan(it.roc_auc.value):
        return Verdict("unknown", f"The labels of {newest.month} are all of one kind.", "model")
    return Verdict(
        "good",
        f"On {number(it.labelled)} labels of {newest.month}: ROC AUC {number(it.roc_auc.value, 3)} "
        f"± {number(it.roc_auc.error, 3)}, {percent(it.precision, 0)} of what was flagged was positive, "
        f"{percent(it.recall, 0)} of positives were flagged.",
        "model",
    )


def _cost(report: Report) -> Verdict:
    it = report.cost
    if math.isnan(it.per_million_usd):
        return Verdict("unknown", "Nothing was metered per decision in this time.", "cost")
    waste = it.wasted_usd / it.total_usd if it.total_usd else 0.0
    says = (
        f"${number(it.per_million_usd, 2)} for a million decisions, "
        f"{percent(waste, 1)} of it wasted on work that was done again."
    )
    return Verdict("good" if waste < 0.05 else "look", says, "cost")
