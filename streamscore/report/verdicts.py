"""What a reader should know first: a few sentences, each good, to look at, or not known yet. Pure."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from monitor.fared import Labels
from monitor.judge import LABEL_RATE, ROC_AUC, Finding
from streamscore.report.content import Report
from streamscore.report.parts import number, percent
from streamscore.watched_text import told

State = Literal["good", "look", "unknown"]
_OF_LABELS = (ROC_AUC, LABEL_RATE)
_MUCH_WASTE = 0.05


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
        *_drift(report),
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


def _drift(report: Report) -> Iterator[Verdict]:
    if report.drift is None:
        yield Verdict("unknown", "No model is promoted, so there is nothing to compare with.", "drift")
        return
    verdict = report.drift.champion.verdict
    found = [_finding(one) for one in verdict.findings]
    if not verdict.judged:
        decided = number(report.drift.comparison.decided)
        says = f"{decided} decisions, or those before, are too few to judge drift."
        yield Verdict("unknown", says, "drift")
    elif not any(one.section == "drift" for one in found):
        yield Verdict(
            "good", "Nothing drifted beyond the policy's bounds and what sampling explains.", "drift"
        )
    yield from found
    if verdict.retrain:
        yield Verdict("look", "Retraining is advised.", "drift")


def _finding(one: Finding) -> Verdict:
    return Verdict("look", f"{told(one)}.", "model" if one.kind in _OF_LABELS else "drift")


def _labels(report: Report) -> Verdict:
    """Only matured labels are judged; where there are none, the newest month's are told."""
    drift = report.drift
    performance = drift.champion.performance if drift else None
    if drift and performance and performance.labels:
        it = performance.labels
        dropped = drift.champion.verdict.performance_dropped
        good: State = "good" if it.positives >= drift.min_positives else "unknown"
        baseline = number(performance.roc_auc_baseline, 3)
        says = f"{number(it.labelled)} matured labels: {_ranked(it)}; the model's own ROC AUC was {baseline}."
        return Verdict("look" if dropped else good, says, "model")
    if not report.months:
        return Verdict("unknown", "No decision of this time has its label yet.", "model")
    newest = report.months[-1]
    many = number(newest.labels.labelled)
    return Verdict("unknown", f"{many} labels of {newest.month}: {_ranked(newest.labels)}.", "model")


def _ranked(it: Labels) -> str:
    return (
        f"ROC AUC {number(it.roc_auc.value, 3)} ± {number(it.roc_auc.error, 3)}, {percent(it.precision, 0)} "
        f"of what was flagged was positive, {percent(it.recall, 0)} of positives were flagged"
    )


def _cost(report: Report) -> Verdict:
    it, budget = report.cost, report.drift.budget_usd if report.drift else None
    if math.isnan(it.per_million_usd):
        return Verdict("unknown", "Nothing was metered per decision in this time.", "cost")
    over = budget is not None and it.per_million_usd > budget
    bound = f" (budget ${number(budget, 2)})" if budget is not None else ""
    waste = it.wasted_usd / it.total_usd if it.total_usd else 0.0
    says = (
        f"${number(it.per_million_usd, 2)} for a million decisions{bound}, "
        f"{percent(waste, 1)} of it wasted on work that was done again."
    )
    return Verdict("look" if over or waste >= _MUCH_WASTE else "good", says, "cost")
